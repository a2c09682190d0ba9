"""Time as an argument: `Instant` and the `Clock` port.

The real clock is in `cli.system`.
"""

from typing import NewType, Protocol

Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01 UTC, the unit of MIMI timestamps."""


class Clock(Protocol):
    """Where a shell gets the time from, and how it waits."""

    def now(self) -> Instant:
        """Return the present instant (wall clock; may jump)."""
        ...

    def monotonic_ms(self) -> float:
        """Return milliseconds that never go back, for measuring spans."""
        ...

    async def sleep(self, duration_ms: int) -> None:
        """Wait `duration_ms` milliseconds."""
        ...
