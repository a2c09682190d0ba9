"""One value or more of every struct, made of fixed octets, and who reads it.

`python -m tests.unit.mimi.structs.examples` writes what they are encoded to into
`tests/vectors/mimi/structs.json`; a test compares. Signatures in them are not real.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sabir.mimi.codepoints import (
    ConsentOperation,
    GroupInfoCode,
    KeyMaterialClientCode,
    KeyMaterialUserCode,
    QueryCode,
    SearchType,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage, decode_abuse_report
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_messages
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRefused,
    GroupInfoRequest,
    OtherGroupInfoRequest,
    PendingProposal,
    SealedGroupInfo,
    decode_group_info_and_tree,
    decode_group_info_request,
    decode_group_info_response,
)
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialRequest,
    KeyMaterialResponse,
    OtherKeyMaterialRequest,
    decode_key_material_request,
    decode_key_material_response,
)
from sabir.mimi.structs.query import (
    IdentifierRequest,
    IdentifierResponse,
    ProfileField,
    QueryElement,
    UserProfile,
    decode_identifier_request,
    decode_identifier_response,
)
from sabir.mimi.structs.submit import (
    Frank,
    OtherSubmitMessageRequest,
    SubmitMessageRequest,
    SubmitMessageResponse,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mimi.structs.update import (
    ApplicationBundle,
    CommitBundle,
    ProposalBundle,
    RemoteTree,
    UpdateRoomResponse,
    decode_handshake_bundle,
    decode_update_response,
)
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import ContentType, LeafNodeSource, WireFormat
from sabir.mls.commit import Commit, HPKECiphertext, ProposalReference
from sabir.mls.components import AppDataDictionary
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import Extension, ExternalSender, RequiredCapabilities
from sabir.mls.framing import (
    AuthenticatedContent,
    Body,
    Content,
    FramedContent,
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    Sender,
    encode_message,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.leaf_node import LeafNodeIn, Lifetime
from sabir.mls.proposals import AppDataUpdate, Remove, SelfRemove
from sabir.mls.tags import Tag
from sabir.mls.tree_options import (
    PartialGroupInfo,
    RatchetTreeOption,
    TreePresence,
)
from sabir.mls.welcome import EncryptedGroupSecrets, Welcome

GOLDEN: Final = Path(__file__).parents[3] / "vectors" / "mimi" / "structs.json"

ALICE: Final = "mimi://a.example/u/alice"
BOB: Final = "mimi://b.example/u/bob"
PHONE: Final = "mimi://b.example/d/bob/phone"
ROOM: Final = "mimi://hub.example/r/tea"
GROUP: Final = b"mimi://hub.example/g/tea"
AT: Final = 1_644_387_225_019


class Encodes(Protocol):
    """What every struct can do."""

    def encode(self) -> bytes:
        """Write it."""
        ...


def octets(first: int, size: int = 32) -> bytes:
    """Return so many octets that count up from one of them."""
    return bytes((first + index) % 256 for index in range(size))


# ---- what the structs are made of

CREDENTIAL: Final = BasicCredential(PHONE.encode())
CAPABILITIES: Final = Capabilities((1,), (1,), (6,), (8, 10), (1,))
LEAF: Final = LeafNodeIn(
    octets(1),
    octets(2),
    CREDENTIAL,
    CAPABILITIES,
    LeafNodeSource.KEY_PACKAGE,
    Lifetime(1_800_000_000, 1_802_419_200),
    None,
    (),
    octets(3, 64),
)
PACKAGE: Final = KeyPackageIn(1, octets(4), LEAF, (), octets(5, 64))
CONTEXT: Final = GroupContext(
    cipher_suite=1,
    group_id=GROUP,
    epoch=7,
    tree_hash=octets(6),
    confirmed_transcript_hash=octets(7),
)
INFO: Final = GroupInfoIn(
    CONTEXT, (Extension(4, b"\x20" + octets(8)),), Tag(octets(9)), 0, octets(10, 64)
)
PARTIAL: Final = PartialGroupInfo(TreePresence.NONE, INFO.extensions, octets(10, 64))
WELCOME: Final = Welcome(
    1,
    (EncryptedGroupSecrets(octets(11), HPKECiphertext(octets(12), octets(13, 80))),),
    octets(14, 100),
)
TREE: Final = RatchetTreeOption(b"\x02\x00\x00")
ELSEWHERE: Final = RatchetTreeOption(None)
FRANK: Final = Frank(octets(15), 1, octets(16, 64))
HUB: Final = ExternalSender(octets(17), BasicCredential(b"mimi://hub.example"))
SEALED: Final = HPKECiphertext(octets(18), octets(19, 90))
EXTENSIONS: Final = AppDataDictionary(((0xFB10, b"\x00\x01"), (0xFB12, b"\x01\x01")))


def message(body: Body) -> MlsMessageIn:
    """Wrap what an MLSMessage holds."""
    return MlsMessageIn(body, encode_message(body))


def public(content: Content) -> MlsMessageIn:
    """Let a member say a handshake in the clear."""
    framed = FramedContent(GROUP, 7, Sender.member(1), b"\x00", content)
    tag = Tag(octets(20)) if isinstance(content, Commit) else None
    signed = AuthenticatedContent(
        WireFormat.PUBLIC_MESSAGE, framed, octets(21, 64), tag
    )
    return message(PublicMessage(signed, Tag(octets(22))))


def private(kind: ContentType) -> MlsMessageIn:
    """Let a member say something only members can read."""
    return message(
        PrivateMessage(GROUP, 7, kind, b"\x00", octets(23, 28), octets(24, 300))
    )


COMMIT: Final = public(Commit((ProposalReference(octets(25)), Remove(2))))
LEAVE: Final = public(SelfRemove())
UNLIST: Final = public(AppDataUpdate(0x22, bytes.fromhex("00040000000100")))
SAID: Final = private(ContentType.APPLICATION)


@dataclass(frozen=True)
class Example:
    """A value, and the function that reads its octets."""

    value: Encodes
    decode: Callable[[bytes], Any]


def _one_fanned(body: bytes) -> FanoutMessage:
    (only,) = read_fanout_messages(body)
    return only


def _request(**changed: Any) -> KeyMaterialRequest:
    return KeyMaterialRequest(
        **{
            "requesting_user": ALICE,
            "target_user": BOB,
            "room": ROOM,
            "suites": (1, 2),
            "required": RequiredCapabilities((6,), (8, 10), (1,)),
            "signature_key": octets(26),
            "credential": BasicCredential(b"mimi://a.example/d/alice/1"),
            "signature": octets(27, 64),
            **changed,
        }
    )


def _clients(*offers: ClientKeyMaterial, status: int) -> KeyMaterialResponse:
    return KeyMaterialResponse(status=status, user=BOB, clients=offers)


GIVEN: Final = ClientKeyMaterial(
    status=KeyMaterialClientCode.SUCCESS, client=PHONE, key_package=PACKAGE
)
EXHAUSTED: Final = ClientKeyMaterial(
    status=KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED, client=PHONE
)
UNFIT: Final = ClientKeyMaterial(
    status=KeyMaterialClientCode.NOTHING_COMPATIBLE, client=PHONE
)
UNFIT_TOLD: Final = ClientKeyMaterial(
    status=KeyMaterialClientCode.NOTHING_COMPATIBLE,
    client=PHONE,
    capabilities=CAPABILITIES,
)


def _of(decode: Callable[[bytes], Any], **values: Encodes) -> dict[str, Example]:
    return {
        name.replace("__", ", ").replace("_", " "): Example(value, decode)
        for name, value in values.items()
    }


EXAMPLES: Final[dict[str, Example]] = {
    **_of(
        decode_key_material_request,
        KeyMaterialRequest=_request(),
        KeyMaterialRequest__no_room=_request(room="", required=RequiredCapabilities()),
        KeyMaterialRequest__other_protocol=OtherKeyMaterialRequest(
            protocol=2, requesting_user=ALICE, target_user=BOB, room="", rest=b"\x00x"
        ),
    ),
    **_of(
        decode_key_material_response,
        KeyMaterialResponse=_clients(GIVEN, status=KeyMaterialUserCode.SUCCESS),
        KeyMaterialResponse__partial=_clients(
            GIVEN, EXHAUSTED, status=KeyMaterialUserCode.PARTIAL_SUCCESS
        ),
        KeyMaterialResponse__nothing=_clients(
            UNFIT, UNFIT_TOLD, status=KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL
        ),
        KeyMaterialResponse__refused=_clients(status=KeyMaterialUserCode.NO_CONSENT),
        KeyMaterialResponse__unknown_codes=_clients(
            ClientKeyMaterial(status=200, client=PHONE), status=100
        ),
    ),
    **_of(
        decode_handshake_bundle,
        HandshakeBundle__commit=CommitBundle(
            message=COMMIT, welcome=WELCOME, group_info=INFO, tree=TREE
        ),
        HandshakeBundle__commit_in_part=CommitBundle(
            message=COMMIT, group_info=PARTIAL, tree=ELSEWHERE
        ),
        HandshakeBundle__commit_with_a_tree_elsewhere=CommitBundle(
            message=COMMIT,
            group_info=INFO,
            tree=RemoteTree(octets(28, 64), b"https://a.example/tree"),
        ),
        HandshakeBundle__commit_out_of_band=CommitBundle(
            message=private(ContentType.COMMIT),
            group_info=INFO,
            tree=RemoteTree(octets(28, 64)),
        ),
        HandshakeBundle__proposal=ProposalBundle(message=LEAVE),
        HandshakeBundle__proposals=ProposalBundle(message=LEAVE, more=(UNLIST,)),
        HandshakeBundle__application=ApplicationBundle(message=SAID),
    ),
    **_of(
        decode_update_response,
        UpdateRoomResponse__success=UpdateRoomResponse(
            code=UpdateCode.SUCCESS, accepted_at=AT
        ),
        UpdateRoomResponse__wrong_epoch=UpdateRoomResponse(
            code=UpdateCode.WRONG_EPOCH, description="epoch.stale", current_epoch=7
        ),
        UpdateRoomResponse__not_allowed=UpdateRoomResponse(
            code=UpdateCode.NOT_ALLOWED, description="policy.denied: canBan"
        ),
        UpdateRoomResponse__invalid=UpdateRoomResponse(
            code=UpdateCode.INVALID_PROPOSAL,
            description="proposal.invalid",
            invalid=(octets(29), octets(30)),
        ),
        UpdateRoomResponse__unknown_code=UpdateRoomResponse(code=9, description="é"),
    ),
    **_of(
        decode_submit_request,
        SubmitMessageRequest=SubmitMessageRequest(SAID, ALICE),
        SubmitMessageRequest__other_protocol=OtherSubmitMessageRequest(2, b"anything"),
    ),
    **_of(
        decode_submit_response,
        SubmitMessageResponse=SubmitMessageResponse(SubmitCode.ACCEPTED, AT, FRANK),
        SubmitMessageResponse__no_frank=SubmitMessageResponse(SubmitCode.ACCEPTED, AT),
        SubmitMessageResponse__refused=SubmitMessageResponse(SubmitCode.NOT_ALLOWED),
        SubmitMessageResponse__too_old=SubmitMessageResponse(
            SubmitCode.EPOCH_TOO_OLD, current_epoch=7
        ),
        SubmitMessageResponse__unknown_code=SubmitMessageResponse(9),
    ),
    **_of(
        _one_fanned,
        FanoutMessage__message=FanoutMessage(AT, SAID),
        FanoutMessage__franked_message=FanoutMessage(AT, SAID, frank=FRANK),
        FanoutMessage__commit=FanoutMessage(AT, COMMIT),
        FanoutMessage__commit_and_proposals=FanoutMessage(AT, COMMIT, more=(UNLIST,)),
        FanoutMessage__proposals=FanoutMessage(AT, LEAVE, more=(UNLIST,)),
        FanoutMessage__welcome=FanoutMessage(AT, message(WELCOME), tree=TREE),
        FanoutMessage__welcome_without_tree=FanoutMessage(AT, message(WELCOME)),
    ),
    **_of(
        decode_group_info_request,
        GroupInfoRequest=GroupInfoRequest(
            suite=1,
            signature_key=octets(31),
            credential=CREDENTIAL,
            public_key=octets(32),
            signature=octets(33, 64),
        ),
        GroupInfoRequest__with_a_code=GroupInfoRequest(
            suite=1,
            signature_key=octets(31),
            credential=CREDENTIAL,
            public_key=octets(32),
            join_code=octets(34),
            signature=octets(33, 64),
        ),
        GroupInfoRequest__other_protocol=OtherGroupInfoRequest(2, b"anything"),
    ),
    **_of(
        decode_group_info_response,
        GroupInfoResponse=SealedGroupInfo(
            room=ROOM,
            suite=1,
            hub_sender=HUB,
            sealed=SEALED,
            signature=octets(35, 64),
        ),
        GroupInfoResponse__refused=GroupInfoRefused(
            room=ROOM, code=GroupInfoCode.NOT_AUTHORIZED
        ),
        GroupInfoResponse__unknown_code=GroupInfoRefused(room=ROOM, code=0),
    ),
    **_of(
        decode_group_info_and_tree,
        GroupInfoRatchetTreeTBE=GroupInfoAndTree(group_info=INFO, tree=TREE),
        GroupInfoRatchetTreeTBE__pending=GroupInfoAndTree(
            group_info=INFO,
            tree=TREE,
            pending=(PendingProposal(LEAVE, AT), PendingProposal(UNLIST, AT)),
        ),
    ),
    **_of(
        decode_consent_entry,
        ConsentEntry__cancel=ConsentEntry(
            operation=ConsentOperation.CANCEL, requester=ALICE, target=BOB
        ),
        ConsentEntry__request=ConsentEntry(
            operation=ConsentOperation.REQUEST, requester=ALICE, target=BOB, room=ROOM
        ),
        ConsentEntry__grant=ConsentEntry(
            operation=ConsentOperation.GRANT,
            requester=ALICE,
            target=BOB,
            key_packages=(PACKAGE, PACKAGE),
            extensions=EXTENSIONS,
        ),
        ConsentEntry__revoke=ConsentEntry(
            operation=ConsentOperation.REVOKE, requester=ALICE, target=BOB, room=ROOM
        ),
        ConsentEntry__unknown_operation=ConsentEntry(
            operation=9, requester=ALICE, target=BOB
        ),
    ),
    **_of(
        decode_identifier_request,
        IdentifierRequest=IdentifierRequest(
            elements=tuple(
                QueryElement(search_type=kind, value="alice") for kind in range(1, 7)
            )
        ),
        IdentifierRequest__named_fields=IdentifierRequest(
            elements=(
                QueryElement(
                    search_type=SearchType.OIDC_STD_CLAIM, name="given_name", value="Ä"
                ),
                QueryElement(
                    search_type=SearchType.VCARD_FIELD, name="NICKNAME", value="Al"
                ),
                QueryElement(search_type=77, value="x"),
            ),
            extensions=EXTENSIONS,
        ),
    ),
    **_of(
        decode_identifier_response,
        IdentifierResponse=IdentifierResponse(
            code=QueryCode.SUCCESS,
            users=(ALICE, BOB),
            profiles=(
                UserProfile(
                    user=BOB,
                    fields=(
                        ProfileField(
                            source=SearchType.VCARD_FIELD, name="FN", value=b"Bob"
                        ),
                        ProfileField(source=77, name="", value=b""),
                    ),
                ),
            ),
        ),
        IdentifierResponse__not_found=IdentifierResponse(code=QueryCode.NOT_FOUND),
        IdentifierResponse__unknown_code=IdentifierResponse(code=200),
    ),
    **_of(
        decode_abuse_report,
        AbuseReport=AbuseReport(
            reporting_user=ALICE,
            alleged_abuser=BOB,
            note="no",
            messages=(
                AbusiveMessage(content=octets(36, 50), frank=FRANK, accepted_at=AT),
            ),
            extensions=EXTENSIONS,
        ),
        AbuseReport__anonymous=AbuseReport(
            reporting_user="", alleged_abuser=BOB, reason=3
        ),
    ),
}


def golden_text() -> str:
    """Return what belongs into the golden file."""
    encoded = {name: made.value.encode().hex() for name, made in EXAMPLES.items()}
    return json.dumps(encoded, indent=1) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(golden_text(), encoding="utf-8")
