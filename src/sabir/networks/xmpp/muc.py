"""One room and our seats in it (XEP-0045). What arrives becomes facts; no decisions.

* The listener's seat is the only one whose copies are read; a ghost's copies
  tell only whether that ghost is in.
* The list of occupants that a room sends on joining is state, not news: only
  what changes later is a `Change`.
* Nicks of ours are known before the room shows them, so that a ghost's joining
  never looks like a stranger's.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.errors import Unavailable
from sabir.networks.xmpp import names
from sabir.networks.xmpp.archive import Archive
from sabir.networks.xmpp.envelope import Kind
from sabir.networks.xmpp.stream import Stream, new_iq

JOIN_TIMEOUT_S: Final = 30
"""For one join; a room of 200 people answers within seconds."""
GHOSTS_MAX: Final = 50
"""Seats of ghosts in one room: at 50 a room is measured 3 times slower for others."""
BUFFER_STANZAS_MAX: Final = 5_000
"""Live stanzas kept during catch-up; beyond it the archive is asked once more."""
_REMOVED: Final = frozenset({"301", "307", "321", "322"})
_INSIDE: Final = frozenset(
    {"", "service-unavailable", "feature-not-implemented", "item-not-found"}
)
_UNDECIDED: Final = frozenset({"remote-server-not-found", "remote-server-timeout"})


class SeatRefused(Exception):
    """The room does not let us in, or not under this nick."""

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(condition)
        self.condition = condition
        self.text = text


@dataclass(slots=True)
class Seat:
    """A place of ours in the room."""

    owner: str
    """Full JID that sits there."""
    nick: str
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Occupant:
    """Somebody else in the room."""

    jid: str
    """Real JID where the room shows it, else empty."""


@dataclass(frozen=True, slots=True)
class Change:
    """News about an occupant."""

    kind: Kind
    jid: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Reflected:
    """The room has taken a stanza of ours."""

    stanza_id: str
    occupant_id: str
    nick: str


@dataclass(frozen=True, slots=True)
class Bounced:
    """The room has refused a stanza of ours."""

    condition: str
    text: str


Fate = Reflected | Bounced


@dataclass(slots=True)
class Room:
    """State of one room while one connection lasts."""

    jid: str
    listener: Seat
    stream: Stream
    archive: Archive
    seats: dict[str, Seat] = field(default_factory=dict)
    """By owner, the listener's included."""
    nicks: dict[str, str] = field(default_factory=dict)
    """Nick of every speaker's URI that ever sat here, for life."""
    occupants: dict[str, Occupant] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    name: str = ""
    topic: str = ""
    live: bool = False
    """The listener is in, and caught up."""
    moderates: bool = False
    """The listener is a moderator: it may set the topic where occupants may not."""
    refused: str = ""
    """Why we cannot come in, for a person."""
    buffering: bool = False
    buffer: list[Element] = field(default_factory=list)
    overflowed: bool = False
    subject_seen: bool = False
    spacing_ms: int = 0
    """Pause between two messages of ours, when the room has said `too fast`."""
    fates: dict[str, asyncio.Future[Fate]] = field(default_factory=dict)
    """What became of stanzas on the way, by `id`."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _topics: dict[tuple[str, str], str] = field(default_factory=dict)
    """Ids of topics we are setting, by owner and topic."""
    _ours: set[str] = field(default_factory=set)
    """Nicks of our seats, also of those that are being taken."""
    _seated: set[str] = field(default_factory=set)
    _held: set[str] = field(default_factory=set)
    _joins: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    # ---- what the room offers

    @property
    def has_stable_ids(self) -> bool:
        """Tell whether the room vouches for `stanza-id`."""
        return names.SID in self.features or names.MAM in self.features

    @property
    def has_archive(self) -> bool:
        """Tell whether the room has an archive."""
        return names.MAM in self.features

    @property
    def has_occupant_ids(self) -> bool:
        """Tell whether the room vouches for `occupant-id`."""
        return names.OCCUPANT_ID in self.features

    def stanza_id(self, stanza: Element) -> str:
        """Return the room's own id of a message, empty if it gave none."""
        if not self.has_stable_ids:
            return ""
        for found in stanza.iter(f"{{{names.SID}}}stanza-id"):
            if found.get("by") == self.jid:
                return found.get("id", "")
        return ""

    def occupant_id(self, stanza: Element) -> str:
        """Return the sender's occupant id, empty if the room vouches for none."""
        if not self.has_occupant_ids:
            return ""
        found = names.child(stanza, "occupant-id", names.OCCUPANT_ID)
        return found.get("id", "") if found is not None else ""

    async def describe(self) -> str:
        """Ask what the room is and can; return the error's condition, if any.

        Raises:
            Unavailable: no answer.
        """
        iq = new_iq("get", to=self.jid, sender=self.listener.owner)
        SubElement(iq, "query", {"xmlns": names.DISCO_INFO})
        answer = await self.stream.ask(iq)
        query = names.child(answer, "query", names.DISCO_INFO)
        if names.condition(answer) or query is None:
            return names.condition(answer) or "undefined-condition"
        features = query.findall(f"{{{names.DISCO_INFO}}}feature")
        self.features = frozenset(found.get("var", "") for found in features)
        identity = names.child(query, "identity")
        self.name = identity.get("name", "") if identity is not None else ""
        return ""

    # ---- our seats

    def sits(self, nick: str) -> bool:
        """Tell whether one of our seats has this nick now."""
        return nick in self._seated

    def has_held(self, nick: str) -> bool:
        """Tell whether a speaker of ours has ever sat under this nick."""
        return nick in self._held

    def hold(self, uri: str, nick: str) -> None:
        """Note the nick of a speaker, for life."""
        self.nicks[uri] = nick
        self._held.add(nick)

    @property
    def is_full(self) -> bool:
        """Tell whether one more ghost would be too many."""
        return sum(1 for seat in self.seats.values() if seat.joined) > GHOSTS_MAX

    async def sit(self, owner: str, choices: Iterable[str]) -> Seat:
        """Take a seat under the first nick that is free; none of history is asked for.

        Raises:
            SeatRefused: the room's reason.
            Unavailable: no answer.
        """
        seat = self.seats.setdefault(owner, Seat(owner, ""))
        for nick in choices:
            # a nick that is listed may be our own, left behind by a broken stream:
            # only the room can tell
            if nick in self._ours and seat.nick != nick:
                continue
            try:
                await self._join(seat, nick)
            except SeatRefused as refused:
                if refused.condition != "conflict":
                    raise
                continue
            return seat
        raise SeatRefused("conflict")

    async def _join(self, seat: Seat, nick: str) -> None:
        known = nick in self._ours
        self._ours.add(nick)
        joined: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._joins[seat.owner] = joined
        presence = Element("presence", {"from": seat.owner, "to": f"{self.jid}/{nick}"})
        if not seat.joined:
            muc = SubElement(presence, "x", {"xmlns": names.MUC})
            SubElement(muc, "history", {"maxstanzas": "0"})
        try:
            self.stream.write(presence)
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                actual = await joined
        except TimeoutError:
            raise Unavailable(
                f"the room {self.jid} does not answer our joining"
            ) from None
        except SeatRefused:
            if not known:
                self._ours.discard(nick)
            raise
        finally:
            self._joins.pop(seat.owner, None)
        if seat.nick not in ("", actual):
            self._ours.discard(seat.nick)
            self._seated.discard(seat.nick)
        self._ours.add(actual)
        self._seated.add(actual)
        seat.nick, seat.joined = actual, True

    def stand_up(self, seat: Seat, reason: str = "") -> None:
        """Leave a seat."""
        attributes = {
            "from": seat.owner,
            "to": f"{self.jid}/{seat.nick}",
            "type": "unavailable",
        }
        presence = Element("presence", attributes)
        if reason:
            SubElement(presence, "status").text = reason
        self.stream.write(presence)
        seat.joined = False

    async def is_inside(self, seat: Seat) -> bool:
        """Ask the room about our seat (XEP-0410); the answer is a barrier too:
        it comes after everything that this seat wrote before.

        Raises:
            Unavailable: the room cannot tell now.
        """  # noqa: D205
        answer = await self.stream.ping(sender=seat.owner, to=f"{self.jid}/{seat.nick}")
        condition = names.condition(answer)
        if condition in _UNDECIDED:
            raise Unavailable(f"the room {self.jid} cannot be reached ({condition})")
        return condition in _INSIDE

    # ---- what the room says

    def presence(self, stanza: Element) -> Change | None:
        """Take a presence from the room; return what is news to people."""
        to = stanza.get("to", "")
        nick = names.resource(stanza.get("from", ""))
        if stanza.get("type") == "error":
            self._join_failed(to, stanza)
            return None
        user = names.child(stanza, "x", names.MUC_USER)
        codes = _codes(user)
        if "110" in codes and to in self.seats:
            self._self_presence(self.seats[to], nick, stanza, user, codes)
        if to != self.listener.owner or not nick:
            return None
        return self._occupant(nick, stanza, user, codes)

    def _join_failed(self, to: str, stanza: Element) -> None:
        joined = self._joins.get(to)
        if joined is not None and not joined.done():
            refused = SeatRefused(names.condition(stanza), names.error_text(stanza))
            joined.set_exception(refused)

    def _self_presence(
        self,
        seat: Seat,
        nick: str,
        stanza: Element,
        user: Element | None,
        codes: frozenset[str],
    ) -> None:
        joined = self._joins.get(seat.owner)
        if stanza.get("type") == "unavailable":
            if "303" in codes:
                return
            seat.joined = False
            self._ours.discard(nick)
            self._seated.discard(nick)
            if seat is self.listener:
                self.live = False
                if user is not None and names.child(user, "destroy") is not None:
                    self.refused = f"the room {self.jid} was destroyed"
            return
        if seat is self.listener:
            item = names.child(user, "item") if user is not None else None
            self.moderates = item is not None and item.get("role") == "moderator"
        if joined is not None and not joined.done():
            joined.set_result(nick)

    def _occupant(
        self, nick: str, stanza: Element, user: Element | None, codes: frozenset[str]
    ) -> Change | None:
        item = names.child(user, "item") if user is not None else None
        jid = item.get("jid", "") if item is not None else ""
        ours = nick in self._ours or nick in self._held or jid in self.seats
        known = self.occupants.get(nick)
        if stanza.get("type") == "unavailable":
            self.occupants.pop(nick, None)
            renamed = item.get("nick", "") if item is not None else ""
            if "303" in codes and renamed:
                if not ours:
                    self.occupants[renamed] = Occupant(jid)
                kind = Kind.RENICKED
                return None if ours else self._news(Change(kind, jid, renamed))
            if ours or known is None:
                return None
            kind = Kind.REMOVED if codes & _REMOVED else Kind.LEFT
            return self._news(Change(kind, known.jid))
        if ours:
            self.occupants.pop(nick, None)
            return None
        self.occupants[nick] = Occupant(jid)
        return self._news(Change(Kind.JOINED, jid)) if known is None else None

    def _news(self, change: Change) -> Change | None:
        """Return a change only when the list that came on joining is complete."""
        return change if self.listener.joined else None

    def expect_topic(self, stanza: Element) -> None:
        """Note a topic that we set: Prosody reflects it without its id."""
        subject = stanza.find("subject")
        if subject is not None:
            sender = stanza.get("from", self.listener.owner)
            self._topics[sender, subject.text or ""] = stanza.get("id", "")

    def id_of_topic(self, nick: str, topic: str) -> str:
        """Return the id under which the seat `nick` set this topic, if it did."""
        owner = next((s.owner for s in self.seats.values() if s.nick == nick), "")
        return self._topics.pop((owner, topic), "")

    def settle(self, ident: str, fate: Fate) -> bool:
        """Say what became of a stanza; False if nobody waits for it."""
        waiting = self.fates.pop(ident, None)
        if waiting is None or waiting.done():
            return waiting is not None
        waiting.set_result(fate)
        return True

    def fail(self, error: Unavailable) -> None:
        """Tell everybody who waits that the connection is over."""
        waiting: list[asyncio.Future[Fate] | asyncio.Future[str]] = [
            *self.fates.values(),
            *self._joins.values(),
        ]
        self.fates.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen, even if its waiter is already gone
        self.live = False

    def forget_seats(self) -> None:
        """Start over: the room has forgotten us."""
        for seat in self.seats.values():
            seat.joined = False
        self.occupants.clear()
        self._ours.clear()
        self._seated.clear()
        self.subject_seen = False
        self.live = False


def _codes(user: Element | None) -> frozenset[str]:
    if user is None:
        return frozenset()
    found = user.findall(f"{{{names.MUC_USER}}}status")
    return frozenset(status.get("code", "") for status in found)


def status_codes(stanza: Element) -> frozenset[str]:
    """Return a stanza's MUC status codes."""
    return _codes(names.child(stanza, "x", names.MUC_USER))
