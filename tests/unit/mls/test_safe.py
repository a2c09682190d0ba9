"""The Safe functions: a component's signatures and ciphertexts are its own."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.safe import safe_encrypt, safe_verify
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Room


@pytest.mark.parametrize("suite", SUITES)
def test_a_signature_holds_for_one_component_and_label(suite: int) -> None:
    room = Room.of("ann", suite=suite)
    signature = room["ann"].safe_sign(7, b"label", b"content")
    key = room["ann"].members[0][1].signature_key

    def holds(component: int, label: bytes, content: bytes) -> bool:
        return safe_verify(SUITES[suite], key, component, label, content, signature)

    assert holds(7, b"label", b"content")
    assert not holds(8, b"label", b"content")
    assert not holds(7, b"other", b"content")
    assert not holds(7, b"label", b"other")


@pytest.mark.parametrize("suite", SUITES)
def test_a_ciphertext_opens_for_one_component_and_label(suite: int) -> None:
    room = Room.of("ann", suite=suite)
    key = room["ann"].members[0][1].encryption_key
    sealed = safe_encrypt(SUITES[suite], key, 7, b"label", b"context", b"text")
    assert room["ann"].safe_decrypt(7, b"label", b"context", sealed) == b"text"
    for component, label, context in (
        (8, b"label", b"context"),
        (7, b"other", b"context"),
        (7, b"label", b"other"),
    ):
        with violates(Rule.F11):
            room["ann"].safe_decrypt(component, label, context, sealed)


def test_nothing_is_sealed_to_what_is_no_key() -> None:
    with violates(Rule.L14):
        safe_encrypt(SUITES[1], b"short", 7, b"label", b"", b"text")
