"""That the secrets are right is shown by the vectors; here is what they lack."""

import pytest

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.errors import MlsInvalid
from sabir.mls.key_schedule import (
    epoch_of,
    external_init_receive,
    external_init_send,
    external_public,
    joiner_secret,
    new_epoch,
    read_epoch_secrets,
    welcome_key_and_nonce,
    welcome_secret,
    zero_secret,
)
from sabir.mls.validation.rules import Rule
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

ALL = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@ALL
def test_an_epoch_is_what_its_epoch_secret_says(suite: CipherSuite) -> None:
    joiner = joiner_secret(suite, zero_secret(suite), zero_secret(suite), b"context")
    psk = Secret(b"psk")
    member = suite.extract(joiner.reveal(), b"psk")
    epoch = expand_with_label(suite, member, b"epoch", b"context", suite.nh)
    one, two = new_epoch(suite, joiner, psk, b"context"), epoch_of(suite, Secret(epoch))
    assert one.kept.encode() == two.kept.encode()
    assert one.encryption.ct_equal(two.encryption)
    assert one.application_export.ct_equal(two.application_export)


def test_all_secrets_of_an_epoch_differ() -> None:
    epoch = epoch_of(SUITES[1], Secret(bytes(32)))
    kept = epoch.kept
    secrets = {
        secret.reveal()
        for secret in (
            *(kept.sender_data, kept.exporter, kept.external, kept.confirmation),
            *(kept.membership, kept.resumption, kept.epoch_authenticator, kept.init),
            *(epoch.encryption, epoch.application_export),
        )
    }
    assert len(secrets) == 10


@ALL
def test_the_secrets_come_back_from_the_store(suite: CipherSuite) -> None:
    kept = epoch_of(suite, Secret(bytes(suite.nh))).kept
    read = read_whole(kept.encode(), read_epoch_secrets)
    assert read.encode() == kept.encode()
    assert read.init.ct_equal(kept.init)
    assert read.sender_data.ct_equal(kept.sender_data)
    with pytest.raises(Malformed):
        read_whole(kept.encode()[:-1], read_epoch_secrets)


def test_no_secret_is_in_the_text_of_an_epoch() -> None:
    epoch = epoch_of(SUITES[1], Secret(bytes(32)))
    text = repr(epoch)
    assert "<Secret of 32 octets>" in text
    assert repr(epoch.kept.init.reveal())[2:10] not in text


@ALL
def test_the_key_of_a_welcome_depends_on_the_psk(suite: CipherSuite) -> None:
    joiner = zero_secret(suite)
    one = welcome_key_and_nonce(suite, welcome_secret(suite, joiner, Secret(b"1")))
    two = welcome_key_and_nonce(suite, welcome_secret(suite, joiner, Secret(b"2")))
    assert [len(part) for part in one] == [suite.nk, suite.nn]
    assert one[0] != two[0]
    assert one[1] != two[1]


@ALL
def test_joiner_and_members_share_the_init_secret(suite: CipherSuite) -> None:
    external = Secret(b"\x07" * suite.nh)
    public = external_public(suite, external)
    ephemeral = bytes(range(suite.kem.private_octets))
    kem_output, sent = external_init_send(suite, public, ephemeral)
    received = external_init_receive(suite, external, kem_output)
    assert sent.ct_equal(received)
    assert len(sent.reveal()) == suite.nh
    other = external_init_receive(suite, Secret(b"\x08" * suite.nh), kem_output)
    assert not sent.ct_equal(other)


@ALL
def test_a_malformed_external_init_is_x08_and_a_malformed_key_x09(
    suite: CipherSuite,
) -> None:
    public = external_public(suite, Secret(bytes(suite.nh)))
    for kem_output in (b"", public[:-1], public + b"\x00", bytes(len(public))):
        with pytest.raises(MlsInvalid) as raised:
            external_init_receive(suite, Secret(bytes(suite.nh)), kem_output)
        assert raised.value.rule == Rule.X08.name
    for key in (b"", public[:-1], bytes(len(public))):
        with pytest.raises(MlsInvalid) as raised:
            external_init_send(suite, key, bytes(suite.kem.private_octets))
        assert raised.value.rule == Rule.X09.name
