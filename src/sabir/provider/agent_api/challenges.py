"""Challenges: random octets that are signed once, and soon."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sabir.clock import Clock, Instant
from sabir.mimi.agent_api.registration import CHALLENGE_OCTETS
from sabir.mimi.problems import Problem, ProblemCode

CHALLENGE_MS: Final = 300_000
"""How long a challenge may be answered."""
CHALLENGES_MAX: Final = 10_000
"""Open at a time; beyond, the oldest is forgotten."""


class Challenges:
    """Challenges that are open; whoever loses one in a restart asks for another."""

    def __init__(self, clock: Clock, rng: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._rng = rng
        self._open: OrderedDict[bytes, float] = OrderedDict()

    def make(self) -> tuple[bytes, Instant]:
        """Make a challenge; return it, and when it is over."""
        challenge = self._rng(CHALLENGE_OCTETS)
        self._open[challenge] = self._clock.monotonic_ms() + CHALLENGE_MS
        if len(self._open) > CHALLENGES_MAX:
            self._open.popitem(last=False)
        return challenge, Instant(self._clock.now() + CHALLENGE_MS)

    def spend(self, challenge: bytes) -> None:
        """Close a challenge that was answered.

        Raises:
            Problem: UNAUTHORIZED, it is not open (any more).
        """
        until = self._open.pop(challenge, 0.0)
        if self._clock.monotonic_ms() >= until:
            raise Problem(
                ProblemCode.UNAUTHORIZED, "the challenge is over: ask for another"
            )
