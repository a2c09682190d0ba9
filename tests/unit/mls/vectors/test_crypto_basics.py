"""crypto-basics: the labelled functions, received and made."""

from typing import Final

import pytest

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.hpke import public_of
from sabir.crypto.labels import (
    decrypt_with_label,
    derive_secret,
    derive_tree_secret,
    encrypt_with_label,
    expand_with_label,
    ref_hash,
    sign_with_label,
    verify_with_label,
)
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)
from sabir.wire.tls import opaque

EPHEMERAL: Final = bytes(range(66))


@for_each("crypto-basics")
def test_the_labelled_functions_agree(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("crypto-basics"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    check_can_fail(check, load(case), refusals=(BadKey, OpenFailed, KeyError))


def check(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    _derivations(suite, vector)
    _signature(suite, vector["sign_with_label"])
    _encryption(suite, vector["encrypt_with_label"])


def _derivations(suite: CipherSuite, vector: Strict) -> None:
    ref = vector["ref_hash"]
    name = ref_hash(suite, ref["label"].encode(), ref.octets("value"))
    assert name == ref.octets("out")
    expand = vector["expand_with_label"]
    assert expand_with_label(
        suite,
        expand.octets("secret"),
        expand["label"].encode(),
        expand.octets("context"),
        expand["length"],
    ) == expand.octets("out")
    derive = vector["derive_secret"]
    secret = derive_secret(suite, derive.octets("secret"), derive["label"].encode())
    assert secret == derive.octets("out")
    tree = vector["derive_tree_secret"]
    assert derive_tree_secret(
        suite,
        tree.octets("secret"),
        tree["label"].encode(),
        tree["generation"],
        tree["length"],
    ) == tree.octets("out")


def _signature(suite: CipherSuite, given: Strict) -> None:
    label, content = given["label"].encode(), given.octets("content")
    public = given.octets("pub")
    assert verify_with_label(suite, public, label, content, given.octets("signature"))
    made = sign_with_label(suite, given.octets("priv"), label, content)
    assert verify_with_label(suite, public, label, content, made)


def _encryption(suite: CipherSuite, given: Strict) -> None:
    label, context = given["label"].encode(), given.octets("context")
    private, public = given.octets("priv"), given.octets("pub")
    plaintext = given.octets("plaintext")
    assert public_of(suite, private) == public
    theirs = (given.octets("kem_output"), given.octets("ciphertext"))
    assert decrypt_with_label(suite, private, label, context, *theirs) == plaintext
    for ephemeral in (None, EPHEMERAL[: suite.kem.private_octets]):
        ours = encrypt_with_label(suite, public, label, context, plaintext, ephemeral)
        assert decrypt_with_label(suite, private, label, context, *ours) == plaintext
        if suite.hpke_library is not None:  # an independent reader: all but X448
            info = opaque(b"MLS 1.0 " + label) + opaque(context)
            key = suite.kem.load_private(private)
            opened = suite.hpke_library.decrypt(b"".join(ours), key, info=info)
            assert opened == plaintext
