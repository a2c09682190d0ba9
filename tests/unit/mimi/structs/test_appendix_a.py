"""MC-014: the golden octets of the profile's Appendix A, encoded and decoded exactly.

Franks are in `test_franking.py`, the value of a path in `test_directory.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import (
    ConsentOperation,
    GroupInfoCode,
    KeyMaterialUserCode,
    QueryCode,
    SearchType,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.components.base_policy import BaseRoomPolicy, decode_base_room_policy
from sabir.mimi.components.framing import ROOM_MEDIA_TYPES
from sabir.mimi.components.participants import (
    Participant,
    ParticipantListUpdate,
    read_participant_list_update,
)
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.group_info import GroupInfoRefused, decode_group_info_response
from sabir.mimi.structs.key_material import (
    KeyMaterialResponse,
    decode_key_material_response,
)
from sabir.mimi.structs.query import (
    IdentifierRequest,
    IdentifierResponse,
    QueryElement,
    decode_identifier_request,
    decode_identifier_response,
)
from sabir.mimi.structs.submit import (
    Frank,
    SubmitMessageResponse,
    decode_submit_response,
)
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.mls.components import (
    encode_components,
    encode_media_types,
    read_components,
    read_media_types,
)
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import (
    REQUIRED_CAPABILITIES,
    Extension,
    ExternalSender,
    RequiredCapabilities,
    read_required_capabilities,
)
from sabir.mls.proposals import AppDataUpdate, read_proposal
from sabir.wire.tls import opaque, read_whole

VECTORS: Final = Path(__file__).parents[3] / "vectors" / "mimi"
APPENDIX: Final[dict[str, str]] = json.loads(
    (VECTORS / "appendix-a.json").read_text("utf-8")
)

ALICE: Final = "mimi://a.example/u/alice"
BOB: Final = "mimi://b.example/u/bob"
AT: Final = 1_644_387_225_019
FRANK: Final = Frank(
    bytes.fromhex("3cae307361d22f89186be258e635269d3abe6fcd54e65868da8599f1ca4d541f"),
    1,
    bytes.fromhex(
        "7f1efac60c800c51218f0c102727f071ede34e7bddca8eac9125bcc5efc3e435"
        "9cc15b32da77a871b60f1451e43cac1bed9e1f26166f15e14b3ddcb430297000"
    ),
)
LIST_UPDATE: Final = ParticipantListUpdate(
    ((2, 1),), (0,), (Participant("mimi://d.example/u/diana", 4),)
)

STRUCTS: Final[dict[str, tuple[Any, Callable[[bytes], Any]]]] = {
    "SubmitMessageResponse, accepted with frank": (
        SubmitMessageResponse(SubmitCode.ACCEPTED, AT, FRANK),
        decode_submit_response,
    ),
    "SubmitMessageResponse, accepted": (
        SubmitMessageResponse(SubmitCode.ACCEPTED, AT),
        decode_submit_response,
    ),
    "SubmitMessageResponse, notAllowed": (
        SubmitMessageResponse(SubmitCode.NOT_ALLOWED),
        decode_submit_response,
    ),
    "SubmitMessageResponse, epochTooOld": (
        SubmitMessageResponse(SubmitCode.EPOCH_TOO_OLD, current_epoch=7),
        decode_submit_response,
    ),
    "UpdateRoomResponse, success": (
        UpdateRoomResponse(code=UpdateCode.SUCCESS, accepted_at=AT),
        decode_update_response,
    ),
    "UpdateRoomResponse, wrongEpoch": (
        UpdateRoomResponse(
            code=UpdateCode.WRONG_EPOCH, description="epoch.stale", current_epoch=7
        ),
        decode_update_response,
    ),
    "ParticipantListUpdate": (
        LIST_UPDATE,
        lambda octets: read_whole(octets, read_participant_list_update),
    ),
    "ParticipantListUpdate as Proposal": (
        AppDataUpdate(0x22, LIST_UPDATE.encode()),
        lambda octets: read_whole(
            octets, lambda reader: read_proposal(reader, ROOM_PROPOSALS)
        ),
    ),
    "BaseRoomPolicy": (
        BaseRoomPolicy(policy_components=(0x25, 0x28, 0x2C)),
        decode_base_room_policy,
    ),
    "ConsentEntry, request": (
        ConsentEntry(operation=ConsentOperation.REQUEST, requester=ALICE, target=BOB),
        decode_consent_entry,
    ),
    "KeyMaterialResponse, noConsent": (
        KeyMaterialResponse(status=KeyMaterialUserCode.NO_CONSENT, user=BOB),
        decode_key_material_response,
    ),
    "GroupInfoResponse, notAuthorized": (
        GroupInfoRefused(
            room="mimi://example.com/r/engineering_team",
            code=GroupInfoCode.NOT_AUTHORIZED,
        ),
        decode_group_info_response,
    ),
    "IdentifierRequest, handle": (
        IdentifierRequest(
            elements=(
                QueryElement(
                    search_type=SearchType.HANDLE, value="im:alice.smith@a.example"
                ),
            )
        ),
        decode_identifier_request,
    ),
    "IdentifierResponse, notFound": (
        IdentifierResponse(code=QueryCode.NOT_FOUND),
        decode_identifier_response,
    ),
}

REQUIRED: Final = RequiredCapabilities((6,), (8, 10), (1,))
COMPONENTS: Final = (1, 2, 3, 0x20, 0x21, 0x22, 0x23, 0x25, 0x27)
HUB: Final = ExternalSender(
    bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"),
    BasicCredential(b"mimi://example.com"),
)


@pytest.mark.parametrize("name", STRUCTS)
def test_mc_014_structs(name: str) -> None:
    value, decode = STRUCTS[name]
    octets = bytes.fromhex(APPENDIX[name])
    assert value.encode() == octets
    assert decode(octets) == value


def test_mc_014_what_is_in_the_group() -> None:
    found = {name: octets for name, octets in APPENDIX.items() if name not in STRUCTS}
    required = Extension(REQUIRED_CAPABILITIES, REQUIRED.encode())
    assert found == {
        "required_capabilities extension": required.encode().hex(),
        "app_components": encode_components(COMPONENTS).hex(),
        "safe_aad list": encode_components((0x20,)).hex(),
        "content_media_types": encode_media_types(ROOM_MEDIA_TYPES).hex(),
        "ExternalSender": HUB.encode().hex(),
    }
    media = bytes.fromhex(found["content_media_types"])
    assert read_whole(media, read_media_types) == ROOM_MEDIA_TYPES
    listed = bytes.fromhex(found["app_components"])
    assert read_whole(listed, read_components) == COMPONENTS
    assert read_whole(required.data, read_required_capabilities) == REQUIRED
    assert required.encode()[2:] == opaque(required.data)
