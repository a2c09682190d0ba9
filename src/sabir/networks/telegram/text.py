"""What text may travel: no control characters, no lone surrogates. Pure."""

from typing import Final

from sabir.content.normal import clean

NAME_CHARACTERS_MAX: Final = 300
"""Telegram: 64 for each of two names, 128 for a title; the rest is for surprises."""


def one_line(text: str) -> str:
    """Return `text` cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split())


def name(text: str) -> str:
    """Return a name as people may see it."""
    return one_line(text)[:NAME_CHARACTERS_MAX]


def units(text: str) -> int:
    """Return the length in UTF-16 code units, which Telegram counts."""
    return len(text) + sum(char > "\uffff" for char in text)
