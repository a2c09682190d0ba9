"""What devices tell each other, and who wrote it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mimi.agent_api.device_messages import (
    DeviceMessage,
    HistoryAsk,
    HistoryGift,
    decode_device_message,
    sign_message,
)
from sabir.wire.errors import Malformed

SUITE = SUITES[1]
PRIVATE, PUBLIC = signature_key_pair(SUITE, os.urandom(SUITE.signature.private_octets))
PHONE = "mimi://a.example/d/ann/phone"
LAPTOP = "mimi://a.example/d/ann/laptop"
ROOM = "mimi://a.example/r/tea"
ASK = HistoryAsk(public_key=b"key")
GIFT = HistoryGift(room=ROOM, enc=b"enc", ciphertext=b"sealed")


def message(said: HistoryAsk | HistoryGift, sender: str = PHONE) -> DeviceMessage:
    return DeviceMessage(
        sender=sender,
        recipient=LAPTOP,
        at=Instant(7),
        ask_id=bytes(range(16)),
        said=said,
    )


@pytest.mark.parametrize("said", [ASK, GIFT])
def test_a_message_is_read_as_it_was_signed(said: HistoryAsk | HistoryGift) -> None:
    signed = sign_message(SUITE, PRIVATE, message(said))
    found = decode_device_message(signed.encode())
    assert found == signed
    assert found.is_by(SUITE, PUBLIC)


def test_golden_octets_of_a_question() -> None:
    assert message(ASK).encode().hex() == (
        "0101"
        "1c6d696d693a2f2f612e6578616d706c652f642f616e6e2f70686f6e65"
        "1d6d696d693a2f2f612e6578616d706c652f642f616e6e2f6c6170746f70"
        "0000000000000007000102030405060708090a0b0c0d0e0f036b6579"
    )


def test_nobody_else_can_have_signed_it() -> None:
    signed = sign_message(SUITE, PRIVATE, message(ASK))
    _, other = signature_key_pair(SUITE, os.urandom(SUITE.signature.private_octets))
    assert not signed.is_by(SUITE, other)
    changed = sign_message(SUITE, PRIVATE, message(GIFT))
    mixed = type(signed)(signed.message, changed.signature)
    assert not mixed.is_by(SUITE, PUBLIC)


@pytest.mark.parametrize(
    ("rule", "octets"),
    [
        ("MIMI-391", b"\x02" + message(ASK).encode()[1:] + b"\x00"),
        ("MIMI-392", b"\x01\x03" + message(ASK).encode()[2:] + b"\x00"),
        ("MIMI-393", message(ASK, sender=ROOM).encode() + b"\x00"),
        ("MIMI-393", message(ASK, sender="phone").encode() + b"\x00"),
        ("C05", message(ASK).encode() + b"\x00\x00"),
    ],
)
def test_what_is_none_is_refused(rule: str, octets: bytes) -> None:
    with pytest.raises(Malformed, match=f"rule {rule}"):
        decode_device_message(octets)


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_octets_are_a_message_or_malformed(junk: bytes, at: int) -> None:
    whole = sign_message(SUITE, PRIVATE, message(GIFT)).encode()
    for octets in (junk, whole[:at] + junk + whole[at + len(junk) :]):
        try:
            found = decode_device_message(octets)
        except Malformed:
            continue
        assert found.encode() == octets
