"""The octets of one or several messages as text. Pure.

`data_coding`: SMPP 3.4 section 5.2.19, and 3GPP TS 23.038 section 4 for what SMSCs pass
through. 0 is the SMSC's own alphabet, which the account's settings name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sabir.networks.sms.gsm import Alphabet, Coding, decode_septets
from sabir.networks.sms.pdu import Message, Tag
from sabir.networks.sms.udh import Concatenation, Header, divide

UDHI: Final = 0x40
"""A user data header is present (`esm_class`)."""
_SEVERAL_MAX: Final = 255

_ENCODINGS: Final = {1: "ascii", 3: "latin-1", 6: "iso8859-5", 7: "iso8859-8"}
_BINARY: Final = frozenset({2, 4})
_GENERAL_END, _CLASS_START = 0x40, 0xF0
_GENERAL_START: Final = 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a message says."""

    text: str | None
    """None: no text (a ring tone, a setting, ...)."""
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message's octets without its header."""

    octets: bytes
    header: Header


def content_of(message: Message) -> Content:
    """Divide a message into header and text; `sar_` options count as a header.

    Raises:
        PeerMisbehaved: SMPP-006.
    """
    if message.esm_class & UDHI:
        header, octets = divide(message.octets)
        if header.concatenation is not None:
            return Content(octets=octets, header=header)
    else:
        header, octets = Header(), message.octets
    part = _sar(message)
    return Content(
        octets=octets, header=Header(concatenation=part, shifted=header.shifted)
    )


def _sar(message: Message) -> Concatenation | None:
    reference = message.option(Tag.SAR_MSG_REF_NUM)
    total = message.option(Tag.SAR_TOTAL_SEGMENTS)
    number = message.option(Tag.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or number is None:
        return None
    if not 1 <= number <= total <= _SEVERAL_MAX or total == 1:
        return None
    return Concatenation(
        reference=reference & 0xFFFF, total=total, number=number, wide=True
    )


def words_of(messages: Sequence[Message | None], alphabet: Alphabet) -> Words:
    """Return the text of a message's parts; None stands for a missing part.

    Raises:
        PeerMisbehaved: SMPP-006.
    """
    lost: dict[str, None] = {}
    texts: list[str] = []
    binary = False
    number = 0
    for coding, group in groupby(messages, lambda m: None if m is None else _kind(m)):
        parts = list(group)
        if coding is None:
            for _ in parts:
                number += 1
                texts.append(f"[part {number} of {len(messages)} missing]")
            continue
        number += len(parts)
        contents = [content_of(part) for part in parts if part is not None]
        if any(content.header.shifted for content in contents):
            lost["characters of a national alphabet"] = None
        octets = b"".join(content.octets for content in contents)
        text, trouble = _decode(octets, coding, alphabet)
        binary = binary or text is None
        texts.append(text or "")
        if trouble:
            lost[trouble] = None
    whole = "".join(texts)
    return Words(text=None if binary and not whole else whole, lost=tuple(lost))


def _kind(message: Message) -> int:
    """Return a `data_coding` of SMPP's own table for the one that is there."""
    coding = message.data_coding
    if coding >= _CLASS_START:
        return 4 if coding & 4 else Coding.DEFAULT
    if _GENERAL_START <= coding < _GENERAL_END:
        return (Coding.DEFAULT, 4, Coding.UCS2, coding)[coding >> 2 & 3]
    return coding


def _decode(octets: bytes, coding: int, alphabet: Alphabet) -> tuple[str | None, str]:
    """Return the text, and what was lost."""
    if coding in _BINARY:
        return None, "a binary message, which nobody can read"
    if coding == Coding.UCS2:
        text = octets.decode("utf-16-be", errors="replace")
        return text, "half a character" if "\ufffd" in text else ""
    if coding == Coding.DEFAULT and alphabet is Alphabet.GSM7:
        text, clean = decode_septets(octets)
        return text, "" if clean else "characters outside of the alphabet"
    if coding == Coding.DEFAULT:
        return octets.decode("latin-1"), ""
    encoding = _ENCODINGS.get(coding)
    if encoding is None:
        return octets.decode("latin-1"), f"an unknown alphabet, number {coding}"
    text = octets.decode(encoding, errors="replace")
    return text, "characters outside of the alphabet" if "\ufffd" in text else ""
