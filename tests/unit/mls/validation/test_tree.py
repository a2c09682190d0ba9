"""Rules T of a whole tree: what honest members make passes, nothing else does."""

import pytest

from sabir.errors import Error
from sabir.mls.errors import MlsInvalid
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.parent_node import ParentNode
from sabir.mls.ratchet_tree import RatchetTree, RatchetTreeIn, read_ratchet_tree
from sabir.mls.tree_hashes import TreeHashes
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.tree import CheckLeaf, validate_tree
from sabir.wire.tls import read_whole
from tests.unit.mls.trees import SUITE, Grove, check_leaf, grown, plain_leaf, refused


def figure_13() -> Grove:
    """Make the tree in the figure of section 7.9: F is unmerged at W and at Y."""
    grove = Grove()
    grove.commit(0, add=6, path=False)
    grove.commit(0, remove=[5], path=True)  # F leaves
    grove.commit(4)  # E sets Y and W
    grove.commit(0)  # A sets T, U and W
    grove.commit(0, add=1, path=False)  # F is back
    for node, unmerged in {1: (), 3: (), 11: (5,), 7: (5,)}.items():
        parent = grove.tree.parent(node)
        assert parent is not None
        assert parent.unmerged_leaves == unmerged
    assert [grove.tree.parent(node) for node in (5, 9, 13)] == [None] * 3
    return grove


def read(grove: Grove) -> RatchetTreeIn:
    return read_whole(grove.tree.encode(), read_ratchet_tree)


def trust(leaf: LeafNodeIn, _index: int) -> LeafNode:
    return LeafNode(leaf, PROOF)


def validate(tree: RatchetTreeIn, check: CheckLeaf = trust) -> RatchetTree:
    """Check a tree whose tree hash is right."""
    tree_hash = TreeHashes(SUITE, tree.leaf_count).of(tree, tree.root)
    return validate_tree(tree, SUITE, tree_hash, check)


def parent(tree: RatchetTreeIn, node: int) -> ParentNode:
    found = tree.node(node)
    assert isinstance(found, ParentNode)
    return found


def put(
    tree: RatchetTreeIn,
    node: int,
    *,
    key: bytes | None = None,
    parent_hash: bytes | None = None,
    unmerged: tuple[int, ...] | None = None,
) -> None:
    """Change some fields of a parent."""
    old = parent(tree, node)
    tree.parents[node >> 1] = ParentNode(
        old.encryption_key if key is None else key,
        old.parent_hash if parent_hash is None else parent_hash,
        old.unmerged_leaves if unmerged is None else unmerged,
    )


# ---- valid ones: `Grove.commit` validates after every commit


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 8, 9, 34])
def test_trees_that_grow_by_commits_are_valid(count: int) -> None:
    grove = grown(count)
    assert grove.tree.member_count == count


def test_a_tree_with_blanks_inside_is_valid() -> None:
    grove = grown(8)
    grove.commit(0, remove=[2, 3], add=1)
    assert grove.tree.leaf(2) is not None
    assert grove.tree.leaf(3) is None


def test_parent_hashes_may_skip_blanks() -> None:
    grove = grown(8)
    grove.commit(0, remove=[1, 2, 3])
    assert [node for node, _ in grove.tree.filtered_path(0)] == [7]


def test_unmerged_leaves_are_left_out_of_the_sibling_s_hash() -> None:
    grove = grown(7)
    grove.commit(0, add=1, path=False)
    validate(read(grove))
    validate(read(figure_13()))


def test_what_was_checked_is_the_tree() -> None:
    grove = figure_13()
    tree = validate(read(grove))
    assert tree.encode() == grove.tree.encode()
    assert tree.tree_hash() == grove.tree.tree_hash()
    assert tree.node_of_encryption_key(parent(read(grove), 7).encryption_key) == 7


# ---- refused ones


def test_t03_the_tree_hash_is_that_of_the_group() -> None:
    tree = read(grown(3))
    tree_hash = TreeHashes(SUITE, tree.leaf_count).of(tree, tree.root)
    for wrong in (b"", bytes(32), tree_hash[:-1], tree_hash + b"\x00"):
        with refused(Rule.T03):
            validate_tree(tree, SUITE, wrong, trust)


def test_t04_no_field_of_a_parent_can_be_changed() -> None:
    grove = figure_13()
    for node in (1, 3, 7, 11):
        tree = read(grove)
        flipped = bytearray(parent(tree, node).encryption_key)
        flipped[3] ^= 1
        put(tree, node, key=bytes(flipped))
        with refused(Rule.T04):
            validate(tree)
        tree = read(grove)
        put(tree, node, parent_hash=bytes(32))
        with refused(Rule.T04):
            validate(tree)


def test_t04_a_parent_put_above_others_has_no_chain() -> None:
    grove = figure_13()
    for node in (5, 9, 13):  # blank ones
        for parent_hash in (b"", bytes(32), parent(read(grove), 3).parent_hash):
            tree = read(grove)
            key, unmerged = bytes([9]) * 32, ((5,) if node == 9 else ())
            tree.parents[node >> 1] = ParentNode(key, parent_hash, unmerged)
            with refused(Rule.T04):
                validate(tree)


def test_t04_a_key_nobody_signed_cannot_stand_between_two_that_somebody_did() -> None:
    grove = grown(4)
    grove.commit(0, remove=[1])  # node 1 is filtered out of leaf 0's path
    tree = read(grove)
    assert tree.node(1) is None
    top = parent(tree, 3)
    tree.parents[0] = ParentNode(bytes([9]) * 32, top.parent_hash)
    with refused(Rule.T04):
        validate(tree)


def test_t04_a_merged_leaf_cannot_be_called_unmerged() -> None:
    """It would be left out of what is sealed to the parent, and of its chain."""
    grove = grown(8)
    tree = read(grove)
    for node in (13, 11, 7):  # all above leaf 7, as T06 asks
        put(tree, node, unmerged=(7,))
    with refused(Rule.T04):
        validate(tree)


def test_t04_an_unmerged_leaf_cannot_be_called_merged() -> None:
    grove = figure_13()
    tree = read(grove)
    for node in (7, 11):
        put(tree, node, unmerged=())
    with refused(Rule.T04):
        validate(tree)


def test_t04_a_sibling_s_subtree_cannot_be_changed() -> None:
    grove = grown(4)
    tree = read(grove)
    tree.leaves[3] = plain_leaf(bytes([7]) * 32)
    with refused(Rule.T04):
        validate(tree)


def test_t04_a_leaf_without_a_parent_hash_starts_no_chain() -> None:
    grove = grown(2)
    tree = read(grove)
    tree.leaves[0] = plain_leaf(bytes([7]) * 32)
    with refused(Rule.T04):
        validate(tree)


@pytest.mark.parametrize("leaf", [7, 2, 8, 2**32 - 1])
def test_t05_an_unmerged_leaf_is_below_and_not_blank(leaf: int) -> None:
    tree = read(figure_13())
    put(tree, 11, unmerged=(leaf,) if leaf < 5 else (5, leaf))
    with refused(Rule.T05):
        validate(tree)


def test_t06_all_between_list_an_unmerged_leaf() -> None:
    tree = read(figure_13())
    put(tree, 11, unmerged=())
    with refused(Rule.T06):
        validate(tree)


def test_t07_a_parent_has_its_own_key() -> None:
    grove = figure_13()
    tree = read(grove)
    put(tree, 3, key=parent(tree, 11).encryption_key)
    with refused(Rule.T07):
        validate(tree)
    tree = read(grove)
    leaf = tree.leaves[6]
    assert leaf is not None
    put(tree, 3, key=leaf.encryption_key)
    with refused(Rule.T07):
        validate(tree)


@pytest.mark.parametrize("unmerged", [(5, 5), (6, 5)])
def test_t08_unmerged_leaves_increase(unmerged: tuple[int, ...]) -> None:
    tree = read(figure_13())
    put(tree, 7, unmerged=unmerged)
    with refused(Rule.T08):
        validate(tree)


def test_l11_no_two_members_have_one_signature_key() -> None:
    tree = read(figure_13())
    leaf = tree.leaves[6]
    assert leaf is not None
    tree.leaves[2] = plain_leaf(bytes([7]) * 32, leaf.signature_key)
    with refused(Rule.L11):
        validate(tree)


def test_l12_no_two_members_have_one_encryption_key() -> None:
    tree = read(figure_13())
    leaf = tree.leaves[6]
    assert leaf is not None
    tree.leaves[2] = plain_leaf(leaf.encryption_key, bytes(32))
    with refused(Rule.L12):
        validate(tree)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_l14_the_key_of_a_parent_is_one_of_the_suite(size: int) -> None:
    tree = read(figure_13())
    put(tree, 7, key=bytes([9]) * size)
    with refused(Rule.L14):
        validate(tree)


def test_each_leaf_is_checked_at_its_place() -> None:
    grove = figure_13()
    tree = read(grove)
    seen = {}

    def check(leaf: LeafNodeIn, index: int) -> LeafNode:
        seen[index] = leaf
        return LeafNode(leaf, PROOF)

    tree_hash = grove.tree.tree_hash()
    validate_tree(tree, SUITE, tree_hash, check)
    assert seen == dict(tree.members())

    def refuse(_leaf: LeafNodeIn, index: int) -> LeafNode:
        raise MlsInvalid(Rule.L02, f"leaf {index}")

    with refused(Rule.L02):
        validate_tree(tree, SUITE, tree_hash, refuse)


def test_every_changed_octet_of_a_tree_is_noticed() -> None:
    """With the tree hash of the changed tree, so that T03 says nothing."""
    octets = figure_13().tree.encode()
    for place in range(len(octets)):
        changed = bytearray(octets)
        changed[place] ^= 1
        with pytest.raises(Error):
            validate(read_whole(bytes(changed), read_ratchet_tree), check_leaf)
