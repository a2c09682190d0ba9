"""What is stored of an SMS event: the PDUs as they came, and what they refer to.

The PDUs are hexadecimal in JSON, so that a later decoder can read them again. What a
quotation refers to was found when it came, among the messages of that day, and is
written down, since `decode` has no memory.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sabir.errors import PeerMisbehaved

VERSION: Final = 1
PARTS_MAX: Final = 255
TEXT_CHARS_MAX: Final = 100


class Role(StrEnum):
    """What the event is."""

    MESSAGE = "message"
    REACTION = "reaction"
    ANSWER = "answer"
    CORRECTION = "correction"
    COMPLETED = "completed"
    """The whole of a message of which parts were missing."""
    FAILED = "failed"
    """No message: the carrier says that one of ours did not arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One stored event."""

    role: Role = Role.MESSAGE
    pdus: tuple[bytes | None, ...] = ()
    """The parts in order; None is missing."""
    target: str = ""
    """Native id of the message it refers to."""
    word: str = ""
    """Of a failure: the state's abbreviation."""
    error: str = ""


def pack(envelope: Envelope) -> bytes:
    """Return an event as it is stored."""
    fields: dict[str, Any] = {
        "v": VERSION,
        "role": envelope.role,
        "pdus": [None if pdu is None else pdu.hex() for pdu in envelope.pdus],
    }
    for name in ("target", "word", "error"):
        if getattr(envelope, name):
            fields[name] = getattr(envelope, name)
    return json.dumps(fields).encode()


def unpack(payload: bytes) -> Envelope:
    """Read what `pack` wrote.

    Raises:
        PeerMisbehaved: SMPP-007, it is something else.
    """
    try:
        fields = json.loads(payload)
        if fields["v"] != VERSION:
            raise PeerMisbehaved("SMPP-007", "an event of another version")
        return Envelope(
            role=Role(fields["role"]),
            pdus=_pdus(fields["pdus"]),
            target=_text(fields, "target"),
            word=_text(fields, "word"),
            error=_text(fields, "error"),
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        raise PeerMisbehaved("SMPP-007", "not as we store events") from None


def _pdus(found: Sequence[str | None]) -> tuple[bytes | None, ...]:
    if not isinstance(found, list) or len(found) > PARTS_MAX:
        raise ValueError
    return tuple(None if each is None else bytes.fromhex(each) for each in found)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise ValueError
    return value
