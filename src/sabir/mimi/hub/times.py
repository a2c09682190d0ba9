"""Timestamps of a hub: strictly increasing in each room (D-22)."""

from typing import Final

from sabir.mimi.problems import Problem, ProblemCode

AHEAD_MS_MAX: Final = 60_000
"""How far timestamps may run ahead of the clock, when it was set back or in a burst."""
RETRY_S: Final = 5
"""When to come again after that."""


def next_timestamp(now_ms: int, last_at: int) -> int:
    """Return the timestamp of the next accepted event.

    Args:
        now_ms: ms since 1970.
        last_at: of the room's last accepted event.

    Raises:
        Problem: UNAVAILABLE, it would run too far ahead of the clock.
    """
    at = max(now_ms, last_at + 1)
    if at > now_ms + AHEAD_MS_MAX:
        raise Problem(
            ProblemCode.UNAVAILABLE,
            "the clock is behind the room's last event",
            retry_after_s=RETRY_S,
        )
    return at
