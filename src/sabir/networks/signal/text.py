"""What text may travel: no control characters, no lone surrogates. Pure."""

from sabir.content.normal import clean as _clean


def clean(value: object) -> str:
    """Return a text without control characters; empty if it is no text."""
    return _clean(value) if isinstance(value, str) else ""


def one_line(value: object) -> str:
    """Return a text on one line."""
    return " ".join(clean(value).split())


def units(text: str) -> int:
    """Return a text's length in UTF-16 code units, in which Signal counts."""
    return len(text) + sum(char > "\uffff" for char in text)
