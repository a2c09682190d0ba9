"""TreeKEM: secrets along a path, sealed to everybody beside it (7.4 to 7.6).

The public half of a path is `merge_path`, which needs no secret: a hub does it, too.
A member goes on with `open_path`, a committer begins with `create_path`. In between
stands the provisional GroupContext, whose tree hash is that of the merged tree: it is
made by the caller.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from sabir.crypto import hpke
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.labels import (
    decrypt_with_label,
    derive_secret,
    encrypt_with_label,
)
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls import tree_math
from sabir.mls.commit import HPKECiphertext, UpdatePath, UpdatePathNode
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.leaf_node import LeafNode
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.validation.rules import Rule

_LABEL: Final = b"UpdatePathNode"
_OUR_KEY: Final = "a private key that the path is sealed to"

MakeLeaf = Callable[[bytes, bytes], LeafNode]
"""Makes and signs a leaf of source commit for an encryption key and a parent hash."""

MakeContext = Callable[[bytes], bytes]
"""Makes the provisional GroupContext, encoded, for a tree hash."""


@final
class PrivateKeys:
    """Our HPKE private keys, by node index; what replaces it is a new object.

    Attributes:
        leaf_index: our leaf.
    """

    __slots__ = ("_keys", "leaf_index")

    def __init__(self, leaf_index: int, keys: Mapping[int, Secret]) -> None:
        self.leaf_index = leaf_index
        self._keys = dict(keys)

    def of(self, node: int) -> Secret | None:
        """Return the private key of a node."""
        return self._keys.get(node)

    def items(self) -> Iterable[tuple[int, Secret]]:
        """Return all keys with their nodes, in order, to be stored."""
        return sorted(self._keys.items(), key=lambda item: item[0])

    def with_leaf_key(self, key: Secret) -> "PrivateKeys":
        """Return the keys after an Update of ours was committed."""
        return PrivateKeys(self.leaf_index, self._keys | {2 * self.leaf_index: key})

    def kept(self, tree: RatchetTree) -> "PrivateKeys":
        """Return the keys of nodes that are not blank: after proposals, no path."""
        return self.replaced(tree, {})

    def replaced(self, tree: RatchetTree, keys: Mapping[int, Secret]) -> "PrivateKeys":
        """Return the keys after a path: its own, and of others those not blank."""
        kept = {
            node: key for node, key in self._keys.items() if tree.node(node) is not None
        }
        return PrivateKeys(self.leaf_index, kept | dict(keys))

    def check_complete(self, tree: RatchetTree) -> None:
        """Check that these are the keys a member has in a tree (section 4.2).

        Those are of its leaf, and of each node above that is not blank and does not
        list the leaf as unmerged.

        Raises:
            MlsInvalid: T14.
        """
        wanted = {2 * self.leaf_index}
        for node in tree_math.direct_path(self.leaf_index, tree.leaf_count):
            parent = tree.parent(node)
            if parent is not None and self.leaf_index not in parent.unmerged_leaves:
                wanted.add(node)
        if self._keys.keys() != wanted:
            raise MlsInvalid(
                Rule.T14, f"private keys of {len(self._keys)} nodes, not {len(wanted)}"
            )

    def __repr__(self) -> str:
        return f"<PrivateKeys of leaf {self.leaf_index} for {len(self._keys)} nodes>"


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPath:
    """What a receiver gains from a path.

    Attributes:
        keys: our private keys in the new tree.
        commit_secret: for the key schedule.
    """

    keys: PrivateKeys
    commit_secret: Secret


@dataclass(frozen=True, slots=True, eq=False)
class CreatedPath:
    """A path of our own.

    Attributes:
        path: what the others receive.
        keys: our private keys in the new tree.
        commit_secret: for the key schedule.
        path_secrets: by node index, for the Welcomes of new members.
    """

    path: UpdatePath
    keys: PrivateKeys
    commit_secret: Secret
    path_secrets: Mapping[int, Secret]

    def secret_for(self, leaf: int) -> Secret:
        """Return the path secret that the Welcome of a new leaf carries (12.4.2)."""
        ancestor = tree_math.common_ancestor(self.keys.leaf_index, leaf)
        return self.path_secrets[ancestor]


# ---- derivation (section 7.4)


@final
class _Step:
    """A path secret, and what follows from it."""

    __slots__ = ("private", "public", "secret", "suite")

    def __init__(self, suite: CipherSuite, secret: bytes) -> None:
        self.suite = suite
        self.secret = secret
        node_secret = derive_secret(suite, secret, b"node")
        self.private, self.public = hpke.derive_key_pair(suite, node_secret)

    def next_secret(self) -> bytes:
        """Return the path secret of the next node, or the commit secret."""
        return derive_secret(self.suite, self.secret, b"path")


def _derive(
    tree: RatchetTree, nodes: Sequence[int], secret: bytes, rule: Rule
) -> tuple[dict[int, Secret], Secret]:
    """Derive the keys of nodes, from below, and compare them with the tree's.

    Returns:
        The private keys, and the commit secret.
    """
    suite = tree.suite
    if len(secret) != suite.nh:
        raise MlsInvalid(rule, f"path secret of {len(secret)} octets")
    keys = {}
    for node in nodes:
        step = _Step(suite, secret)
        if step.public != tree.encryption_key(node):
            raise MlsInvalid(rule, f"node {node} has another public key")
        keys[node] = Secret(step.private)
        secret = step.next_secret()
    return keys, Secret(secret)


# ---- receiving


def merge_path(
    tree: RatchetTree,
    sender: int,
    leaf: LeafNode,
    path: UpdatePath,
    added: Collection[int] = (),
) -> None:
    """Merge the public half of a path into a tree (section 7.5).

    Args:
        tree: after the proposals; changes.
        sender: leaf index; `tree.leftmost_blank()` for who joins by this commit.
        leaf: the path's leaf, checked for this place.
        path: of the commit.
        added: leaves that the proposals added.

    Raises:
        MlsInvalid: T09 to T12, L10 to L12, L14 for a key of the path.
    """
    for node in path.nodes:
        if not hpke.check_public(tree.suite, node.encryption_key):
            raise MlsInvalid(
                Rule.L14, f"encryption key of {len(node.encryption_key)} octets"
            )
    tree.merge_path(sender, leaf, [node.encryption_key for node in path.nodes])
    for node, (_, copath) in zip(path.nodes, tree.filtered_path(sender), strict=True):
        wanted = len(_recipients(tree, copath, added))
        if len(node) != wanted:
            raise MlsInvalid(Rule.T10, f"{len(node)} ciphertexts for {wanted}")


def _recipients(tree: RatchetTree, copath: int, added: Collection[int]) -> list[int]:
    """Return the nodes that a path secret is sealed to: no new member's."""
    new = {2 * leaf for leaf in added}
    return [node for node in tree.resolution(copath) if node not in new]


def open_path(
    tree: RatchetTree,
    keys: PrivateKeys,
    sender: int,
    path: UpdatePath,
    context: bytes,
    added: Collection[int] = (),
) -> OpenedPath:
    """Take the secret that is ours from a path (sections 7.5 and 7.6).

    Args:
        tree: after `merge_path`.
        keys: ours, for the tree before it.
        sender: leaf index, not ours.
        path: of the commit, which did not add us.
        context: the provisional GroupContext, encoded.
        added: leaves that the proposals added.

    Raises:
        MlsInvalid: T13.
        MlsMissing: we have no private key that the path is sealed to.
    """
    steps = tree.filtered_path(sender)
    meeting = tree_math.common_ancestor(sender, keys.leaf_index)
    at = [node for node, _ in steps].index(meeting)
    position, key = _our_key(_recipients(tree, steps[at][1], added), keys)
    sealed = path.nodes[at].ciphertext(position)
    try:
        secret = decrypt_with_label(
            tree.suite,
            key.reveal(),
            _LABEL,
            context,
            sealed.kem_output,
            sealed.ciphertext,
        )
    except OpenFailed:
        raise MlsInvalid(Rule.T13, f"path secret {at} does not open") from None
    except BadKey:
        raise MlsMissing(_OUR_KEY) from None
    above = [node for node, _ in steps[at:]]
    found, commit_secret = _derive(tree, above, secret, Rule.T13)
    return OpenedPath(keys.replaced(tree, found), commit_secret)


def _our_key(recipients: Sequence[int], keys: PrivateKeys) -> tuple[int, Secret]:
    for position, node in enumerate(recipients):
        key = keys.of(node)
        if key is not None:
            return position, key
    raise MlsMissing(_OUR_KEY)


def join_keys(
    tree: RatchetTree,
    leaf_index: int,
    leaf_key: Secret,
    signer: int,
    path_secret: Secret | None,
) -> PrivateKeys:
    """Return the private keys of who joins by a Welcome (section 12.4.3.1).

    Args:
        tree: of the GroupInfo.
        leaf_index: ours.
        leaf_key: private key of our leaf.
        signer: leaf index of who made the Welcome.
        path_secret: of the Welcome.

    Raises:
        MlsInvalid: T14, also where the Welcome leaves out a path secret, so that we
            could not follow later commits.
    """
    found: dict[int, Secret] = {}
    if path_secret is not None:
        meeting = tree_math.common_ancestor(leaf_index, signer)
        path = [node for node, _ in tree.filtered_path(signer)]
        if meeting not in path:
            raise MlsInvalid(Rule.T14, f"leaf {signer} has no path to ours")
        above = path[path.index(meeting) :]
        found, _ = _derive(tree, above, path_secret.reveal(), Rule.T14)
    keys = PrivateKeys(leaf_index, {2 * leaf_index: leaf_key} | found)
    keys.check_complete(tree)
    return keys


# ---- sending


def create_path(
    env: Env,
    tree: RatchetTree,
    sender: int,
    make_leaf: MakeLeaf,
    make_context: MakeContext,
    added: Collection[int] = (),
) -> CreatedPath:
    """Give our path new keys, and seal its secrets to the others (7.4 to 7.6).

    Args:
        env: randomness; HPKE draws its own.
        tree: after the proposals; changes.
        sender: our leaf index, or `tree.leftmost_blank()` when we join by this commit.
        make_leaf: makes our new leaf.
        make_context: makes the provisional GroupContext.
        added: leaves that the proposals added.
    """
    suite = tree.suite
    leaf_private, leaf_public = hpke.derive_key_pair(
        suite, env.random(suite.kem.private_octets)
    )
    tree.make_room(sender)
    path = tree.filtered_path(sender)
    steps = []
    secret = env.random(suite.nh)
    for _ in path:
        steps.append(_Step(suite, secret))
        secret = steps[-1].next_secret()
    parent_hash = tree.draft_path(sender, [step.public for step in steps])
    leaf = make_leaf(leaf_public, parent_hash)
    tree.finish_path(sender, leaf)
    context = make_context(tree.tree_hash())
    keys = {2 * sender: Secret(leaf_private)}
    secrets = {}
    nodes = []
    for (node, copath), step in zip(path, steps, strict=True):
        keys[node] = Secret(step.private)
        secrets[node] = Secret(step.secret)
        nodes.append(_seal(tree, step, _recipients(tree, copath, added), context))
    return CreatedPath(
        UpdatePath(leaf, tuple(nodes)),
        PrivateKeys(sender, keys),
        Secret(secret),
        secrets,
    )


def _seal(
    tree: RatchetTree, step: _Step, recipients: Sequence[int], context: bytes
) -> UpdatePathNode:
    sealed = []
    for node in recipients:
        key = tree.encryption_key(node)
        assert key is not None
        sealed.append(
            HPKECiphertext(
                *encrypt_with_label(tree.suite, key, _LABEL, context, step.secret)
            )
        )
    return UpdatePathNode.of(step.public, sealed)
