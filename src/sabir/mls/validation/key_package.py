"""Rules K: a key package is one that can be added to this group (section 10.1)."""

from collections.abc import Iterable

from sabir.crypto import hpke
from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.codepoints import MLS10
from sabir.mls.credentials import Where
from sabir.mls.errors import MlsInvalid
from sabir.mls.key_packages import TBS_LABEL, KeyPackage, KeyPackageIn
from sabir.mls.validation.leaf_node import (
    LeafRules,
    validate_leaf_node,
    validate_new_leaf_node,
)
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule


def validate_key_package(
    key_package: KeyPackageIn, rules: LeafRules, now: int | None
) -> KeyPackage:
    """Check a key package before its client is added.

    Args:
        key_package: what came in.
        rules: of the group.
        now: seconds since 1970, to judge the lifetime by; None where the policy is
            to let an expired one be, as a receiver may (section 7.3).

    Returns:
        The same key package, checked for all rules K but K05 and K07, and its leaf
        as `validate_leaf_node` does (K02).

    Raises:
        MlsInvalid: the rule that is broken, of K or L.
    """
    _check_all_but_signature(key_package, rules)
    leaf = validate_leaf_node(key_package.leaf_node, rules, Where.KEY_PACKAGE, now=now)
    check_signature(key_package, rules.suite)
    return KeyPackage(key_package, leaf, PROOF)


def validate_new_key_package(
    key_package: KeyPackageIn, rules: LeafRules, now: int
) -> KeyPackage:
    """Check a key package of ours, signed a moment ago.

    As `validate_key_package`, but both signatures are believed: `sign_leaf_node` and
    `sign_key_package` made them, with the private half of the leaf's signature key.

    Raises:
        MlsInvalid: the rule that is broken, by which others would refuse it.
    """
    _check_all_but_signature(key_package, rules)
    leaf = validate_new_leaf_node(key_package.leaf_node, rules, now)
    return KeyPackage(key_package, leaf, PROOF)


def _check_all_but_signature(key_package: KeyPackageIn, rules: LeafRules) -> None:
    check_version_and_suite(key_package, rules.version, rules.suite)
    check_extensions(key_package)
    check_init_key(key_package, rules.suite)
    check_keys_differ(key_package)


def check_version_and_suite(
    key_package: KeyPackageIn, version: int, suite: CipherSuite
) -> None:
    """K01: version and suite are the group's."""
    if key_package.version != version:
        raise MlsInvalid(Rule.K01, f"protocol version {key_package.version}")
    if key_package.cipher_suite != suite.number:
        raise MlsInvalid(Rule.K01, f"cipher suite {key_package.cipher_suite}")


def check_signature(key_package: KeyPackageIn, suite: CipherSuite) -> None:
    """K03: the signature is right by the leaf's signature key."""
    key = key_package.leaf_node.signature_key
    signed = key_package.signed()
    if not verify_with_label(suite, key, TBS_LABEL, signed, key_package.signature):
        raise MlsInvalid(Rule.K03, "signature is wrong")


def check_init_key(key_package: KeyPackageIn, suite: CipherSuite) -> None:
    """L14, for the init key: it is well formed for the suite (section 5.1.1)."""
    if not hpke.check_public(suite, key_package.init_key):
        size = len(key_package.init_key)
        raise MlsInvalid(Rule.L14, f"init key of {size} octets")


def check_keys_differ(key_package: KeyPackageIn) -> None:
    """K04: the init key differs from the encryption key."""
    if key_package.init_key == key_package.leaf_node.encryption_key:
        raise MlsInvalid(Rule.K04, "init key is the encryption key")


def check_version_of_message(key_package: KeyPackageIn, version: int = MLS10) -> None:
    """K05: its version is that of the MLSMessage around it (section 10)."""
    if key_package.version != version:
        raise MlsInvalid(
            Rule.K05, f"protocol version {key_package.version} in {version}"
        )


def check_extensions(key_package: KeyPackageIn) -> None:
    """K06: its non-default extensions are in its capabilities (section 10)."""
    capabilities = key_package.leaf_node.capabilities
    for extension in key_package.extensions:
        if not capabilities.supports_extension(extension.kind):
            raise MlsInvalid(Rule.K06, f"extension type {extension.kind}")


def check_init_keys_unique(key_packages: Iterable[KeyPackageIn]) -> None:
    """K07: no two key packages of a list have one init key (ours)."""
    seen: set[bytes] = set()
    for key_package in key_packages:
        if key_package.init_key in seen:
            raise MlsInvalid(Rule.K07, "one init key twice")
        seen.add(key_package.init_key)
