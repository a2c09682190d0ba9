"""groupInfo: who asks, what is sealed, who can open it."""

from dataclasses import replace
from typing import Any, Final

import pytest

from sabir.crypto import hpke
from sabir.crypto.labels import sign_with_label
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.structs.group_info import (
    RESPONSE_LABEL,
    GroupInfoAndTree,
    GroupInfoRequest,
    PendingProposal,
    SealedGroupInfo,
    decode_group_info_request,
    decode_group_info_response,
    open_group_info,
    seal_group_info,
    sign_request,
    verify_request,
)
from sabir.mls.commit import HPKECiphertext
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.wire.errors import Malformed
from tests.unit.mimi.structs.examples import (
    CREDENTIAL,
    INFO,
    LEAVE,
    ROOM,
    TREE,
    octets,
)

S: Final = SUITES[1]
PRIVATE, PUBLIC = signature_key_pair(S, octets(1))
HUB_PRIVATE, HUB_PUBLIC = signature_key_pair(S, octets(2))
HPKE_PRIVATE, HPKE_PUBLIC = hpke.derive_key_pair(S, octets(3))
HUB: Final = ExternalSender(HUB_PUBLIC, BasicCredential(b"mimi://hub.example"))
ABOUT: Final = GroupInfoAndTree(
    group_info=INFO, tree=TREE, pending=(PendingProposal(LEAVE, 5),)
)


def request_of(**changed: Any) -> GroupInfoRequest:
    request = GroupInfoRequest(
        suite=1,
        signature_key=PUBLIC,
        credential=CREDENTIAL,
        public_key=HPKE_PUBLIC,
        join_code=b"code",
    )
    return sign_request(replace(request, **changed), S, PRIVATE)


def sealed() -> SealedGroupInfo:
    response = seal_group_info(
        ROOM, ABOUT, request_of(), suite=S, hub_sender=HUB, hub_private=HUB_PRIVATE
    )
    read = decode_group_info_response(response.encode())
    assert isinstance(read, SealedGroupInfo)
    return read


def test_mc_075_a_request_is_signed_by_its_own_key() -> None:
    request = decode_group_info_request(request_of().encode())
    assert isinstance(request, GroupInfoRequest)
    assert verify_request(request, S)
    for changed in (
        {"public_key": octets(9)},
        {"join_code": b""},
        {"credential": BasicCredential(b"mimi://a.example/u/eve")},
        {"signature_key": HUB_PUBLIC},
        {"suite": 3},
        {"signature": bytes(64)},
    ):
        assert not verify_request(replace(request, **changed), S)


def test_mc_076_the_joiner_opens_what_the_hub_sealed() -> None:
    opened = open_group_info(sealed(), room=ROOM, suite=S, private_key=HPKE_PRIVATE)
    assert opened == ABOUT


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"room": ROOM + "2"}, "MIMI-016"),
        ({"suite": 3}, "MIMI-016"),
        ({"signature": bytes(64)}, "MIMI-017"),
        ({"hub_sender": ExternalSender(PUBLIC, HUB.credential)}, "MIMI-017"),
        ({"sealed": HPKECiphertext(octets(4), octets(5, 60))}, "MIMI-017"),
    ],
)
def test_mc_076_an_altered_response_is_refused(
    changed: dict[str, Any], rule: str
) -> None:
    with pytest.raises(Malformed) as caught:
        open_group_info(
            replace(sealed(), **changed),
            room=ROOM,
            suite=S,
            private_key=HPKE_PRIVATE,
        )
    assert caught.value.rule == rule


def test_mc_076_only_the_key_of_the_request_opens_it() -> None:
    with pytest.raises(Malformed) as caught:
        open_group_info(sealed(), room=ROOM, suite=S, private_key=octets(6))
    assert caught.value.rule == "MIMI-018"


def test_mc_076_what_was_sealed_for_another_room_does_not_open() -> None:
    """The room's name is bound to the ciphertext, not only to the signature."""
    elsewhere = seal_group_info(
        ROOM + "2",
        ABOUT,
        request_of(),
        suite=S,
        hub_sender=HUB,
        hub_private=HUB_PRIVATE,
    )
    here = seal_group_info(
        ROOM, ABOUT, request_of(), suite=S, hub_sender=HUB, hub_private=HUB_PRIVATE
    )
    mixed = replace(here, sealed=elsewhere.sealed)
    signature = sign_with_label(S, HUB_PRIVATE, RESPONSE_LABEL, mixed.signed())
    with pytest.raises(Malformed) as caught:
        open_group_info(
            replace(mixed, signature=signature),
            room=ROOM,
            suite=S,
            private_key=HPKE_PRIVATE,
        )
    assert caught.value.rule == "MIMI-018"


def test_a_key_that_is_none_is_the_requesters_fault() -> None:
    with pytest.raises(Malformed) as caught:
        seal_group_info(
            ROOM,
            ABOUT,
            request_of(public_key=b"short"),
            suite=S,
            hub_sender=HUB,
            hub_private=HUB_PRIVATE,
        )
    assert caught.value.rule == "MIMI-015"
