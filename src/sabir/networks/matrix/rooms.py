"""What we know of the rooms with a portal: who is in them, and whether encrypted.

Names travel with every stored event, so they must be known without asking. The
book is filled from `/joined_members` and kept up to date by the events themselves.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

import structlog

from sabir.clock import Clock
from sabir.errors import PeerMisbehaved, Unavailable
from sabir.networks.api import ChatId, ChatInfo, ChatKind, Person, PersonId
from sabir.networks.matrix.client import Client, Rejected, Voice
from sabir.networks.matrix.envelope import Json, Member, content_of, member_of
from sabir.networks.matrix.text import clean, one_line

MEMBERS_PER_ROOM_MAX: Final = 20_000
"""Further people of a room are shown by their user id."""

LOAD_PAUSE_MS: Final = 60_000
"""Before a room that gave no answer is asked for again."""

_log = structlog.get_logger(__name__)


class RoomBook:
    """Members and encryption of the rooms that were loaded."""

    def __init__(self) -> None:
        self._members: dict[ChatId, dict[str, Member]] = {}
        self._encrypted: set[ChatId] = set()

    # ---- reading

    def member(self, room: ChatId, user: str) -> Member | None:
        """Return what is known of somebody in a room; None if not a member."""
        return self._members.get(room, {}).get(user)

    def person(self, room: ChatId, user: str) -> Person:
        """Return somebody for a signal."""
        member = self.member(room, user)
        local = user.removeprefix("@").split(":", 1)[0]
        name = one_line(member.name) if member else ""
        return Person(id=PersonId(user), name=name or local or user)

    def is_loaded(self, room: ChatId) -> bool:
        """Tell whether the members of this room are known."""
        return room in self._members

    def is_encrypted(self, room: ChatId) -> bool:
        """Tell whether plaintext must not be sent there."""
        return room in self._encrypted

    def members(self, room: ChatId) -> Iterable[str]:
        """Return the user ids in a room."""
        return tuple(self._members.get(room, ()))

    # ---- changing

    def note(self, event: Json) -> None:
        """Learn from an event of a room that was loaded."""
        room, content = ChatId(event["room_id"]), content_of(event)
        if event["type"] == "m.room.encryption" and "state_key" in event:
            self._encrypted.add(room)
        if event["type"] != "m.room.member" or not self.is_loaded(room):
            return
        user = event.get("state_key")
        if not isinstance(user, str):
            return
        if content.get("membership") == "join":
            self.joined(room, user, member_of(content))
        elif content.get("membership") in {"leave", "ban"}:
            self.left(room, user)

    def joined(self, room: ChatId, user: str, member: Member) -> None:
        """Record somebody as in a room."""
        members = self._members.setdefault(room, {})
        if user in members or len(members) < MEMBERS_PER_ROOM_MAX:
            members[user] = member

    def left(self, room: ChatId, user: str) -> None:
        """Record somebody as not in a room."""
        self._members.get(room, {}).pop(user, None)

    def forget(self, room: ChatId) -> None:
        """Drop a room."""
        self._members.pop(room, None)
        self._encrypted.discard(room)

    async def load(
        self, client: Client, room: ChatId, *, voice: Voice | None = None
    ) -> None:
        """Fill the book for one room.

        Raises:
            Rejected: we are not in it.
        """
        joined = await client.joined_members(room, voice=voice)
        if await client.state(room, "m.room.encryption", voice=voice) is not None:
            self._encrypted.add(room)
        self._members[room] = {
            user: _listed(profile)
            for user, profile in list(joined.items())[:MEMBERS_PER_ROOM_MAX]
        }


class RoomLoader:
    """Fills the book; a room that gives no answer holds up no other."""

    def __init__(
        self, client: Client, book: RoomBook, clock: Clock, *, voice: Voice | None
    ) -> None:
        self._client = client
        self._book = book
        self._clock = clock
        self._voice = voice
        self._missing: dict[ChatId, float] = {}
        """Rooms that gave no answer, and when to ask again (monotonic, in ms)."""

    async def load(self, rooms: Iterable[ChatId]) -> None:
        """Load rooms; what gives no answer is left to `load_missing` or `need`."""
        for room in rooms:
            try:
                await self.need(room)
            except (Unavailable, PeerMisbehaved) as failure:
                due_at = self._clock.monotonic_ms() + LOAD_PAUSE_MS
                self._missing[room] = due_at
                _log.warning("room_not_loaded", room=room, reason=str(failure))

    async def load_missing(self, rooms: Collection[ChatId]) -> None:
        """Ask again for those of the rooms that gave no answer a while ago."""
        now = self._clock.monotonic_ms()
        due = [room for room, due_at in self._missing.items() if due_at <= now]
        for room in due:
            del self._missing[room]
        await self.load(room for room in due if room in rooms)

    async def need(self, room: ChatId) -> None:
        """Load a room unless it is known; not being in it is no failure here.

        Raises:
            Unavailable: no answer; nothing may be sent, the room may be encrypted.
        """
        if self._book.is_loaded(room):
            return
        try:
            await self._book.load(self._client, room, voice=self._voice)
        except Rejected as no:
            # Not in it any more; `open_chat` says so to whom it concerns.
            _log.info("room_not_loaded", room=room, errcode=no.errcode)


def _listed(profile: object) -> Member:
    """Read an entry of `/joined_members`, which spells names its own way."""
    known = profile if isinstance(profile, dict) else {}
    name, avatar = known.get("display_name"), known.get("avatar_url")
    return Member(
        name if isinstance(name, str) else "", avatar if isinstance(avatar, str) else ""
    )


async def describe(
    client: Client,
    book: RoomBook,
    room: ChatId,
    *,
    people: int,
    voice: Voice | None = None,
) -> ChatInfo:
    """Return what a loaded room is.

    Args:
        client: to ask with.
        book: where the room was loaded.
        room: its id.
        people: how many members are neither our ghosts nor our bot.
        voice: as whom to ask.
    """
    name = _string(await client.state(room, "m.room.name", voice=voice), "name")
    topic = _string(await client.state(room, "m.room.topic", voice=voice), "topic")
    is_direct = people == 1 and not name
    return ChatInfo(
        chat=room,
        kind=ChatKind.DIRECT if is_direct else ChatKind.GROUP,
        name=one_line(name),
        topic=clean(topic),
        members=people,
        encrypted=book.is_encrypted(room),
    )


def _string(content: dict[str, Any] | None, name: str) -> str:
    value = (content or {}).get(name)
    return value if isinstance(value, str) else ""
