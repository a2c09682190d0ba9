"""Headers in front of the text."""

import pytest

from sabir.errors import PeerMisbehaved
from sabir.networks.sms.udh import Concatenation, Header, divide, header


def test_what_we_write_we_read() -> None:
    part = Concatenation(reference=7, total=3, number=2)
    assert divide(header(part) + b"text") == (Header(concatenation=part), b"text")


def test_sixteen_bits_are_another_numbering() -> None:
    found, rest = divide(bytes.fromhex("06080401020302") + b"x")
    part = Concatenation(reference=0x0102, total=3, number=2, wide=True)
    assert (found.concatenation, rest) == (part, b"x")


def test_national_tables_are_noticed() -> None:
    assert divide(bytes.fromhex("03240101") + b"x")[0].shifted


@pytest.mark.parametrize("octets", ["050003070000", "050003070204", "050003070200"])
def test_a_part_of_nothing_is_no_part(octets: str) -> None:
    assert divide(bytes.fromhex(octets))[0].concatenation is None


@pytest.mark.parametrize("octets", ["", "05", "0500030701", "020005", "0100"])
def test_a_header_beyond_the_message_is_refused(octets: str) -> None:
    with pytest.raises(PeerMisbehaved) as refused:
        divide(bytes.fromhex(octets))
    assert refused.value.rule == "SMPP-006"


def test_an_empty_header_is_one() -> None:
    assert divide(b"\0text") == (Header(), b"text")
