"""Parent nodes: octets and fields, and what changes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls.parent_node import ParentNode, read_parent_node
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole

LEAVES = st.lists(st.integers(0, 2**32 - 1), max_size=8).map(tuple)


@given(st.binary(max_size=70), st.binary(max_size=70), LEAVES)
def test_what_is_written_is_read(
    key: bytes, parent_hash: bytes, unmerged: tuple[int, ...]
) -> None:
    written = ParentNode(key, parent_hash, unmerged)
    node = read_whole(written.raw, read_parent_node)
    assert node.raw == written.raw == node.encode()
    assert node.encryption_key == key
    assert node.parent_hash == parent_hash
    assert node.unmerged_leaves == unmerged


def test_the_octets_are_those_of_the_presentation_language() -> None:
    node = ParentNode(b"key", b"hash", (1, 258))
    assert node.raw == b"\x03key\x04hash\x08\x00\x00\x00\x01\x00\x00\x01\x02"


def test_leaf_indices_have_four_octets() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(b"\x00\x00\x05\x00\x00\x00\x01\x00", read_parent_node)
    assert wrong.value.rule == "C04"


def test_no_more_unmerged_leaves_are_read_than_may_be_there() -> None:
    raw = ParentNode(b"key", b"hash", (2, 7)).raw
    assert read_parent_node(Reader(raw), 2).unmerged_leaves == (2, 7)
    with pytest.raises(Malformed) as wrong:
        read_parent_node(Reader(raw), 1)
    assert wrong.value.rule == "C03"


def test_unmerged_leaves_stay_in_order() -> None:
    node = ParentNode(b"key", b"hash", (2, 7))
    assert node.with_unmerged(4).unmerged_leaves == (2, 4, 7)
    assert node.with_unmerged(1).unmerged_leaves == (1, 2, 7)
    assert node.with_unmerged(9).unmerged_leaves == (2, 7, 9)
    assert node.without_unmerged({2, 9}).unmerged_leaves == (7,)
    assert node.unmerged_leaves == (2, 7)
    assert node.with_unmerged(4).raw == ParentNode(b"key", b"hash", (2, 4, 7)).raw


def test_its_text_shows_no_octets() -> None:
    text = repr(ParentNode(b"key", b"hash", (2, 7)))
    assert text == "<ParentNode with 2 unmerged leaves>"
