"""What text may travel: no control characters, no lone surrogates. Pure."""

from typing import Final

from sabir.content.normal import clean

NAME_CHARACTERS_MAX: Final = 200
OBJECT: Final = "\ufffc"
"""Stands in a text where a file is."""


def one_line(text: object) -> str:
    """Return text cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split()) if isinstance(text, str) else ""


def name(text: object) -> str:
    """Return a name as people may see it."""
    return one_line(text)[:NAME_CHARACTERS_MAX]


def words(text: object) -> str:
    """Return the text of a message without the places of its files."""
    return clean(text.replace(OBJECT, "")).strip() if isinstance(text, str) else ""


def units(text: str) -> int:
    """Return the length in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)
