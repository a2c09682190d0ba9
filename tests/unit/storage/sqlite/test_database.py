"""The file itself: durable, grouped, and honest about what went wrong."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.errors import PolicyRefused, StorageFailed
from sabir.storage.sqlite import database
from sabir.storage.sqlite.database import Database, migrations


def _open(path: Path) -> Database:
    opened = Database(path)
    opened.open()
    return opened


def _insert(name: str, value: str) -> Callable[[sqlite3.Connection], None]:
    def change(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO facts VALUES ('a', ?, ?)", (name, value))

    return change


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM facts").fetchone()[0])


async def test_what_is_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "sabir.db"
    first = _open(path)
    await first.write(_insert("n", "v"))
    first.close()
    second = _open(path)
    assert second.read(_count) == 1
    second.close()


async def test_the_file_is_flushed_on_every_commit(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")

    def pragmas(connection: sqlite3.Connection) -> tuple[str, int]:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode, connection.execute("PRAGMA synchronous").fetchone()[0]

    assert await db.write(pragmas) == ("wal", 2)
    db.close()


async def test_a_failing_change_harms_no_other_of_its_group(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")

    def refused(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO facts VALUES ('a', 'refused', '')")
        raise PolicyRefused("no")

    results = await asyncio.gather(
        db.write(_insert("one", "1")),
        db.write(refused),
        db.write(_insert("two", "2")),
        return_exceptions=True,
    )
    assert isinstance(results[1], PolicyRefused)
    names = db.read(
        lambda c: [r[0] for r in c.execute("SELECT name FROM facts ORDER BY name")]
    )
    assert names == ["one", "two"]
    db.close()


async def test_many_changes_share_commits(tmp_path: Path) -> None:
    commits: list[str] = []
    db = Database(tmp_path / "sabir.db", reach=commits.append)
    db.open()
    writes = [db.write(_insert(str(n), "")) for n in range(200)]
    await asyncio.gather(*writes)
    assert db.read(_count) == 200
    assert commits.count("storage.before-commit") < 100
    db.close()


async def test_a_cancelled_waiter_loses_nothing(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(db.write(_insert("n", "v")))
        await asyncio.sleep(0)
        task.cancel()
    db.close()
    again = _open(tmp_path / "sabir.db")
    assert again.read(_count) == 1
    again.close()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")
    db.close()
    db.close()
    with pytest.raises(StorageFailed, match="is closed"):
        await db.write(_insert("n", "v"))
    with pytest.raises(StorageFailed, match="is closed"):
        db.read(_count)


async def test_a_full_disk_is_named_and_survived(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")
    await db.write(_insert("kept", "v"))

    def shrink(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def grow(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    await db.write(shrink)
    with pytest.raises(StorageFailed, match=r"full.*free some space"):
        await db.write(_insert("big", "x" * 200_000))
    await db.write(grow)
    await db.write(_insert("big", "x" * 200_000))
    assert db.read(_count) == 2
    db.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sabir.db"
    path.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StorageFailed, match="not a Sabir database"):
        _open(path)
    assert path.read_bytes().startswith(b"this is not")


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sabir.db"
    db = _open(path)
    for number in range(50):
        await db.write(_insert(str(number), "x" * 2000))
    db.close()
    octets = bytearray(path.read_bytes())
    octets[4096:] = b"\xff" * (len(octets) - 4096)
    path.write_bytes(octets)

    def use() -> None:
        _open(path).read(_count)

    with pytest.raises(StorageFailed, match="damaged"):
        use()


async def test_a_lock_held_elsewhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "sabir.db"
    db = _open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match="another process holds the write lock"):
        await db.write(_insert("n", "v"))
    other.execute("ROLLBACK")
    other.close()
    await db.write(_insert("n", "v"))
    assert db.read(_count) == 1
    db.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sabir.db"
    _open(path).close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 999")
    raw.close()
    with pytest.raises(StorageFailed, match="schema 999"):
        _open(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be opened"):
        _open(tmp_path / "missing" / "sabir.db")


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migrations()] == [
        n + 1 for n in range(len(migrations()))
    ]


async def test_a_crash_before_commit_leaves_nothing(tmp_path: Path) -> None:
    class Died(BaseException):
        pass

    def die(point: str) -> None:
        if point == "storage.before-commit":
            raise Died

    path = tmp_path / "sabir.db"
    _open(path).close()
    db = Database(path, reach=die)
    db.open()
    with pytest.raises(Died):
        await db.write(_insert("n", "v"))
    with pytest.raises(Died):
        await db.write(_insert("n", "v"))
    db.close()
    again = _open(path)
    assert again.read(_count) == 0
    again.close()


async def test_an_unknown_error_is_passed_on_in_words(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")
    with pytest.raises(StorageFailed, match="see the cause"):
        await db.write(lambda c: c.execute("SELECT nonsense FROM nowhere"))
    with pytest.raises(StorageFailed, match="see the cause"):
        db.read(lambda c: c.execute("SELECT nonsense FROM nowhere"))
    db.close()


async def test_any_failing_change_harms_no_other_of_its_group(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO facts VALUES ('a', 'broken', '')")
        connection.execute("INSERT INTO facts VALUES ('a', 'broken', '')")

    def buggy(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO facts VALUES ('a', 'buggy', '')")
        raise ZeroDivisionError

    results = await asyncio.gather(
        db.write(_insert("one", "1")),
        db.write(broken),
        db.write(buggy),
        db.write(_insert("two", "2")),
        return_exceptions=True,
    )
    assert isinstance(results[1], StorageFailed)
    assert isinstance(results[2], ZeroDivisionError)
    assert db.read(_count) == 2
    db.close()


async def test_a_rollback_that_fails_hangs_nobody(tmp_path: Path) -> None:
    db = _open(tmp_path / "sabir.db")
    writer = db._writer
    assert writer is not None
    db._writer = None

    class Broken:
        in_transaction = True

        def execute(self, sql: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    db._settle(Broken(), [])  # type: ignore[arg-type]
    with pytest.raises(StorageFailed, match="disk I/O"):
        await db.write(_insert("n", "v"))
    db._writer = writer
    db.close()


def test_two_processes_may_make_the_schema_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sabir.db"
    raw = sqlite3.connect(path, isolation_level=None)
    database.migrate(raw, path)
    database._step(raw, 1, "CREATE TABLE accounts (id TEXT);")
    raw.close()
