"""Message framing (RFC 9420 section 6): structs, before and after protection.

`decode_message` gives an `MlsMessageIn`. Its PublicMessage or PrivateMessage becomes
an `AuthenticatedContent` in `sabir.mls.message_protection`, and that a
`VerifiedContent` in `sabir.mls.validation.framing`, which checks the signature.
"""

from dataclasses import dataclass, field
from typing import Final, assert_never, final

from sabir.mls.codepoints import MLS10, ContentType, SenderType, WireFormat
from sabir.mls.commit import Commit, read_commit
from sabir.mls.errors import MlsUnsupported
from sabir.mls.group_info import GroupInfoIn, read_group_info
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Proposal,
    ProposalRegistry,
    read_proposal,
)
from sabir.mls.semi_private import SemiPrivateMessage, read_semi_private_message
from sabir.mls.struct import Struct
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import Proof
from sabir.mls.welcome import Welcome, read_welcome
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, uint16, uint32, uint64

TBS_LABEL: Final = b"FramedContentTBS"

PROPOSAL_REFERENCE_LABEL: Final = b"MLS 1.0 Proposal Reference"

_CONTENT_TYPES: Final = {int(kind): kind for kind in ContentType}
_SENDER_TYPES: Final = {int(kind): kind for kind in SenderType}
_INDEXED: Final = frozenset({SenderType.MEMBER, SenderType.EXTERNAL})
_MLS10: Final = uint16(MLS10)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a content; `index` counts for members and external senders only."""

    kind: SenderType
    index: int = 0

    @classmethod
    def member(cls, leaf_index: int) -> "Sender":
        """Name the member at a leaf."""
        return cls(SenderType.MEMBER, leaf_index)

    def encode(self) -> bytes:
        """Write the `Sender`."""
        if self.kind in _INDEXED:
            return uint8(self.kind) + uint32(self.index)
        return uint8(self.kind)


NEW_MEMBER_PROPOSAL: Final = Sender(SenderType.NEW_MEMBER_PROPOSAL)
NEW_MEMBER_COMMIT: Final = Sender(SenderType.NEW_MEMBER_COMMIT)


def read_sender(reader: Reader) -> Sender:
    """Take a `Sender`.

    Raises:
        Malformed: C07, an unknown type.
    """
    number = reader.uint8()
    kind = _SENDER_TYPES.get(number)
    if kind is None:
        raise Malformed("C07", f"sender type {number}")
    return Sender(kind, reader.uint32() if kind in _INDEXED else 0)


Content = bytes | Proposal | Commit
"""Application data, or a handshake."""


def content_type_of(content: Content) -> ContentType:
    """Return the type on the wire of a content."""
    if isinstance(content, bytes):
        return ContentType.APPLICATION
    return ContentType.COMMIT if isinstance(content, Commit) else ContentType.PROPOSAL


def encode_content(content: Content) -> bytes:
    """Write a content behind its type."""
    return opaque(content) if isinstance(content, bytes) else content.raw


def read_content_type(reader: Reader) -> ContentType:
    """Take a `ContentType`.

    Raises:
        Malformed: C07, an unknown type.
    """
    number = reader.uint8()
    kind = _CONTENT_TYPES.get(number)
    if kind is None:
        raise Malformed("C07", f"content type {number}")
    return kind


def read_content(
    reader: Reader,
    kind: ContentType,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> Content:
    """Take a content of a type."""
    if kind is ContentType.APPLICATION:
        return reader.opaque()
    if kind is ContentType.PROPOSAL:
        return read_proposal(reader, registry, limits)
    return read_commit(reader, registry, limits)


@dataclass(frozen=True, slots=True, eq=False)
class FramedContent(Struct):
    """What is signed: a content, with group, epoch and sender."""

    group_id: bytes
    epoch: int
    sender: Sender
    authenticated_data: bytes = field(repr=False)
    content: Content = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    @property
    def content_type(self) -> ContentType:
        """Return the type of the content."""
        return content_type_of(self.content)

    def encode(self) -> bytes:
        """Write the `FramedContent`."""
        return (
            opaque(self.group_id)
            + uint64(self.epoch)
            + self.sender.encode()
            + opaque(self.authenticated_data)
            + uint8(self.content_type)
            + encode_content(self.content)
        )

    def signed(self, wire_format: WireFormat, group_context: bytes) -> bytes:
        """Return the `FramedContentTBS`.

        Args:
            wire_format: in which it is sent.
            group_context: octets of the epoch's GroupContext; what outsiders send
                does not cover them.
        """
        head = _MLS10 + uint16(wire_format) + self.raw
        if self.sender.kind in _CONTEXT_SIGNERS:
            return head + group_context
        return head


_MESSAGES: Final = frozenset(
    {
        WireFormat.PUBLIC_MESSAGE,
        WireFormat.PRIVATE_MESSAGE,
        WireFormat.SEMI_PRIVATE_MESSAGE,
    }
)
_TREE_CARRIERS: Final = frozenset({WireFormat.WELCOME, WireFormat.GROUP_INFO})
_CONTEXT_SIGNERS: Final = frozenset({SenderType.MEMBER, SenderType.NEW_MEMBER_COMMIT})


def read_framed_content(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> FramedContent:
    """Take a `FramedContent`.

    Raises:
        Malformed: C07 an unknown sender or content type, C03 more authenticated
            data than `limits` say, and as `read_content`.
        MlsUnsupported: C09.
    """
    start = reader.position
    group_id = reader.opaque()
    epoch = reader.uint64()
    sender = read_sender(reader)
    data = reader.opaque(limits.authenticated_data_octets_max)
    content = read_content(reader, read_content_type(reader), registry, limits)
    return FramedContent(group_id, epoch, sender, data, content, reader.since(start))


@dataclass(frozen=True, slots=True, eq=False)
class AuthenticatedContent(Struct):
    """A content with its signature, which nobody has checked (section 6.1).

    `confirmation_tag` is there exactly for commits: readers know it from the type.
    """

    wire_format: WireFormat
    content: FramedContent
    signature: bytes = field(repr=False)
    confirmation_tag: Tag | None = None
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `AuthenticatedContent`, the input of a proposal's reference."""
        return uint16(self.wire_format) + self.content.raw + self.auth()

    def auth(self) -> bytes:
        """Write the `FramedContentAuthData`."""
        tag = self.confirmation_tag
        return opaque(self.signature) + (b"" if tag is None else opaque(tag.octets))

    def confirmed_transcript_input(self) -> bytes:
        """Write the `ConfirmedTranscriptHashInput` of a commit (section 8.2)."""
        return uint16(self.wire_format) + self.content.raw + opaque(self.signature)


@final
class VerifiedContent(AuthenticatedContent):
    """A content whose signature was checked by the key that its sender names."""

    __slots__ = ()

    def __init__(self, checked: AuthenticatedContent, proof: Proof) -> None:
        del proof
        super().__init__(
            checked.wire_format,
            checked.content,
            checked.signature,
            checked.confirmation_tag,
            checked.raw,
        )


def read_authenticated_content(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> AuthenticatedContent:
    """Take an `AuthenticatedContent`, as proposals are stored.

    Raises:
        Malformed: as `read_framed_content`.
        MlsUnsupported: C08 another wire format than messages have, C09.
    """
    start = reader.position
    number = reader.uint16()
    if number not in _MESSAGES:
        raise MlsUnsupported("wire format", number)
    content = read_framed_content(reader, registry, limits)
    signature, tag = read_auth(reader, content.content_type)
    return AuthenticatedContent(
        WireFormat(number), content, signature, tag, reader.since(start)
    )


def read_auth(reader: Reader, kind: ContentType) -> tuple[bytes, Tag | None]:
    """Take a `FramedContentAuthData`: signature, and the tag of a commit (F08)."""
    signature = reader.opaque()
    if kind is ContentType.COMMIT:
        return signature, Tag(reader.opaque())
    return signature, None


# ---- messages


@dataclass(frozen=True, slots=True, eq=False)
class PublicMessage(Struct):
    """A content in the clear (section 6.2).

    Attributes:
        message: the content with its signature; its wire format is public.
        membership_tag: there exactly for senders that are members (F06).
        raw: the octets it came from, without version and wire format.
    """

    message: AuthenticatedContent
    membership_tag: Tag | None
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `PublicMessage`."""
        tag = self.membership_tag
        return self.message.raw[2:] + (b"" if tag is None else opaque(tag.octets))


def read_public_message(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> PublicMessage:
    """Take a `PublicMessage`.

    Raises:
        Malformed: as `read_framed_content`.
        MlsUnsupported: C09.
    """
    start = reader.position
    content = read_framed_content(reader, registry, limits)
    signature, tag = read_auth(reader, content.content_type)
    message = AuthenticatedContent(
        WireFormat.PUBLIC_MESSAGE,
        content,
        signature,
        tag,
        _PUBLIC + reader.since(start),
    )
    from_member = content.sender.kind is SenderType.MEMBER
    membership = Tag(reader.opaque()) if from_member else None
    return PublicMessage(message, membership, reader.since(start))


_PUBLIC: Final = uint16(WireFormat.PUBLIC_MESSAGE)


@dataclass(frozen=True, slots=True, eq=False)
class PrivateMessage(Struct):
    """A content that only members can read (section 6.3)."""

    group_id: bytes
    epoch: int
    content_type: ContentType
    authenticated_data: bytes = field(repr=False)
    encrypted_sender_data: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `PrivateMessage`."""
        return (
            opaque(self.group_id)
            + uint64(self.epoch)
            + uint8(self.content_type)
            + opaque(self.authenticated_data)
            + opaque(self.encrypted_sender_data)
            + opaque(self.ciphertext)
        )


def read_private_message(
    reader: Reader, limits: Limits = DEFAULT_LIMITS
) -> PrivateMessage:
    """Take a `PrivateMessage`.

    Raises:
        Malformed: C07 an unknown content type, C03 more authenticated data than
            `limits` say, and as `Reader`.
    """
    start = reader.position
    group_id = reader.opaque()
    epoch = reader.uint64()
    kind = read_content_type(reader)
    data = reader.opaque(limits.authenticated_data_octets_max)
    sender_data = reader.opaque()
    ciphertext = reader.opaque()
    return PrivateMessage(
        group_id, epoch, kind, data, sender_data, ciphertext, reader.since(start)
    )


Body = (
    PublicMessage
    | PrivateMessage
    | SemiPrivateMessage
    | Welcome
    | GroupInfoIn
    | KeyPackageIn
)


@dataclass(frozen=True, slots=True, eq=False)
class MlsMessageIn(Struct):
    """An MLSMessage of version mls10 that nobody has checked."""

    body: Body
    raw: bytes = field(default=b"", repr=False)

    @property
    def wire_format(self) -> WireFormat:
        """Return what it holds."""
        return wire_format_of(self.body)

    def encode(self) -> bytes:
        """Write the `MLSMessage`."""
        return encode_message(self.body)


def wire_format_of(body: Body) -> WireFormat:
    """Return the wire format of what an MLSMessage holds."""
    match body:
        case PublicMessage():
            return WireFormat.PUBLIC_MESSAGE
        case PrivateMessage():
            return WireFormat.PRIVATE_MESSAGE
        case SemiPrivateMessage():
            return WireFormat.SEMI_PRIVATE_MESSAGE
        case Welcome():
            return WireFormat.WELCOME
        case GroupInfoIn():
            return WireFormat.GROUP_INFO
        case KeyPackageIn():
            return WireFormat.KEY_PACKAGE
        case _:
            assert_never(body)


MESSAGE_HEAD_OCTETS: Final = 4
"""Version and wire format, in front of what an MLSMessage holds."""


def encode_message(body: Body) -> bytes:
    """Write an `MLSMessage` of version mls10."""
    return _MLS10 + uint16(wire_format_of(body)) + body.raw


def decode_message(
    data: bytes,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
    *,
    semi_private: bool = False,
) -> MlsMessageIn:
    """Read an `MLSMessage` that fills `data`.

    Args:
        data: what came in.
        registry: the types of proposal that are known.
        limits: what is accepted.
        semi_private: read SemiPrivateMessages, too.

    Raises:
        Malformed: octets that are none, or more of them than `limits` say (C03).
        MlsUnsupported: C08 another version or wire format; C09 a proposal type that
            is not in `registry`; an unknown credential type.
    """
    reader = Reader(data)
    number = _read_header(reader, semi_private=semi_private)
    _check_size(number, len(data), limits)
    body = _read_body(reader, number, registry, limits)
    reader.finish()
    return MlsMessageIn(body, data)


def read_message(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> MlsMessageIn:
    """Take an `MLSMessage` that others follow; without SemiPrivateMessages.

    Raises:
        Malformed: as `decode_message`.
        MlsUnsupported: as `decode_message`.
    """
    start = reader.position
    number = _read_header(reader, semi_private=False)
    body = _read_body(reader, number, registry, limits)
    raw = reader.since(start)
    _check_size(number, len(raw), limits)
    return MlsMessageIn(body, raw)


def _read_header(reader: Reader, *, semi_private: bool) -> int:
    version = reader.uint16()
    if version != MLS10:
        raise MlsUnsupported("protocol version", version)
    number = reader.uint16()
    if number == WireFormat.SEMI_PRIVATE_MESSAGE and not semi_private:
        raise MlsUnsupported("wire format", number)
    return number


def _check_size(number: int, size: int, limits: Limits) -> None:
    carries_tree = number in _TREE_CARRIERS
    size_max = limits.tree_octets_max if carries_tree else limits.message_octets_max
    if size > size_max:
        raise Malformed("C03", f"message of {size} octets, limit {size_max}")


def _read_body(
    reader: Reader, number: int, registry: ProposalRegistry, limits: Limits
) -> Body:
    match number:
        case WireFormat.PUBLIC_MESSAGE:
            return read_public_message(reader, registry, limits)
        case WireFormat.PRIVATE_MESSAGE:
            return read_private_message(reader, limits)
        case WireFormat.SEMI_PRIVATE_MESSAGE:
            return read_semi_private_message(reader, limits)
        case WireFormat.WELCOME:
            return read_welcome(reader, limits)
        case WireFormat.GROUP_INFO:
            return read_group_info(reader, limits)
        case WireFormat.KEY_PACKAGE:
            return read_key_package(reader, limits)
        case _:
            raise MlsUnsupported("wire format", number)
