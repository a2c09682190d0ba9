"""secret-tree: generations 0 and 15 of every leaf, in trees of 1, 8 and 32 leaves."""

from typing import Final

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.message_protection import sender_data_keys
from sabir.mls.secret_tree import RatchetKind, SecretTree
from sabir.testing.mls.keys import next_key
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)


@for_each("secret-tree")
def test_every_key_agrees_in_either_order(vector: Strict) -> None:
    check(vector)


_BEHIND: Final = {"sender_data.ciphertext": "only the first 32 octets are sampled"}
_SAME: Final = {"cipher_suite": "suites 4 and 5 have the same hash and AEAD"}
UNSEEN: Final = {1: _BEHIND, 2: _BEHIND, 3: _BEHIND, 4: _SAME, 5: _SAME}


@pytest.mark.parametrize("case", cases("secret-tree"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    unseen = UNSEEN.get(case.suite or 0)
    check_can_fail(check, load(case), refusals=(KeyError,), unseen=unseen)


def check(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    _sender_data(suite, vector["sender_data"])
    encryption, leaves = vector.octets("encryption_secret"), vector["leaves"]
    trees = [
        SecretTree.new(suite, len(leaves), Secret(encryption), DEFAULT_LIMITS)
        for _ in range(3)
    ]
    for leaf, given in enumerate(leaves):
        _read(trees[0], leaf, given)
        _read(trees[1], leaf, given[::-1])
        _send(trees[2], leaf, given)


def _sender_data(suite: CipherSuite, given: Strict) -> None:
    secret = Secret(given.octets("sender_data_secret"))
    key, nonce = sender_data_keys(suite, secret, given.octets("ciphertext"))
    assert key == given.octets("key")
    assert nonce == given.octets("nonce")


def _read(tree: SecretTree, leaf: int, given: list[Strict]) -> None:
    for generation in given:
        for kind in RatchetKind:
            peeked = tree.peek(leaf, kind, generation["generation"])
            found = peeked.message_key
            assert found.key == generation.octets(f"{kind.name.lower()}_key")
            assert found.nonce == generation.octets(f"{kind.name.lower()}_nonce")
            tree.consume(peeked)


def _send(tree: SecretTree, leaf: int, given: list[Strict]) -> None:
    wanted = {each["generation"]: each for each in given}
    for kind in RatchetKind:
        for number in range(max(wanted) + 1):
            made = next_key(tree, leaf, kind)
            if number in wanted:
                key = wanted[number].octets(f"{kind.name.lower()}_key")
                assert made.key == key
    assert 0 in wanted
