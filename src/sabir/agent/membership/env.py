"""Clock and dice as the protocol core takes them."""

from sabir.clock import Clock
from sabir.networks.api import Rng


class AgentEnv:
    """Implements `sabir.mls.env.Env`."""

    __slots__ = ("_clock", "_rng")

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock = clock
        self._rng = rng

    def now(self) -> int:
        """Return the seconds since 1970."""
        return self._clock.now() // 1_000

    def random(self, size: int) -> bytes:
        """Return `size` octets nobody can guess."""
        return self._rng(size)
