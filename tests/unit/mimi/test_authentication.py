"""D-12: what a credential says about who somebody is."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.authentication import RoomAuthentication
from sabir.mimi.client_settings import room_client, room_services
from sabir.mls.client import Identity
from sabir.mls.credentials import BasicCredential, Credential, Where, X509Credential
from sabir.mls.leaf_node import LeafNodeIn
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.seeded import SeededEnv

ENV = SeededEnv(5)
ASKED = RoomAuthentication()


def accepts(identity: bytes, where: Where) -> bool:
    return ASKED.check(BasicCredential(identity), b"key", where).accepted


@pytest.mark.parametrize(
    ("identity", "member", "hub"),
    [
        (b"mimi://a.example/d/ann/1", True, False),
        (b"mimi://a.example/u/ann", True, False),
        (b"mimi://a.example", False, True),
        (b"mimi://a.example/d/ClientA1", False, False),
        (b"mimi://a.example/r/tea", False, False),
        (b"mimi://a.example/p/x", False, False),
        (b"ann", False, False),
        (b"mimi://a.example/u/\xc3\xa4", False, False),
        (b"", False, False),
    ],
)
def test_a_member_is_a_client_and_a_hub_a_provider(
    identity: bytes, member: bool, hub: bool
) -> None:
    for where in set(Where) - {Where.EXTERNAL_SENDER}:
        assert accepts(identity, where) is member
    assert accepts(identity, Where.EXTERNAL_SENDER) is hub


def test_a_refusal_has_its_reason_without_the_identity() -> None:
    verdict = ASKED.check(BasicCredential(b"nobody"), b"key", Where.TREE)
    assert verdict.reason
    assert "nobody" not in verdict.reason


def test_other_credentials_are_refused() -> None:
    assert not ASKED.check(X509Credential((b"der",)), b"key", Where.TREE).accepted


def leaf(credential: Credential) -> LeafNodeIn:
    identity = Identity.generate(ENV, SUITES[1], credential)
    made = room_client(room_services(), PskTable(), [identity])
    return made.leaf(ENV, identity, bytes(32))


ANN_1 = BasicCredential(b"mimi://a.example/d/ann/1")
ANN_2 = BasicCredential(b"mimi://a.example/d/ann/2")
NAMELESS = BasicCredential(b"mimi://a.example/u/ann")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ANN_1, ANN_1, True),
        (ANN_1, ANN_2, False),
        (ANN_1, NAMELESS, False),
        (NAMELESS, NAMELESS, False),
        (X509Credential((b"der",)), X509Credential((b"der",)), True),
        (BasicCredential(b"?"), BasicCredential(b"?"), True),
    ],
)
def test_a_client_is_told_by_its_identity_or_where_it_has_none_by_its_key(
    one: Credential, other: Credential, same: bool
) -> None:
    first = leaf(one)
    assert ASKED.same_client(first, first)
    assert ASKED.same_client(first, leaf(other)) is same


def test_a_leaf_keeps_its_identity() -> None:
    assert ASKED.may_replace(leaf(ANN_1), leaf(ANN_1))
    assert not ASKED.may_replace(leaf(ANN_1), leaf(ANN_2))
