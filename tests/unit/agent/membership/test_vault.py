"""What the database keeps of rooms opens only in its place, with its key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.agent.membership.device import DeviceKey, Tokens
from sabir.agent.membership.vault import Vault
from sabir.clock import Instant
from sabir.crypto.sealing import KeyDoesNotFit, SealBroken
from sabir.crypto.secrets import Secret
from sabir.testing.rng import SeededRng

KEY = Secret(bytes(32))
RNG = SeededRng(1)
ROOM = "mimi://a.example/r/tea"


def a_vault(room: str = "") -> Vault:
    return Vault(KEY, RNG, room)


@given(
    st.integers(0, 9),
    st.dictionaries(st.binary(max_size=40), st.none() | st.binary(max_size=99)),
)
def test_rows_come_back(place: int, rows: dict[bytes, bytes | None]) -> None:
    vault = a_vault().of_room(ROOM)
    sealed = vault.seal_rows(place, rows)
    assert {key for key, row in sealed.items() if row is None} == {
        key for key, row in rows.items() if row is None
    }
    there = {key: row for key, row in sealed.items() if row is not None}
    opened = vault.open_rows(place, there)
    assert opened == {key: row for key, row in rows.items() if row is not None}


def test_a_tree_larger_than_a_secret_is_sealed() -> None:
    vault = a_vault(ROOM)
    large = bytes(200_000)
    assert vault.open(b"tree", vault.seal(b"tree", large)) == large


def test_a_row_opens_only_in_its_place() -> None:
    vault = a_vault(ROOM)
    row = vault.seal_rows(0, {b"a": b"1"})[b"a"]
    assert row is not None
    for place, key in ((1, b"a"), (0, b"b")):
        with pytest.raises(SealBroken):
            vault.open_rows(place, {key: row})


def test_a_row_opens_only_in_its_room_and_installation() -> None:
    sealed = a_vault(ROOM).seal(b"a", b"1")
    with pytest.raises(KeyDoesNotFit):
        a_vault("mimi://a.example/r/coffee").open(b"a", sealed)
    with pytest.raises(KeyDoesNotFit):
        Vault(Secret(bytes(31) + b"1"), RNG, ROOM).open(b"a", sealed)


def test_keys_and_tokens_come_back_and_are_not_shown() -> None:
    vault = a_vault()
    key = DeviceKey.generate(RNG)
    again = DeviceKey.open(vault, key.sealed(vault))
    assert again.private.ct_equal(key.private)
    assert again.public == key.public
    tokens = Tokens(Secret(b"secret-a"), Secret(b"secret-r"), Instant(5))
    opened = Tokens.open(vault, tokens.sealed(vault))
    assert opened.access.ct_equal(b"secret-a")
    assert opened.refresh.ct_equal(b"secret-r")
    assert opened.expires_at == 5
    assert "secret" not in repr(tokens).lower().replace("<secret", "")
