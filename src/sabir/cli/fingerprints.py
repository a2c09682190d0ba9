"""Fingerprints as people compare them."""

from typing import Final

_DIGITS: Final = 4


def in_fours(digits: str) -> str:
    """Group digits by four, with spaces between."""
    groups = range(0, len(digits), _DIGITS)
    return " ".join(digits[at : at + _DIGITS] for at in groups)
