"""Octets as text, by their coding."""

import pytest

from sabir.errors import PeerMisbehaved
from sabir.networks.sms.gsm import Alphabet
from sabir.networks.sms.pdu import Address, Message, Tag
from sabir.networks.sms.text import Words, content_of, words_of
from sabir.networks.sms.udh import Concatenation

ADA = Address(ton=1, npi=1, digits="123")
G = Alphabet.GSM7


def message(octets: bytes, coding: int = 0, esm: int = 0, **options: bytes) -> Message:
    tags = {int(Tag[name]): value for name, value in options.items()}
    return Message(
        source=ADA,
        destination=ADA,
        octets=octets,
        data_coding=coding,
        esm_class=esm,
        options=tags,
    )


@pytest.mark.parametrize(
    ("octets", "coding", "text", "lost"),
    [
        (b"\x00\x1b\x65", 0, "@€", ()),
        (b"\xc1", 0, "\xc1", ("characters outside of the alphabet",)),
        (b"abc", 1, "abc", ()),
        (b"\xff", 1, "\ufffd", ("characters outside of the alphabet",)),
        (b"\xe9", 3, "é", ()),
        (b"\xb6", 6, "Ж", ()),
        (b"\xe0", 7, "א", ()),
        ("ж😀".encode("utf-16-be"), 8, "ж😀", ()),
        (b"\x04", 8, "\ufffd", ("half a character",)),
        ("ж".encode("utf-16-be"), 0x18, "ж", ()),
        (b"\x00", 0xF0, "@", ()),
        (b"\x00", 0x11, "@", ()),
        (b"abc", 13, "abc", ("an unknown alphabet, number 13",)),
    ],
)
def test_codings(octets: bytes, coding: int, text: str, lost: tuple[str, ...]) -> None:
    assert words_of([message(octets, coding)], G) == Words(text=text, lost=lost)


@pytest.mark.parametrize("coding", [2, 4, 0x14, 0xF4])
def test_binary_is_no_text(coding: int) -> None:
    assert words_of([message(b"\1\2", coding)], G).text is None


def test_the_default_alphabet_is_a_setting() -> None:
    assert words_of([message(b"\xe9@")], Alphabet.LATIN1).text == "é@"


def test_a_pair_cut_by_somebody_is_joined() -> None:
    octets = "😀".encode("utf-16-be")
    parts = [message(octets[:2], 8), message(octets[2:], 8)]
    assert words_of(parts, G).text == "😀"


def test_a_missing_part_is_said() -> None:
    parts = [message(b"one "), None, message(b" three")]
    assert words_of(parts, G).text == "one [part 2 of 3 missing] three"


def test_headers_and_options_say_which_part() -> None:
    part = Concatenation(reference=5, total=2, number=1)
    udh = message(b"\x05\x00\x03\x05\x02\x01x", esm=0x43)
    assert content_of(udh).header.concatenation == part
    assert words_of([udh], G).text == "x"
    sar = message(
        b"x",
        SAR_MSG_REF_NUM=b"\1\5",
        SAR_TOTAL_SEGMENTS=b"\2",
        SAR_SEGMENT_SEQNUM=b"\1",
    )
    found = content_of(sar).header.concatenation
    assert found == Concatenation(reference=0x105, total=2, number=1, wide=True)
    alone = message(
        b"x",
        SAR_MSG_REF_NUM=b"\1\5",
        SAR_TOTAL_SEGMENTS=b"\1",
        SAR_SEGMENT_SEQNUM=b"\1",
    )
    assert content_of(alone).header.concatenation is None


def test_national_tables_and_broken_headers() -> None:
    shifted = message(b"\x03\x24\x01\x01x", esm=0x40)
    assert words_of([shifted], G).lost == ("characters of a national alphabet",)
    with pytest.raises(PeerMisbehaved, match="SMPP-006"):
        words_of([message(b"\x09", esm=0x40)], G)
