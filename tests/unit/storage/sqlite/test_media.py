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
    assert await storage.forget_media(before=Instant(NOW + 1)) == [b"o" * 32]
    assert await storage.media_of_handle("x", "old") is None
    assert await storage.media_of_handle("x", "new") is not None
