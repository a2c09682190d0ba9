"""Welcome and GroupSecrets."""

import pytest
from hypothesis import given

from sabir.crypto.secrets import Secret
from sabir.mls.commit import HPKECiphertext
from sabir.mls.limits import Limits
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.welcome import (
    EncryptedGroupSecrets,
    GroupSecrets,
    Welcome,
    read_group_secrets,
    read_welcome,
)
from sabir.testing.mls.structs import fields_of, group_secrets, welcomes
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole


@given(welcomes)
def test_a_welcome_reads_as_written(welcome: Welcome) -> None:
    again = read_whole(welcome.raw, read_welcome)
    assert fields_of(again) == fields_of(welcome)
    assert again == welcome


def test_the_octets_of_a_welcome_are_those_of_the_rfc() -> None:
    entry = EncryptedGroupSecrets(b"ref", HPKECiphertext(b"kem", b"sealed"))
    assert Welcome(1, (entry,), b"info").raw == (
        b"\x00\x01\x0f\x03ref\x03kem\x06sealed\x04info"
    )


def test_more_joiners_than_the_limit_are_refused() -> None:
    entry = EncryptedGroupSecrets(b"ref", HPKECiphertext(b"kem", b"sealed"))
    octets = Welcome(1, (entry,) * 3, b"info").raw

    def read(count: int) -> Welcome:
        limits = Limits(proposals_per_commit_max=count)
        return read_whole(octets, lambda reader: read_welcome(reader, limits))

    assert len(read(3).secrets) == 3
    with pytest.raises(Malformed) as wrong:
        read(2)
    assert wrong.value.rule == "C03"


@given(group_secrets)
def test_group_secrets_read_as_written(secrets: GroupSecrets) -> None:
    again = read_whole(secrets.encode(), read_group_secrets)
    assert fields_of(again) == fields_of(secrets)


def test_the_octets_of_group_secrets_are_those_of_the_rfc() -> None:
    joiner = Secret(b"joiner")
    assert GroupSecrets(joiner, None).encode() == b"\x06joiner\x00\x00"
    psk = ExternalPsk(b"id", b"n")
    with_path = GroupSecrets(joiner, Secret(b"path"), (psk,))
    assert with_path.encode() == b"\x06joiner\x01\x04path\x06\x01\x02id\x01n"


def test_group_secrets_show_nothing() -> None:
    secrets = GroupSecrets(Secret(b"joiner"), Secret(b"path"))
    assert "joiner'" not in repr(secrets)
    assert "path'" not in repr(secrets)


def test_more_psks_than_the_limit_are_refused() -> None:
    octets = GroupSecrets(Secret(b""), None, (ExternalPsk(b"", b""),) * 3).encode()

    def read(count: int) -> GroupSecrets:
        limits = Limits(psks_per_commit_max=count)
        return read_whole(octets, lambda reader: read_group_secrets(reader, limits))

    assert len(read(3).psks) == 3
    with pytest.raises(Malformed) as wrong:
        read(2)
    assert wrong.value.rule == "C03"
