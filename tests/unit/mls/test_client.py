"""Key packages of our own, and who we are."""

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, KeyPackageSecrets
from sabir.mls.codepoints import GREASE
from sabir.mls.components import is_last_resort
from sabir.mls.errors import MlsMisuse, MlsUnsupported
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.validation.key_package import validate_key_package
from sabir.mls.validation.leaf_node import LeafRules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import Believing
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, client


@pytest.mark.parametrize("suite", SUITES)
def test_a_key_package_is_valid_and_lives_for_four_weeks(suite: int) -> None:
    package, secrets = client("ann", suite).key_package(ENV, suite=suite)
    lifetime = package.leaf_node.lifetime
    assert lifetime is not None
    assert lifetime.not_before <= ENV.now() <= lifetime.not_after
    assert lifetime.not_after - ENV.now() == 28 * 86_400
    read = decode_message(encode_message(package)).body
    assert isinstance(read, KeyPackageIn)
    assert read == secrets.key_package == package
    assert not is_last_resort(package.extensions)
    rules = LeafRules(suite=SUITES[suite], authentication=Believing())
    assert validate_key_package(read, rules, ENV.now()) == package


def test_a_key_package_of_last_resort_says_so() -> None:
    package, _ = client("ann").key_package(ENV, suite=1, last_resort=True)
    assert is_last_resort(package.extensions)


def test_a_key_package_that_others_would_refuse_is_not_made() -> None:
    with violates(Rule.L06):
        client("ann").key_package(ENV, suite=1, lifetime_s=93 * 86_400)
    with violates(Rule.L05):
        client("ann").key_package(ENV, suite=1, lifetime_s=-1)


@pytest.mark.parametrize("suite", SUITES)
def test_an_identity_of_two_half_pairs_is_refused(suite: int) -> None:
    ann, bob = (client(name, suite).identities[suite] for name in ("ann", "bob"))
    for private in (bob.private, Secret(b"")):
        with pytest.raises(MlsMisuse, match="not the halves of one"):
            Identity(SUITES[suite], ann.credential, ann.public, private)


def test_there_is_an_identity_for_each_suite_in_use() -> None:
    with pytest.raises(MlsMisuse):
        client("ann", 1).key_package(ENV, suite=2)
    with pytest.raises(MlsUnsupported):
        client("ann", 1).key_package(ENV, suite=99)


def test_leaves_of_a_client_are_alike_and_have_grease() -> None:
    ann = client("ann")
    one, other = (ann.key_package(ENV, suite=1)[0] for _ in range(2))
    assert one.leaf_node.capabilities.raw == other.leaf_node.capabilities.raw
    capabilities = ann.capabilities
    for numbers in (
        capabilities.cipher_suites,
        capabilities.extensions,
        capabilities.proposals,
        capabilities.credentials,
    ):
        assert len(GREASE.intersection(numbers)) == 1
    assert set(SUITES) <= set(capabilities.cipher_suites)
    assert {8, 9, 10} <= set(capabilities.proposals)


@pytest.mark.parametrize("suite", SUITES)
def test_who_we_are_is_stored(suite: int) -> None:
    identity = client("ann", suite).identities[suite]
    read = Identity.decode(identity.encode())
    assert (read.suite, read.credential, read.public) == (
        identity.suite,
        identity.credential,
        identity.public,
    )
    assert read.private.ct_equal(identity.private)
    assert identity.private.reveal() not in repr(read).encode("latin-1")


def test_a_damaged_identity_is_refused() -> None:
    octets = client("ann").identities[1].encode()
    for damaged in (b"", octets[:-1], octets + b"\0", b"SBRI\0\2" + octets[6:]):
        with pytest.raises(MlsMisuse, match="stored identity"):
            Identity.decode(damaged)
    with pytest.raises(MlsMisuse, match="halves"):
        Identity.decode(octets[:-1] + bytes([octets[-1] ^ 1]))
    with pytest.raises(MlsUnsupported):
        Identity.decode(octets, {})


@pytest.mark.parametrize("suite", SUITES)
def test_the_secrets_of_a_key_package_are_stored(suite: int) -> None:
    _, secrets = client("ann", suite).key_package(ENV, suite=suite)
    octets = secrets.encode()
    read = KeyPackageSecrets.decode(octets)
    assert read.key_package == secrets.key_package
    assert read.encode() == octets
    for damaged in (b"", octets[:-1], octets + b"\0"):
        with pytest.raises(MlsMisuse, match="stored key package"):
            KeyPackageSecrets.decode(damaged)
