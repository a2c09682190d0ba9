"""What may be written into an XML 1.0 stream, and what must be taken out.

One forbidden character in one body makes the server close the whole stream and
throws every ghost out of every room, so this runs twice: in `render`, to say
what was lost, and at the last line before the socket.
"""

import re
from typing import Final

STANZA_OCTETS_MAX: Final = 200_000
"""Prosody closes a client's stream at 262,144 octets, ejabberd's examples too."""

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_RETURN: Final = re.compile("\r\n?")


def xml_safe(text: str) -> str:
    """Return the text without what XML 1.0 forbids (section 2.2).

    Forbidden characters go; a lone surrogate becomes U+FFFD, as any decoder
    would show it. Everything else, carriage returns too, stays.
    """
    return _SURROGATE.sub("\ufffd", _FORBIDDEN.sub("", text))


def clean(text: str) -> tuple[str, int]:
    """Return text for a body, and how many characters were taken out or replaced.

    Line ends become LF, which is what a receiver of XML sees in any case; they
    are not counted.
    """
    unix = _RETURN.sub("\n", text)
    lost = len(_FORBIDDEN.findall(unix)) + len(_SURROGATE.findall(unix))
    return (xml_safe(unix), lost) if lost else (unix, 0)
