"""key-schedule: five epochs of secrets for each suite."""

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.exporter import export
from sabir.mls.group_context import GroupContext
from sabir.mls.key_schedule import (
    NewEpoch,
    external_public,
    joiner_secret,
    new_epoch,
    welcome_secret,
)
from sabir.testing.mls.vectors import (
    Case,
    Strict,
    cases,
    check_can_fail,
    for_each,
    load,
)


@for_each("key-schedule")
def test_every_secret_of_five_epochs_agrees(vector: Strict) -> None:
    check(vector)


@pytest.mark.parametrize("case", cases("key-schedule"), ids=str)
def test_a_changed_octet_is_noticed(case: Case) -> None:
    check_can_fail(check, load(case), refusals=(KeyError,))


def check(vector: Strict) -> None:
    suite = SUITES[vector["cipher_suite"]]
    init = Secret(vector.octets("initial_init_secret"))
    for number, epoch in enumerate(vector["epochs"]):
        context = _context(suite, vector.octets("group_id"), number, epoch)
        assert context == epoch.octets("group_context")
        init = _epoch(suite, init, context, epoch).kept.init


def _context(suite: CipherSuite, group_id: bytes, number: int, epoch: Strict) -> bytes:
    return GroupContext(
        suite.number,
        group_id,
        number,
        epoch.octets("tree_hash"),
        epoch.octets("confirmed_transcript_hash"),
    ).raw


def _epoch(suite: CipherSuite, init: Secret, context: bytes, epoch: Strict) -> NewEpoch:
    psk = Secret(epoch.octets("psk_secret"))
    joiner = joiner_secret(suite, init, Secret(epoch.octets("commit_secret")), context)
    new = new_epoch(suite, joiner, psk, context)
    secrets = {
        "joiner_secret": joiner,
        "welcome_secret": welcome_secret(suite, joiner, psk),
        "init_secret": new.kept.init,
        "sender_data_secret": new.kept.sender_data,
        "encryption_secret": new.encryption,
        "exporter_secret": new.kept.exporter,
        "epoch_authenticator": new.kept.epoch_authenticator,
        "external_secret": new.kept.external,
        "confirmation_key": new.kept.confirmation,
        "membership_key": new.kept.membership,
        "resumption_psk": new.kept.resumption,
    }
    for name, secret in secrets.items():
        assert secret.ct_equal(epoch.octets(name)), name
    public = external_public(suite, new.kept.external)
    assert public == epoch.octets("external_pub")
    _exporter(suite, new.kept.exporter, epoch["exporter"])
    return new


def _exporter(suite: CipherSuite, exporter: Secret, given: Strict) -> None:
    label = given["label"].encode()  # 64 characters of text, although it looks like hex
    secret = export(suite, exporter, label, given.octets("context"), given["length"])
    assert secret.ct_equal(given.octets("secret"))
