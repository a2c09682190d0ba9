"""reportAbuse: messages shown to the hub that accepted them (3.9)."""

from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.components.fields import read_identifier, read_text, text
from sabir.mimi.structs.fields import (
    ELEMENTS_MAX,
    EMPTY,
    decode_whole,
    read_extensions,
    read_nameable,
)
from sabir.mimi.structs.submit import Frank, read_frank
from sabir.mls.components import AppDataDictionary
from sabir.wire.tls import Reader, opaque, uint8, uint64, vector

CONTENT_OCTETS_MAX: Final = 512 << 10
"""Octets of a message's content (5.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbusiveMessage:
    """A message with the hub's mark.

    Attributes:
        content: the decrypted MIMI content, without the framing.
        frank: what came with it.
        accepted_at: ms, of the hub.
    """

    content: bytes = field(repr=False)
    frank: Frank
    accepted_at: int

    def encode(self) -> bytes:
        """Write the `AbusiveMessage`."""
        return opaque(self.content) + self.frank.encode() + uint64(self.accepted_at)


def read_abusive_message(reader: Reader) -> AbusiveMessage:
    """Take an `AbusiveMessage`."""
    return AbusiveMessage(
        content=reader.opaque(CONTENT_OCTETS_MAX),
        frank=read_frank(reader),
        accepted_at=reader.uint64(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AbuseReport:
    """A complaint.

    Attributes:
        reporting_user: URI; empty: anonymous.
        alleged_abuser: URI.
        reason: 0 is the only one that exists.
        note: in words; may be empty.
        messages: what the complaint is about.
        extensions: by component id (D-32).
    """

    reporting_user: str
    alleged_abuser: str
    reason: int = 0
    note: str = field(default="", repr=False)
    messages: tuple[AbusiveMessage, ...] = ()
    extensions: AppDataDictionary = EMPTY

    def encode(self) -> bytes:
        """Write the `AbuseReport`."""
        return (
            text(self.reporting_user)
            + text(self.alleged_abuser)
            + uint8(self.reason)
            + text(self.note)
            + vector(message.encode() for message in self.messages)
            + self.extensions.encode()
        )


def decode_abuse_report(body: bytes) -> AbuseReport:
    """Read an `AbuseReport`.

    Raises:
        Malformed: MIMI-100 a note that is no text; as `decode_whole`.
    """
    return decode_whole(body, read_abuse_report)


def read_abuse_report(reader: Reader) -> AbuseReport:
    """Take an `AbuseReport`."""
    return AbuseReport(
        reporting_user=read_nameable(reader),
        alleged_abuser=read_identifier(reader),
        reason=reader.uint8(),
        note=read_text(reader),
        messages=reader.vector(read_abusive_message, count_max=ELEMENTS_MAX),
        extensions=read_extensions(reader),
    )
