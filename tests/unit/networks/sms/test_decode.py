"""Stored events and what they mean: golden, and broken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatId,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    Posted,
    ReactionAdded,
    ReactionsReplaced,
)
from sabir.networks.sms.decode import Reading, decode_event
from sabir.networks.sms.envelope import Envelope, Role, pack, unpack
from sabir.networks.sms.pdu import Address, Command, Message, Pdu, encode

HELLO = (
    '{"v": 1, "role": "message", "pdus": ["0000003b000000050000000000000001000101'
    "31353535303030313131310000003135353530303032323232000000000000000008000400"
    'e92713"]}'
)
"""A deliver_sm of npm `smpp`: UCS-2, from +15550001111."""
TARGET = NativeId("t")


def event(payload: bytes) -> NativeEvent:
    return NativeEvent(chat=ChatId("c"), native_id=NativeId("n"), payload=payload)


def said(text: str, source: Address | None = None, coding: int = 8) -> bytes:
    ada = Address(ton=1, npi=1, digits="15550001111")
    message = Message(
        source=source or ada,
        destination=ada,
        octets=text.encode("utf-16-be"),
        data_coding=coding,
    )
    return encode(Pdu(command=Command.DELIVER_SM, sequence=1, body=message))


def meaning(envelope: Envelope) -> Incoming:
    return decode_event(event(pack(envelope)), Reading())


def test_a_message_as_it_came() -> None:
    incoming = decode_event(event(HELLO.encode()), Reading())
    assert incoming.sender.id == "+15550001111"
    assert incoming.action == Posted(text=Rich.plain("é✓"))
    assert incoming.sent_at == 0


@pytest.mark.parametrize(
    ("role", "text", "action"),
    [
        (Role.MESSAGE, "Loved “x”", Posted(text=Rich.plain("Loved “x”"))),
        (
            Role.REACTION,
            "Loved “x”",
            ReactionsReplaced(target=TARGET, emoji=("❤️",)),
        ),
        (
            Role.REACTION,
            "Removed a heart from “x”",
            ReactionsReplaced(target=TARGET, emoji=()),
        ),
        (Role.REACTION, 'reacted 🎉 to "x"', ReactionAdded(target=TARGET, emoji="🎉")),
        (
            Role.ANSWER,
            "> x\nyes",
            Posted(text=Rich.plain("yes"), reply_to=TARGET),
        ),
        (
            Role.ANSWER,
            "> x\nCorrection: yes",
            Posted(text=Rich.plain("yes"), reply_to=TARGET),
        ),
        (
            Role.CORRECTION,
            "Edited to “yes”",
            Corrected(target=TARGET, text=Rich.plain("yes")),
        ),
        (
            Role.COMPLETED,
            "all of it",
            Corrected(target=TARGET, text=Rich.plain("all of it")),
        ),
        (Role.REACTION, "no form", Posted(text=Rich.plain("no form"))),
    ],
)
def test_roles(role: Role, text: str, action: Action) -> None:
    assert meaning(Envelope(role=role, pdus=(said(text),), target=TARGET)).action == (
        action
    )


def test_a_name_is_shown_as_unverified() -> None:
    bank = Address(ton=5, npi=0, digits="BANK")
    incoming = meaning(Envelope(pdus=(said("code 1", bank),)))
    assert incoming.sender.name == "BANK (unverified)"


def test_a_binary_message_is_said_to_be_lost() -> None:
    incoming = meaning(Envelope(pdus=(said("x", coding=4),)))
    assert incoming.action == Posted()
    assert incoming.lost == ("a binary message, which nobody can read",)


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        (
            "UNDELIV",
            "12",
            "it cannot be delivered to this number (UNDELIV, error 12)",
        ),
        ("EXPIRED", "000", "the phone could not be reached in time (EXPIRED)"),
        ("", "", "the carrier does not say why (UNKNOWN)"),
    ],
)
def test_a_failure_answers_its_message(word: str, error: str, says: str) -> None:
    envelope = Envelope(role=Role.FAILED, target=TARGET, word=word, error=error)
    action = meaning(envelope).action
    assert isinstance(action, Posted)
    assert action.text is not None
    assert to_plain(action.text) == f"Not delivered by SMS: {says}."
    assert action.reply_to == TARGET


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"v": 2, "role": "message", "pdus": []}',
        b'{"v": 1, "role": "message", "pdus": []}',
        b'{"v": 1, "role": "message", "pdus": [null]}',
        b'{"v": 1, "role": "message", "pdus": "00"}',
        b'{"v": 1, "role": "strange", "pdus": []}',
        b'{"v": 1, "role": "message", "pdus": ["xy"]}',
        b'{"v": 1, "role": "message", "pdus": [], "target": 1}',
        b"[" * 100_000,
        json.dumps(
            {"v": 1, "role": "message", "pdus": ["00000010000000150000000000000001"]}
        ).encode(),
    ],
)
def test_what_we_did_not_store_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerMisbehaved) as refused:
        decode_event(event(payload), Reading())
    assert refused.value.rule == "SMPP-007"


@given(
    st.builds(
        Envelope,
        role=st.sampled_from(Role),
        pdus=st.lists(st.none() | st.binary(max_size=40), max_size=5).map(tuple),
        target=st.text(max_size=40),
    )
)
def test_envelopes_come_back(envelope: Envelope) -> None:
    assert unpack(pack(envelope)) == envelope
