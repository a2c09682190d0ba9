"""A group reduced to its tree: members, their private keys, and commits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

import pytest

from sabir.crypto import hpke, signatures
from sabir.crypto.labels import verify_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.commit import read_update_path
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import (
    TBS_LABEL,
    LeafNode,
    LeafNodeIn,
    Lifetime,
    sign_leaf_node,
)
from sabir.mls.ratchet_tree import RatchetTree, read_ratchet_tree
from sabir.mls.treekem import (
    CreatedPath,
    PrivateKeys,
    create_path,
    join_keys,
    merge_path,
    open_path,
)
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.tree import validate_tree
from sabir.wire.tls import read_whole

SUITE: Final = SUITES[1]
GROUP_ID: Final = b"grove"
CAPABILITIES: Final = Capabilities((1,), tuple(SUITES), (), (), (1,))


class Dice:
    """An `Env` whose randomness repeats."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def now(self) -> int:
        return 0

    def random(self, size: int) -> bytes:
        return self._random.randbytes(size)


def refused(rule: Rule) -> "pytest.RaisesExc[MlsInvalid]":
    """Expect that a rule is found broken."""
    return pytest.raises(MlsInvalid, check=lambda wrong: wrong.rule == rule.name)


def plain_leaf(
    encryption_key: bytes,
    signature_key: bytes = b"",
    source: LeafNodeSource = LeafNodeSource.KEY_PACKAGE,
    parent_hash: bytes | None = None,
) -> LeafNode:
    """Make a leaf that nobody signed, for tests that look at nothing else."""
    lifetime = Lifetime(0, 0) if source is LeafNodeSource.KEY_PACKAGE else None
    leaf = LeafNodeIn(
        encryption_key,
        signature_key or encryption_key,
        BasicCredential(encryption_key),
        CAPABILITIES,
        source,
        lifetime,
        parent_hash,
        (),
        b"",
    )
    return LeafNode(leaf, PROOF)


@dataclass
class Client:
    """Somebody with a signature key."""

    suite: CipherSuite
    dice: Dice
    signature_private: bytes = field(init=False)
    signature_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        seed = self.dice.random(self.suite.signature.private_octets)
        pair = signatures.signature_key_pair(self.suite, seed)
        self.signature_private, self.signature_key = pair

    def leaf(
        self,
        encryption_key: bytes,
        source: LeafNodeSource,
        parent_hash: bytes | None = None,
        index: int = 0,
    ) -> LeafNode:
        """Make a leaf and sign it for a place."""
        leaf = plain_leaf(encryption_key, self.signature_key, source, parent_hash)
        signed = sign_leaf_node(
            self.suite, self.signature_private, leaf, GROUP_ID, index
        )
        return LeafNode(signed, PROOF)

    def key_pair(self) -> tuple[Secret, bytes]:
        ikm = self.dice.random(self.suite.kem.private_octets)
        private, public = hpke.derive_key_pair(self.suite, ikm)
        return Secret(private), public


def check_leaf(leaf: LeafNodeIn, index: int) -> LeafNode:
    """Check a signature for `validate_tree`, under suite 1."""
    signed = leaf.signed(GROUP_ID, index)
    key = leaf.signature_key
    if not verify_with_label(SUITE, key, TBS_LABEL, signed, leaf.signature):
        raise MlsInvalid(Rule.L02)
    return LeafNode(leaf, PROOF)


class Grove:
    """All members of a group, each with its own keys; they agree on the tree."""

    def __init__(self, seed: int = 0) -> None:
        self.suite = SUITE
        self.dice = Dice(seed)
        self.clients: dict[int, Client] = {}
        self.keys: dict[int, PrivateKeys] = {}
        founder = Client(self.suite, self.dice)
        private, public = founder.key_pair()
        leaf = founder.leaf(public, LeafNodeSource.KEY_PACKAGE)
        self.tree = RatchetTree.of_founder(self.suite, leaf)
        self.epoch = 0
        self.clients[0] = founder
        self.keys[0] = PrivateKeys(0, {0: private})

    def context(self, tree_hash: bytes) -> bytes:
        return GroupContext(self.suite.number, GROUP_ID, self.epoch, tree_hash, b"").raw

    def commit(
        self,
        sender: int,
        *,
        add: int = 0,
        remove: Iterable[int] = (),
        update: Iterable[int] = (),
        path: bool = True,
    ) -> CreatedPath | None:
        """Commit as a member, and follow as every other."""
        removed = list(remove)
        tree = self.tree.copy()
        new_keys = {index: self.clients[index].key_pair() for index in update}
        updates = {
            index: self.clients[index].leaf(public, LeafNodeSource.UPDATE, index=index)
            for index, (_, public) in new_keys.items()
        }
        clients = [Client(self.suite, self.dice) for _ in range(add)]
        pairs = [client.key_pair() for client in clients]
        leaves = [
            client.leaf(public, LeafNodeSource.KEY_PACKAGE)
            for client, (_, public) in zip(clients, pairs, strict=True)
        ]
        added = tree.change(updates=updates, removals=removed, additions=leaves)
        for index, (private, _) in new_keys.items():
            self.keys[index] = self.keys[index].with_leaf_key(private)
        for index in removed:
            del self.keys[index], self.clients[index]
        self.clients |= dict(zip(added, clients, strict=True))
        self.epoch += 1
        created = self._path(sender, tree, added) if path else None
        if created is None:
            self.tree = tree
            self.keys = {index: keys.kept(tree) for index, keys in self.keys.items()}
        for index, (private, _) in zip(added, pairs, strict=True):
            secret = None if created is None else created.secret_for(index)
            self.keys[index] = join_keys(self.tree, index, private, sender, secret)
        self.check()
        return created

    def join(self, *, resync: int | None = None) -> int:
        """Join by a commit of the joiner's own; return its leaf."""
        tree = self.tree.copy()
        if resync is not None:
            tree.change(removals=[resync])
            del self.keys[resync], self.clients[resync]
        index = tree.leftmost_blank()
        self.clients[index] = Client(self.suite, self.dice)
        self.epoch += 1
        self._path(index, tree, ())
        self.check()
        return index

    def _path(
        self, sender: int, after: RatchetTree, added: tuple[int, ...]
    ) -> CreatedPath:
        client = self.clients[sender]

        def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
            return client.leaf(
                encryption_key, LeafNodeSource.COMMIT, parent_hash, sender
            )

        tree = after.copy()
        created = create_path(self.dice, tree, sender, make_leaf, self.context, added)
        path = read_whole(created.path.raw, read_update_path)
        merged = after.copy()
        merge_path(merged, sender, LeafNode(path.leaf_node, PROOF), path, added)
        assert merged.tree_hash() == tree.tree_hash()
        context = self.context(merged.tree_hash())
        for index, keys in self.keys.items():
            if index == sender:
                continue
            opened = open_path(merged, keys, sender, path, context, added)
            assert opened.commit_secret.ct_equal(created.commit_secret)
            self.keys[index] = opened.keys
        self.keys[sender] = created.keys
        self.tree = merged
        return created

    def check(self) -> None:
        """Check the tree as one who joins, and that each key fits."""
        tree = read_whole(self.tree.encode(), read_ratchet_tree)
        validate_tree(tree, self.suite, self.tree.tree_hash(), check_leaf)
        assert [index for index, _ in self.tree.members()] == sorted(self.keys)
        for keys in self.keys.values():
            keys.check_complete(self.tree)
            for node, private in keys.items():
                public = hpke.public_of(self.suite, private.reveal())
                assert public == self.tree.encryption_key(node)


def grown(count: int) -> Grove:
    """Make the tree of test-vectors.md: leaf `i` commits adding leaf `i + 1`."""
    grove = Grove()
    for sender in range(count - 1):
        grove.commit(sender, add=1)
    return grove
