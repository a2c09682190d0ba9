"""Typing notices and receipts: passed on at once, never stored."""

from collections.abc import Callable, Iterator
from typing import Any

from sabir.networks.api import ChatId, NativeId, Read, Signal, Typing
from sabir.networks.matrix.envelope import Json, content_of
from sabir.networks.matrix.rooms import RoomBook


class SignalReader:
    """Turns ephemeral events into signals; remembers who was typing."""

    def __init__(self, book: RoomBook, is_ours: Callable[[str], bool]) -> None:
        self._book = book
        self._is_ours = is_ours
        self._typing: dict[ChatId, frozenset[str]] = {}

    def read(self, room: ChatId, event: Json) -> Iterator[Signal]:
        """Yield what changed; nothing for events that are not of the right form."""
        content = content_of(event)
        if event.get("type") == "m.typing":
            yield from self._read_typing(room, content.get("user_ids"))
        elif event.get("type") == "m.receipt":
            yield from self._read_receipts(room, content)

    def _read_typing(self, room: ChatId, users: Any) -> Iterator[Signal]:
        """Take the difference: the event has everybody who is typing now."""
        if not isinstance(users, list):
            return
        now = frozenset(u for u in users if isinstance(u, str) and not self._is_ours(u))
        before = self._typing.pop(room, frozenset())
        if now:
            self._typing[room] = now
        for user in sorted(now ^ before):
            person = self._book.person(room, user)
            yield Typing(chat=room, person=person, active=user in now)

    def _read_receipts(self, room: ChatId, content: Json) -> Iterator[Signal]:
        """Only `m.read`: private receipts are private."""
        for event_id, kinds in content.items():
            users = kinds.get("m.read") if isinstance(kinds, dict) else None
            for user in users if isinstance(users, dict) else ():
                if not self._is_ours(user):
                    person = self._book.person(room, user)
                    yield Read(chat=room, person=person, native_id=NativeId(event_id))
