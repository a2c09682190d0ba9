"""Our idempotency keys, as they stand in the ids of stanzas."""

from typing import Final

_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_LENGTH: Final = 32


def is_key(ident: str) -> bool:
    """Tell whether an id has the form of our idempotency keys."""
    return len(ident) == _LENGTH and _LETTERS.issuperset(ident)
