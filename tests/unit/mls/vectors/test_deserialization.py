"""deserialization: the length in front of a vector, read and written."""

import pytest

from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)
from sabir.wire.tls import Reader, varint


@for_each("deserialization")
def test_the_length_is_read_and_written(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("deserialization"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    check_can_fail(check, load(case))


def check(vector: Strict) -> None:
    header, length = vector.octets("vlbytes_header"), vector["length"]
    reader = Reader(header + bytes(length))
    assert reader.length() == length
    assert reader.position == len(header)
    assert varint(length) == header
