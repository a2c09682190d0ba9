"""welcome.json: a Welcome opens for its key package, the vector's and ours."""

from dataclasses import dataclass, replace

from sabir.crypto.labels import decrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.client import Identity, MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.group.commit import seal_welcome
from sabir.mls.group.group import MlsGroup
from sabir.mls.group_info import GroupInfoIn, read_group_info, sign_group_info
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.key_schedule import (
    NewEpoch,
    new_epoch,
    welcome_key_and_nonce,
    welcome_secret,
    zero_secret,
)
from sabir.mls.proposals import Add
from sabir.mls.services import Services
from sabir.mls.transcript import confirmation_tag
from sabir.mls.validation.welcome import (
    check_group_suite,
    check_group_tag,
    check_welcome_suite,
    entry_for,
    verify_group_info_by,
)
from sabir.mls.welcome import GroupSecrets, Welcome, read_group_secrets
from sabir.testing.mls.clients import Believing, PskTable
from sabir.testing.mls.vectors import Strict, for_each
from sabir.wire.tls import read_whole
from tests.unit.mls.vectors.passive import LIMITS, September2023


@for_each("welcome")
def test_a_welcome_opens_and_proves_its_epoch(vector: Strict) -> None:
    """The vector's; the same GroupInfo sealed again by us; and our own next epoch."""
    joiner = Joiner(vector)
    opened = joiner.open(vector.octets("welcome"), vector.octets("signer_pub"))
    suite = joiner.suite

    again = joiner.welcome(opened.group_info, opened.secrets)
    assert again != vector.octets("welcome"), "sealed with a key pair of our own"
    same = joiner.open(again, vector.octets("signer_pub"))
    assert same.group_info.raw == opened.group_info.raw
    assert same.epoch.kept.confirmation.ct_equal(opened.epoch.kept.confirmation)

    private, public = signature_key_pair(
        suite, bytes(range(suite.signature.private_octets))
    )
    secrets = GroupSecrets(Secret(bytes(range(suite.nh))), None)
    info = next_info(suite, opened.group_info, secrets)
    ours = joiner.open(
        joiner.welcome(sign_group_info(suite, private, info), secrets), public
    )
    assert ours.group_info.group_context == info.group_context
    assert not ours.epoch.kept.confirmation.ct_equal(opened.epoch.kept.confirmation)


@for_each("welcome", whole=False, suites=range(1, 7))
def test_a_group_of_ours_welcomes_the_vector_s_client(vector: Strict) -> None:
    """Not that of suite 7, which does not list its own suite (L13)."""
    joiner, env = Joiner(vector), September2023()
    ours = Identity.generate(env, joiner.suite, BasicCredential(b"founder"))
    services = Services(authentication=Believing(), limits=LIMITS)
    client = MlsClient(services, PskTable(), [ours])
    group = MlsGroup.create(env, client, b"ours", suite=joiner.suite.number)
    group.commit(env, [Add(joiner.package)], force_path=True)
    welcome = group.merge_pending(env).welcome
    assert welcome is not None
    opened = joiner.open(encode_message(welcome), ours.public)
    assert opened.secrets.path_secret is not None
    assert opened.group_info.group_context == group.group_context
    assert opened.epoch.kept.epoch_authenticator.ct_equal(group.epoch_authenticator)


def next_info(
    suite: CipherSuite, old: GroupInfoIn, secrets: GroupSecrets
) -> GroupInfoIn:
    """Show an epoch after the vector's, unsigned."""
    context = replace(
        old.group_context,
        epoch=old.group_context.epoch + 1,
        confirmed_transcript_hash=suite.hash(b"a commit"),
        raw=b"",
    )
    epoch = new_epoch(suite, secrets.joiner_secret, zero_secret(suite), context.raw)
    tag = confirmation_tag(
        suite, epoch.kept.confirmation, context.confirmed_transcript_hash
    )
    return replace(
        old, group_context=context, confirmation_tag=tag, signature=b"", raw=b""
    )


@dataclass
class Opened:
    """What a Welcome tells the joiner."""

    secrets: GroupSecrets
    group_info: GroupInfoIn
    epoch: NewEpoch


class Joiner:
    """Whose key package a vector has."""

    def __init__(self, vector: Strict) -> None:
        self.suite = SUITES[vector["cipher_suite"]]
        package = decode_message(vector.octets("key_package")).body
        assert isinstance(package, KeyPackageIn)
        self.package = package
        self.init_key = vector.octets("init_priv")

    def open(self, message: bytes, signature_key: bytes) -> Opened:
        """Open a Welcome by the rules of the core, as far as there is no tree."""
        suite = self.suite
        welcome = decode_message(message).body
        assert isinstance(welcome, Welcome)
        check_welcome_suite(welcome, self.package.cipher_suite)
        entry = entry_for(welcome, self.package.reference(suite))
        sealed = entry.encrypted_group_secrets
        octets = decrypt_with_label(
            suite,
            self.init_key,
            b"Welcome",
            welcome.encrypted_group_info,
            sealed.kem_output,
            sealed.ciphertext,
        )
        secrets = read_whole(octets, read_group_secrets)
        assert secrets.encode() == octets
        psk = zero_secret(suite)
        key, nonce = welcome_key_and_nonce(
            suite, welcome_secret(suite, secrets.joiner_secret, psk)
        )
        opened = suite.aead_open(key, nonce, welcome.encrypted_group_info, b"")
        group_info = read_whole(opened, read_group_info)
        verified = verify_group_info_by(suite, group_info, signature_key)
        context = verified.group_context
        check_group_suite(context, suite, self.package.version)
        new = new_epoch(suite, secrets.joiner_secret, psk, context.raw)
        tag = verified.confirmation_tag
        check_group_tag(suite, new.kept.confirmation, context, tag)
        return Opened(secrets, group_info, new)

    def welcome(self, group_info: GroupInfoIn, secrets: GroupSecrets) -> bytes:
        """Make a Welcome for this key package."""
        welcome = welcome_secret(
            self.suite, secrets.joiner_secret, zero_secret(self.suite)
        )
        joiners = [(self.package, secrets)]
        return encode_message(seal_welcome(self.suite, group_info, welcome, joiners))
