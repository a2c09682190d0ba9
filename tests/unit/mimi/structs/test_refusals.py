"""What each decoder refuses beyond lengths, by its rule."""

import pytest

from sabir.mimi.structs.key_material import decode_key_material_request
from sabir.mimi.structs.query import IdentifierRequest, QueryElement
from sabir.mls.codepoints import ContentType
from sabir.mls.components import AppDataDictionary
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, uint16, vector
from tests.unit.mimi.structs import examples
from tests.unit.mimi.structs.examples import (
    ALICE,
    BOB,
    COMMIT,
    EXAMPLES,
    INFO,
    LEAVE,
    PACKAGE,
    WELCOME,
    message,
    private,
)

UNSORTED = vector(uint16(number) + b"\x00" for number in (2, 1))
TWICE = vector(uint16(number) + b"\x00" for number in (1, 1))


def octets_of(name: str) -> bytes:
    return EXAMPLES[name].value.encode()


def altered(name: str, old: bytes, new: bytes) -> bytes:
    octets = octets_of(name)
    assert octets.count(old) >= 1
    return octets.replace(old, new, 1)


CASES = {
    "no cipher suite": (
        "KeyMaterialRequest",
        altered("KeyMaterialRequest", b"\x04\x00\x01\x00\x02", b"\x00"),
        "MIMI-005",
    ),
    "another credential type": (
        "KeyMaterialRequest",
        altered("KeyMaterialRequest", b"\x00\x01\x1amimi", b"\x00\x09\x1amimi"),
        "MIMI-003",
    ),
    "a requester without a domain": (
        "KeyMaterialRequest",
        altered("KeyMaterialRequest", b"mimi://a.", b"mimi:/xa."),
        "MIMI-001",
    ),
    "a requester who is not there": (
        "KeyMaterialRequest",
        altered("KeyMaterialRequest", opaque(ALICE.encode()), b"\x00"),
        "MIMI-001",
    ),
    "a room that is not ASCII": (
        "KeyMaterialRequest",
        altered("KeyMaterialRequest", b"/r/tea", b"/r/t\xc3\xa4"),
        "MIMI-101",
    ),
    "an answer in another protocol": (
        "KeyMaterialResponse",
        b"\x02" + octets_of("KeyMaterialResponse")[1:],
        "MIMI-004",
    ),
    "clients of a refusal": (
        "KeyMaterialResponse",
        altered("KeyMaterialResponse", b"\x01\x00\x16mimi", b"\x01\x05\x16mimi"),
        "MIMI-006",
    ),
    "a Welcome as handshake": (
        "HandshakeBundle, commit",
        message(WELCOME).raw,
        "MIMI-011",
    ),
    "a GroupInfo as handshake": (
        "HandshakeBundle, commit",
        message(INFO).raw,
        "MIMI-011",
    ),
    "a KeyPackage as handshake": (
        "HandshakeBundle, commit",
        message(PACKAGE).raw,
        "MIMI-011",
    ),
    "a message of another version": (
        "HandshakeBundle, proposal",
        b"\x00\x02" + octets_of("HandshakeBundle, proposal")[2:],
        "MIMI-003",
    ),
    "a SemiPrivateMessage": (
        "HandshakeBundle, proposal",
        b"\x00\x01\xfb\x01" + octets_of("HandshakeBundle, proposal")[4:],
        "MIMI-003",
    ),
    "a commit among further proposals": (
        "HandshakeBundle, proposal",
        LEAVE.raw + vector([COMMIT.raw]),
        "MIMI-012",
    ),
    "a Welcome among further proposals": (
        "HandshakeBundle, proposal",
        LEAVE.raw + vector([message(WELCOME).raw]),
        "MIMI-012",
    ),
    "a GroupInfo in another representation": (
        "HandshakeBundle, commit",
        COMMIT.raw + b"\x00\x03",
        "MIMI-010",
    ),
    "a tree in another representation": (
        "HandshakeBundle, commit",
        COMMIT.raw + b"\x00\x01" + INFO.raw + b"\x05",
        "C07",
    ),
    "an optional Welcome that is 2": (
        "HandshakeBundle, commit",
        COMMIT.raw + b"\x02",
        "C06",
    ),
    "a description that is no text": (
        "UpdateRoomResponse, not allowed",
        b"\x02\x01\xff",
        "MIMI-013",
    ),
    "a description that is too long": (
        "UpdateRoomResponse, not allowed",
        b"\x02" + opaque(bytes(1_025)),
        "C03",
    ),
    "a handshake that is hidden": (
        "FanoutMessage, message",
        bytes(8) + private(ContentType.COMMIT).raw + b"\x00",
        "MIMI-353",
    ),
    "a fanned out tree elsewhere": (
        "FanoutMessage, welcome",
        bytes(8) + message(WELCOME).raw + b"\x03\x00",
        "MIMI-003",
    ),
    "no condition": ("IdentifierRequest", b"\x00\x00", "MIMI-014"),
    "17 conditions": (
        "IdentifierRequest",
        IdentifierRequest(
            elements=(QueryElement(search_type=1, value="x"),) * 17
        ).encode(),
        "C03",
    ),
    "a value that is no text": (
        "IdentifierRequest",
        b"\x03\x01\x01\xff\x00",
        "MIMI-100",
    ),
    "unsorted extensions": ("IdentifierRequest", b"\x03\x01\x01x" + UNSORTED, "E01"),
    "an extension twice": ("IdentifierRequest", b"\x03\x01\x01x" + TWICE, "E01"),
    "an optional room that is empty": (
        "ConsentEntry, request",
        altered("ConsentEntry, request", opaque(examples.ROOM.encode()), b"\x00"),
        "MIMI-001",
    ),
    "an optional room that is 2": (
        "ConsentEntry, cancel",
        octets_of("ConsentEntry, cancel")[:-2] + b"\x02\x00",
        "C06",
    ),
    "no accused": (
        "AbuseReport, anonymous",
        b"\x00\x00" + octets_of("AbuseReport, anonymous")[2:],
        "MIMI-001",
    ),
    "a note that is no text": (
        "AbuseReport, anonymous",
        b"\x00" + opaque(BOB.encode()) + b"\x00\x01\xff\x00\x00",
        "MIMI-100",
    ),
    "a GroupInfo in another protocol": (
        "GroupInfoResponse",
        b"\x00" + octets_of("GroupInfoResponse")[1:],
        "MIMI-004",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mc_009_what_is_refused(case: str) -> None:
    name, octets, rule = CASES[case]
    with pytest.raises(Malformed) as caught:
        EXAMPLES[name].decode(octets)
    assert caught.value.rule == rule, caught.value.detail


def test_an_empty_room_is_no_room() -> None:
    octets = octets_of("KeyMaterialRequest, no room")
    request = decode_key_material_request(octets)
    assert request.room == ""
    assert AppDataDictionary().encode() == b"\x00"
