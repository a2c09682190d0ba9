"""Deterministic CBOR: one encoding per value, and no other is accepted."""

import math
from typing import Any

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sabir.testing.strategies import damaged, values
from sabir.wire.cbor import Limits, Tag, decode, encode
from sabir.wire.errors import Malformed, NotEncodable


@given(value=values)
def test_a_value_survives(value: Any) -> None:
    assert decode(encode(value)) == value


@given(octets=st.binary(max_size=24) | damaged(values.map(encode)))
@example(b"\xf9\x7e\x00")
@example(b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00")
@example(b"\xa2\x01\x02\x00\x02")
def test_what_is_accepted_has_no_other_form(octets: bytes) -> None:
    try:
        value = decode(octets)
    except Malformed:
        return
    assert encode(value) == octets


def _foreign(value: Any) -> Any:
    """Return our value as the other implementation has it."""
    match value:
        case tuple():
            return [_foreign(each) for each in value]
        case dict():
            return {key: _foreign(each) for key, each in value.items()}
        case Tag(number=number, value=inner):
            return cbor2.CBORTag(number, _foreign(inner))
        case _:
            return value


def _has(value: Any, kind: type) -> bool:
    match value:
        case Tag(value=inner):
            return kind is Tag or _has(inner, kind)
        case tuple():
            return any(_has(each, kind) for each in value)
        case dict():
            return kind is dict or any(_has(each, kind) for each in value.values())
        case _:
            return False


# Tags with a meaning of their own are turned into objects by the other side.
@given(value=values.filter(lambda value: not _has(value, Tag)))
def test_another_implementation_reads_the_same(value: Any) -> None:
    assert cbor2.loads(encode(value)) == _foreign(value)


# Its "canonical" order of keys is the length-first one, which is not ours.
@given(value=values.filter(lambda value: not _has(value, dict)))
def test_another_implementation_writes_the_same(value: Any) -> None:
    assert cbor2.dumps(_foreign(value), canonical=True) == encode(value)


def test_mc_094_keys_are_in_bytewise_order_of_their_encodings() -> None:
    octets = encode({"bb": 5, "a": 4, -1: 3, 256: 2, 24: 1})
    assert octets.hex() == "a518180119010002200361610462626205"


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65536, "1a00010000"),
        (1 << 32, "1b0000000100000000"),
        (-1, "20"),
        (-(1 << 64), "3bffffffffffffffff"),
        (1.5, "f93e00"),
        (100000.0, "fa47c35000"),
        (1.1, "fb3ff199999999999a"),
        (math.inf, "f97c00"),
        (math.nan, "f97e00"),
        (65504.0, "f97bff"),
        (1e300, "fb7e37e43c8800759c"),
        ([1, 2], "820102"),
    ],
)
def test_the_shortest_form_is_written(value: Any, octets: str) -> None:
    assert encode(value).hex() == octets


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        ("", "WIRE-001"),
        ("18", "WIRE-001"),
        ("4201", "WIRE-001"),
        ("9affffffff", "WIRE-001"),
        ("baffffffff", "WIRE-001"),
        ("0000", "WIRE-002"),
        ("1817", "WIRE-003"),
        ("190018", "WIRE-003"),
        ("1a0000ffff", "WIRE-003"),
        ("1b00000000ffffffff", "WIRE-003"),
        ("fa3fc00000", "WIRE-003"),
        ("fb7ff8000000000000", "WIRE-003"),
        ("1c", "WIRE-004"),
        ("5f", "WIRE-004"),
        ("61ff", "WIRE-005"),
        ("63eda080", "WIRE-005"),
        ("a2616101616001", "WIRE-006"),
        ("a22000181800", "WIRE-006"),  # shorter first, as RFC 7049 had it
        ("a201020103", "WIRE-007"),
        ("f7", "WIRE-008"),
        ("f8ff", "WIRE-008"),
        ("f0", "WIRE-008"),
        ("c24101", "WIRE-009"),
        ("818181818100", "WIRE-010"),
        ("86000000000000", "WIRE-011"),
        ("a1f401", "WIRE-012"),
        ("a1810101", "WIRE-012"),
    ],
)
def test_mc_094_refusals_name_their_rule(octets: str, rule: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(bytes.fromhex(octets), limits=Limits(depth_max=4, items_max=6))
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("\ud800", "WIRE-005"),
        (Tag(2, b"\x01" * 9), "WIRE-009"),
        (Tag(3, b""), "WIRE-009"),
        ({True: 1}, "WIRE-012"),
        ({(): 1}, "WIRE-012"),
        ({1.0: 1}, "WIRE-012"),
        (1 << 64, "WIRE-013"),
        (-(1 << 64) - 1, "WIRE-013"),
        (Tag(-1, 0), "WIRE-013"),
        (Tag(1 << 64, 0), "WIRE-013"),
        (object(), "WIRE-013"),
        ({1}, "WIRE-013"),
    ],
)
def test_what_has_no_form_is_our_fault_and_names_the_rule(
    value: Any, rule: str
) -> None:
    with pytest.raises(NotEncodable, match=rule) as caught:
        encode(value)
    assert caught.value.rule == rule
