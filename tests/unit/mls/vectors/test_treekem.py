"""treekem: paths of others are processed, and ours by them."""

from typing import Final

import pytest

from sabir.crypto import hpke
from sabir.crypto.errors import BadKey
from sabir.crypto.labels import derive_secret, verify_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite, find_suite
from sabir.mls import tree_math
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.commit import UpdatePath, read_update_path
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import TBS_LABEL, LeafNode, LeafNodeIn, sign_leaf_node
from sabir.mls.ratchet_tree import RatchetTree, read_ratchet_tree
from sabir.mls.treekem import PrivateKeys, create_path, merge_path, open_path
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.tree import validate_tree
from sabir.testing.mls.vectors import Case, Strict, cases, check_can_fail, for_each
from sabir.testing.mls.vectors import load as load_case
from sabir.wire.tls import read_whole
from tests.unit.mls.trees import Dice

FLIPPED: Final = [case for case in cases("treekem") if case.number in {0, 3}]


@for_each("treekem")
def test_paths_are_followed_and_made(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", FLIPPED, ids=str)
def test_the_runner_can_fail(case: Case) -> None:
    check_can_fail(check, load_case(case), refusals=(BadKey,))


def check(vector: Strict) -> None:
    group = Group(vector)
    for update in vector["update_paths"]:
        group.follow(update)
        group.make(update["sender"])


class Group:
    """A vector's tree and its members."""

    def __init__(self, vector: Strict) -> None:
        suite = find_suite(vector["cipher_suite"])
        assert suite is not None
        self.suite: CipherSuite = suite
        self.group_id = vector.octets("group_id")
        self.epoch = vector["epoch"]
        self.transcript_hash = vector.octets("confirmed_transcript_hash")
        tree = read_whole(vector.octets("ratchet_tree"), read_ratchet_tree)
        hashes = RatchetTree.restored(suite, tree, PROOF)
        self.tree = validate_tree(tree, suite, hashes.tree_hash(), self.check_leaf)
        self.signature_keys: dict[int, bytes] = {}
        self.keys: dict[int, PrivateKeys] = {}
        for entry in vector["leaves_private"]:
            self.admit(entry)
        assert sorted(self.keys) == [index for index, _ in self.tree.members()]

    def admit(self, entry: Strict) -> None:
        """Take the private state of a member, and check it."""
        index = entry["index"]
        keys = {2 * index: entry.octets("encryption_priv")}
        for item in entry["path_secrets"]:
            node_secret = derive_secret(self.suite, item.octets("path_secret"), b"node")
            keys[item["node"]], _ = hpke.derive_key_pair(self.suite, node_secret)
        for node, private in keys.items():
            public = hpke.public_of(self.suite, private)
            assert public == self.tree.encryption_key(node)
        self.keys[index] = PrivateKeys(
            index, {node: Secret(private) for node, private in keys.items()}
        )
        self.keys[index].check_complete(self.tree)
        self.signature_keys[index] = entry.octets("signature_priv")

    def check_leaf(self, leaf: LeafNodeIn, index: int) -> LeafNode:
        signed = leaf.signed(self.group_id, index)
        assert verify_with_label(
            self.suite, leaf.signature_key, TBS_LABEL, signed, leaf.signature
        )
        return LeafNode(leaf, PROOF)

    def context(self, tree_hash: bytes) -> bytes:
        return GroupContext(
            self.suite.number,
            self.group_id,
            self.epoch,
            tree_hash,
            self.transcript_hash,
        ).raw

    def follow(self, update: Strict) -> None:
        """Process a path of the vector as each other member."""
        sender = update["sender"]
        octets = update.octets("update_path")
        path = read_whole(octets, read_update_path)
        assert path.encode() == octets
        tree = self.merged(sender, path)
        assert tree.tree_hash() == update.octets("tree_hash_after")
        secrets = update["path_secrets"]
        assert len(secrets) == self.tree.leaf_count
        for index, wanted in enumerate(secrets):
            if index == sender or self.tree.leaf(index) is None:
                assert wanted is None
                continue
            opened = open_path(
                tree, self.keys[index], sender, path, self.context(tree.tree_hash())
            )
            opened.keys.check_complete(tree)
            assert opened.commit_secret.ct_equal(update.octets("commit_secret"))
            meeting = tree_math.common_ancestor(index, sender)
            node_secret = derive_secret(self.suite, bytes.fromhex(wanted), b"node")
            private, _ = hpke.derive_key_pair(self.suite, node_secret)
            key = opened.keys.of(meeting)
            assert key is not None
            assert key.ct_equal(private)

    def merged(self, sender: int, path: UpdatePath) -> RatchetTree:
        tree = self.tree.copy()
        merge_path(tree, sender, self.check_leaf(path.leaf_node, sender), path)
        return tree

    def make(self, sender: int) -> None:
        """Make a path as its sender, and process it as each other member."""
        old = self.tree.leaf(sender)
        assert old is not None
        private = self.signature_keys[sender]

        def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            leaf = LeafNodeIn(
                encryption_key,
                old.signature_key,
                old.credential,
                old.capabilities,
                LeafNodeSource.COMMIT,
                None,
                parent_hash,
                old.extensions,
                b"",
            )
            signed = sign_leaf_node(self.suite, private, leaf, self.group_id, sender)
            return LeafNode(signed, PROOF)

        tree = self.tree.copy()
        created = create_path(Dice(sender), tree, sender, make_leaf, self.context)
        created.keys.check_complete(tree)
        sent = read_whole(created.path.raw, read_update_path)
        merged = self.merged(sender, sent)
        assert merged.tree_hash() == tree.tree_hash()
        for index, keys in self.keys.items():
            if index != sender:
                opened = open_path(
                    merged, keys, sender, sent, self.context(tree.tree_hash())
                )
                assert opened.commit_secret.ct_equal(created.commit_secret)
