"""How fast this account may send: our own budget, below Signal's unknown limits."""

from typing import Final

from sabir.clock import Clock
from sabir.errors import Unavailable

BURST_MESSAGES: Final = 20
INTERVAL_MS: Final = 1_000
"""One message in this time, sustained: far below what a busy person sends in bursts."""


class Pace:
    """A bucket of tokens, and the pause that a limit of Signal asked for."""

    def __init__(
        self,
        clock: Clock,
        *,
        burst: int = BURST_MESSAGES,
        interval_ms: int = INTERVAL_MS,
    ) -> None:
        self._clock = clock
        self._burst = burst
        self._interval_ms = interval_ms
        self._full_at = clock.monotonic_ms()
        self._paused_until = 0.0
        self._reason = ""

    def pause(self, duration_ms: int, reason: str) -> None:
        """Let nothing go out for a while: Signal said so."""
        until = self._clock.monotonic_ms() + duration_ms
        if until > self._paused_until:
            self._paused_until, self._reason = until, reason

    def check(self) -> None:
        """Let nothing pass during a pause.

        Raises:
            Unavailable: says when.
        """
        left = self._paused_until - self._clock.monotonic_ms()
        if left > 0:
            raise Unavailable(self._reason, retry_after_ms=int(left) + 1)

    async def turn(self) -> None:
        """Wait until the budget has one more.

        Raises:
            Unavailable: a pause.
        """
        self.check()
        now = self._clock.monotonic_ms()
        begun = max(self._full_at, now) + self._interval_ms
        self._full_at = begun
        wait = begun - now - self._burst * self._interval_ms
        if wait > 0:
            await self._clock.sleep(int(wait))
            self.check()
