"""Receipts in the spellings of several SMSCs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.sms.pdu import Address, Message, Tag
from sabir.networks.sms.receipts import (
    Fate,
    is_receipt,
    is_text,
    other_bases,
    plain_id,
    read,
)

ADA = Address(ton=1, npi=1, digits="123")


def message(esm_class: int = 4, **options: bytes) -> Message:
    tags = {int(Tag[name]): value for name, value in options.items()}
    return Message(
        source=ADA, destination=ADA, octets=b"", esm_class=esm_class, options=tags
    )


def test_what_the_standard_shows() -> None:
    receipt = read(
        message(),
        "id:0000A1 sub:001 dlvrd:001 submit date:2601022359 done date:2601030001"
        " stat:UNDELIV err:012 text:id: hello stat:x",
    )
    assert receipt.message_id == "0000A1"
    assert (receipt.fate, receipt.word, receipt.error) == (
        Fate.FAILED,
        "UNDELIV",
        "012",
    )
    assert receipt.submitted == "2601022359"
    assert receipt.start == "id: hello stat:x"


def test_other_orders_and_spellings() -> None:
    receipt = read(
        message(), "Id: 7 Stat:delivrd Err: 0 Submit_Date:260102235959 Text:hi"
    )
    assert receipt.message_id == "7"
    assert receipt.fate is Fate.DELIVERED
    assert receipt.submitted == "2601022359"
    assert receipt.start == "hi"


def test_options_come_first() -> None:
    receipt = read(
        message(
            RECEIPTED_MESSAGE_ID=b"abc\0",
            MESSAGE_STATE=b"\x05",
            USER_MESSAGE_REFERENCE=b"\1\2",
        ),
        "id:7 stat:DELIVRD",
    )
    assert receipt.message_id == "abc"
    assert receipt.fate is Fate.FAILED
    assert receipt.reference == 0x102


@pytest.mark.parametrize(
    ("word", "fate"),
    [
        ("DELIVRD", Fate.DELIVERED),
        ("EXPIRED", Fate.FAILED),
        ("REJECTD", Fate.FAILED),
        ("ENROUTE", Fate.UNDERWAY),
        ("ACCEPTD", Fate.UNDERWAY),
        ("NEWWORD", Fate.UNDERWAY),
    ],
)
def test_words_have_fates(word: str, fate: Fate) -> None:
    assert read(message(), f"id:7 stat:{word}").fate is fate


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    receipt = read(message(), text)
    assert len(receipt.start) <= 20
    assert len(receipt.message_id) <= 64


def test_kinds() -> None:
    assert is_receipt(message(0x04))
    assert is_receipt(message(0x20))
    assert is_text(message(0x43))
    assert not is_text(message(0x08))
    assert not is_receipt(message(0x08))


def test_ids_are_compared_in_both_bases() -> None:
    assert plain_id(" 00A1 ") == "a1"
    assert plain_id("000") == "0"
    assert other_bases("1000") == ("3e8", "4096")
    assert other_bases("3E8") == ("1000",)
    assert other_bases("x-1") == ()
