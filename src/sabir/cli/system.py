"""The machine's clock and entropy. The only file that reads either."""

import asyncio
import os
import time

from sabir.clock import Instant


class SystemClock:
    """The `Clock` of a running process."""

    def now(self) -> Instant:
        """Return the present instant (wall clock; may jump)."""
        return Instant(time.time_ns() // 1_000_000)

    def monotonic_ms(self) -> float:
        """Return milliseconds that never go back, for measuring spans."""
        return time.monotonic_ns() / 1_000_000

    async def sleep(self, duration_ms: int) -> None:
        """Wait `duration_ms` milliseconds."""
        await asyncio.sleep(duration_ms / 1000)


def system_rng(octets: int) -> bytes:
    """Return this many octets from the operating system's generator."""
    return os.urandom(octets)
