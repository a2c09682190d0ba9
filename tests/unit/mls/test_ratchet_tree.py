"""The tree against a slow model, and the rules that hold when it changes."""

from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sabir.mls import tree_math
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.errors import MlsInvalid
from sabir.mls.leaf_node import LeafNode
from sabir.mls.limits import Limits
from sabir.mls.parent_node import ParentNode
from sabir.mls.ratchet_tree import RatchetTree, read_ratchet_tree
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole, uint32, vector
from tests.unit.mls.slow_tree import SlowTree, in_order
from tests.unit.mls.trees import SUITE, plain_leaf, refused

BLANK: Final = b"\x00"


def key(number: int) -> bytes:
    return b"key" + uint32(number)


def leaf_piece(number: int) -> bytes:
    return b"\x01\x01" + plain_leaf(key(number)).raw


def parent_piece(number: int, *unmerged: int) -> bytes:
    return b"\x01\x02" + ParentNode(key(number), b"", unmerged).raw


def tree_of(*pieces: bytes) -> RatchetTree:
    tree = read_whole(vector(pieces), read_ratchet_tree)
    return RatchetTree.restored(SUITE, tree, PROOF)


def with_members(count: int) -> RatchetTree:
    tree = RatchetTree.of_founder(SUITE, plain_leaf(key(0)))
    tree.change(additions=[plain_leaf(key(number)) for number in range(1, count)])
    return tree


def path_leaf(number: int, parent_hash: bytes) -> LeafNode:
    return plain_leaf(key(number), b"", LeafNodeSource.COMMIT, parent_hash)


def merge(tree: RatchetTree, sender: int, first_key: int) -> None:
    """Merge a path with fresh keys."""
    room = tree.copy()
    room.make_room(sender)
    keys = [key(first_key + at) for at in range(len(room.filtered_path(sender)))]
    wanted = room.draft_path(sender, keys)
    leaf = path_leaf(first_key + len(keys), wanted)
    tree.merge_path(sender, leaf, keys)


class SameAsTheModel(RuleBasedStateMachine):
    """Random changes give what the text of the RFC gives; copies stay as they were."""

    @initialize()
    def found(self) -> None:
        self.made = 0
        leaf = self.fresh_leaf()
        self.tree = RatchetTree.of_founder(SUITE, leaf)
        self.model = SlowTree(leaf)
        self.earlier: list[tuple[RatchetTree, bytes, bytes]] = []

    def fresh_key(self) -> bytes:
        self.made += 1
        return key(self.made)

    def fresh_leaf(self) -> LeafNode:
        return plain_leaf(self.fresh_key())

    def members(self) -> list[int]:
        return [index for index, _ in self.tree.members()]

    def next_tree(self) -> RatchetTree:
        octets, tree_hash = self.tree.encode(), self.tree.tree_hash()
        self.earlier = [*self.earlier[-3:], (self.tree, octets, tree_hash)]
        self.tree = self.tree.copy()
        return self.tree

    @rule(data=st.data())
    def proposals(self, data: st.DataObject) -> None:
        members = self.members()
        some = data.draw(st.lists(st.sampled_from(members), unique=True, max_size=6))
        cut = data.draw(st.integers(0, len(some)))
        updates = {index: self.fresh_leaf() for index in some[:cut]}
        removals = some[cut:][: len(members) - 1]
        added = [self.fresh_leaf() for _ in range(data.draw(st.integers(0, 9)))]
        tree = self.next_tree()
        placed = tree.change(updates=updates, removals=removals, additions=added)
        for index, leaf in updates.items():
            self.model.update(index, leaf)
        for index in removals:
            self.model.remove(index)
        assert placed == tuple(self.model.add(leaf) for leaf in added)

    @rule(data=st.data())
    def a_path(self, data: st.DataObject) -> None:
        self.path_of(data.draw(st.sampled_from(self.members())))

    @rule()
    def a_path_of_a_joiner(self) -> None:
        self.path_of(self.tree.leftmost_blank())

    def path_of(self, sender: int) -> None:
        tree = self.next_tree()
        tree.make_room(sender)
        keys = [self.fresh_key() for _ in tree.filtered_path(sender)]
        wanted = self.model.draft_path(sender, keys)
        leaf = path_leaf(self.made + 1, wanted)
        self.made += 1
        tree.merge_path(sender, leaf, keys)
        self.model.place(sender, leaf)

    @precondition(lambda self: hasattr(self, "tree"))
    @invariant()
    def all_answers_are_the_same(self) -> None:
        tree, model = self.tree, self.model
        slow = in_order(model.root)
        numbers = {id(node): number for number, node in enumerate(slow)}
        assert tree_math.node_count(tree.leaf_count) == len(slow)
        assert tree.encode() == model.encode()
        assert tree.tree_hash() == model.tree_hash()
        for number, node in enumerate(slow):
            wanted = [numbers[id(found)] for found in model.resolution(node)]
            assert tree.resolution(number) == wanted
            if number % 2 == 0:
                steps = [
                    (numbers[id(above)], numbers[id(beside)])
                    for above, beside in model.filtered(number // 2)
                ]
                assert tree.filtered_path(number // 2) == steps

    @precondition(lambda self: hasattr(self, "tree"))
    @invariant()
    def the_keys_are_those_of_the_nodes(self) -> None:
        octets = self.tree.encode()
        again = RatchetTree.restored(
            SUITE, read_whole(octets, read_ratchet_tree), PROOF
        )
        assert again.tree_hash() == self.tree.tree_hash()
        assert again.member_count == self.tree.member_count == len(self.members())
        assert again.leftmost_blank() == self.tree.leftmost_blank()
        for number in range(self.made + 1):
            node = again.node_of_encryption_key(key(number))
            assert self.tree.node_of_encryption_key(key(number)) == node
            leaf = again.leaf_of_signature_key(key(number))
            assert self.tree.leaf_of_signature_key(key(number)) == leaf

    @precondition(lambda self: hasattr(self, "tree"))
    @invariant()
    def earlier_trees_are_as_they_were(self) -> None:
        for tree, octets, tree_hash in self.earlier:
            assert tree.encode() == octets
            assert tree.tree_hash() == tree_hash


TestSameAsTheModel = SameAsTheModel.TestCase
TestSameAsTheModel.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None
)


# ---- reading


@pytest.mark.parametrize(
    ("pieces", "rule_broken"),
    [
        pytest.param([parent_piece(1)], Rule.T01, id="a parent for a leaf"),
        pytest.param(
            [leaf_piece(1), leaf_piece(2), leaf_piece(3)],
            Rule.T01,
            id="a leaf for a parent",
        ),
        pytest.param([], Rule.T02, id="nothing"),
        pytest.param([leaf_piece(1), BLANK], Rule.T02, id="a blank parent at the end"),
        pytest.param(
            [leaf_piece(1), BLANK, BLANK], Rule.T02, id="a blank leaf at the end"
        ),
    ],
)
def test_a_tree_of_another_form_is_refused(
    pieces: list[bytes], rule_broken: Rule
) -> None:
    with pytest.raises(MlsInvalid) as wrong:
        read_whole(vector(pieces), read_ratchet_tree)
    assert wrong.value.rule == rule_broken.name


@pytest.mark.parametrize(
    ("octets", "codec_rule"),
    [
        pytest.param(opaque(b"\x01\x00"), "C07", id="node type 0"),
        pytest.param(opaque(b"\x01\x03"), "C07", id="node type 3"),
        pytest.param(opaque(b"\x02"), "C06", id="presence 2"),
        pytest.param(opaque(leaf_piece(1)[:-1]), "C04", id="a leaf cut short"),
        pytest.param(opaque(leaf_piece(1))[:-1], "C03", id="a tree cut short"),
        pytest.param(
            opaque(leaf_piece(1) + b"\x01\x02\x00\x00\x03abc"),
            "C04",
            id="three quarters of a leaf index",
        ),
        pytest.param(vector([leaf_piece(1)]) + b"\x00", "C05", id="octets behind"),
    ],
)
def test_octets_that_are_no_tree_are_malformed(octets: bytes, codec_rule: str) -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(octets, read_ratchet_tree)
    assert wrong.value.rule == codec_rule


def test_a_tree_may_have_as_many_leaves_as_the_limit_says() -> None:
    octets = with_members(5).encode()
    limits = Limits(members_max=5)
    tree = read_whole(octets, lambda reader: read_ratchet_tree(reader, limits))
    assert tree.leaf_count == 8
    limits = Limits(members_max=4)
    with pytest.raises(Malformed, match="more than 7 elements"):
        read_whole(octets, lambda reader: read_ratchet_tree(reader, limits))


def test_a_tree_may_be_as_long_as_the_limit_says() -> None:
    octets = with_members(5).encode()
    size = len(octets) - 2
    limits = Limits(tree_octets_max=size)
    read_whole(octets, lambda reader: read_ratchet_tree(reader, limits))
    limits = Limits(tree_octets_max=size - 1)
    with pytest.raises(Malformed, match=f"limit {size - 1}"):
        read_whole(octets, lambda reader: read_ratchet_tree(reader, limits))


def test_a_tree_that_ends_with_a_parent_is_extended_to_hold_its_children() -> None:
    tree = read_whole(vector([leaf_piece(1), parent_piece(2)]), read_ratchet_tree)
    assert tree.leaf_count == 2
    assert tree.leaf(1) is None
    assert tree.encode() == vector([leaf_piece(1), parent_piece(2)])


# ---- changes


def test_a_blank_leaf_cannot_be_removed_or_updated() -> None:
    tree = with_members(3)
    for index in (3, 4, 2**32 - 1):
        with refused(Rule.P03):
            tree.copy().change(removals=[index])
        with refused(Rule.P02):
            tree.copy().change(updates={index: plain_leaf(key(9))})
    with refused(Rule.P03):
        tree.copy().change(removals=[1, 1])


def test_an_update_brings_a_new_encryption_key() -> None:
    with refused(Rule.L10):
        with_members(3).change(updates={1: plain_leaf(key(1))})


def test_signature_keys_are_unique() -> None:
    twin = plain_leaf(key(9), key(1))
    with refused(Rule.L11):
        with_members(3).change(additions=[twin])
    with refused(Rule.L11):
        with_members(3).change(updates={2: twin})
    with refused(Rule.L11):
        with_members(3).change(
            additions=[plain_leaf(key(7), key(6)), plain_leaf(key(8), key(6))]
        )


def test_encryption_keys_are_unique() -> None:
    twin = plain_leaf(key(1), key(9))
    with refused(Rule.L12):
        with_members(3).change(additions=[twin])
    with refused(Rule.L12):
        with_members(3).change(updates={2: twin})
    tree = with_members(4)
    merge(tree, 0, 10)
    with refused(Rule.L12):
        tree.change(additions=[plain_leaf(key(10))])  # the key of a parent


def test_who_is_removed_may_come_back_with_the_same_keys() -> None:
    tree = with_members(3)
    leaf = tree.leaf(1)
    assert leaf is not None
    assert tree.change(removals=[1], additions=[leaf]) == (1,)
    assert tree.leaf(1) is leaf


def test_two_members_may_swap_signature_keys() -> None:
    tree = with_members(3)
    tree.change(updates={1: plain_leaf(key(7), key(2)), 2: plain_leaf(key(8), key(1))})
    assert tree.leaf_of_signature_key(key(1)) == 2


def test_the_only_member_may_be_replaced_by_a_joiner() -> None:
    tree = with_members(1)
    tree.change(removals=[0])
    assert tree.leaf_count == 1
    assert tree.leftmost_blank() == 0
    assert tree.encode() == b"\x00"
    merge(tree, 0, 10)
    assert tree.member_count == 1


def test_a_joiner_makes_the_tree_grow_when_it_is_full() -> None:
    tree = with_members(4)
    assert tree.leftmost_blank() == 4
    merge(tree, 4, 10)
    assert tree.leaf_count == 8
    assert tree.leaf(4) is not None
    assert tree.leftmost_blank() == 5


# ---- paths


def test_a_path_has_the_nodes_of_the_filtered_direct_path() -> None:
    tree = with_members(4)
    for count in (0, 1, 3):
        keys = [key(20 + at) for at in range(count)]
        with refused(Rule.T09):
            tree.copy().merge_path(0, path_leaf(30, b""), keys)


def test_the_leaf_of_a_path_carries_the_parent_hash() -> None:
    tree = with_members(4)
    keys = [key(20), key(21)]
    with refused(Rule.T11):
        tree.copy().merge_path(0, path_leaf(30, b""), keys)
    with refused(Rule.T11):
        tree.copy().merge_path(0, path_leaf(30, bytes(32)), keys)
    with refused(Rule.T11):  # no parent hash at all
        tree.copy().merge_path(0, plain_leaf(key(30)), keys)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([key(1), key(21)], id="of another leaf"),
        pytest.param([key(12), key(21)], id="of the leaf that is replaced"),
        pytest.param([key(21), key(10)], id="of a parent that is replaced"),
        pytest.param([key(15), key(21)], id="of a parent elsewhere"),
        pytest.param([key(21), key(21)], id="twice"),
    ],
)
def test_no_key_of_a_path_is_in_the_tree(keys: list[bytes]) -> None:
    tree = with_members(4)
    merge(tree, 0, 10)
    merge(tree, 3, 15)
    at = [tree.node_of_encryption_key(key(number)) for number in (12, 10, 15)]
    assert at == [0, 1, 5]
    with refused(Rule.T12):
        tree.copy().merge_path(0, path_leaf(30, b""), keys)


def test_the_key_of_a_path_s_leaf_is_in_no_other_node() -> None:
    tree = with_members(4)
    merge(tree, 0, 10)
    keys = [key(20), key(21)]
    mine = tree.leaf(0)
    assert mine is not None
    same = plain_leaf(mine.encryption_key, b"", LeafNodeSource.COMMIT, b"")
    with refused(Rule.L10):
        tree.copy().merge_path(0, same, keys)
    for number in (1, 10):  # another leaf's, a parent's on the path itself
        with refused(Rule.L12):
            tree.copy().merge_path(0, path_leaf(number, b""), keys)
    wanted = tree.copy().draft_path(0, keys)
    with refused(Rule.L12):  # one of the path's new ones
        tree.copy().merge_path(0, path_leaf(20, wanted), keys)


def test_a_path_does_not_take_another_member_s_signature_key() -> None:
    tree = with_members(4)
    keys = [key(20), key(21)]
    wanted = tree.copy().draft_path(0, keys)
    thief = plain_leaf(key(30), key(1), LeafNodeSource.COMMIT, wanted)
    with refused(Rule.L11):
        tree.merge_path(0, thief, keys)


def test_a_new_parent_has_no_unmerged_leaves() -> None:
    tree = with_members(3)
    merge(tree, 0, 10)
    tree.change(additions=[plain_leaf(key(5))])
    root = tree.parent(tree.root)
    assert root is not None
    assert root.unmerged_leaves == (3,)
    assert tree.resolution(tree.root) == [tree.root, 6]
    merge(tree, 1, 20)
    root = tree.parent(tree.root)
    assert root is not None
    assert root.unmerged_leaves == ()


def test_what_is_outside_the_tree_is_blank() -> None:
    tree = with_members(4)
    assert tree.leaf(4) is None
    assert tree.node(7) is None
    assert tree.node(2**33) is None
    assert tree.parent(7) is None
    assert tree.parent(1) is None
    assert tree.encryption_key(8) is None
    assert tree.encryption_key(6) == key(3)


def test_a_stored_tree_with_a_key_in_two_places_is_refused() -> None:
    with refused(Rule.T07):
        tree_of(leaf_piece(1), parent_piece(2), leaf_piece(2))


def test_a_refused_change_of_a_copy_leaves_the_tree_as_it_was() -> None:
    tree = with_members(5)
    merge(tree, 0, 10)
    octets, tree_hash = tree.encode(), tree.tree_hash()
    good = plain_leaf(key(40))
    with refused(Rule.L11):
        tree.copy().change(
            updates={1: plain_leaf(key(41))},
            removals=[2, 4],
            additions=[good, plain_leaf(key(42), key(3))],
        )
    with refused(Rule.L12):
        copy = tree.copy()
        keys = [key(50 + at) for at in range(len(copy.filtered_path(1)))]
        copy.merge_path(1, path_leaf(3, b""), keys)
    with refused(Rule.T11):
        tree.copy().merge_path(1, path_leaf(60, b""), keys)
    assert tree.encode() == octets
    assert tree.tree_hash() == tree_hash
    assert tree.leaf_of_signature_key(key(40)) is None
    assert tree.node_of_encryption_key(key(50)) is None
    assert tree.leftmost_blank() == 5
    assert tree.change(additions=[good]) == (5,)
