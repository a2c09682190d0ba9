"""The composition root: which database, which networks, whose secrets."""

from collections.abc import Mapping
from dataclasses import dataclass

from sabir.cli.config import Config
from sabir.cli.keys import owner_key
from sabir.cli.system import SystemClock, system_rng
from sabir.crypto.sealing import (
    NONCE_OCTETS,
    KeyDoesNotFit,
    SealBroken,
    open_sealed,
    seal,
)
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.networks.api import Account, AccountId
from sabir.storage.records import AccountRecord
from sabir.storage.sqlite.store import SqliteStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One owner's Sabir: configuration, database, key."""

    config: Config
    environ: Mapping[str, str]

    def open_storage(self) -> SqliteStorage:
        """Open the database.

        Raises:
            ConfigInvalid: there is no data directory yet.
            StorageFailed: the file cannot be used.
        """
        folder = self.config.agent.data_dir.root
        if not folder.is_dir():
            raise ConfigInvalid(f"there is no {folder}; run `sabir init` first")
        file = self.config.agent.data_dir.database_file
        try:
            # Before SQLite does it for everybody to read; its other files follow.
            file.touch(0o600)
        except OSError as error:
            raise StorageFailed(
                f"{file}: {error.strerror}; check that the data directory is yours and"
                " can be written"
            ) from error
        return SqliteStorage.open(file)

    def key(self) -> Secret:
        """Return the owner's key."""
        return owner_key(self.config)

    async def accounts(self, storage: SqliteStorage) -> list[Account]:
        """Return all accounts with their secrets: the file's and the database's."""
        found = [self._configured(account) for account in self.config.accounts]
        stored = await storage.accounts()
        if stored:
            key = self.key()
            found += [
                await _stored(storage, record, key)
                for record in stored
                if record.id not in self.config.accounts
            ]
        return sorted(found, key=lambda account: account.id)

    def _configured(self, account: AccountId) -> Account:
        section = self.config.accounts[account]
        return Account(
            id=account,
            network=section.network,
            settings=section.settings,
            secrets=section.read_secrets(self.environ),
        )

    async def store_account(self, storage: SqliteStorage, account: Account) -> None:
        """Keep an account; its secrets sealed."""
        key = self.key()
        sealed = {
            name: seal(
                key,
                secret.reveal(),
                context=_context(account.id, name),
                nonce=system_rng(NONCE_OCTETS),
            )
            for name, secret in account.secrets.items()
        }
        record = AccountRecord(
            id=account.id, network=account.network, settings=dict(account.settings)
        )
        await storage.add_account(record, sealed, now=SystemClock().now())


def _context(account: str, name: str) -> bytes:
    return f"account\0{account}\0{name}".encode()


async def _stored(
    storage: SqliteStorage, record: AccountRecord, key: Secret
) -> Account:
    sealed = await storage.sealed_secrets(record.id)
    try:
        secrets = {
            name: open_sealed(key, octets, context=_context(record.id, name))
            for name, octets in sealed.items()
        }
    except (KeyDoesNotFit, SealBroken) as error:
        raise type(error)(f"account {record.id}: {error}") from error
    return Account(
        id=AccountId(record.id),
        network=record.network,
        settings=record.settings,
        secrets=secrets,
    )
