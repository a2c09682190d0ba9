"""`SqliteStorage`: all ports in one database file."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from sabir.storage.sqlite.accounts import SqliteAccounts
from sabir.storage.sqlite.database import Database, nowhere
from sabir.storage.sqlite.deliveries import SqliteDeliveries
from sabir.storage.sqlite.history import SqliteHistory
from sabir.storage.sqlite.inbox import SqliteInbox
from sabir.storage.sqlite.journal import SqliteJournal
from sabir.storage.sqlite.media import SqliteMedia
from sabir.storage.sqlite.membership import SqliteHome, SqliteMemberships
from sabir.storage.sqlite.refs import SqliteRefs
from sabir.storage.sqlite.rooms import SqliteRooms
from sabir.storage.sqlite.timeline import SqliteTimeline


class SqliteStorage(
    SqliteAccounts,
    SqliteRooms,
    SqliteInbox,
    SqliteTimeline,
    SqliteRefs,
    SqliteDeliveries,
    SqliteMedia,
    SqliteJournal,
    SqliteHome,
    SqliteMemberships,
    SqliteHistory,
):
    """Implements `sabir.storage.ports.Storage`, and `membership.MembershipStorage`."""

    @classmethod
    def open(cls, path: Path, *, reach: Callable[[str], None] = nowhere) -> Self:
        """Open (or create) a database file.

        Args:
            path: the file; its folder must exist.
            reach: called with the name of each crash point (tests only).

        Raises:
            StorageFailed: see `Database.open`.
        """
        database = Database(path, reach=reach)
        database.open()
        return cls(database)

    def close(self) -> None:
        """Finish pending changes and close the file. Safe to call twice."""
        self._database.close()
