"""update: a handshake for the hub, and its answer (3.3, D-17 to D-21)."""

from dataclasses import dataclass, field
from typing import Final

from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.structs.fields import ELEMENTS_MAX, decode_whole, known, read_signature
from sabir.mls.codepoints import ContentType
from sabir.mls.framing import (
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    read_message,
)
from sabir.mls.group_info import GroupInfoIn, read_group_info
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.tree_options import (
    PartialGroupInfo,
    RatchetTreeOption,
    TreeRepresentation,
    read_partial_group_info,
    read_tree_option,
)
from sabir.mls.welcome import Welcome, read_welcome
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, optional, uint8, uint64, vector

DESCRIPTION_OCTETS_MAX: Final = 1_024
"""Octets of an `errorDescription`."""
MORE_MAX: Final = DEFAULT_LIMITS.pending_proposals_max
"""Further proposals in one bundle: no commit takes more."""
REFERENCE_OCTETS_MAX: Final = 64
"""Octets of a ProposalRef: a hash."""
URL_OCTETS_MAX: Final = 4 << 10
"""Octets of the address of a tree."""

FULL: Final = 1
PARTIAL: Final = 2

GroupInfoOption = GroupInfoIn | PartialGroupInfo
"""All of a GroupInfo, or what a hub that follows the group cannot compute."""


def encode_group_info_option(option: GroupInfoOption) -> bytes:
    """Write a `GroupInfoOption`."""
    if isinstance(option, PartialGroupInfo):
        return uint8(PARTIAL) + option.encode()
    return uint8(FULL) + option.raw


def read_group_info_option(reader: Reader) -> GroupInfoOption:
    """Take a `GroupInfoOption`.

    Raises:
        Malformed: MIMI-010, another representation; as the structs inside.
    """
    number = reader.uint8()
    if number == FULL:
        return read_group_info(reader)
    if number == PARTIAL:
        return read_partial_group_info(reader)
    raise Malformed("MIMI-010", f"representation {number}")


@dataclass(frozen=True, slots=True)
class RemoteTree:
    """A tree that is somewhere else; well formed, and refused (D-18).

    Attributes:
        signature: of the tree; nobody says over what.
        url: where it is; None for "out of band".
    """

    signature: bytes = field(repr=False)
    url: bytes | None = None

    def encode(self) -> bytes:
        """Write the `RatchetTreeOption`."""
        if self.url is None:
            return uint8(TreeRepresentation.OUT_OF_BAND) + opaque(self.signature)
        return (
            uint8(TreeRepresentation.HTTPS_URI)
            + opaque(self.url)
            + opaque(self.signature)
        )


def read_any_tree_option(reader: Reader) -> RatchetTreeOption | RemoteTree:
    """Take a `RatchetTreeOption` of any representation.

    Raises:
        Malformed: C07, an unknown representation.
    """
    if reader.position < reader.end:
        number = reader.data[reader.position]
        if number == TreeRepresentation.HTTPS_URI:
            reader.uint8()
            url = reader.opaque(URL_OCTETS_MAX)
            return RemoteTree(read_signature(reader), url)
        if number == TreeRepresentation.OUT_OF_BAND:
            reader.uint8()
            return RemoteTree(read_signature(reader))
    return read_tree_option(reader, DEFAULT_LIMITS.tree_octets_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitBundle:
    """A commit, and what the hub needs beside it.

    Attributes:
        message: the commit.
        welcome: for those it adds.
        group_info: of the epoch it begins.
        tree: of that epoch.
    """

    message: MlsMessageIn
    welcome: Welcome | None = None
    group_info: GroupInfoOption
    tree: RatchetTreeOption | RemoteTree

    def encode(self) -> bytes:
        """Write the `HandshakeBundle`."""
        welcome = self.welcome
        return (
            self.message.raw
            + optional(None if welcome is None else welcome.raw)
            + encode_group_info_option(self.group_info)
            + self.tree.encode()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalBundle:
    """Proposals that belong together: all of them are accepted, or none."""

    message: MlsMessageIn
    more: tuple[MlsMessageIn, ...] = ()

    def encode(self) -> bytes:
        """Write the `HandshakeBundle`."""
        return self.message.raw + vector(message.raw for message in self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationBundle:
    """An application message where a handshake belongs; refused (D-17)."""

    message: MlsMessageIn

    def encode(self) -> bytes:
        """Write the `HandshakeBundle`."""
        return self.message.raw


HandshakeBundle = CommitBundle | ProposalBundle | ApplicationBundle
"""The body of update, by the content type of its first message."""


def content_type_of(message: MlsMessageIn) -> ContentType | None:
    """Return what a message holds; None for what holds no content."""
    match message.body:
        case PublicMessage(message=inside):
            return inside.content.content_type
        case PrivateMessage(content_type=kind):
            return kind
        case _:
            return None


def decode_handshake_bundle(body: bytes) -> HandshakeBundle:
    """Read a `HandshakeBundle`.

    Raises:
        Malformed: MIMI-011 a Welcome, GroupInfo or KeyPackage in front; MIMI-010;
            as `decode_whole`.
    """
    return decode_whole(body, read_handshake_bundle)


def read_handshake_bundle(reader: Reader) -> HandshakeBundle:
    """Take a `HandshakeBundle`."""
    message = read_message(reader, ROOM_PROPOSALS)
    match content_type_of(message):
        case ContentType.COMMIT:
            return CommitBundle(
                message=message,
                welcome=reader.optional(read_welcome),
                group_info=read_group_info_option(reader),
                tree=read_any_tree_option(reader),
            )
        case ContentType.PROPOSAL:
            return ProposalBundle(
                message=message,
                more=reader.vector(read_proposal_message, count_max=MORE_MAX),
            )
        case ContentType.APPLICATION:
            return ApplicationBundle(message=message)
        case _:
            raise Malformed("MIMI-011", f"wire format {message.wire_format:d}")


def read_proposal_message(reader: Reader) -> MlsMessageIn:
    """Take an MLSMessage that holds a proposal.

    Raises:
        Malformed: MIMI-012, it holds something else; as `read_message`.
        MlsUnsupported: as `read_message`.
    """
    message = read_message(reader, ROOM_PROPOSALS)
    if content_type_of(message) is not ContentType.PROPOSAL:
        raise Malformed("MIMI-012", f"wire format {message.wire_format:d}")
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRoomResponse:
    """The hub's answer to a handshake.

    Attributes:
        code: an `UpdateCode`, or another number.
        description: empty on success; else a slug, and English after ": " (D-20).
        accepted_at: ms, with SUCCESS.
        current_epoch: with WRONG_EPOCH.
        invalid: ProposalRefs, with INVALID_PROPOSAL; empty for those by value (D-21).
    """

    code: int
    description: str = ""
    accepted_at: int = 0
    current_epoch: int = 0
    invalid: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Write the `UpdateRoomResponse`."""
        head = uint8(self.code) + opaque(self.description.encode("utf-8"))
        match self.code:
            case UpdateCode.SUCCESS:
                return head + uint64(self.accepted_at)
            case UpdateCode.WRONG_EPOCH:
                return head + uint64(self.current_epoch)
            case UpdateCode.INVALID_PROPOSAL:
                return head + vector(opaque(each) for each in self.invalid)
            case _:
                return head


def decode_update_response(body: bytes) -> UpdateRoomResponse:
    """Read an `UpdateRoomResponse`.

    Raises:
        Malformed: MIMI-013 a description that is not UTF-8; as `decode_whole`.
    """
    return decode_whole(body, read_update_response)


def read_update_response(reader: Reader) -> UpdateRoomResponse:
    """Take an `UpdateRoomResponse`."""
    code = known(UpdateCode, reader.uint8())
    octets = reader.opaque(DESCRIPTION_OCTETS_MAX)
    try:
        description = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("MIMI-013", f"{len(octets)} octets are no UTF-8") from None
    match code:
        case UpdateCode.SUCCESS:
            return UpdateRoomResponse(
                code=code, description=description, accepted_at=reader.uint64()
            )
        case UpdateCode.WRONG_EPOCH:
            return UpdateRoomResponse(
                code=code, description=description, current_epoch=reader.uint64()
            )
        case UpdateCode.INVALID_PROPOSAL:
            invalid = reader.vector(_read_reference, count_max=ELEMENTS_MAX)
            return UpdateRoomResponse(
                code=code, description=description, invalid=invalid
            )
        case _:
            return UpdateRoomResponse(code=code, description=description)


def _read_reference(reader: Reader) -> bytes:
    return reader.opaque(REFERENCE_OCTETS_MAX)
