"""Key packages: reading, writing, names."""

import pytest
from hypothesis import given

from sabir.crypto.labels import ref_hash, verify_with_label
from sabir.crypto.suites import SUITES
from sabir.mls.key_packages import (
    TBS_LABEL,
    KeyPackage,
    KeyPackageIn,
    read_key_package,
)
from sabir.mls.leaf_node import LeafNode
from sabir.mls.validation.proof import PROOF
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.structs import fields_of, key_packages
from sabir.wire.tls import read_whole

ALICE = Author(SUITES[1])


@given(key_packages)
def test_a_key_package_reads_as_written(key_package: KeyPackageIn) -> None:
    again = read_whole(key_package.raw, read_key_package)
    assert fields_of(again) == fields_of(key_package)
    assert again == key_package


@pytest.mark.parametrize("number", SUITES)
def test_our_own_key_packages_are_signed(number: int) -> None:
    author = Author(SUITES[number])
    package = author.key_package()
    assert package.signed() == package.encode_unsigned()
    assert verify_with_label(
        author.suite,
        author.signature_public,
        TBS_LABEL,
        package.signed(),
        package.signature,
    )


def test_the_reference_names_all_octets() -> None:
    package = ALICE.key_package()
    assert package.reference(ALICE.suite) == ref_hash(
        ALICE.suite, b"MLS 1.0 KeyPackage Reference", package.raw
    )


def test_a_checked_key_package_is_the_same_one() -> None:
    package = ALICE.key_package()
    leaf = LeafNode(package.leaf_node, PROOF)
    checked = KeyPackage(package, leaf, PROOF)
    assert checked == package
    assert checked.leaf_node is leaf
    assert checked.reference(ALICE.suite) == package.reference(ALICE.suite)
    assert (checked.version, checked.cipher_suite, checked.init_key) == (
        package.version,
        package.cipher_suite,
        package.init_key,
    )
    assert checked.extensions == package.extensions
    assert checked.signature == package.signature
