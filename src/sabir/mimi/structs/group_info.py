"""groupInfo: what a joiner from outside needs, sealed to its key (3.6)."""

from dataclasses import dataclass, field, replace
from typing import Final

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.labels import (
    decrypt_with_label,
    encrypt_with_label,
    sign_with_label,
    verify_with_label,
)
from sabir.crypto.suites import CipherSuite
from sabir.mimi.codepoints import GroupInfoCode
from sabir.mimi.components.fields import read_identifier, text
from sabir.mimi.structs.fields import (
    ELEMENTS_MAX,
    PROTOCOL,
    decode_whole,
    known,
    read_key,
    read_protocol_of_answer,
    read_signature,
)
from sabir.mimi.structs.update import read_proposal_message
from sabir.mls.commit import HPKECiphertext, read_hpke_ciphertext
from sabir.mls.credentials import Credential, read_credential
from sabir.mls.extensions import ExternalSender
from sabir.mls.framing import MlsMessageIn
from sabir.mls.group_info import GroupInfoIn, read_group_info
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.tree_options import RatchetTreeOption, read_tree_option
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, uint16, uint64, vector

REQUEST_LABEL: Final = b"GroupInfoRequestTBS"
RESPONSE_LABEL: Final = b"GroupInfoResponseTBS"
SEAL_LABEL: Final = b"GroupInfo and ratchet_tree encryption"

JOIN_CODE_OCTETS_MAX: Final = 1_024
"""Octets of a join code; ours have 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfoRequest:
    """Somebody outside asks to see a room's group.

    Attributes:
        suite: number; its signature scheme and HPKE are used here.
        signature_key: that will be in the leaf.
        credential: that will be in the leaf.
        public_key: HPKE, fresh; the answer is sealed to it.
        join_code: empty: none (D-27).
        signature: by `signature_key`.
    """

    suite: int
    signature_key: bytes
    credential: Credential
    public_key: bytes
    join_code: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)

    def signed(self) -> bytes:
        """Write the `GroupInfoRequestTBS`."""
        return (
            uint8(PROTOCOL)
            + uint16(self.suite)
            + opaque(self.signature_key)
            + self.credential.raw
            + opaque(self.public_key)
            + opaque(self.join_code)
        )

    def encode(self) -> bytes:
        """Write the `GroupInfoRequest`."""
        return self.signed() + opaque(self.signature)


@dataclass(frozen=True, slots=True)
class OtherGroupInfoRequest:
    """A request in another protocol than MLS 1.0."""

    protocol: int
    rest: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `GroupInfoRequest`."""
        return uint8(self.protocol) + self.rest


def decode_group_info_request(
    body: bytes,
) -> GroupInfoRequest | OtherGroupInfoRequest:
    """Read a `GroupInfoRequest`.

    Raises:
        Malformed: as `decode_whole`.
    """
    return decode_whole(body, read_group_info_request)


def read_group_info_request(
    reader: Reader,
) -> GroupInfoRequest | OtherGroupInfoRequest:
    """Take a `GroupInfoRequest`; one in another protocol takes all that is left."""
    protocol = reader.uint8()
    if protocol != PROTOCOL:
        return OtherGroupInfoRequest(
            protocol, reader.fixed(reader.end - reader.position)
        )
    return GroupInfoRequest(
        suite=reader.uint16(),
        signature_key=read_key(reader),
        credential=read_credential(reader),
        public_key=read_key(reader),
        join_code=reader.opaque(JOIN_CODE_OCTETS_MAX),
        signature=read_signature(reader),
    )


def sign_request(
    request: GroupInfoRequest, suite: CipherSuite, private_key: bytes
) -> GroupInfoRequest:
    """Return a request with its signature."""
    signature = sign_with_label(suite, private_key, REQUEST_LABEL, request.signed())
    return replace(request, signature=signature)


def verify_request(request: GroupInfoRequest, suite: CipherSuite) -> bool:
    """Check a request's signature by its own key; `suite` is the request's."""
    return verify_with_label(
        suite,
        request.signature_key,
        REQUEST_LABEL,
        request.signed(),
        request.signature,
    )


@dataclass(frozen=True, slots=True)
class PendingProposal:
    """A proposal that was accepted in this epoch and not committed."""

    message: MlsMessageIn
    accepted_at: int

    def encode(self) -> bytes:
        """Write the `PendingProposal`."""
        return self.message.raw + uint64(self.accepted_at)


def _read_pending(reader: Reader) -> PendingProposal:
    return PendingProposal(read_proposal_message(reader), reader.uint64())


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfoAndTree:
    """What is sealed: the struct `GroupInfoRatchetTreeTBE`.

    Attributes:
        group_info: without `ratchet_tree`, with `external_pub` (D-19).
        tree: of the same epoch.
        pending: proposals of the epoch.
    """

    group_info: GroupInfoIn
    tree: RatchetTreeOption
    pending: tuple[PendingProposal, ...] = ()

    def encode(self) -> bytes:
        """Write the `GroupInfoRatchetTreeTBE`."""
        return (
            self.group_info.raw
            + self.tree.encode()
            + vector(each.encode() for each in self.pending)
        )


def decode_group_info_and_tree(plaintext: bytes) -> GroupInfoAndTree:
    """Read a `GroupInfoRatchetTreeTBE`.

    Raises:
        Malformed: as `decode_whole`.
    """
    return decode_whole(plaintext, read_group_info_and_tree)


def read_group_info_and_tree(reader: Reader) -> GroupInfoAndTree:
    """Take a `GroupInfoRatchetTreeTBE`."""
    return GroupInfoAndTree(
        group_info=read_group_info(reader),
        tree=read_tree_option(reader, DEFAULT_LIMITS.tree_octets_max),
        pending=reader.vector(_read_pending, count_max=ELEMENTS_MAX),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedGroupInfo:
    """A hub lets a joiner see the group: the response with SUCCESS.

    Attributes:
        room: its URI.
        suite: number, that of the request.
        hub_sender: the hub's key; to be compared with the group's external sender.
        sealed: a `GroupInfoRatchetTreeTBE`.
        signature: by the hub's key.
    """

    room: str
    suite: int
    hub_sender: ExternalSender
    sealed: HPKECiphertext
    signature: bytes = field(default=b"", repr=False)

    def signed(self) -> bytes:
        """Write the `GroupInfoResponseTBS`."""
        return (
            uint8(PROTOCOL)
            + text(self.room)
            + uint8(GroupInfoCode.SUCCESS)
            + uint16(self.suite)
            + self.hub_sender.encode()
            + self.sealed.encode()
        )

    def encode(self) -> bytes:
        """Write the `GroupInfoResponse`."""
        return self.signed() + opaque(self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfoRefused:
    """A hub says no; unsigned.

    Attributes:
        room: its URI.
        code: a `GroupInfoCode` other than SUCCESS, or another number.
    """

    room: str
    code: int

    def encode(self) -> bytes:
        """Write the `GroupInfoResponse`."""
        return uint8(PROTOCOL) + text(self.room) + uint8(self.code)


GroupInfoResponse = SealedGroupInfo | GroupInfoRefused


def decode_group_info_response(body: bytes) -> GroupInfoResponse:
    """Read a `GroupInfoResponse`.

    Raises:
        Malformed: MIMI-004 another protocol; as `decode_whole`.
    """
    return decode_whole(body, read_group_info_response)


def read_group_info_response(reader: Reader) -> GroupInfoResponse:
    """Take a `GroupInfoResponse`."""
    read_protocol_of_answer(reader)
    room = read_identifier(reader)
    code = known(GroupInfoCode, reader.uint8())
    if code != GroupInfoCode.SUCCESS:
        return GroupInfoRefused(room=room, code=code)
    return SealedGroupInfo(
        room=room,
        suite=reader.uint16(),
        hub_sender=ExternalSender(read_key(reader), read_credential(reader)),
        sealed=read_hpke_ciphertext(reader),
        signature=read_signature(reader),
    )


def seal_group_info(
    room: str,
    about: GroupInfoAndTree,
    request: GroupInfoRequest,
    *,
    suite: CipherSuite,
    hub_sender: ExternalSender,
    hub_private: bytes,
) -> SealedGroupInfo:
    """Answer a request.

    Args:
        room: its URI.
        about: what the joiner is to see.
        request: whose key it is sealed to.
        suite: the request's.
        hub_sender: our own key and credential.
        hub_private: the private half.

    Raises:
        Malformed: MIMI-015, the key of the request is none of its suite.
    """
    try:
        kem_output, ciphertext = encrypt_with_label(
            suite, request.public_key, SEAL_LABEL, room.encode("ascii"), about.encode()
        )
    except BadKey:
        raise Malformed(
            "MIMI-015", f"HPKE key of {len(request.public_key)} octets"
        ) from None
    response = SealedGroupInfo(
        room=room,
        suite=suite.number,
        hub_sender=hub_sender,
        sealed=HPKECiphertext(kem_output, ciphertext),
    )
    signature = sign_with_label(suite, hub_private, RESPONSE_LABEL, response.signed())
    return replace(response, signature=signature)


def open_group_info(
    response: SealedGroupInfo, *, room: str, suite: CipherSuite, private_key: bytes
) -> GroupInfoAndTree:
    """Check a response's signature by its own key, and open it.

    Whether that key is the hub's is known only from the group inside (D-28).

    Args:
        response: as it came.
        room: that was asked about.
        suite: of the request.
        private_key: of the request's HPKE key.

    Raises:
        Malformed: MIMI-016 of another room or suite; MIMI-017 signed wrongly;
            MIMI-018 it does not open; as `decode_group_info_and_tree`.
    """
    if response.room != room or response.suite != suite.number:
        raise Malformed("MIMI-016", f"cipher suite {response.suite}")
    key = response.hub_sender.signature_key
    signed = response.signed()
    if not verify_with_label(suite, key, RESPONSE_LABEL, signed, response.signature):
        raise Malformed("MIMI-017", "the hub's signature is wrong")
    try:
        plaintext = decrypt_with_label(
            suite,
            private_key,
            SEAL_LABEL,
            room.encode("ascii"),
            response.sealed.kem_output,
            response.sealed.ciphertext,
        )
    except (OpenFailed, BadKey):
        size = len(response.sealed.ciphertext)
        raise Malformed("MIMI-018", f"{size} octets do not open") from None
    return decode_group_info_and_tree(plaintext)
