"""Files: complete before they have a name, streamed, forgotten in time."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sabir.agent.limits import Budget
from sabir.agent.spool import OctetsFile, Spool
from sabir.errors import PolicyRefused, StorageFailed, Unavailable
from sabir.networks.api import NativeMedia
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng

DATA = bytes(range(256)) * 1000
MEDIA = NativeMedia(handle="h", content_type="image/png", size=len(DATA))


class Source:
    """A network with one file; may break off."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks
        self.downloads = 0

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        self.downloads += 1
        for at in range(0, len(DATA), 65536):
            yield DATA[at : at + 65536]
            if self.breaks:
                raise Unavailable("cut off")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    store = SqliteStorage.open(tmp_path / "sabir.db")
    yield store
    store.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def spool(tmp_path: Path, storage: SqliteStorage, clock: VirtualClock) -> Spool:
    made = Spool(
        tmp_path / "media",
        storage,
        clock=clock,
        rng=SeededRng(1),
        budget=Budget(file_octets=10**6),
    )
    made.open()
    return made


async def test_a_file_is_fetched_once_and_read_in_pieces(spool: Spool) -> None:
    source = Source()
    file = await spool.fetch("a", source, MEDIA)
    again = await spool.fetch("a", source, MEDIA)
    assert (file.size, file.sha256) == (len(DATA), hashlib.sha256(DATA).digest())
    assert again.url == file.url
    assert source.downloads == 1
    chunks = [chunk async for chunk in file.chunks()]
    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) <= 65536


async def test_a_lost_file_is_fetched_again(spool: Spool, tmp_path: Path) -> None:
    source = Source()
    file = await spool.fetch("a", source, MEDIA)
    (tmp_path / "media" / file.sha256.hex()).unlink()
    assert spool.find(file.url) is None
    with pytest.raises(StorageFailed):
        [chunk async for chunk in file.chunks()]
    assert (await spool.fetch("a", source, MEDIA)).size == len(DATA)
    assert source.downloads == 2


async def test_a_broken_download_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await spool.fetch("a", Source(breaks=True), MEDIA)
    assert list((tmp_path / "media").iterdir()) == []


async def test_an_announced_giant_is_refused_before_reading(spool: Spool) -> None:
    source = Source()
    giant = NativeMedia(handle="g", content_type="video/mp4", size=10**7)
    with pytest.raises(PolicyRefused, match="send it smaller"):
        await spool.fetch("a", source, giant)
    assert source.downloads == 0


async def test_parts_left_by_a_crash_are_deleted(spool: Spool, tmp_path: Path) -> None:
    part = tmp_path / "media" / "abc.part"
    part.write_bytes(b"half")
    spool.open()
    assert not part.exists()


async def test_old_files_go(spool: Spool, clock: VirtualClock, tmp_path: Path) -> None:
    file = await spool.fetch("a", Source(), MEDIA)
    assert await spool.forget(older_than_ms=1000) == 0
    await clock.advance(2000)
    assert await spool.forget(older_than_ms=1000) == 1
    assert spool.find(file.url) is None


def test_foreign_urls_are_not_ours(spool: Spool) -> None:
    assert spool.find("https://example.org/x") is None
    assert spool.find("sabir-spool:../../etc/passwd") is None


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, storage: SqliteStorage, clock: VirtualClock
) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "x", storage, clock=clock, rng=SeededRng(1))
    with pytest.raises(StorageFailed, match="media spool"):
        spool.open()


async def test_a_full_disk_is_named(
    tmp_path: Path, storage: SqliteStorage, clock: VirtualClock
) -> None:
    spool = Spool(tmp_path / "gone", storage, clock=clock, rng=SeededRng(1))
    with pytest.raises(StorageFailed, match="free some space"):
        await spool.fetch("a", Source(), MEDIA)


async def test_inline_octets_read_like_a_file() -> None:
    file = OctetsFile(b"x" * 100_000)
    assert b"".join([c async for c in file.chunks()]) == b"x" * 100_000
    assert file.sha256 == hashlib.sha256(b"x" * 100_000).digest()


async def test_a_full_spool_drops_its_oldest_file(
    tmp_path: Path, storage: SqliteStorage, clock: VirtualClock
) -> None:
    spool = Spool(
        tmp_path / "media",
        storage,
        clock=clock,
        rng=SeededRng(1),
        budget=Budget(spool_octets=len(DATA) + 10),
    )
    spool.open()
    first = await spool.fetch("a", Source(), MEDIA)
    await clock.advance(10)
    other = NativeMedia(handle="other", content_type="image/png")

    class Other(Source):
        async def download(
            self, handle: str, *, octets_max: int
        ) -> AsyncIterator[bytes]:
            yield b"x" * 100

    second = await spool.fetch("a", Other(), other)
    assert spool.find(first.url) is None
    assert spool.find(second.url) is not None
