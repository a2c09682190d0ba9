"""The alphabet, and where a text is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.sms import gsm
from sabir.networks.sms.gsm import Alphabet, Coding, encode

ALPHABET = "".join(c for c in gsm.BASIC if c != "\x1b") + "".join(
    gsm.EXTENSION.values()
)


@given(st.text(ALPHABET, max_size=400))
def test_every_text_of_the_alphabet_comes_back(text: str) -> None:
    assert gsm.decode_septets(gsm.encode_septets(text)) == (text, True)


@pytest.mark.parametrize(
    ("octets", "text"),
    [(b"\x1b", ""), (b"\x1bA", "A"), (b"\x1b\x1b", " "), (b"\xe9", "é")],
)
def test_what_has_no_meaning_is_shown_and_said(octets: bytes, text: str) -> None:
    assert gsm.decode_septets(octets) == (text, False)


@given(st.text(max_size=900))
def test_parts_are_the_text_and_each_fits(text: str) -> None:
    encoded = encode(text, Alphabet.GSM7)
    if encoded is None:
        assert len(text) > 500
        return
    composed = "".join(encoded.texts)
    octets = b"".join(encoded.parts)
    if encoded.coding is Coding.UCS2:
        assert octets.decode("utf-16-be", errors="replace") == composed.encode(
            "utf-16-be", "replace"
        ).decode("utf-16-be")
        most = 140 if len(encoded.parts) == 1 else 134
    else:
        assert gsm.decode_septets(octets) == (composed, True)
        most = 160 if len(encoded.parts) == 1 else 153
    assert all(len(part) <= most for part in encoded.parts)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("a" * 160, [160]),
        ("a" * 161, [153, 8]),
        ("a" * 152 + "€" + "b" * 8, [152, 10]),
        ("ж" * 70, [140]),
        ("ж" * 71, [134, 8]),
        ("ж" * 66 + "😀" + "ж" * 5, [132, 14]),
        ("a" * 1530, [153] * 10),
    ],
)
def test_no_escape_or_surrogate_pair_is_cut(text: str, lengths: list[int]) -> None:
    encoded = encode(text, Alphabet.GSM7)
    assert encoded is not None
    assert [len(part) for part in encoded.parts] == lengths


def test_a_family_stays_together() -> None:
    family = "👩‍👩‍👧‍👦"
    encoded = encode("ж" * 60 + family + "ж" * 9, Alphabet.GSM7)
    assert encoded is not None
    assert family in encoded.texts[1]


def test_a_cluster_longer_than_a_message_is_cut_between_characters() -> None:
    encoded = encode("a" + "\u0301" * 100, Alphabet.GSM7)
    assert encoded is not None
    assert [len(text) for text in encoded.texts] == [67, 34]


@pytest.mark.parametrize("text", ["a" * 1531, "ж" * 671, "€" * 761])
def test_more_than_ten_parts_are_too_many(text: str) -> None:
    assert encode(text, Alphabet.GSM7) is None


def test_nothing_is_transliterated() -> None:
    encoded = encode("naïve ç", Alphabet.GSM7)
    assert encoded is not None
    assert encoded.coding is Coding.UCS2


def test_latin1_peers_get_latin1_of_what_the_air_can_carry() -> None:
    encoded = encode("ä{", Alphabet.LATIN1)
    assert encoded is not None
    assert (encoded.coding, encoded.parts) == (Coding.DEFAULT, (b"\xe4{",))
    greek = encode("ΔΔ", Alphabet.LATIN1)
    assert greek is not None
    assert greek.coding is Coding.UCS2
