"""Whose safety number has changed: nothing is sent to them until the owner has decided.

The daemon holds back what such a person writes, and refuses to send to them; Sabir
shows it in their chat, once, and never accepts the new key by itself. The owner does
(`login.py`), and then what was held arrives.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sabir.errors import Unavailable
from sabir.networks.api import ChatId, Host, PersonId
from sabir.networks.signal import names
from sabir.networks.signal.book import Book
from sabir.networks.signal.envelope import Seen, seen
from sabir.networks.signal.rpc import Daemon
from sabir.networks.signal.verdicts import RpcError

UNTRUSTED: Final = "UNTRUSTED"
MEMORY: Final = "untrusted"
PAUSED: Final = (
    "the safety number of this person has changed: nothing is sent to them until you"
    " have compared it; run `sabir account add` for this Signal account again and"
    " choose to review safety numbers"
)


class Trust:
    """The people whose new key nobody has accepted yet."""

    paused = PAUSED

    def __init__(self, daemon: Daemon, host: Host, *, number: str, book: Book) -> None:
        self._daemon = daemon
        self._host = host
        self._number = number
        self._book = book
        self._open: dict[PersonId, str] = {}
        """And the number of the change, by which it is shown once."""

    async def load(self) -> None:
        """Read what earlier lives noted."""
        note = await self._host.recall(MEMORY)
        known = json.loads(note) if note else {}
        self._open = {PersonId(person): number for person, number in known.items()}

    async def _write(self) -> None:
        await self._host.remember(MEMORY, json.dumps(self._open))

    async def lost(self, people: Iterable[PersonId], chat: ChatId | None) -> None:
        """Note that keys have changed, and show it in the chats concerned."""
        found = list(people)
        person = None if chat is None else names.place(chat).person
        if not found and person is not None:
            found = [person]
        for each in found:
            if each not in self._open:
                self._open[each] = f"key{self._host.clock.now()}"
                await self._write()
            await self._show(each, Seen.KEY_CHANGED, "")

    async def check(self, chat: ChatId) -> None:
        """Let a message to somebody whose key changed wait; ask whether it still is so.

        Raises:
            Unavailable: it waits; says what to do.
        """
        person = names.place(chat).person
        if person is not None and person in self._open:
            await self.review([person])
            if person in self._open:
                raise Unavailable(PAUSED)

    async def review(self, people: Iterable[PersonId] = ()) -> None:
        """See whether the owner has decided meanwhile; the decision is shown."""
        for person in tuple(people) or tuple(self._open):
            level = await self._level(person)
            if person in self._open and level and level != UNTRUSTED:
                await self._show(person, Seen.KEY_TRUSTED, level)
                del self._open[person]
                await self._write()

    async def _level(self, person: PersonId) -> str:
        """Return how the newest key of somebody is trusted; empty if nobody knows."""
        params = {"account": self._number, "number": person}
        try:
            entries = await self._daemon.call("listIdentities", params)
        except RpcError:
            return ""
        known = [e for e in entries if isinstance(e, Mapping)] if entries else []
        newest = max(known, key=_added, default=None)
        return "" if newest is None else str(newest.get("trustLevel", ""))

    async def _show(self, person: PersonId, kind: Seen, value: str) -> None:
        """Put it into the person's chat, and into the groups they are in."""
        number = self._open[person]
        events = [
            seen(
                chat,
                kind,
                person=person,
                name=self._book.name(person),
                at=self._host.clock.now(),
                number=number,
                value=value,
            )
            for chat in self._chats(person)
        ]
        await self._host.take(events)

    def _chats(self, person: PersonId) -> list[ChatId]:
        chats = [names.direct(person)]
        for group in self._book.groups.values():
            chat = names.group_chat(group.id)
            if chat is not None and person in group.members:
                chats.append(chat)
        portals = set(self._host.chats())
        return [chat for chat in chats if chat in portals]


def _added(identity: Mapping[str, Any]) -> int:
    return names.timestamp(identity.get("addedTimestamp")) or 0
