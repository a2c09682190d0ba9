"""A database that another program locks, or that is damaged while we run."""

import sqlite3
from pathlib import Path

import pytest

from sabir.storage.sqlite import database
from tests.unit.agent.bridge import CHAT, bridged

COUNT = 10


async def test_a_lock_delays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "m0")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        acknowledged = bridge.a.acknowledged("bridge")
        other = sqlite3.connect(tmp_path / "sabir.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, COUNT):
            bridge.a.says(CHAT, "ada", f"m{number}")
        account = bridge.agent.account("a")
        assert account is not None
        await bridge.until(lambda: "write lock" in account.status.detail)
        assert "close the program" in account.status.detail
        assert bridge.a.acknowledged("bridge") == acknowledged
        assert len(bridge.sent("b")) == 1
        other.execute("ROLLBACK")
        other.close()
        sent = await bridge.until_sent("b", COUNT)
        await bridge.at_rest()
        assert [each["text"] for each in sent] == [f"m{n}" for n in range(COUNT)]
        assert len(bridge.sent("b")) == COUNT


async def test_what_a_damaged_file_does_not_take_is_not_acknowledged(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "one")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        acknowledged = bridge.a.acknowledged("bridge")
        await bridge.storage._database.write(_break_the_inbox)
        bridge.a.says(CHAT, "ada", "two")
        account = bridge.agent.account("a")
        assert account is not None
        await bridge.until(lambda: "damaged" in account.status.detail)
        assert "sabir doctor" in account.status.detail
        assert "restore a backup" in account.status.detail
        assert bridge.a.acknowledged("bridge") == acknowledged


def _break_the_inbox(db: sqlite3.Connection) -> None:
    """Let the inbox begin on a page that is none, as a failing disk does."""
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'inbox'")
    db.execute("PRAGMA writable_schema = RESET")
