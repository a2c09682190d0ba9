"""Logins and what connectors remember."""

from sabir.storage.records import AccountRecord
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import NOW, new_event

ACCOUNT = AccountRecord(id="x", network="xmpp", settings={"port": 5347, "tls": True})


async def test_an_account_comes_back_with_its_sealed_secrets(
    storage: SqliteStorage,
) -> None:
    await storage.add_account(ACCOUNT, {"secret": b"sealed"}, now=NOW)
    assert await storage.accounts() == [ACCOUNT]
    assert await storage.sealed_secrets("x") == {"secret": b"sealed"}
    assert await storage.sealed_secrets("y") == {}


async def test_adding_again_replaces(storage: SqliteStorage) -> None:
    await storage.add_account(ACCOUNT, {"old": b"1"}, now=NOW)
    await storage.add_account(ACCOUNT, {"new": b"2"}, now=NOW)
    assert await storage.sealed_secrets("x") == {"new": b"2"}


async def test_facts_are_kept_per_account(storage: SqliteStorage) -> None:
    await storage.remember("x", "nick", "Ada")
    await storage.remember("x", "nick", "Ada (Matrix)")
    assert await storage.recall("x", "nick") == "Ada (Matrix)"
    assert await storage.recall("y", "nick") is None


async def test_a_removed_account_leaves_no_secret_no_fact_no_cursor(
    storage: SqliteStorage,
) -> None:
    await storage.add_account(ACCOUNT, {"secret": b"sealed"}, now=NOW)
    await storage.remember("x", "nick", "Ada")
    await storage.take("x", [new_event("1")], {"s": "1"}, now=NOW)
    assert await storage.remove_account("x")
    assert await storage.accounts() == []
    assert await storage.sealed_secrets("x") == {}
    assert await storage.recall("x", "nick") is None
    assert await storage.cursor("x", "s") is None
    assert not await storage.remove_account("x")
