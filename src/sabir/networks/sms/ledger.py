"""Everything that an SMS account must not forget, and how it gets onto the disk.

All of it is kept as cursors of the account, so that it is committed in one transaction
with the events it belongs to.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Final, Self

from sabir.networks.api import ChatId, Host, NativeEvent, NativeId
from sabir.networks.sms.groups import SLOTS_MAX, Groups
from sabir.networks.sms.memory import Memory
from sabir.networks.sms.outbox import Outbox
from sabir.networks.sms.twins import Twins

PREFIX: Final = "sms."
STOPPED_MAX: Final = 10_000
"""Numbers that want nothing from us."""
SEEN_MAX: Final = 50
"""Numbers that wrote lately, for `sabir chats`."""


class Ledger:
    """The account's state; `commit` writes what changed since the last time."""

    def __init__(
        self, host: Host, outbox: Outbox, groups: Groups, twins: Twins
    ) -> None:
        self.outbox = outbox
        self.groups = groups
        self.twins = twins
        self.count = 0
        """Messages that ever came in; part of their names."""
        self.stopped: list[ChatId] = []
        self.seen: list[ChatId] = []
        self._memories: dict[ChatId, Memory] = {}
        self._host = host
        self._lock = asyncio.Lock()
        self._dirty: set[str] = set()

    @classmethod
    async def load(cls, host: Host) -> Self:
        """Read everything, at the beginning of a run.

        Raises:
            StorageFailed: it cannot be read.
        """
        head = await host.cursor(PREFIX + "out")
        slots = [
            await host.cursor(f"{PREFIX}out.{slot}") or ""
            for slot in range(Outbox.slots_in(head))
        ]
        unclaimed = await host.cursor(PREFIX + "unclaimed")
        waiting = {
            slot: await host.cursor(f"{PREFIX}group.{slot}") or ""
            for slot in range(SLOTS_MAX)
        }
        now_ms = host.clock.monotonic_ms()
        ledger = cls(
            host,
            Outbox.load(head, [text for text in slots if text], unclaimed),
            Groups.load({slot: text for slot, text in waiting.items() if text}),
            Twins.load(await host.cursor(PREFIX + "open"), now_ms),
        )
        ledger.count = int(await host.cursor(PREFIX + "count") or 0)
        stopped = await host.cursor(PREFIX + "stopped")
        ledger.stopped = json.loads(stopped or "[]")
        ledger.seen = json.loads(await host.cursor(PREFIX + "seen") or "[]")
        return ledger

    async def memory(self, chat: ChatId) -> Memory:
        """Return the last messages of a chat."""
        if chat not in self._memories:
            text = await self._host.cursor(f"{PREFIX}recent.{chat}")
            self._memories.setdefault(chat, Memory.load(text))
        return self._memories[chat]

    async def note(
        self, chat: ChatId, native_id: NativeId, text: str, *, ours: bool
    ) -> None:
        """Remember a message for quotations of it."""
        memory = await self.memory(chat)
        memory.add(native_id, text, ours=ours, now=self._host.clock.now())
        self._dirty.add(f"recent.{chat}")

    def next_name(self, digest: str) -> NativeId:
        """Return a native id for a message that came in."""
        self.count += 1
        self._dirty.add("count")
        return NativeId(f"{digest[:24]}-{self.count}")

    def stop(self, chat: ChatId) -> None:
        """Somebody wants nothing from us any more."""
        self.stopped = [*(c for c in self.stopped if c != chat), chat][-STOPPED_MAX:]
        self._dirty.add("stopped")

    def start(self, chat: ChatId) -> None:
        """Somebody wants our messages again."""
        self.stopped = [each for each in self.stopped if each != chat]
        self._dirty.add("stopped")

    def see(self, chat: ChatId) -> None:
        """Somebody wrote."""
        if chat not in self.seen[-1:]:
            self.seen = [*(c for c in self.seen if c != chat), chat][-SEEN_MAX:]
            self._dirty.add("seen")

    async def commit(
        self, events: Sequence[NativeEvent] = (), *, twins: bool = False
    ) -> None:
        """Write events and whatever changed, in one transaction.

        Args:
            events: to be taken by the host.
            twins: what is open towards the SMSC changed as well.

        Raises:
            StorageFailed: nothing was written.
        """
        async with self._lock:
            changed = self.outbox.changed() | self.groups.changed()
            names, self._dirty = self._dirty, set()
            if twins:
                names.add("open")
            changed |= {name: self._dump(name) for name in names}
            if not changed and not events:
                return
            cursors = {PREFIX + name: value for name, value in changed.items()}
            done = False
            try:
                await self._host.take(events, cursors=cursors)
                done = True
            finally:
                if not done:  # also when we are cancelled meanwhile
                    self.outbox.again(changed)
                    self.groups.again(changed)
                    self._dirty |= names

    def _dump(self, name: str) -> str:
        match name:
            case "count":
                return str(self.count)
            case "stopped":
                return json.dumps(self.stopped)
            case "seen":
                return json.dumps(self.seen)
            case "open":
                return self.twins.dump(self._host.clock.monotonic_ms())
            case _:
                chat = ChatId(name.removeprefix("recent."))
                return self._memories[chat].dump()
