"""Leaf nodes: reading, writing, what the signature covers."""

import pytest
from hypothesis import given

from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.leaf_node import TBS_LABEL, LeafNode, LeafNodeIn, read_leaf_node
from sabir.mls.limits import Limits
from sabir.mls.validation.proof import PROOF
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.structs import fields_of, leaf_nodes
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole, uint32

ALICE = Author(SUITES[1])


@given(leaf_nodes())
def test_a_leaf_reads_as_written(leaf: LeafNodeIn) -> None:
    again = read_whole(leaf.raw, read_leaf_node)
    assert fields_of(again) == fields_of(leaf)
    assert again == leaf
    assert hash(again) == hash(leaf)


def test_leaves_of_one_client_version_share_their_lists() -> None:
    one = read_whole(ALICE.leaf().raw, read_leaf_node)
    two = read_whole(Author(SUITES[1], b"bob").leaf().raw, read_leaf_node)
    assert one.capabilities is two.capabilities
    assert one.extensions is two.extensions


@pytest.mark.parametrize("source", [0, 4, 255])
def test_an_unknown_source_is_refused(source: int) -> None:
    leaf = ALICE.leaf(LeafNodeSource.UPDATE)
    octets = bytearray(leaf.raw)
    octets[octets.index(leaf.capabilities.raw) + len(leaf.capabilities.raw)] = source
    with pytest.raises(Malformed) as wrong:
        read_whole(bytes(octets), read_leaf_node)
    assert wrong.value.rule == "C07"


def test_limits_hold_for_what_is_inside() -> None:
    leaf = ALICE.leaf()
    limits = Limits(extensions_per_list_max=1)
    assert read_whole(leaf.raw, lambda reader: read_leaf_node(reader, limits)) == leaf


def test_the_signature_covers_the_place_but_for_key_packages() -> None:
    content = ALICE.leaf().encode_unsigned()
    assert ALICE.leaf().signed(b"group", 3) == content
    for source in (LeafNodeSource.UPDATE, LeafNodeSource.COMMIT):
        leaf = ALICE.leaf(source)
        assert leaf.signed(b"group", 3) == (
            leaf.encode_unsigned() + opaque(b"group") + uint32(3)
        )


@pytest.mark.parametrize("number", SUITES)
def test_our_own_leaves_are_signed(number: int) -> None:
    author = Author(SUITES[number])
    leaf = author.leaf(LeafNodeSource.COMMIT, group_id=b"group", leaf_index=3)
    assert verify_with_label(
        author.suite,
        leaf.signature_key,
        TBS_LABEL,
        leaf.signed(b"group", 3),
        leaf.signature,
    )


def test_a_checked_leaf_is_the_same_leaf() -> None:
    leaf = ALICE.leaf()
    checked = LeafNode(leaf, PROOF)
    assert checked == leaf
    for name in LeafNodeIn.__slots__:
        assert getattr(checked, name) is getattr(leaf, name)


def test_the_repr_shows_only_the_size() -> None:
    leaf = ALICE.leaf()
    assert repr(leaf) == f"<LeafNodeIn of {len(leaf.raw)} octets>"
