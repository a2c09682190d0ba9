"""JSON nested deeper than it can be read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.matrix.nesting import DEPTH_MAX, pruned, read_json

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\,:a\u00e9'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
)


def cut(value: Any, depth_max: int) -> Any:
    """Cut as `pruned` does, on the value instead of on the text."""
    if isinstance(value, dict):
        return (
            {n: cut(v, depth_max - 1) for n, v in value.items()} if depth_max else None
        )
    if isinstance(value, list):
        return [cut(v, depth_max - 1) for v in value] if depth_max else None
    return value


@given(JSON, st.integers(0, 4), st.booleans())
def test_exactly_what_is_too_deep_becomes_null(
    value: Any, depth_max: int, ascii_only: bool
) -> None:
    octets = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert json.loads(pruned(octets, depth_max=depth_max)) == cut(value, depth_max)


@given(JSON)
def test_what_can_be_read_is_read_whole(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value


def test_what_is_too_deep_keeps_its_upper_levels() -> None:
    value = read_json(b"[" * 100_000 + b"]" * 100_000)
    for _ in range(DEPTH_MAX - 1):
        [value] = value
    assert value == [None]


@pytest.mark.parametrize("octets", [b"[" * 100_000, b"[" * 9_999 + b"]" * 9_998 + b"}"])
def test_what_is_not_json_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        read_json(octets)
