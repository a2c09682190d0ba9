"""A large group in which every member has committed, made without its members.

On such a tree a commit costs one sealed secret for each level instead of one for each
member. To make it by real members, each would have to follow the commits of all the
others; here one program holds everybody's keys and writes only what is public. The
outcome is a GroupInfo that anybody joins by an external commit.
"""

import os
from typing import Final

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import CredentialKind, LeafNodeSource
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import EXTERNAL_PUB, RATCHET_TREE, Extension
from sabir.mls.framing import encode_message
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import GroupInfoIn, sign_group_info
from sabir.mls.key_schedule import external_public
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, Lifetime, sign_leaf_node
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.tags import Tag
from sabir.mls.validation.proof import PROOF
from sabir.wire.tls import opaque

GROUP_ID: Final = b"populated"

_SEED_OCTETS: Final = 64
"""What a key pair is derived from: enough for every suite."""

_YEAR_10000: Final = 253_402_300_799


def _public_key(suite: CipherSuite) -> bytes:
    return hpke.derive_key_pair(suite, os.urandom(_SEED_OCTETS))[1]


class _Founders:
    """The members, and the tree as their commits change it."""

    def __init__(self, suite: CipherSuite, count: int) -> None:
        self._suite = suite
        self._keys = [
            signature_key_pair(suite, os.urandom(suite.signature.private_octets))
            for _ in range(count)
        ]
        leaves = [self._leaf(index) for index in range(count)]
        self.tree = RatchetTree.of_founder(suite, leaves[0])
        self.tree.change(additions=leaves[1:])

    @property
    def signer(self) -> bytes:
        """Return the private signature key of leaf 0."""
        return self._keys[0][0]

    def _leaf(self, index: int, parent_hash: bytes | None = None) -> LeafNode:
        private, public = self._keys[index]
        kind = CredentialKind.BASIC
        leaf = LeafNodeIn(
            encryption_key=_public_key(self._suite),
            signature_key=public,
            credential=BasicCredential(identity=b"founder %d" % index),
            capabilities=Capabilities((1,), (self._suite.number,), (), (), (kind,)),
            source=LeafNodeSource.KEY_PACKAGE
            if parent_hash is None
            else LeafNodeSource.COMMIT,
            lifetime=Lifetime(0, _YEAR_10000) if parent_hash is None else None,
            parent_hash=parent_hash,
            extensions=(),
            signature=b"",
        )
        signed = sign_leaf_node(self._suite, private, leaf, GROUP_ID, index)
        return LeafNode(signed, PROOF)

    def commit(self, index: int) -> None:
        """Let a member replace its leaf and everything above."""
        path = self.tree.filtered_path(index)
        keys = [_public_key(self._suite) for _ in path]
        parent_hash = self.tree.draft_path(index, keys)
        self.tree.finish_path(index, self._leaf(index, parent_hash))


def populated_group_info(suite: CipherSuite, members: int) -> bytes:
    """Return an MLSMessage with the GroupInfo of a group with all parents set.

    Its epoch secrets are random: nobody can be a member but by an external commit.
    """
    founders = _Founders(suite, members)
    for index in range(members):
        founders.commit(index)
    external = external_public(suite, Secret(os.urandom(suite.nh)))
    context = GroupContext(
        cipher_suite=suite.number,
        group_id=GROUP_ID,
        epoch=members,
        tree_hash=founders.tree.tree_hash(),
        confirmed_transcript_hash=os.urandom(suite.nh),
    )
    group_info = GroupInfoIn(
        group_context=context,
        extensions=(
            Extension(EXTERNAL_PUB, opaque(external)),
            Extension(RATCHET_TREE, founders.tree.encode()),
        ),
        confirmation_tag=Tag(os.urandom(suite.nh)),
        signer=0,
        signature=b"",
    )
    return encode_message(sign_group_info(suite, founders.signer, group_info))
