"""All structs of the endpoints: one encoding each, strictly read."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.structs.fields import decode_whole, known
from sabir.mls.errors import MlsUnsupported
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader
from tests.unit.mimi.structs.examples import EXAMPLES, GOLDEN, golden_text

TAKES_THE_REST: Final = {name for name in EXAMPLES if "other protocol" in name}
"""What another protocol says is not ours to read."""
NAMES: Final = sorted(EXAMPLES)
STRICT: Final = sorted(EXAMPLES.keys() - TAKES_THE_REST)


def test_mc_014_no_encoding_has_changed() -> None:
    assert GOLDEN.read_text("utf-8") == golden_text()


@pytest.mark.parametrize("name", NAMES)
def test_each_comes_back(name: str) -> None:
    example = EXAMPLES[name]
    octets = example.value.encode()
    read = example.decode(octets)
    assert type(read) is type(example.value)
    assert read.encode() == octets


@pytest.mark.parametrize("name", STRICT)
def test_mc_009_cut_short_or_too_long(name: str) -> None:
    example = EXAMPLES[name]
    octets = example.value.encode()
    for length in range(len(octets)):
        with pytest.raises(Malformed):
            example.decode(octets[:length])
    with pytest.raises(Malformed):
        example.decode(octets + b"\x00")


@pytest.mark.parametrize("name", STRICT)
def test_mc_009_lengths_in_more_octets_than_needed(name: str) -> None:
    """Every one-octet length that becomes two or eight octets is refused.

    Where it was no length, what comes of it is refused too, or its own encoding.
    """
    example = EXAMPLES[name]
    octets = example.value.encode()
    refused = 0
    for at, first in enumerate(octets):
        if first > 0x3F:
            continue
        for longer in (b"\x40", b"\xc0\x00\x00\x00\x00\x00\x00"):
            altered = octets[:at] + longer + octets[at:]
            try:
                read = example.decode(altered)
            except Malformed as wrong:
                refused += wrong.rule in {"C01", "C02"}
            else:
                assert read.encode() == altered
    lengths = "UpdateRoomResponse", "SubmitMessageResponse"
    assert refused or name.startswith(lengths)


@given(data=st.data())
def test_mc_015_altered_octets_are_read_or_refused(data: st.DataObject) -> None:
    example = EXAMPLES[data.draw(st.sampled_from(NAMES))]
    octets = bytearray(example.value.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + 1] = data.draw(st.binary(max_size=4))
        if not octets:
            break
    try:
        read = example.decode(bytes(octets))
    except Malformed:
        return
    assert read.encode() == bytes(octets)


@given(octets=st.binary(max_size=200), name=st.sampled_from(NAMES))
def test_mc_015_any_octets_are_read_or_refused(octets: bytes, name: str) -> None:
    try:
        read = EXAMPLES[name].decode(octets)
    except Malformed:
        return
    assert read.encode() == octets


def test_mc_010_unknown_numbers_are_kept() -> None:
    assert known(SubmitCode, 2) is SubmitCode.EPOCH_TOO_OLD
    assert known(SubmitCode, 3) == 3


def test_what_mls_does_not_know_is_malformed() -> None:
    def read(reader: Reader) -> bytes:
        raise MlsUnsupported("credential type", reader.uint16())

    with pytest.raises(Malformed) as caught:
        decode_whole(b"\x00\x09", read)
    assert caught.value.rule == "MIMI-003"
    assert caught.value.detail == "credential type 0x0009"
