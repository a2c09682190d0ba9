"""submitMessage: golden octets, and what is no answer."""

import pytest

from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.structs.submit import (
    Frank,
    OtherSubmitMessageRequest,
    SubmitMessageRequest,
    SubmitMessageResponse,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mls.framing import decode_message
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque
from tests.unit.mimi.world import AAD, World, uri

HELLO = b"\x00\x00" + opaque(b"hello")
"""Of the room's first media type."""
FRANK = Frank(
    bytes.fromhex("3cae307361d22f89186be258e635269d3abe6fcd54e65868da8599f1ca4d541f"),
    1,
    bytes.fromhex(
        "7f1efac60c800c51218f0c102727f071ede34e7bddca8eac9125bcc5efc3e435"
        "9cc15b32da77a871b60f1451e43cac1bed9e1f26166f15e14b3ddcb430297000"
    ),
)
AT = 1_644_387_225_019


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (
            SubmitMessageResponse(SubmitCode.ACCEPTED, AT, FRANK),
            "01000000017edd1dcdbb01" + FRANK.encode().hex(),
        ),
        (SubmitMessageResponse(SubmitCode.ACCEPTED, AT), "01000000017edd1dcdbb00"),
        (SubmitMessageResponse(SubmitCode.NOT_ALLOWED), "0101"),
        (
            SubmitMessageResponse(SubmitCode.EPOCH_TOO_OLD, current_epoch=7),
            "01020000000000000007",
        ),
    ],
)
def test_mc_014_the_golden_answers(
    response: SubmitMessageResponse, octets: str
) -> None:
    assert response.encode().hex() == octets
    assert decode_submit_response(bytes.fromhex(octets)) == response


def test_mc_014_the_golden_frank_has_100_octets() -> None:
    assert len(FRANK.encode()) == 100
    whole = SubmitMessageResponse(SubmitCode.ACCEPTED, AT, FRANK)
    assert len(whole.encode()) == 111


@pytest.mark.parametrize(
    ("octets", "rule"),
    [("0001", "MIMI-004"), ("010300", "C05"), ("010100", "C05"), ("0100", "C03")],
)
def test_mc_009_what_is_no_answer(octets: str, rule: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_submit_response(bytes.fromhex(octets))
    assert caught.value.rule == rule


def test_a_request_carries_a_message_and_its_sender() -> None:
    world = World.of()
    sent = world["ann"].encrypt(world.env, HELLO, aad=AAD).message
    request = SubmitMessageRequest(decode_message(sent), uri("ann"))
    octets = request.encode()
    read = decode_submit_request(octets)
    assert isinstance(read, SubmitMessageRequest)
    assert read.message.raw == sent
    assert read.sending_uri == uri("ann")
    assert read.encode() == octets
    with pytest.raises(Malformed) as caught:
        decode_submit_request(octets[:-1] + b"\xff")
    assert caught.value.rule == "MIMI-101"


def test_mc_010_another_protocol_and_an_unknown_code_are_kept() -> None:
    other = decode_submit_request(b"\x07anything")
    assert other == OtherSubmitMessageRequest(7, b"anything")
    assert other.encode() == b"\x07anything"
    answer = decode_submit_response(b"\x01\x63")
    assert answer == SubmitMessageResponse(0x63)
    assert answer.encode() == b"\x01\x63"
