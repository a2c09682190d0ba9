"""Configuration, database and key put together."""

from pathlib import Path

import pytest

from sabir.cli.composition import Installation
from sabir.cli.config import load_config
from sabir.cli.context import settings_of
from sabir.clock import Instant
from sabir.crypto.sealing import KeyDoesNotFit, SealBroken
from sabir.crypto.secrets import Secret
from sabir.errors import StorageFailed
from sabir.networks.api import Account, AccountId
from tests.unit.cli.shell import CANARY, Shell, matrix_account, mode


def installation(folder: Path, accounts: str = "") -> Installation:
    sabir = Shell(folder, accounts)
    sabir("init")
    config = load_config(sabir.config, environ={}, home=folder, settings_of=settings_of)
    return Installation(config=config, environ={})


def _login(name: str = "home") -> Account:
    return Account(
        id=AccountId(name),
        network="matrix",
        settings={"kind": "account", "user_id": "@ada:example.org"},
        secrets={"access_token": Secret.from_text(CANARY)},
    )


async def test_a_stored_secret_comes_back_and_only_with_the_owners_key(
    tmp_path: Path,
) -> None:
    made = installation(tmp_path, matrix_account(tmp_path))
    storage = made.open_storage()
    await made.store_account(storage, _login())
    accounts = {each.id: each for each in await made.accounts(storage)}
    assert set(accounts) == {"home", "work"}
    assert all(
        each.secrets["access_token"].reveal_text() == CANARY
        for each in accounts.values()
    )
    (tmp_path / "key").write_bytes(b"x" * 32)
    with pytest.raises(KeyDoesNotFit, match=r"account home: .*put back the key"):
        await made.accounts(storage)
    storage.close()


async def test_a_secret_moved_to_another_account_does_not_open(tmp_path: Path) -> None:
    made = installation(tmp_path)
    storage = made.open_storage()
    await made.store_account(storage, _login())
    sealed = await storage.sealed_secrets("home")
    [record] = await storage.accounts()
    other = type(record)(id="other", network="matrix", settings={})
    await storage.add_account(other, sealed, now=Instant(0))
    with pytest.raises(SealBroken, match=r"account other: .*another place"):
        await made.accounts(storage)
    storage.close()


async def test_the_file_wins_over_a_stored_account_of_the_same_name(
    tmp_path: Path,
) -> None:
    made = installation(tmp_path, matrix_account(tmp_path, "home"))
    storage = made.open_storage()
    await made.store_account(storage, _login())
    [account] = await made.accounts(storage)
    assert "homeserver_url" in account.settings
    storage.close()


def test_the_database_is_its_owners_even_in_an_open_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    storage = installation(tmp_path).open_storage()
    assert [mode(file) for file in tmp_path.glob("sabir.db*")] == [0o600] * 3
    storage.close()


def test_a_folder_or_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    made = installation(tmp_path)
    for file in tmp_path.glob("sabir.db*"):
        file.unlink()
    (tmp_path / "sabir.db").symlink_to(tmp_path / "away" / "sabir.db")
    with pytest.raises(StorageFailed, match="data directory is yours"):
        made.open_storage()
