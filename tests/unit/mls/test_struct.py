"""Structs keep their octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls.commit import ProposalReference
from sabir.mls.proposals import ExternalInit, Remove
from sabir.mls.struct import (
    NUMBERS_OCTETS_MAX,
    read_uint16s,
    skip_vector,
    unsigned,
    write_uint16s,
)
from sabir.testing.mls.structs import octets, uint16s
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole


def test_octets_are_composed_only_where_none_came_in() -> None:
    assert Remove(7).raw == b"\x00\x03\x00\x00\x00\x07"
    assert Remove(7, b"as it came").raw == b"as it came"


def test_equal_octets_of_one_type_are_equal() -> None:
    assert Remove(7) == Remove(7)
    assert hash(Remove(7)) == hash(Remove(7))
    assert Remove(7) != Remove(8)


def test_other_types_are_never_equal() -> None:
    assert Remove(7, b"same") != ExternalInit(b"", b"same")
    assert Remove(7) != ProposalReference(b"")


@given(octets, st.binary(max_size=20_000))
def test_the_signature_is_cut_off_with_its_length(
    content: bytes, signature: bytes
) -> None:
    assert unsigned(content + opaque(signature), signature) == content


@given(octets, octets)
def test_a_skipped_vector_leaves_the_reader_behind_it(one: bytes, two: bytes) -> None:
    reader = Reader(opaque(one) + opaque(two))
    skip_vector(reader)
    assert reader.opaque() == two


@given(st.lists(uint16s).map(tuple))
def test_numbers_read_as_written(numbers: tuple[int, ...]) -> None:
    assert read_whole(write_uint16s(numbers), read_uint16s) == numbers


def test_a_list_of_more_numbers_than_there_can_be_is_refused() -> None:
    most = NUMBERS_OCTETS_MAX // 2
    assert len(read_whole(write_uint16s((7,) * most), read_uint16s)) == most
    with pytest.raises(Malformed) as wrong:
        read_whole(write_uint16s((7,) * (most + 1)), read_uint16s)
    assert wrong.value.rule == "C03"


def test_half_a_number_is_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(b"\x03abc", read_uint16s)
    assert wrong.value.rule == "C04"
