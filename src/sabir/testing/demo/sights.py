"""The conversation as the clients of each side saw it: a line for each thing seen."""

import textwrap
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from sabir.testing.clients.matrix import Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.demo.people import new_nick, nick_of
from sabir.testing.demo.rooms import is_configuration

_TEXT_CHARS_MAX: Final = 72
"""Of a text in a line; 20 kB would bury the rest."""
_QUOTED_CHARS_MAX: Final = 24
"""Of a message that another one points at."""
_FOREVER_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing seen: when (monotonic seconds), who did it, and what it was."""

    at_s: float
    who: str
    what: str


def clip(text: str, most: int = _TEXT_CHARS_MAX) -> str:
    """Return text on one line, and its size where it was cut."""
    line = " / ".join(text.splitlines())
    if len(line) <= most:
        return line
    octets = len(text.encode())
    return f"{line[:most]}… ({octets:,} octets)" if octets > 1000 else f"{line[:most]}…"


@dataclass(slots=True)
class _Quotes:
    """What was said under which id, for messages that point at others."""

    known: dict[str, str] = field(default_factory=dict)

    def note(self, text: str, *ids: str) -> None:
        self.known |= dict.fromkeys(filter(None, ids), text)

    def of(self, ident: object) -> str:
        said = self.known.get(str(ident))
        if said is None:
            return f"an unknown message ({ident})"
        short = textwrap.shorten(said, _QUOTED_CHARS_MAX, placeholder="…")
        return f"“{short or said[:_QUOTED_CHARS_MAX]}”"


# ---- XMPP


class Presences:
    """Notes when each presence arrived, which the client does not."""

    def __init__(self, client: XmppClient) -> None:
        self._client = client
        self.stamped: list[tuple[float, Element]] = []

    async def run(self) -> None:
        """Note until cancelled."""
        while True:
            presence = await self._client.presences.wait_for(
                lambda _: True, _FOREVER_S, len(self.stamped)
            )
            self.stamped.append((time.monotonic(), presence))


def seen_on_xmpp(
    messages: Iterable[Arrived], presences: Iterable[tuple[float, Element]], room: str
) -> list[Sight]:
    """Return what an XMPP client saw in a room."""
    quotes = _Quotes()
    sights = [
        Sight(message.arrived_s, message.nick or "(the room)", what)
        for message in messages
        if message.chat == room
        for what in _message(message, quotes)
    ]
    sights += [
        Sight(at_s, nick_of(presence), what)
        for at_s, presence in presences
        if presence.get("from", "").startswith(f"{room}/")
        for what in [_presence(presence)]
    ]
    return sorted(_without_double_news(sights), key=lambda sight: sight.at_s)


def _message(message: Arrived, quotes: _Quotes) -> Iterator[str]:
    """Yield one phrase; none for what says nothing to people."""
    if is_configuration(message):
        yield "the room's settings have changed"
    elif message.subject is not None and message.body is None:
        yield f"sets the topic: {clip(message.subject)}"
    elif message.retracts:
        yield f"deletes {quotes.of(message.retracts)}"
    elif message.reacts_to:
        shown = " ".join(sorted(message.reactions)) or "nothing any more"
        yield f"reacts with {shown} to {quotes.of(message.reacts_to)}"
    elif message.displayed:
        yield f"has read up to {quotes.of(message.displayed)}"
    elif message.chat_state:
        yield "is typing" if message.chat_state == "composing" else "stops typing"
    elif message.body is not None:
        yield from _said(message, message.body, quotes)


def _said(message: Arrived, body: str, quotes: _Quotes) -> Iterator[str]:
    quoted = body.startswith("> ") and message.replies_to != ""
    text = "\n".join(
        line for line in body.splitlines() if not (quoted and line.startswith("> "))
    )
    if message.file_url is not None:
        text = f"file {unquote(message.file_url.rpartition('/')[2])}"
    if message.corrects:
        yield f"edits {quotes.of(message.corrects)}: {clip(text)}"
        return
    if message.replies_to:
        yield f"answers {quotes.of(message.replies_to)}: {clip(text)}"
    else:
        yield clip(text)
    quotes.note(text, message.stanza_id, message.id)


def _presence(presence: Element) -> str:
    if new_nick(presence):
        return f"is now called {new_nick(presence)}"
    return "leaves" if presence.get("type") == "unavailable" else "is in the room"


def _without_double_news(sights: list[Sight]) -> Iterator[Sight]:
    """Leave out presences of people who were in the room already."""
    inside: set[str] = set()
    for sight in sights:
        if sight.what == "is in the room":
            if sight.who in inside:
                continue
            inside.add(sight.who)
        elif sight.what == "leaves":
            inside.discard(sight.who)
        elif sight.what.startswith("is now called "):
            inside.discard(sight.who)
            inside.add(sight.what.removeprefix("is now called "))
        yield sight


# ---- Matrix


def seen_on_matrix(
    events: Iterable[Seen], room: str, members: dict[str, str]
) -> list[Sight]:
    """Return what a Matrix client saw in a room.

    `members` are the display names that events do not tell: user id to name.
    """
    reader = _MatrixReader(dict(members))
    return [
        Sight(seen.arrived_s, who, what)
        for seen in events
        if seen.room_id == room and seen.kind in {"timeline", "ephemeral"}
        for who, what in reader.read(seen)
    ]


class _MatrixReader:
    """Puts events into words; remembers names and texts."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._quotes = _Quotes()

    def read(self, seen: Seen) -> Iterator[tuple[str, str]]:
        """Yield who did what; nothing for what says nothing to people."""
        who = self._name(seen.sender)
        match seen.type:
            case "m.room.message":
                yield who, self._message(seen)
            case "m.reaction":
                relation = seen.content.get("m.relates_to", {})
                target = self._quotes.of(relation.get("event_id"))
                yield who, f"reacts with {relation.get('key')} to {target}"
                self._quotes.note(f"the reaction {relation.get('key')}", seen.event_id)
            case "m.room.redaction":
                redacted = seen.content.get("redacts") or seen.event.get("redacts")
                yield who, f"deletes {self._quotes.of(redacted)}"
            case "m.room.member":
                yield from self._member(seen)
            case "m.room.name":
                yield who, f"names the room: {clip(seen.content.get('name', ''))}"
            case "m.room.topic":
                yield who, f"sets the topic: {clip(seen.content.get('topic', ''))}"
            case "m.typing":
                typing = ", ".join(map(self._name, seen.content["user_ids"]))
                yield typing or "nobody", "is typing"
            case "m.receipt":
                yield from self._receipts(seen)
            case _:
                return

    def _name(self, user: str) -> str:
        return self._names.get(user) or user

    def _message(self, seen: Seen) -> str:
        content = seen.content
        text = str(content.get("body", "(deleted since)"))
        if "url" in content:
            size = content.get("info", {}).get("size", 0)
            text = f"file {content.get('filename', text)} ({size:,} octets)"
        relation: dict[str, Any] = content.get("m.relates_to", {})
        if relation.get("rel_type") == "m.replace":
            new = content.get("m.new_content", {}).get("body", "")
            return f"edits {self._quotes.of(relation.get('event_id'))}: {clip(new)}"
        self._quotes.note(text, seen.event_id)
        answered = relation.get("m.in_reply_to", {}).get("event_id")
        if answered:
            return f"answers {self._quotes.of(answered)}: {clip(text)}"
        return clip(text)

    def _member(self, seen: Seen) -> Iterator[tuple[str, str]]:
        user = str(seen.event.get("state_key", ""))
        before = seen.event.get("unsigned", {}).get("prev_content", {})
        name = seen.content.get("displayname") or self._name(user)
        match seen.content.get("membership"):
            case "join" if before.get("membership") == "join":
                yield self._name(user), f"is now called {name}"
                self._names[user] = name
            case "join":
                self._names[user] = name
                yield name, "joins"
            case "leave":
                yield self._name(user), "leaves"
            case _:
                return

    def _receipts(self, seen: Seen) -> Iterator[tuple[str, str]]:
        for event_id, kinds in seen.content.items():
            for user in kinds.get("m.read", {}):
                yield self._name(user), f"has read up to {self._quotes.of(event_id)}"
