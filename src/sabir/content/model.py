"""The MIMI content container and its parts (draft-ietf-mimi-content-09).

Values only: octets are `codec`'s business, meaning is `meaning`'s.
A part is one of four cardinalities; unknown dispositions and content types are
kept as they came, never dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NewType

from sabir.wire.cbor import Value

MessageId = NewType("MessageId", bytes)
"""32 octets: 0x01, then the first 31 octets of a SHA-256 (section "Message ID")."""

SALT_OCTETS: Final = 16
MESSAGE_ID_OCTETS: Final = 32

PLAIN_TEXT: Final = "text/plain;charset=utf-8"
GFM_MIMI: Final = "text/markdown;variant=GFM-MIMI"


class Disposition(IntEnum):
    """What a part is for. Values 9 to 255 are unknown and treated as `RENDER`."""

    UNSPECIFIED = 0
    RENDER = 1
    REACTION = 2
    PROFILE = 3
    INLINE = 4
    ICON = 5
    ATTACHMENT = 6
    SESSION = 7
    PREVIEW = 8


class PartSemantics(IntEnum):
    """How the parts of a multipart belong together."""

    CHOOSE_ONE = 0
    SINGLE_UNIT = 1
    PROCESS_ALL = 2


class ExtensionKey(IntEnum):
    """Registered keys of the extensions map."""

    SENDER_URI = 1
    ROOM_URI = 2
    SENDER_TIMESTAMP = 3
    EXTERNAL_MESSAGE_ID = 4
    SUBJECT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NullPart:
    """Nothing: a deletion when it replaces something."""

    disposition: int = Disposition.RENDER
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePart:
    """Content inside the container."""

    content_type: str
    content: bytes
    disposition: int = Disposition.RENDER
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalPart:
    """Content behind a URL, with what is needed to fetch, check and decrypt it."""

    content_type: str
    url: str
    expires: int = 0
    """Seconds since 1970, 0 = never."""
    size: int = 0
    """Octets at the URL, 0 = unknown."""
    enc_alg: int = 0
    """IANA AEAD number, 0 = not encrypted (then key, nonce and aad are empty)."""
    key: bytes = b""
    nonce: bytes = b""
    aad: bytes = b""
    hash_alg: int = 0
    """IANA Named Information number, 1 = sha-256."""
    content_hash: bytes = b""
    description: str = ""
    filename: str = ""
    disposition: int = Disposition.ATTACHMENT
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiPart:
    """Two or more parts, in order."""

    semantics: PartSemantics
    parts: tuple["Part", ...]
    disposition: int = Disposition.RENDER
    language: str = ""


Part = NullPart | SinglePart | ExternalPart | MultiPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """When a message disappears."""

    relative: bool
    """True: `time_s` counts from reading; False: seconds since 1970."""
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One message as `application/mimi-content`."""

    salt: bytes
    """16 octets from a CSPRNG, fresh for every message."""
    body: Part
    replaces: MessageId | None = None
    """The **first** version's id: edit, or deletion with a `NullPart`."""
    topic_id: bytes = b""
    expires: Expiry | None = None
    in_reply_to: MessageId | None = None
    extensions: Mapping[int | str, Value] = field(default_factory=dict)
