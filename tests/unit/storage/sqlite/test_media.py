"""What is in the spool."""

from sabir.clock import Instant
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import NOW


async def test_a_handle_leads_to_its_file(storage: SqliteStorage) -> None:
    await storage.add_media("x", "mxc://a", b"h" * 32, 5, now=NOW)
    assert await storage.media_of_handle("x", "mxc://a") == (b"h" * 32, 5)
    assert await storage.media_of_handle("y", "mxc://a") is None


async def test_old_files_are_forgotten_with_their_handles(
    storage: SqliteStorage,
) -> None:
    await storage.add_media("x", "old", b"o" * 32, 5, now=NOW)
    await storage.add_media("x", "new", b"n" * 32, 5, now=Instant(NOW + 10))
    assert await storage.forget_media(before=Instant(NOW + 1), octets_max=99) == [
        b"o" * 32
    ]
    assert await storage.media_of_handle("x", "old") is None
    assert await storage.media_of_handle("x", "new") is not None


async def test_over_the_budget_the_oldest_go_first(storage: SqliteStorage) -> None:
    for number in range(4):
        sha256 = bytes([number]) * 32
        now = Instant(NOW + number)
        await storage.add_media("x", str(number), sha256, 10, now=now)
    gone = await storage.forget_media(before=NOW, octets_max=25)
    assert sorted(gone) == [bytes(32), b"\x01" * 32]
    assert await storage.forget_media(before=NOW, octets_max=25) == []
