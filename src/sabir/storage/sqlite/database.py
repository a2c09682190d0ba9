"""One SQLite file: a writer thread with group commit, and a reader.

Rules:

 * Every change goes through one thread and one connection; what several tasks
   ask for at the same time is committed together, with one flush to disk.
 * Each change runs in its own savepoint: a failing one harms nobody else.
 * WAL and `synchronous=FULL`: what `write` returned survives a power cut.
 * Reads use a connection of their own and see what was committed.

Not here: any table.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from sabir.errors import Error, StorageFailed

T = TypeVar("T")

GROUP_MAX: Final = 256
"""Changes in one commit at the most, so that nobody waits long for a group."""
BUSY_TIMEOUT_S: Final = 5.0
"""How long another process may hold the write lock (a backup, `sabir link`)."""
CACHE_KIB: Final = 16_384
"""Page cache per connection; bounds our memory whatever the file's size."""

_SAVEPOINT: Final = "SAVEPOINT one"
_RELEASE: Final = "RELEASE one"
_UNDO: Final = "ROLLBACK TO one"


def nowhere(_point: str) -> None:
    """Reach a crash point outside tests: nothing happens."""


@dataclass(slots=True)
class _Job:
    change: Callable[[sqlite3.Connection], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


class Database:
    """An open database file. Use `open`, then `write`, `read`, `close`."""

    def __init__(
        self,
        path: Path,
        *,
        reach: Callable[[str], None] = nowhere,
        schema: str = "sabir.storage.migrations",
    ) -> None:
        """Name a file; nothing is opened yet.

        Args:
            path: the file; its folder must exist.
            reach: called with the name of each crash point (tests only).
            schema: the package with the numbered SQL files.
        """
        self._path = path
        self._schema = schema
        self._reach = reach
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._dead: BaseException | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    # ---- opening and closing

    def open(self) -> None:
        """Open the file, create or migrate the schema, start the writer.

        Raises:
            StorageFailed: not a database, damaged, locked, newer than this
                version of Sabir, or the disk does not let us.
        """
        try:
            self._writer = _connect(self._path)
            migrate(self._writer, self._path, migrations(self._schema))
            self._reader = _connect(self._path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            self.close()
            raise explain(error, self._path) from error
        except StorageFailed:
            self.close()
            raise
        self._thread = threading.Thread(
            target=self._run, name="sabir-writer", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Finish what was asked for and close the file. Safe to call twice."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    # ---- use

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run one change; return its result once it is on the disk.

        Raises:
            StorageFailed: the disk or the file failed; nothing of it happened.
            Error: whatever the change itself raised; nothing of it happened.
        """
        if self._dead is not None:
            raise self._dead
        if self._thread is None:
            raise StorageFailed(f"the database {self._path} is closed")
        loop = asyncio.get_running_loop()
        job = _Job(change, loop.create_future(), loop)
        self._jobs.put(job)
        result: T = await job.future
        return result

    def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question from what is committed.

        Raises:
            StorageFailed: the file cannot be read.
        """
        if self._reader is None:
            raise StorageFailed(f"the database {self._path} is closed")
        try:
            return question(self._reader)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    async def survey(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question that may take long, beside everything else.

        Raises:
            StorageFailed: the file cannot be read.
        """

        def ask() -> T:
            connection = _connect(self._path)
            try:
                connection.execute("PRAGMA query_only = ON")
                return question(connection)
            except sqlite3.Error as error:
                raise explain(error, self._path) from error
            finally:
                connection.close()

        if self._reader is None:
            raise StorageFailed(f"the database {self._path} is closed")
        return await asyncio.to_thread(ask)

    # ---- the writer's thread

    def _run(self) -> None:
        connection = self._writer
        assert connection is not None
        while (job := self._jobs.get()) is not None:
            group, last = self._gather(job)
            self._settle(connection, group)
            _answer(group)
            if last:
                return

    def _settle(self, connection: sqlite3.Connection, group: Sequence[_Job]) -> None:
        """Commit a group; whatever goes wrong becomes its jobs' error."""
        if self._dead is None:
            try:
                self._commit(connection, group)
            except sqlite3.Error as error:  # not even the rollback worked
                self._dead = explain(error, self._path)
            except BaseException as death:  # noqa: BLE001  nothing may be written after it
                self._dead = death
            else:
                return
        for job in group:
            job.error = self._dead

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        group = [first]
        while len(group) < GROUP_MAX:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Job]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                self._perform(connection, job)
            self._reach("storage.before-commit")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = explain(error, self._path)
            failure.__cause__ = error
            for job in group:
                job.error = failure
        self._reach("storage.after-commit")

    def _perform(self, connection: sqlite3.Connection, job: _Job) -> None:
        """Run one change; its own failure undoes it alone.

        Raises:
            sqlite3.Error: the transaction itself is gone (disk, damage, lock).
        """
        connection.execute(_SAVEPOINT)
        try:
            job.result = job.change(connection)
        except Error as error:
            job.error = error
        except sqlite3.Error as error:
            if not connection.in_transaction:
                raise
            job.error = explain(error, self._path)
            job.error.__cause__ = error
        except Exception as bug:  # noqa: BLE001  raised again to whoever asked
            job.error = bug
        if job.error is not None:
            connection.execute(_UNDO)
        connection.execute(_RELEASE)


def _answer(group: Sequence[_Job]) -> None:
    """Wake all waiters of one event loop with one call."""
    for loop in {job.loop for job in group}:
        mine = [job for job in group if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _resolve(group: Sequence[_Job]) -> None:
    for job in group:
        if job.future.done():  # the waiter was cancelled; the change stands
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"cache_size = -{CACHE_KIB}",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def migrations(
    schema: str = "sabir.storage.migrations",
) -> Sequence[tuple[int, str]]:
    """Return the versions of a schema and their SQL, oldest first."""
    folder = resources.files(schema)
    files = sorted(
        (file.name, file) for file in folder.iterdir() if file.name.endswith(".sql")
    )
    return [(int(name[:4]), file.read_text()) for name, file in files]


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    steps: Sequence[tuple[int, str]] | None = None,
) -> None:
    """Bring the schema to the newest version, one transaction per step.

    Raises:
        StorageFailed: the file was written by a newer Sabir.
        sqlite3.Error: the disk or the file failed.
    """
    steps = migrations() if steps is None else steps
    newest = steps[-1][0]
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise StorageFailed(
            f"{path} has schema {version}, this Sabir knows {newest}; "
            "install the newer Sabir that wrote it, or restore an older backup"
        )
    for number, sql in steps:
        if number > version:
            _step(connection, number, sql)


def _step(connection: sqlite3.Connection, number: int, sql: str) -> None:
    """Make one step, unless another process has made it meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < number:
            for statement in _statements(sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> Iterator[str]:
    """Cut a script into its statements."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def explain(error: sqlite3.Error, path: Path) -> StorageFailed:
    """Say in words what SQLite's error means and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    hints = {
        sqlite3.SQLITE_FULL: "the disk is full; free some space and Sabir goes on",
        sqlite3.SQLITE_BUSY: (
            "another process holds the write lock; close the program that has the "
            "file open (a backup, a second sabir) and Sabir goes on"
        ),
        sqlite3.SQLITE_CORRUPT: (
            "the file is damaged; stop Sabir, run `sabir doctor`, and restore a backup "
            "or recover it with `sqlite3 FILE .recover`"
        ),
        sqlite3.SQLITE_NOTADB: (
            "this is not a Sabir database; check data_dir, or move the file away"
        ),
        sqlite3.SQLITE_READONLY: "no permission to write; check owner and mount",
        sqlite3.SQLITE_CANTOPEN: (
            "the file cannot be opened; check that the folder exists and is ours"
        ),
        sqlite3.SQLITE_IOERR: (
            "the disk reports an input/output error; check the disk and the system log"
        ),
    }
    hint = hints.get(primary or -1, "see the cause; if it stays, please report it")
    return StorageFailed(f"{path}: {error}: {hint}")
