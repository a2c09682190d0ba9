"""Accounts, sealed secrets, and the facts connectors remember."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from sabir.clock import Instant
from sabir.storage.records import AccountRecord
from sabir.storage.sqlite.part import Part


class SqliteAccounts(Part):
    """Implements `sabir.storage.ports.Accounts`."""

    async def add_account(
        self, account: AccountRecord, sealed: Mapping[str, bytes], *, now: Instant
    ) -> None:
        """See `Accounts.add_account`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM accounts WHERE id = ?", (account.id,))
            db.execute(
                "INSERT INTO accounts (id, network, settings, created_at)"
                " VALUES (?, ?, ?, ?)",
                (account.id, account.network, json.dumps(account.settings), now),
            )
            db.executemany(
                "INSERT INTO secrets (account, name, sealed) VALUES (?, ?, ?)",
                [(account.id, name, octets) for name, octets in sealed.items()],
            )

        await self._database.write(change)

    async def remove_account(self, account: str) -> bool:
        """See `Accounts.remove_account`."""

        def change(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM facts WHERE account = ?", (account,))
            db.execute("DELETE FROM cursors WHERE account = ?", (account,))
            gone = db.execute("DELETE FROM accounts WHERE id = ?", (account,))
            return gone.rowcount > 0

        return await self._database.write(change)

    async def accounts(self) -> Sequence[AccountRecord]:
        """See `Accounts.accounts`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT id, network, settings FROM accounts ORDER BY id"
            ).fetchall()
        )
        return [
            AccountRecord(id=id_, network=network, settings=json.loads(settings))
            for id_, network, settings in rows
        ]

    async def sealed_secrets(self, account: str) -> Mapping[str, bytes]:
        """See `Accounts.sealed_secrets`."""
        return dict(
            self._database.read(
                lambda db: db.execute(
                    "SELECT name, sealed FROM secrets WHERE account = ?", (account,)
                ).fetchall()
            )
        )

    async def remember(self, account: str, name: str, value: str) -> None:
        """See `Accounts.remember`."""

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO facts (account, name, value) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET value = excluded.value",
                (account, name, value),
            )

        await self._database.write(change)

    async def recall(self, account: str, name: str) -> str | None:
        """See `Accounts.recall`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT value FROM facts WHERE account = ? AND name = ?",
                (account, name),
            ).fetchone()
        )
        return None if row is None else str(row[0])
