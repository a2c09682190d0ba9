"""What an SMSC says of a message that it took (SMPP 3.4 appendix B, section 5.2.28).

By option where there is one, else by text, whose order and spelling vary. Ids may
come back in another case, with leading zeros, or in the other base.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sabir.networks.sms.pdu import Message, Tag

RECEIPT: Final = 0x04
INTERMEDIATE: Final = 0x20
_TYPE: Final = 0x3C
"""The message type in `esm_class`."""
TEXT_START_CHARS: Final = 20
"""So much of the message a receipt's text repeats."""
_ID_CHARS_MAX: Final = 64

_FIELD: Final = re.compile(
    r"(?i)\b(id|sub|dlvrd|submit[ _]date|done[ _]date|stat|err|text)\s*:\s*"
)
_DATE: Final = re.compile(r"\d{10}(?:\d{2})?")


class Fate(StrEnum):
    """What became of a message."""

    UNDERWAY = "underway"
    DELIVERED = "delivered"
    FAILED = "failed"


_BY_NUMBER: Final = {
    1: Fate.UNDERWAY,
    2: Fate.DELIVERED,
    3: Fate.FAILED,
    4: Fate.FAILED,
    5: Fate.FAILED,
    6: Fate.UNDERWAY,
    7: Fate.UNDERWAY,
    8: Fate.FAILED,
}
_WORDS: Final = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}
_NUMBERS: Final = {word: number for number, word in _WORDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One receipt, read."""

    message_id: str
    fate: Fate
    word: str
    """The state as the standard abbreviates it, e.g. `UNDELIV`."""
    error: str = ""
    submitted: str = ""
    """`YYMMDDhhmm` in the SMSC's own time; empty if it does not say."""
    start: str = field(default="", repr=False)
    """The first characters of the message; empty if it does not say."""
    reference: int | None = None
    """Our own number of the message, where the SMSC gives it back."""


def is_receipt(message: Message) -> bool:
    """Tell whether this is no message of a person."""
    return message.esm_class & _TYPE in {RECEIPT, INTERMEDIATE}


def is_text(message: Message) -> bool:
    """Tell whether this is a message of a person."""
    return message.esm_class & _TYPE == 0


def read(message: Message, text: str) -> Receipt:
    """Read a receipt; what it does not say is empty, and its state then unknown.

    Args:
        message: the deliver_sm.
        text: its decoded text.
    """
    said = _fields(text)
    known = message.options.get(Tag.RECEIPTED_MESSAGE_ID)
    by_option = known.rstrip(b"\0").decode("latin-1") if known is not None else ""
    number = message.option(Tag.MESSAGE_STATE)
    if number not in _BY_NUMBER:
        number = _NUMBERS.get(said.get("stat", "").upper()[:7], 7)
    submitted = _DATE.match(said.get("submit date", ""))
    return Receipt(
        message_id=(by_option or said.get("id", ""))[:_ID_CHARS_MAX],
        fate=_BY_NUMBER[number],
        word=_WORDS[number],
        error=said.get("err", "")[:8],
        submitted=submitted.group()[:10] if submitted else "",
        start=said.get("text", "")[:TEXT_START_CHARS],
        reference=message.option(Tag.USER_MESSAGE_REFERENCE),
    )


def _fields(text: str) -> dict[str, str]:
    """Return the fields by name; the text is last, whatever stands in it."""
    found = list(_FIELD.finditer(text))
    said: dict[str, str] = {}
    for at, each in enumerate(found):
        name = each.group(1).lower().replace("_", " ")
        is_last = name == "text" or at + 1 == len(found)
        end = len(text) if is_last else found[at + 1].start()
        said.setdefault(name, text[each.end() : end].strip())
        if is_last:
            break
    return said


def plain_id(message_id: str) -> str:
    """Return an id as it is compared: small letters, no leading zeros."""
    return message_id.strip().lower().lstrip("0") or "0"


def other_bases(message_id: str) -> tuple[str, ...]:
    """Return an id as it would be in the other base (10 and 16)."""
    plain = plain_id(message_id)
    found: list[str] = []
    if plain.isdecimal() and plain.isascii():
        found.append(f"{int(plain):x}")
    if re.fullmatch(r"[0-9a-f]+", plain):
        found.append(str(int(plain, 16)))
    return tuple(each for each in found if each != plain)
