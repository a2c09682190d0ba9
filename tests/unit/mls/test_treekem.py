"""Paths: who follows, who does not, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.crypto.errors import OpenFailed
from sabir.crypto.labels import decrypt_with_label, encrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.mls import tree_math
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.commit import HPKECiphertext, UpdatePath, UpdatePathNode
from sabir.mls.errors import MlsMissing
from sabir.mls.leaf_node import LeafNode
from sabir.mls.ratchet_tree import RatchetTree
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
from tests.unit.mls.trees import SUITE, Client, Grove, grown, refused


@dataclass
class Sent:
    """A path of leaf 0 in a group, not yet merged by the others."""

    grove: Grove
    before: RatchetTree
    after: RatchetTree
    created: CreatedPath
    context: bytes
    added: tuple[int, ...]

    def merged(self, path: UpdatePath) -> RatchetTree:
        tree = self.before.copy()
        leaf = LeafNode(path.leaf_node, PROOF)
        merge_path(tree, 0, leaf, path, self.added)
        return tree

    def open(self, index: int, path: UpdatePath) -> bytes:
        opened = open_path(
            self.after,
            self.grove.keys[index],
            0,
            path,
            self.context,
            self.added,
        )
        return opened.commit_secret.reveal()


def sent(grove: Grove, add: int = 0, remove: Sequence[int] = ()) -> Sent:
    before = grove.tree.copy()
    clients = [Client(SUITE, grove.dice) for _ in range(add)]
    leaves = [
        client.leaf(client.key_pair()[1], LeafNodeSource.KEY_PACKAGE)
        for client in clients
    ]
    added = before.change(removals=remove, additions=leaves)
    tree = before.copy()
    created = create_path(
        grove.dice,
        tree,
        0,
        lambda key, parent_hash: grove.clients[0].leaf(
            key, LeafNodeSource.COMMIT, parent_hash, 0
        ),
        grove.context,
        added,
    )
    return Sent(grove, before, tree, created, grove.context(tree.tree_hash()), added)


def with_node(path: UpdatePath, at: int, node: UpdatePathNode) -> UpdatePath:
    nodes = list(path.nodes)
    nodes[at] = node
    return UpdatePath(path.leaf_node, tuple(nodes))


def ciphertexts(node: UpdatePathNode) -> list[HPKECiphertext]:
    return [node.ciphertext(at) for at in range(len(node))]


# ---- following


def test_all_but_the_new_learn_the_commit_secret() -> None:
    path = sent(grown(8), add=1)
    for index in range(1, 8):
        secret = path.open(index, path.created.path)
        assert path.created.commit_secret.ct_equal(secret)


def test_a_removed_member_cannot_open_the_path_that_removes_it() -> None:
    grove = grown(4)
    path = sent(grove, remove=[3])
    assert path.open(1, path.created.path)
    tried = 0
    for node in path.created.path.nodes:
        for sealed in ciphertexts(node):
            for node_key in grove.keys[3].items():
                tried += 1
                with pytest.raises(OpenFailed):
                    decrypt_with_label(
                        SUITE,
                        node_key[1].reveal(),
                        b"UpdatePathNode",
                        path.context,
                        sealed.kem_output,
                        sealed.ciphertext,
                    )
    assert tried == 6


def test_new_members_are_in_no_resolution_but_get_their_secret_by_welcome() -> None:
    grove = grown(4)
    path = sent(grove, add=3)
    at = {
        node: size
        for (node, _), size in zip(
            path.after.filtered_path(0), map(len, path.created.path.nodes), strict=True
        )
    }
    assert at == {1: 1, 3: 1, 7: 0}
    for index in path.added:
        assert path.created.secret_for(index) is path.created.path_secrets[7]


def test_members_unmerged_where_a_path_is_sealed_get_a_ciphertext_of_their_own() -> (
    None
):
    grove = grown(8)
    grove.commit(0, remove=[6])
    grove.commit(4)
    grove.commit(0, add=1, path=False)
    root = sent(grove).created.path.nodes[-1]
    assert grove.tree.resolution(11) == [11, 12]
    assert len(root) == 2


def test_a_path_of_the_only_member_has_no_nodes() -> None:
    grove = Grove()
    created = grove.commit(0)
    assert created is not None
    assert created.path.nodes == ()
    assert created.path.leaf_node.parent_hash == b""


def test_joiners_bring_their_own_path() -> None:
    grove = grown(4)
    assert grove.join() == 4
    assert grove.join(resync=2) == 2
    assert grove.tree.member_count == 5


def test_the_only_member_may_come_back_by_itself() -> None:
    grove = Grove()
    assert grove.join(resync=0) == 0


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_members_agree_through_any_commits(data: st.DataObject) -> None:
    grove = Grove(data.draw(st.integers(0, 2**16)))
    for _ in range(data.draw(st.integers(1, 8))):
        members = sorted(grove.keys)
        if data.draw(st.integers(0, 5)) == 0:
            resync = data.draw(st.none() | st.sampled_from(members))
            grove.join(resync=resync)
            continue
        sender = data.draw(st.sampled_from(members))
        others = [index for index in members if index != sender]
        some = data.draw(st.permutations(others))[:4]
        cut = data.draw(st.integers(0, len(some)))
        path = bool(some) or data.draw(st.booleans())
        grove.commit(
            sender,
            add=data.draw(st.integers(0, 4)),
            remove=some[:cut],
            update=some[cut:],
            path=path,
        )


# ---- refused


@pytest.mark.parametrize("size", [0, 31, 33])
def test_l14_path_keys_are_keys_of_the_suite(size: int) -> None:
    path = sent(grown(4))
    created = path.created.path
    node = UpdatePathNode.of(bytes(range(size)), ciphertexts(created.nodes[1]))
    with refused(Rule.L14):
        path.merged(with_node(created, 1, node))


def test_t09_a_path_is_as_long_as_the_filtered_direct_path() -> None:
    path = sent(grown(4))
    created = path.created.path
    for nodes in (created.nodes[:1], (), created.nodes[1:]):
        with refused(Rule.T09):
            path.merged(UpdatePath(created.leaf_node, nodes))


def test_t10_a_node_has_a_ciphertext_for_each_recipient() -> None:
    path = sent(grown(8))
    created = path.created.path
    for at, node in enumerate(created.nodes):
        sealed = ciphertexts(node)
        extra = HPKECiphertext(bytes(32), bytes(48))
        for wrong in (sealed[:-1], [*sealed, extra]):
            changed = UpdatePathNode.of(node.encryption_key, wrong)
            with refused(Rule.T10):
                path.merged(with_node(created, at, changed))


def test_t10_new_members_are_no_recipients() -> None:
    path = sent(grown(4), add=1)
    tree = path.before.copy()
    leaf = LeafNode(path.created.path.leaf_node, PROOF)
    with refused(Rule.T10):
        merge_path(tree, 0, leaf, path.created.path)


def test_t12_a_key_of_the_old_path_cannot_come_again() -> None:
    path = sent(grown(4))
    created = path.created.path
    old = path.before.encryption_key(3)
    assert old is not None
    node = UpdatePathNode.of(old, ciphertexts(created.nodes[1]))
    with refused(Rule.T12):
        path.merged(with_node(created, 1, node))


def test_t13_a_ciphertext_that_does_not_open() -> None:
    path = sent(grown(4))
    created = path.created.path
    good = created.nodes[0].ciphertext(0)
    for bad in (
        HPKECiphertext(good.kem_output, good.ciphertext[:-1] + b"\x00"),
        HPKECiphertext(good.kem_output, b""),
        HPKECiphertext(good.kem_output[:-1], good.ciphertext),
        HPKECiphertext(bytes(32), good.ciphertext),
        created.nodes[1].ciphertext(0),
    ):
        node = UpdatePathNode.of(created.nodes[0].encryption_key, [bad])
        with refused(Rule.T13):
            path.open(1, with_node(created, 0, node))


def test_t13_another_context_opens_nothing() -> None:
    path = sent(grown(4))
    path.context = path.grove.context(bytes(32))
    for index in (1, 2, 3):
        with refused(Rule.T13):
            path.open(index, path.created.path)


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(32), bytes(33)])
def test_t13_a_path_secret_that_does_not_fit_the_keys(secret: bytes) -> None:
    path = sent(grown(4))
    mine = path.before.encryption_key(2)
    assert mine is not None
    sealed = HPKECiphertext(
        *encrypt_with_label(SUITE, mine, b"UpdatePathNode", path.context, secret)
    )
    created = path.created.path
    node = UpdatePathNode.of(created.nodes[0].encryption_key, [sealed])
    with refused(Rule.T13):
        path.open(1, with_node(created, 0, node))


def test_t13_keys_above_are_those_that_follow() -> None:
    path = sent(grown(4))
    path.after.parents[1] = sent(path.grove).after.parent(3)
    with refused(Rule.T13):
        path.open(1, path.created.path)


def test_who_has_lost_its_keys_is_told_so() -> None:
    path = sent(grown(4))
    for keys in ({}, {2: Secret(b"")}):
        path.grove.keys[1] = PrivateKeys(1, keys)
        with pytest.raises(MlsMissing, match="a private key that the path is sealed"):
            path.open(1, path.created.path)


# ---- joining


def joined(path_secret: Secret | None, *, signer: int = 0) -> PrivateKeys:
    grove = grown(4)
    path = sent(grove)
    key = grove.keys[2].of(4)
    assert key is not None
    secret = path_secret or path.created.secret_for(2)
    return join_keys(path.after, 2, key, signer, secret)


def test_t14_the_path_secret_of_a_welcome_fits_the_tree() -> None:
    for octets in (b"", bytes(31), bytes(32), bytes(33)):
        with refused(Rule.T14):
            joined(Secret(octets))


def test_t14_the_signer_is_somebody_else() -> None:
    with refused(Rule.T14):
        joined(None, signer=2)


def test_t14_a_welcome_without_the_path_secret_would_leave_us_behind() -> None:
    grove = grown(2)
    key = grove.keys[1].of(2)
    assert key is not None
    with refused(Rule.T14):
        join_keys(grove.tree, 1, key, 0, None)


def test_a_welcome_needs_no_path_secret_where_the_joiner_is_unmerged() -> None:
    grove = grown(4)
    grove.commit(0, add=1, path=False)
    key = grove.keys[4].of(8)
    assert key is not None
    keys = join_keys(grove.tree, 4, key, 0, None)
    assert [node for node, _ in keys.items()] == [8]


# ---- private keys


def test_keys_of_blank_nodes_are_dropped() -> None:
    grove = grown(4)
    assert [node for node, _ in grove.keys[2].items()] == [3, 4, 5]
    before = grove.keys[2]
    tree = grove.tree.copy()
    tree.change(removals=[3])
    assert [node for node, _ in before.kept(tree).items()] == [4]
    assert [node for node, _ in before.items()] == [3, 4, 5]


def test_private_keys_show_no_octets() -> None:
    keys = grown(2).keys[0]
    assert repr(keys) == "<PrivateKeys of leaf 0 for 2 nodes>"
    key = keys.of(0)
    assert key is not None
    assert key.reveal().hex() not in repr(keys)


def test_paths_go_through_the_common_ancestor() -> None:
    grove = grown(8)
    path = sent(grove)
    for index in range(1, 8):
        meeting = tree_math.common_ancestor(0, index)
        assert path.created.secret_for(index) is path.created.path_secrets[meeting]
