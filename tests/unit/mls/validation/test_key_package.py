"""Rules K: each is broken here."""

from dataclasses import replace

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import GREASE, LeafNodeSource
from sabir.mls.extensions import Extension
from sabir.mls.key_packages import KeyPackage, KeyPackageIn
from sabir.mls.leaf_node import Lifetime
from sabir.mls.validation.key_package import (
    check_init_keys_unique,
    check_version_of_message,
    validate_key_package,
)
from sabir.mls.validation.leaf_node import LeafRules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.leaves import CAPABILITIES, DAY_S, NOW_S, Author, TrustAll
from sabir.testing.mls.rules import violates

SUITE = SUITES[1]
ALICE, BOB = Author(SUITE), Author(SUITE, b"bob")
EXTENSION = 0xF010


def validated(key_package: KeyPackageIn, author: Author = ALICE) -> KeyPackage:
    rules = LeafRules(suite=author.suite, authentication=TrustAll())
    return validate_key_package(key_package, rules, NOW_S)


@pytest.mark.parametrize("number", SUITES)
def test_a_valid_key_package_is_accepted(number: int) -> None:
    author = Author(SUITES[number])
    package = author.key_package()
    checked = validated(package, author)
    assert isinstance(checked, KeyPackage)
    assert checked == package
    assert checked.leaf_node == package.leaf_node


@pytest.mark.parametrize("number", [0, 2, 0xFB07])
def test_k01_another_suite_is_refused(number: int) -> None:
    with violates(Rule.K01):
        validated(ALICE.key_package(cipher_suite=number))


@pytest.mark.parametrize("version", [0, 2])
def test_k01_another_version_is_refused(version: int) -> None:
    with violates(Rule.K01):
        validated(ALICE.key_package(version=version))


@pytest.mark.parametrize("source", [LeafNodeSource.UPDATE, LeafNodeSource.COMMIT])
def test_k02_a_leaf_of_another_source_is_refused(source: LeafNodeSource) -> None:
    with violates(Rule.L09):
        validated(ALICE.key_package(ALICE.leaf(source)))


def test_k02_a_leaf_that_is_not_valid_is_refused() -> None:
    expired = ALICE.leaf(lifetime=Lifetime(0, DAY_S))
    with violates(Rule.L05):
        validated(ALICE.key_package(expired))
    rules = LeafRules(suite=SUITE, authentication=TrustAll())
    validate_key_package(ALICE.key_package(expired), rules, None)


@pytest.mark.parametrize("number", SUITES)
def test_k03_a_wrong_signature_is_refused(number: int) -> None:
    author = Author(SUITES[number])
    package = author.key_package()
    for signature in (b"", bytes(len(package.signature)), package.signature[:-1]):
        with violates(Rule.K03):
            validated(replace(package, signature=signature, raw=b""), author)


def test_k03_the_signature_is_by_the_leafs_key() -> None:
    with violates(Rule.K03):
        validated(BOB.key_package(ALICE.leaf()))


def test_k04_the_init_key_is_not_the_encryption_key() -> None:
    with violates(Rule.K04):
        validated(ALICE.key_package(init_key=ALICE.encryption_public))


def test_k05_the_version_is_that_of_the_message() -> None:
    check_version_of_message(ALICE.key_package())
    with violates(Rule.K05):
        check_version_of_message(ALICE.key_package(version=2))


def test_k06_extensions_are_in_the_leafs_capabilities() -> None:
    grease = min(GREASE)
    extensions = (Extension(EXTENSION, b""), Extension(grease, b"what"))
    capable = replace(CAPABILITIES, extensions=(EXTENSION, grease), raw=b"")
    leaf = ALICE.leaf(capabilities=capable)
    validated(ALICE.key_package(leaf, extensions=extensions))
    with violates(Rule.K06):
        validated(ALICE.key_package(extensions=extensions))


def test_k07_init_keys_of_a_list_are_unique() -> None:
    check_init_keys_unique([ALICE.key_package(), BOB.key_package()])
    with violates(Rule.K07):
        check_init_keys_unique(
            [ALICE.key_package(), BOB.key_package(), ALICE.key_package()]
        )


@pytest.mark.parametrize("number", SUITES)
def test_l14_the_init_key_is_one_of_the_suite(number: int) -> None:
    author = Author(SUITES[number])
    for key in (b"", bytes(len(author.encryption_public))):
        with violates(Rule.L14):
            validated(author.key_package(init_key=key), author)
