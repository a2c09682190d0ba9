"""The presentation language: what is written reads back, and nothing else reads."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire import tls
from sabir.wire.errors import Malformed, NotEncodable
from sabir.wire.tls import VECTOR_OCTETS_MAX, Reader, read_whole

LENGTHS = [0, 1, 63, 64, 65, 16_383, 16_384, 16_385, VECTOR_OCTETS_MAX]
HEADERS = ["00", "01", "3f", "4040", "4041", "7fff", "80004000", "80004001", "bfffffff"]


def refused(octets: bytes, read: Callable[[Reader], object]) -> str:
    """Return the rule that refuses."""
    with pytest.raises(Malformed) as wrong:
        read_whole(octets, read)
    return wrong.value.rule


@pytest.mark.parametrize(
    ("write", "read", "size"),
    [
        (tls.uint8, Reader.uint8, 1),
        (tls.uint16, Reader.uint16, 2),
        (tls.uint32, Reader.uint32, 4),
        (tls.uint64, Reader.uint64, 8),
    ],
)
def test_integers_are_in_network_order_and_whole(
    write: Callable[[int], bytes], read: Callable[[Reader], int], size: int
) -> None:
    for value in (0, 1, 0x7F, (1 << 8 * size) - 1):
        assert write(value) == value.to_bytes(size, "big")
        assert read_whole(write(value), read) == value
    assert refused(bytes(size - 1), read) == "C03"
    assert refused(bytes(size + 1), read) == "C05"
    for value in (-1, 1 << 8 * size):
        with pytest.raises(NotEncodable):
            write(value)


@pytest.mark.parametrize(("length", "header"), list(zip(LENGTHS, HEADERS, strict=True)))
def test_lengths_take_the_fewest_octets(length: int, header: str) -> None:
    assert tls.varint(length).hex() == header


@given(st.integers(0, 20_000))
def test_lengths_read_as_written(length: int) -> None:
    reader = Reader(tls.varint(length) + bytes(length))
    assert reader.length() == length


def test_a_vector_beyond_the_form_is_not_written() -> None:
    with pytest.raises(NotEncodable):
        tls.varint(VECTOR_OCTETS_MAX + 1)


@pytest.mark.parametrize("header", ["4000", "403f", "80000000", "80003fff"])
def test_c01_more_octets_than_needed_are_refused(header: str) -> None:
    assert refused(bytes.fromhex(header) + bytes(20_000), Reader.opaque) == "C01"


@pytest.mark.parametrize("first", [0xC0, 0xFF])
def test_c02_the_prefix_that_means_nothing_is_refused(first: int) -> None:
    assert refused(bytes((first,)) + bytes(7), Reader.opaque) == "C02"


@pytest.mark.parametrize("octets", [b"", b"\x02a", b"\x40", b"\x80\x00\x40", b"\x7fff"])
def test_c03_a_length_beyond_the_input_is_refused(octets: bytes) -> None:
    assert refused(octets, Reader.opaque) == "C03"


def test_c03_a_length_beyond_the_limit_is_refused() -> None:
    octets = tls.opaque(b"abc")
    assert read_whole(octets, lambda reader: reader.opaque(3)) == b"abc"
    assert refused(octets, lambda reader: reader.opaque(2)) == "C03"
    assert refused(octets, lambda reader: reader.vector(Reader.uint8, 2)) == "C03"


def test_c03_a_vector_of_too_many_elements_is_refused_before_the_next() -> None:
    read = 0

    def element(reader: Reader) -> int:
        nonlocal read
        read += 1
        return reader.uint8()

    octets = tls.opaque(b"abc")
    whole = read_whole(octets, lambda reader: reader.vector(element, count_max=3))
    assert whole == (97, 98, 99)
    read = 0
    assert refused(octets, lambda reader: reader.vector(element, count_max=2)) == "C03"
    assert read == 2


@pytest.mark.parametrize("nested", [0, 1, 5])
def test_c03_a_claim_allocates_nothing(nested: int) -> None:
    claim = tls.varint(VECTOR_OCTETS_MAX) + bytes(10)
    read: Callable[[Reader], object] = Reader.opaque
    for _ in range(nested):
        claim, read = tls.opaque(claim), _vector_of(read)
    tracemalloc.start()
    assert refused(claim, read) in {"C03", "C04"}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def _vector_of(read: Callable[[Reader], object]) -> Callable[[Reader], object]:
    return lambda reader: reader.vector(read)


@given(st.lists(st.binary(max_size=100)))
def test_a_vector_reads_as_written(items: list[bytes]) -> None:
    octets = tls.vector(map(tls.opaque, items))
    assert read_whole(octets, lambda reader: reader.vector(Reader.opaque)) == (*items,)


def test_c04_an_element_that_runs_over_its_vector_is_refused() -> None:
    octets = tls.opaque(b"\x01a\x02b") + b"c"
    with pytest.raises(Malformed, match="element 1") as wrong:
        read_whole(octets, lambda reader: reader.vector(Reader.opaque))
    assert wrong.value.rule == "C04"


def test_a_fault_inside_an_element_keeps_its_rule() -> None:
    octets = tls.opaque(b"\xff")
    assert refused(octets, lambda reader: reader.vector(Reader.opaque)) == "C02"


def test_c05_octets_behind_the_value_are_refused() -> None:
    assert refused(b"\x01ab", Reader.opaque) == "C05"


@given(st.none() | st.binary(max_size=10))
def test_an_optional_reads_as_written(data: bytes | None) -> None:
    octets = tls.optional(None if data is None else tls.opaque(data))
    assert read_whole(octets, lambda reader: reader.optional(Reader.opaque)) == data


@pytest.mark.parametrize("octet", [2, 255])
def test_c06_another_presence_octet_is_refused(octet: int) -> None:
    octets = bytes((octet,)) + b"\x01a"
    assert refused(octets, lambda reader: reader.optional(Reader.opaque)) == "C06"


def test_what_was_taken_can_be_had_again() -> None:
    reader = Reader(b"ab\x02cdef")
    reader.fixed(2)
    start = reader.position
    reader.opaque()
    assert reader.since(start) == b"\x02cd"


def test_values_are_copies_that_keep_no_message_alive() -> None:
    value = read_whole(tls.opaque(b"abc"), Reader.opaque)
    assert type(value) is bytes
    assert len(value) == 3
