"""What is signed and sealed, written out: other implementations must agree on it."""

from typing import Final

from sabir.crypto import hpke
from sabir.crypto.signatures import sign, signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.structs import group_info, key_material
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import ExternalSender
from sabir.wire.tls import opaque, read_whole
from tests.unit.mimi.structs.examples import EXAMPLES, INFO, ROOM, TREE, octets

S: Final = SUITES[1]
PRIVATE, PUBLIC = signature_key_pair(S, octets(1))
HPKE_PRIVATE, HPKE_PUBLIC = hpke.derive_key_pair(S, octets(3))


def signed(label: bytes, content: bytes) -> bytes:
    """SignWithLabel, as RFC 9420 writes it."""
    return sign(S, PRIVATE, opaque(b"MLS 1.0 " + label) + opaque(content))


def test_a_key_material_request_is_signed_up_to_its_signature() -> None:
    written = EXAMPLES["KeyMaterialRequest"].value.encode()
    unsigned = written[: -len(opaque(bytes(64)))]
    request = read_whole(written, key_material.read_key_material_request)
    assert isinstance(request, key_material.KeyMaterialRequest)
    made = key_material.sign_request(request, S, PRIVATE)
    assert made.signature == signed(b"KeyMaterialRequestTBS", unsigned)
    assert made.encode() == unsigned + opaque(made.signature)


def test_a_group_info_request_is_signed_up_to_its_signature() -> None:
    written = EXAMPLES["GroupInfoRequest, with a code"].value.encode()
    unsigned = written[: -len(opaque(bytes(64)))]
    request = read_whole(written, group_info.read_group_info_request)
    assert isinstance(request, group_info.GroupInfoRequest)
    made = group_info.sign_request(request, S, PRIVATE)
    assert made.signature == signed(b"GroupInfoRequestTBS", unsigned)
    assert made.encode() == unsigned + opaque(made.signature)


def test_a_group_info_response_is_sealed_to_the_room_and_signed() -> None:
    about = group_info.GroupInfoAndTree(group_info=INFO, tree=TREE)
    request = group_info.GroupInfoRequest(
        suite=1,
        signature_key=PUBLIC,
        credential=BasicCredential(b"mimi://a.example/d/alice/1"),
        public_key=HPKE_PUBLIC,
    )
    response = group_info.seal_group_info(
        ROOM,
        about,
        request,
        suite=S,
        hub_sender=ExternalSender(PUBLIC, BasicCredential(b"mimi://hub.example")),
        hub_private=PRIVATE,
    )
    unsigned = response.encode()[: -len(opaque(bytes(64)))]
    assert response.signature == signed(b"GroupInfoResponseTBS", unsigned)
    label = b"MLS 1.0 GroupInfo and ratchet_tree encryption"
    plaintext = hpke.open_(
        S,
        HPKE_PRIVATE,
        opaque(label) + opaque(ROOM.encode()),
        response.sealed.kem_output,
        response.sealed.ciphertext,
    )
    assert plaintext == about.encode()
