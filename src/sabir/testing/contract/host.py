"""The host of the contract kit: real semantics, in memory, failing on demand."""

import asyncio
from collections.abc import Mapping, Sequence

from sabir.networks.api import ConnectionState, NativeEvent
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng


class ContractHost(RecordingHost):
    """A `RecordingHost` that can also hold a take back, as a slow disk would."""

    def __init__(self, *, seed: str = "contract") -> None:
        super().__init__(clock=LoopClock(), rng=SeededRng(seed))
        self.offered: list[NativeEvent] = []
        """Every event a connector handed on, also where the take failed."""
        self._gate: asyncio.Event | None = None

    @property
    def state(self) -> ConnectionState | None:
        """The state reported last in the present run."""
        return self.states[-1][0] if self.states else None

    def hold_takes(self) -> None:
        """Let events wait from now on; whoever is killed meanwhile stored none.

        Cursors by themselves pass: a connector may write one down behind the event
        that was taken before, and would otherwise wait for itself.
        """
        self._gate = asyncio.Event()

    def release_takes(self) -> None:
        """End `hold_takes`."""
        if self._gate is not None:
            self._gate.set()
            self._gate = None

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        """Store, once the gate is open."""
        self.offered.extend(events)
        if events and self._gate is not None:
            await self._gate.wait()
        await super().take(events, cursors=cursors)
