"""Credentials read as written."""

import pytest
from hypothesis import given

from sabir.mls.credentials import (
    BasicCredential,
    Credential,
    CredentialBinding,
    MultiCredential,
    X509Credential,
    read_credential,
)
from sabir.mls.errors import MlsUnsupported
from sabir.mls.limits import Limits
from sabir.testing.mls.structs import credentials, fields_of
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole, uint16, vector

ALICE = BasicCredential(b"alice")


def bound(credential: Credential) -> CredentialBinding:
    return CredentialBinding(1, credential, b"key", b"signature")


@given(credentials)
def test_a_credential_reads_as_written(credential: Credential) -> None:
    again = read_whole(credential.raw, read_credential)
    assert fields_of(again) == fields_of(credential)
    assert again.raw == credential.raw


def test_the_types_are_those_of_the_registry() -> None:
    assert ALICE.raw == b"\x00\x01\x05alice"
    assert ALICE.kind == 1
    assert X509Credential((b"certificate",)).kind == 2
    assert MultiCredential((bound(ALICE),)).kind == 3
    assert MultiCredential((bound(ALICE),), weak=True).kind == 4


def test_the_signature_of_a_binding_covers_the_leafs_key() -> None:
    assert bound(ALICE).signed(b"leaf") == (
        uint16(1) + ALICE.raw + opaque(b"key") + opaque(b"leaf")
    )


@pytest.mark.parametrize("kind", [0, 5, 0x0A0A, 0xFFFF])
def test_an_unknown_type_is_unsupported(kind: int) -> None:
    with pytest.raises(MlsUnsupported) as wrong:
        read_whole(uint16(kind) + opaque(b"what"), read_credential)
    assert wrong.value.number == kind


def test_multi_credentials_do_not_nest() -> None:
    nested = MultiCredential((bound(MultiCredential((bound(ALICE),))),))
    with pytest.raises(MlsUnsupported):
        read_whole(nested.raw, read_credential)


@pytest.mark.parametrize(
    "credential", [X509Credential((b"",) * 3), MultiCredential((bound(ALICE),) * 3)]
)
def test_more_certificates_than_the_limit_are_refused(credential: Credential) -> None:
    limits = Limits(certificates_max=2)
    with pytest.raises(Malformed) as wrong:
        read_whole(credential.raw, lambda reader: read_credential(reader, limits))
    assert wrong.value.rule == "C03"


def test_a_certificate_that_runs_over_its_chain_is_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(uint16(2) + vector([b"\x05abc"]), read_credential)
    assert wrong.value.rule == "C04"


def test_the_repr_shows_nobody() -> None:
    assert "alice" not in repr(ALICE)
