"""Names of pre-shared keys."""

import pytest
from hypothesis import given

from sabir.mls.psk_ids import (
    ApplicationPsk,
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
    read_psk_id,
)
from sabir.testing.mls.structs import fields_of, psk_ids
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole


@given(psk_ids)
def test_a_name_reads_as_written(psk_id: PreSharedKeyID) -> None:
    again = read_whole(psk_id.raw, read_psk_id)
    assert fields_of(again) == fields_of(psk_id)
    assert psk_id.raw == psk_id.without_nonce() + opaque(psk_id.psk_nonce)


def test_the_octets_are_those_of_the_specifications() -> None:
    assert ExternalPsk(b"id", b"n").raw == b"\x01\x02id\x01n"
    resumption = ResumptionPsk(ResumptionUsage.BRANCH, b"g", 5, b"n")
    assert resumption.raw == b"\x02\x03\x01g\x00\x00\x00\x00\x00\x00\x00\x05\x01n"
    assert ApplicationPsk(6, b"id", b"n").raw == b"\x03\x00\x06\x02id\x01n"


@pytest.mark.parametrize("octets", [b"\x00", b"\x04", b"\x02\x00", b"\x02\x04"])
def test_unknown_types_and_usages_are_refused(octets: bytes) -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(octets + bytes(20), read_psk_id)
    assert wrong.value.rule == "C07"
