"""How long to wait before the next attempt: exponential, with full jitter."""

from sabir.agent.limits import BACKOFF_FIRST_MS, BACKOFF_MAX_MS
from sabir.networks.api import Rng


class Backoff:
    """Counts failures in a row."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._failures = 0

    def success(self) -> None:
        """Start over: the last attempt worked."""
        self._failures = 0

    def next_ms(self, *, at_least_ms: int | None = None) -> int:
        """Count a failure and return the wait before the next attempt.

        Args:
            at_least_ms: what the other side asked for (Retry-After).
        """
        self._failures += 1
        ceiling = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << min(self._failures - 1, 16))
        share = int.from_bytes(self._rng(2), "big") / 0xFFFF
        wait = BACKOFF_FIRST_MS // 2 + int(share * (ceiling - BACKOFF_FIRST_MS // 2))
        return max(wait, at_least_ms or 0)
