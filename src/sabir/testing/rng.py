"""Randomness for tests: the same octets for the same seed."""

from random import Random


class SeededRng:
    """A `sabir.networks.api.Rng` that a failing test can repeat. Never for keys."""

    def __init__(self, seed: int | str = 0) -> None:
        self.seed = seed
        self._random = Random(seed)

    def __call__(self, size: int) -> bytes:
        """Return the next `size` octets."""
        return self._random.randbytes(size)
