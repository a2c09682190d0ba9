"""How fast an account sends: a rate, and rests when the SMSC says it is too much."""

from typing import Final

REST_FIRST_MS: Final = 1_000
REST_MAX_MS: Final = 60_000
"""1, 2, 4 ... 60 s: an SMSC's own windows are of seconds, its outages of minutes."""
REFUSALS_MAX: Final = 8
"""Rests for one message, about three minutes; then its chat waits with back-off."""


class Pace:
    """A token bucket of one second, halved by each refusal, restored by successes.

    Args:
        per_second: messages the account may send.
        now_ms: milliseconds that never go back.
    """

    def __init__(self, per_second: int, now_ms: float) -> None:
        self._most = float(per_second)
        self.rate = self._most
        """Messages a second, now."""
        self._tokens = self._most
        self._at_ms = now_ms
        self._rest_ms = 0
        self._rests_until = 0.0

    def wait_ms(self, now_ms: float) -> int:
        """Take a turn and return 0, or return how long until there may be one."""
        if now_ms < self._rests_until:
            return int(self._rests_until - now_ms) + 1
        grown = self._tokens + (now_ms - self._at_ms) * self.rate / 1_000
        self._tokens = min(max(self.rate, 1.0), grown)
        self._at_ms = now_ms
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return int((1 - self._tokens) * 1_000 / self.rate) + 1

    def refused(self, now_ms: float) -> int:
        """The SMSC takes no more for now; return for how long we rest.

        Refusals of messages that were under way together are one refusal.
        """
        if now_ms >= self._rests_until:
            self._rest_ms = min(self._rest_ms * 2 or REST_FIRST_MS, REST_MAX_MS)
            self._rests_until = now_ms + self._rest_ms
            self.rate = max(self.rate / 2, self._most / 16)
            self._tokens = 0.0
        return int(self._rests_until - now_ms) + 1

    def accepted(self) -> None:
        """The SMSC took one."""
        self._rest_ms = 0
        self.rate = min(self.rate + self._most / 50, self._most)
