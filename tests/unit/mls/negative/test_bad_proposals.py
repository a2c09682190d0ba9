"""A proposal that cannot be committed does not keep others from committing."""

import pytest

from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.proposals import Add, PreSharedKey, Proposal, Update
from sabir.mls.psk_ids import ExternalPsk
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.world import World
from tests.unit.mls.negative.test_proposals import key_package, leaf_with


def bad_proposals(own: World, carol: Forger) -> dict[str, Proposal]:
    """Return proposals of carol that are accepted alone and fit no commit."""
    taken = own.hub.tree.encryption_key(0)
    leaf = carol.signed_leaf(
        leaf_with(encryption_key=taken), source=LeafNodeSource.UPDATE
    )
    return {
        "a key in use": Update(leaf),
        "who is here": Add(key_package(own, "bob")),
        "an unknown PSK": PreSharedKey(ExternalPsk(b"unknown", bytes(own.suite.nh))),
    }


CASES = ("a key in use", "who is here", "an unknown PSK")


@pytest.mark.parametrize("which", CASES)
def test_others_commit_around_a_bad_proposal(own: World, which: str) -> None:
    carol = Forger(own, "carol")
    sent = carol.proposal(bad_proposals(own, carol)[which])
    for name in ("alice", "bob", "dave", "erin"):
        own.groups[name].process(own.env, sent.message)
    own.commit("alice")


def test_two_members_may_propose_one_client_at_once(own: World) -> None:
    for name in ("bob", "erin"):
        add = Add(key_package(own, "zoe"))
        sent = own.groups[name].propose(own.env, add, as_public=True)
        own.deliver(sent.message, name)
    own.commit("alice")


@pytest.mark.parametrize("which", CASES)
def test_covering_others_by_name_is_a_way_out(own: World, which: str) -> None:
    carol = Forger(own, "carol")
    sent = carol.proposal(bad_proposals(own, carol)[which])
    for name in ("alice", "bob", "dave", "erin"):
        own.groups[name].process(own.env, sent.message)
    own.commit("alice", references=())
    own.check()
