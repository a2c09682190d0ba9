"""Time for tests: `VirtualClock` moves when told to, `LoopClock` with the world.

A sleeper of a `VirtualClock` wakes only by `advance`; sleepers wake one by one,
in the order of their deadlines, and each may act (and sleep again) before the
next one wakes. So a run is the same every time.
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from sabir.clock import Instant

EPOCH: Final = Instant(1_700_000_000_000)
"""Where virtual time starts: 2023-11-14, a plausible date on every network."""

SETTLE_TURNS_MAX: Final = 500
"""Turns of the event loop that tasks get to come to rest; an endless one is a bug."""

BREATH_S: Final = 0.001
"""Real time given to worker threads (a database's, say) between two looks."""


async def settle() -> None:
    """Let the tasks of this loop run until all of them wait for something.

    Work in other threads is not seen; use `VirtualClock.advance_until` there.
    """
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    for _ in range(SETTLE_TURNS_MAX):
        await asyncio.sleep(0)
        if ready is not None and not ready:
            return


class VirtualClock:
    """Deterministic `sabir.clock.Clock`."""

    def __init__(self, start: Instant = EPOCH) -> None:
        self._now = int(start)
        self._monotonic = 0
        self._order = count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> Instant:
        """Return the virtual instant."""
        return Instant(self._now)

    def monotonic_ms(self) -> float:
        """Return the virtual milliseconds since this clock was made."""
        return float(self._monotonic)

    async def sleep(self, duration_ms: int) -> None:
        """Wait until a test has advanced the clock by `duration_ms`."""
        if duration_ms <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        deadline = self._monotonic + duration_ms
        heapq.heappush(self._sleepers, (deadline, next(self._order), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many sleepers wait."""
        self._forget_the_cancelled()
        return len(self._sleepers)

    @property
    def next_wakeup_ms(self) -> int | None:
        """Milliseconds from now until the next sleeper wakes; None without one."""
        self._forget_the_cancelled()
        return self._sleepers[0][0] - self._monotonic if self._sleepers else None

    async def advance(self, duration_ms: int) -> None:
        """Move on, waking sleepers one by one in the order of deadlines."""
        until = self._monotonic + duration_ms
        await settle()
        while (wakeup := self.next_wakeup_ms) is not None:
            if self._monotonic + wakeup > until:
                break
            self._move(wakeup)
            heapq.heappop(self._sleepers)[2].set_result(None)
            await settle()
        self._move(until - self._monotonic)

    async def advance_until(
        self,
        condition: Callable[[], bool],
        *,
        limit_ms: int = 3_600_000,
        patience_s: float = 5.0,
    ) -> None:
        """Move from sleeper to sleeper until `condition` holds.

        Gives real time to worker threads before each step.

        Args:
            condition: looked at between steps.
            limit_ms: virtual time after which we give up.
            patience_s: real time after which we give up.

        Raises:
            TimeoutError: it did not come true.
        """
        limit = self._monotonic + limit_ms
        async with asyncio.timeout(patience_s):
            while not condition():
                await asyncio.sleep(BREATH_S)
                await settle()
                if condition():
                    return
                wakeup = self.next_wakeup_ms
                if wakeup is None:
                    continue
                if self._monotonic + wakeup > limit:
                    raise TimeoutError(f"still not so after {limit_ms} virtual ms")
                await self.advance(wakeup)

    def jump(self, by_ms: int) -> None:
        """Set the wall clock (forwards or backwards), as an operator might."""
        self._now += by_ms

    def _move(self, by_ms: int) -> None:
        self._now += by_ms
        self._monotonic += by_ms

    def _forget_the_cancelled(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)


class LoopClock:
    """Real time, for tests against real servers and for benchmarks."""

    def now(self) -> Instant:
        """Return the wall clock."""
        return Instant(time.time_ns() // 1_000_000)

    def monotonic_ms(self) -> float:
        """Return milliseconds that never go back."""
        return time.monotonic() * 1_000

    async def sleep(self, duration_ms: int) -> None:
        """Wait."""
        await asyncio.sleep(duration_ms / 1_000)
