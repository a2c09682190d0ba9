"""welcome.json: a Welcome opens for its key package."""

from sabir.crypto.labels import decrypt_with_label
from sabir.crypto.suites import SUITES
from sabir.mls.framing import decode_message
from sabir.mls.group_info import read_group_info
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.key_schedule import (
    new_epoch,
    welcome_key_and_nonce,
    welcome_secret,
    zero_secret,
)
from sabir.mls.validation.welcome import (
    check_group_suite,
    check_group_tag,
    check_welcome_suite,
    entry_for,
    verify_group_info_by,
)
from sabir.mls.welcome import Welcome, read_group_secrets
from sabir.testing.mls.vectors import Strict, for_each
from sabir.wire.tls import read_whole


@for_each("welcome")
def test_a_welcome_opens_and_proves_its_epoch(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    package = decode_message(vector.octets("key_package")).body
    welcome = decode_message(vector.octets("welcome")).body
    assert isinstance(package, KeyPackageIn)
    assert isinstance(welcome, Welcome)
    check_welcome_suite(welcome, package.cipher_suite)
    sealed = entry_for(welcome, package.reference(suite)).encrypted_group_secrets
    octets = decrypt_with_label(
        suite,
        vector.octets("init_priv"),
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
    verified = verify_group_info_by(suite, group_info, vector.octets("signer_pub"))
    context = verified.group_context
    check_group_suite(context, suite, package.version)
    new = new_epoch(suite, secrets.joiner_secret, psk, context.raw)
    check_group_tag(suite, new.kept.confirmation, context, verified.confirmation_tag)
