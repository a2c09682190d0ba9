"""An environment that a test moves: its clock stands still, its dice have a seed."""

import random
from typing import Final

BEGINNING_S: Final = 1_800_000_000
"""When tests begin: a day in January 2027."""


class SeededEnv:
    """A clock that the model moves, and dice from a seed."""

    def __init__(self, seed: int) -> None:
        self.time = BEGINNING_S
        self.dice = random.Random(seed)

    def now(self) -> int:
        """Return the seconds since 1970."""
        return self.time

    def random(self, size: int) -> bytes:
        """Return octets that the seed decides."""
        return self.dice.randbytes(size)
