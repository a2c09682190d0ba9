"""A host that remembers what a connector told it, in memory."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from sabir.clock import Clock
from sabir.errors import StorageFailed
from sabir.networks.api import (
    ChatId,
    ConnectionState,
    IdempotencyKey,
    NativeEvent,
    Rng,
    Sent,
    Signal,
)

WAIT_S = 20.0


class RecordingHost:
    """A `Host` in memory; one for a connector's whole life, also over restarts.

    Set `fail_takes` to let the next that many takes fail with `StorageFailed`.
    """

    def __init__(self, *, clock: Clock, rng: Rng, chats: Sequence[ChatId] = ()) -> None:
        self.clock = clock
        self.rng = rng
        self.portals: list[ChatId] = list(chats)
        self.takes: list[tuple[NativeEvent, ...]] = []
        self.cursors: dict[str, str] = {}
        self.facts: dict[str, str] = {}
        self.echoes: list[tuple[ChatId, Sent]] = []
        self.signals: list[Signal] = []
        self.states: list[tuple[ConnectionState, str]] = []
        self.fail_takes = 0
        self._stored: dict[tuple[str, str, str], NativeEvent] = {}

    @property
    def events(self) -> list[NativeEvent]:
        """Return the stored events of portals, each once, in order."""
        return list(self._stored.values())

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        """Store events of portals, and cursors."""
        if self.fail_takes > 0:
            self.fail_takes -= 1
            raise StorageFailed("the test wants this take to fail")
        self.takes.append(tuple(events))
        for event in events:
            if event.chat in self.portals:
                name = (event.chat, event.native_id, event.revision)
                self._stored.setdefault(name, event)
        self.cursors |= cursors or {}

    async def echo(self, chat: ChatId, *, key: IdempotencyKey, sent: Sent) -> None:
        """Remember an echo."""
        assert key == sent.key
        self.echoes.append((chat, sent))

    async def cursor(self, stream: str) -> str | None:
        """Return a cursor."""
        return self.cursors.get(stream)

    async def remember(self, name: str, value: str) -> None:
        """Store a fact."""
        self.facts[name] = value

    async def recall(self, name: str) -> str | None:
        """Return a fact."""
        return self.facts.get(name)

    def signal(self, signal: Signal) -> None:
        """Remember a signal."""
        self.signals.append(signal)

    def report(self, state: ConnectionState, detail: str = "") -> None:
        """Remember a state."""
        self.states.append((state, detail))

    def chats(self) -> Sequence[ChatId]:
        """Return the chats with a portal."""
        return tuple(self.portals)

    async def until(
        self, holds: Callable[[], object], *, timeout_s: float = WAIT_S
    ) -> None:
        """Wait until `holds()` is true, looking every 10 ms."""
        looks = range(int(timeout_s * 100))
        for _ in looks:
            if holds():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"not so within {timeout_s} s")
