import pytest

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.errors import MlsMissing
from sabir.mls.psk import find_psks, psk_secret
from sabir.mls.psk_ids import (
    ApplicationPsk,
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
)
from sabir.wire.tls import uint16

SUITE = SUITES[1]
ONE = ExternalPsk(b"one", bytes(32))
TWO = ResumptionPsk(ResumptionUsage.APPLICATION, b"group", 7, bytes(32))
THREE = ApplicationPsk(0x8000, b"three", bytes(32))


class Store:
    """Some keys by their names without nonces."""

    def __init__(self, keys: dict[bytes, bytes]) -> None:
        self.keys = keys

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        key = self.keys.get(psk_id.without_nonce())
        return None if key is None else Secret(key)


def test_keys_are_found_in_the_order_asked_for() -> None:
    store = Store({ONE.without_nonce(): b"1", THREE.without_nonce(): b"3"})
    found = find_psks(store, [THREE, ONE])
    assert [psk_id for psk_id, _ in found] == [THREE, ONE]
    assert [secret.reveal() for _, secret in found] == [b"3", b"1"]


def test_a_missing_key_is_an_error_and_no_value() -> None:
    with pytest.raises(MlsMissing, match="PSK 1 of 2"):
        find_psks(Store({ONE.without_nonce(): b"1"}), [ONE, TWO])


def test_no_key_is_zeros() -> None:
    assert psk_secret(SUITE, []).ct_equal(bytes(32))


def test_the_sum_depends_on_order_number_name_and_nonce() -> None:
    one, two = Secret(b"1"), Secret(b"2")
    renamed = ExternalPsk(b"eno", bytes(32))
    fresh = ExternalPsk(b"one", b"\x01" * 32)
    chosen: list[list[tuple[PreSharedKeyID, Secret]]] = [
        [],
        [(ONE, one)],
        [(ONE, two)],
        [(renamed, one)],
        [(fresh, one)],
        [(ONE, one), (TWO, two)],
        [(TWO, two), (ONE, one)],
        [(ONE, one), (TWO, two), (THREE, one)],
    ]
    sums = {psk_secret(SUITE, psks).reveal() for psks in chosen}
    assert len(sums) == 8


def test_every_kind_of_name_is_hashed_as_it_is_written() -> None:
    for psk_id in (ONE, TWO, THREE):
        extracted = SUITE.extract(bytes(32), b"psk")
        label = psk_id.encode() + uint16(0) + uint16(1)
        derived = expand_with_label(SUITE, extracted, b"derived psk", label, 32)
        expected = SUITE.extract(derived, bytes(32))
        assert psk_secret(SUITE, [(psk_id, Secret(b"psk"))]).ct_equal(expected)
