"""What text may travel: no control characters, no lone surrogates."""

import re
from typing import Final

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""U+0000 in a body is accepted by Synapse and refused by other networks."""
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
"""JSON can carry a lone surrogate; UTF-8 cannot, and Synapse answers 500 to one."""
_BREAKS: Final = re.compile("\r\n?|\u2028|\u2029|\x85")


def clean(text: str) -> str:
    """Return `text` without controls (newline and tab stay) and lone surrogates."""
    text = _BREAKS.sub("\n", text)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", text))


def one_line(text: str) -> str:
    """Return `text` cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split())
