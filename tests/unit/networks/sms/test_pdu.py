"""PDUs against octets written down from the specification, and bad ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.errors import PeerMisbehaved
from sabir.networks.sms.pdu import (
    Accepted,
    Address,
    Bind,
    Body,
    Bound,
    Command,
    Empty,
    Framer,
    Message,
    Other,
    Pdu,
    Tag,
    decode,
    encode,
    sender_of,
)

ADA = Address(ton=1, npi=1, digits="123")

texts = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=12)
octet = st.integers(0, 255)
addresses = st.builds(Address, ton=octet, npi=octet, digits=texts)
messages = st.builds(
    Message,
    source=addresses,
    destination=addresses,
    octets=st.binary(max_size=400),
    esm_class=octet,
    registered_delivery=octet,
    data_coding=octet,
    validity=texts,
    options=st.dictionaries(
        st.sampled_from([Tag.SAR_MSG_REF_NUM, Tag.MESSAGE_STATE, 0x1400]),
        st.binary(max_size=8),
    ),
)


def test_a_bind_is_as_the_specification_shows_it() -> None:
    """SMPP 3.4 section 3.3: the example of a bind_transmitter, as a transceiver."""
    bind = Bind(system_id="SMPP3TEST", password=b"secret08", system_type="SUBMIT1")
    octets = encode(Pdu(command=Command.BIND_TRANSCEIVER, sequence=1, body=bind))
    assert octets == bytes.fromhex(
        "0000002f000000090000000000000001"
        "534d50503354455354007365637265743038005355424d4954310034000000"
    )
    assert decode(octets).body == bind
    assert "secret08" not in repr(bind)


def test_numbers_and_texts_are_not_in_a_repr() -> None:
    message = Message(source=ADA, destination=ADA, octets=b"private")
    assert "123" not in repr(message)
    assert "private" not in repr(message)


@given(messages, st.integers(0, 2**31), st.integers(0, 255))
def test_messages_come_back(message: Message, sequence: int, status: int) -> None:
    pdu = Pdu(
        command=Command.DELIVER_SM, sequence=sequence, status=status, body=message
    )
    assert decode(encode(pdu)) == pdu


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (Command.BIND_TRANSCEIVER_RESP, Bound(system_id="lab")),
        (Command.SUBMIT_SM_RESP, Accepted(message_id="0a1")),
        (Command.UNBIND, Empty()),
        (0x00000103, Other()),
    ],
)
def test_other_bodies_come_back(command: int, body: Body) -> None:
    pdu = Pdu(command=command, sequence=1, body=body)
    assert decode(encode(pdu)) == pdu


@pytest.mark.parametrize(
    "command", [Command.SUBMIT_SM_RESP, Command.BIND_TRANSCEIVER_RESP]
)
def test_a_refusal_may_have_no_body(command: Command) -> None:
    pdu = Pdu(command=command, sequence=1, status=0x58, body=Empty())
    assert decode(encode(pdu)).status == 0x58


def test_a_payload_counts_where_the_short_message_is_empty() -> None:
    long = Message(source=ADA, destination=ADA, octets=b"x" * 255)
    octets = encode(Pdu(command=Command.SUBMIT_SM, sequence=1, body=long))
    assert b"\x04\x24\x00\xff" in octets
    assert decode(octets).body == long


def _deliver(body: bytes) -> bytes:
    head = (16 + len(body)).to_bytes(4) + b"\0\0\0\x05" + bytes(4) + b"\0\0\0\x01"
    return head + body


ADDRESSES = b"\0" + b"\1\x01123\0" * 2
REST = b"\0\0\0" + b"\0\0" + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (b"\0" * 15, "SMPP-001"),
        (b"\0\0\0\x11" + b"\0" * 12, "SMPP-001"),
        (_deliver(ADDRESSES + b"\0"), "SMPP-002"),
        (_deliver(ADDRESSES + REST + b"\x05hi"), "SMPP-002"),
        (_deliver(b"\0\1\1" + b"9" * 21 + b"\0"), "SMPP-003"),
        (_deliver(b"unending"), "SMPP-003"),
        (_deliver(ADDRESSES + REST + b"\x02hi" + b"\4\x24\0"), "SMPP-004"),
        (_deliver(ADDRESSES + REST + b"\x02hi" + b"\4\x24\0\5hi"), "SMPP-004"),
        (_deliver(ADDRESSES + REST + b"\xff" + b"x" * 255), "SMPP-005"),
    ],
)
def test_what_is_malformed_breaks_a_rule(octets: bytes, rule: str) -> None:
    with pytest.raises(PeerMisbehaved) as refused:
        decode(octets)
    assert refused.value.rule == rule


def test_our_own_fields_have_limits() -> None:
    bind = Bind(system_id="x" * 16, password=b"")
    with pytest.raises(PeerMisbehaved, match="SMPP-003"):
        encode(Pdu(command=Command.BIND_TRANSCEIVER, sequence=1, body=bind))
    huge = Message(source=ADA, destination=ADA, octets=b"x" * 70_000)
    with pytest.raises(PeerMisbehaved, match="SMPP-005"):
        encode(Pdu(command=Command.SUBMIT_SM, sequence=1, body=huge))


def test_the_sender_is_read_as_far_as_that_goes() -> None:
    assert sender_of(_deliver(ADDRESSES + b"\0")) == ADA
    assert sender_of(_deliver(b"\0\1")) is None


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 40))
def test_a_stream_is_cut_where_pdus_end(bodies: list[bytes], step: int) -> None:
    whole = [_deliver(body) for body in bodies]
    stream = b"".join(whole)
    framer = Framer()
    found = [
        pdu
        for at in range(0, len(stream), step)
        for pdu in framer.feed(stream[at : at + step])
    ]
    assert found == whole


@pytest.mark.parametrize("length", [0, 15, 2**17, 2**32 - 1])
def test_a_length_that_no_pdu_has_ends_the_stream(length: int) -> None:
    with pytest.raises(PeerMisbehaved, match="SMPP-001"):
        list(Framer().feed(length.to_bytes(4) + bytes(12)))
