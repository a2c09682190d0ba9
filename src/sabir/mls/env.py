"""What the core needs from outside: a clock and dice (invariant I10)."""

from typing import Protocol


class Env(Protocol):
    """Time and randomness, passed to every call that needs them."""

    def now(self) -> int:
        """Return the seconds since 1970."""
        ...

    def random(self, size: int) -> bytes:
        """Return `size` octets nobody can guess."""
        ...
