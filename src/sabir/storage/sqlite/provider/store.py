"""`SqliteProviderStore`: all of a provider's ports in one database file."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from sabir.storage.sqlite.database import Database, nowhere
from sabir.storage.sqlite.provider.consents import SqliteConsents
from sabir.storage.sqlite.provider.devices import SqliteDevices
from sabir.storage.sqlite.provider.key_material import SqliteKeyMaterial
from sabir.storage.sqlite.provider.outbox import SqliteOutbox
from sabir.storage.sqlite.provider.peers import (
    SqliteAssets,
    SqliteHousekeeping,
    SqlitePeers,
    SqliteReports,
)
from sabir.storage.sqlite.provider.rooms import SqliteFollowed, SqliteHubRooms
from sabir.storage.sqlite.provider.sealed import SqliteSealedKeys
from sabir.storage.sqlite.provider.streams import SqliteStreams


class SqliteProviderStore(
    SqliteSealedKeys,
    SqliteHubRooms,
    SqliteFollowed,
    SqliteOutbox,
    SqliteDevices,
    SqliteStreams,
    SqliteKeyMaterial,
    SqliteConsents,
    SqliteReports,
    SqliteAssets,
    SqlitePeers,
    SqliteHousekeeping,
):
    """Implements `sabir.storage.provider.ports.ProviderStore`."""

    @classmethod
    def open(cls, path: Path, *, reach: Callable[[str], None] = nowhere) -> Self:
        """Open (or create) a provider's database file.

        Args:
            path: the file; its folder must exist.
            reach: called with the name of each crash point (tests only).

        Raises:
            StorageFailed: see `Database.open`.
        """
        database = Database(
            path, reach=reach, schema="sabir.storage.migrations.provider"
        )
        database.open()
        return cls(database)

    def close(self) -> None:
        """Finish pending changes and close the file. Safe to call twice."""
        self._database.close()
