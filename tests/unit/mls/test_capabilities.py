"""Capabilities: one object for equal octets."""

import pytest
from hypothesis import given

from sabir.mls.capabilities import Capabilities, read_capabilities
from sabir.mls.struct import NUMBERS_OCTETS_MAX
from sabir.testing.mls.structs import capabilities, fields_of
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole


@given(capabilities)
def test_capabilities_read_as_written(given_ones: Capabilities) -> None:
    again = read_whole(given_ones.raw, read_capabilities)
    assert fields_of(again) == fields_of(given_ones)
    assert read_whole(given_ones.raw, read_capabilities) is again


def test_default_types_need_not_be_listed() -> None:
    listed = Capabilities((1,), (1,), (9,), (10,), (1,))
    assert [kind for kind in range(12) if listed.supports_extension(kind)] == [
        *range(1, 6),
        9,
    ]
    assert [kind for kind in range(12) if listed.supports_proposal(kind)] == [
        *range(1, 8),
        10,
    ]


@pytest.mark.parametrize("place", range(5))
def test_a_list_of_more_numbers_than_there_can_be_is_refused(place: int) -> None:
    lists = [b""] * 5
    lists[place] = bytes(NUMBERS_OCTETS_MAX + 2)
    with pytest.raises(Malformed) as wrong:
        read_whole(b"".join(map(opaque, lists)), read_capabilities)
    assert wrong.value.rule == "C03"


@pytest.mark.parametrize("place", range(5))
def test_half_a_number_is_refused_in_each_list(place: int) -> None:
    lists = [b""] * 5
    lists[place] = b"abc"
    with pytest.raises(Malformed) as wrong:
        read_whole(b"".join(map(opaque, lists)), read_capabilities)
    assert wrong.value.rule == "C04"
