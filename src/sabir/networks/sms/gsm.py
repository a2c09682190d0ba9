"""GSM 03.38: the alphabet of text messages, and cutting a text into messages.

Over SMPP a septet travels in an octet of its own. Sources: 3GPP TS 23.038 section
6.2.1 (alphabet and extension table), TS 23.040 section 9.2.3.24 (concatenation).
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import regex

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Septet 0 to 127; 27 is the escape to the extension table."""
EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
ESCAPE: Final = 0x1B
SEPTETS_ALONE: Final = 160
SEPTETS_OF_SEVERAL: Final = 153
UNITS_ALONE: Final = 70
UNITS_OF_SEVERAL: Final = 67
"""140 octets, less a concatenation header of 6 where there are several."""
PARTS_MAX: Final = 10
"""Messages that one text may cost without being asked for (CONVERSION.md TXT-5)."""
TEXT_CHARS_MAX: Final = PARTS_MAX * SEPTETS_OF_SEVERAL
"""No longer text fits; it is not looked at closer."""

_SEPTETS: Final = {char: bytes([at]) for at, char in enumerate(BASIC) if at != ESCAPE}
_SEPTETS.update({char: bytes([ESCAPE, at]) for at, char in EXTENSION.items()})
_CLUSTER: Final = regex.compile(r"\X")
_SEPTET_MAX: Final = 0x7F


class Coding(IntEnum):
    """`data_coding` as we write it (SMPP 3.4 section 5.2.19)."""

    DEFAULT = 0
    UCS2 = 8


class Alphabet(StrEnum):
    """What an SMSC takes `data_coding` 0 for."""

    GSM7 = "gsm7"
    LATIN1 = "latin1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A text as octets of one or several messages, without headers."""

    coding: Coding
    parts: tuple[bytes, ...]
    texts: tuple[str, ...]
    """The same parts, to be read."""


def is_gsm7(text: str) -> bool:
    """Tell whether the alphabet with its extension table has every character."""
    return all(char in _SEPTETS for char in text)


def encode_septets(text: str) -> bytes:
    """Return a text of the alphabet, one septet per octet."""
    return b"".join(_SEPTETS[char] for char in text)


def decode_septets(octets: bytes) -> tuple[str, bool]:
    """Return the text, and whether every octet had a meaning.

    An escaped septet that the extension table lacks is shown as the basic table has
    it, as TS 23.038 wants; an octet over 127 as Latin-1.
    """
    chars: list[str] = []
    clean, escaped = True, False
    for octet in octets:
        if escaped:
            chars.append(EXTENSION.get(octet) or (_basic(octet)))
            clean = clean and octet in EXTENSION
            escaped = False
        elif octet == ESCAPE:
            escaped = True
        else:
            chars.append(_basic(octet))
            clean = clean and octet <= _SEPTET_MAX
    return "".join(chars), clean and not escaped


def _basic(octet: int) -> str:
    if octet == ESCAPE:
        return " "
    return BASIC[octet] if octet <= _SEPTET_MAX else chr(octet)


def encode(text: str, alphabet: Alphabet) -> Encoded | None:
    """Return a text as messages; None if it needs more than `PARTS_MAX`.

    Nothing is transliterated (TXT-6): one foreign character makes it UCS-2. No
    escape pair, surrogate pair or grapheme cluster is cut.
    """
    if len(text) > TEXT_CHARS_MAX:
        return None
    composed = unicodedata.normalize("NFC", text)
    text = composed if is_gsm7(composed) else text
    if is_gsm7(text) and alphabet is Alphabet.GSM7:
        return _cut(text, Coding.DEFAULT, encode_septets, encode_septets)
    if is_gsm7(text) and all(ord(char) <= 0xFF for char in text):
        return _cut(text, Coding.DEFAULT, lambda t: t.encode("latin-1"), encode_septets)
    return _cut(text, Coding.UCS2, _utf16, _utf16)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", errors="replace")


def _cut(
    text: str,
    coding: Coding,
    write: Callable[[str], bytes],
    weigh: Callable[[str], bytes],
) -> Encoded | None:
    """Cut by the weight that a part has in the air, and write it as the SMSC wants."""
    units = 2 if coding is Coding.UCS2 else 1
    alone, several = (
        (UNITS_ALONE, UNITS_OF_SEVERAL)
        if coding is Coding.UCS2
        else (SEPTETS_ALONE, SEPTETS_OF_SEVERAL)
    )
    if len(weigh(text)) <= alone * units:
        texts: Sequence[str] = (text,)
    else:
        texts = _pieces(text, lambda part: len(weigh(part)) // units, several)
    if len(texts) > PARTS_MAX:
        return None
    return Encoded(
        coding=coding, parts=tuple(write(part) for part in texts), texts=tuple(texts)
    )


def _pieces(text: str, weight: Callable[[str], int], room: int) -> list[str]:
    pieces, piece, left = [], "", room
    for atom in _atoms(text, weight, room):
        cost = weight(atom)
        if cost > left:
            pieces.append(piece)
            piece, left = "", room
        piece += atom
        left -= cost
    return [*pieces, piece]


def _atoms(text: str, weight: Callable[[str], int], room: int) -> list[str]:
    """Return grapheme clusters; one that is longer than a message, by characters."""
    atoms: list[str] = []
    for found in _CLUSTER.finditer(text):
        cluster = found.group()
        atoms += [cluster] if weight(cluster) <= room else list(cluster)
    return atoms
