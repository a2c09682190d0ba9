"""How long a text is in a network's own unit, and where it may be cut."""

import re as plain_re
from collections.abc import Callable, Mapping
from typing import Final

import regex

from sabir.content.capabilities import TextUnit

_GSM7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
GSM7_MAX: Final = 160
UCS2_MAX: Final = 70
"""3GPP TS 23.038: one message holds 160 septets or 70 UTF-16 units."""
COST_MAX: Final = 6
"""No character costs more in any unit (a control character in JSON)."""

_JSON_TWO: Final = plain_re.compile(r'["\\\n\t\r\b\f]')
_JSON_SIX: Final = plain_re.compile("[\x00-\x07\x0b\x0e-\x1f]")
_CLUSTER: Final = regex.compile(r"\X")
_ATTACHED: Final = regex.compile(r"[\p{M}\p{Emoji_Modifier}\u200D\uFE0F]")


def _utf16(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + sum(char > "\uffff" for char in text)


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _json(text: str) -> int:
    short, long = len(_JSON_TWO.findall(text)), len(_JSON_SIX.findall(text))
    return _octets(text) + short + 5 * long


def _gsm7(text: str) -> int:
    """Return septets; text outside the alphabet in septets of the same share."""
    used = set(text)
    if used <= _GSM7:
        return len(text)
    if used <= _GSM7 | _GSM7_EXTENDED:
        return len(text) + sum(char in _GSM7_EXTENDED for char in text)
    return -(-_utf16(text) * GSM7_MAX // UCS2_MAX)


_UNITS: Final[Mapping[TextUnit, Callable[[str], int]]] = {
    TextUnit.UTF16: _utf16,
    TextUnit.OCTETS: _octets,
    TextUnit.GSM7: _gsm7,
    TextUnit.JSON: _json,
}


def measure(text: str, unit: TextUnit) -> int:
    """Return how much of a limit in `unit` a text takes."""
    return _UNITS[unit](text)


def starts_cluster(text: str, at: int) -> bool:
    """Tell whether the character at `at` does not belong to the one before."""
    return _ATTACHED.match(text, at) is None


def cluster_start(text: str, at: int) -> int:
    """Return the last border of grapheme clusters at or before `at` (UAX 29).

    Returns:
        0 if the text starts with one cluster that is longer than `at`.
    """
    # No cluster reaches over a space that something else follows.
    start = text.rfind(" ", 0, at)
    border = max(start, 0)
    for found in _CLUSTER.finditer(text, border):
        if found.end() > at:
            return max(found.start(), 0)
        border = found.end()
    return border


def clusters(text: str, count: int) -> str:
    """Return the first `count` grapheme clusters."""
    if len(text) <= count:
        return text
    end = 0
    for number, found in enumerate(_CLUSTER.finditer(text)):
        if number == count:
            break
        end = found.end()
    return text[:end]
