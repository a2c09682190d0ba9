"""Uploads: whole, in parts, broken off, come twice, too many."""

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Instant
from sabir.crypto.secrets import Secret
from sabir.errors import StorageFailed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider import assets as module
from sabir.provider.assets import Assets
from sabir.provider.assets_folder import AssetFolder
from sabir.provider.assets_ranges import Span
from sabir.provider.config import Address, AssetSettings, ProviderConfig
from sabir.provider.http import Streamed
from sabir.provider.keys import KeyRing
from sabir.provider.tls import Identity
from sabir.storage.provider.records import AssetRecord
from sabir.storage.sqlite.provider.store import SqliteProviderStore

DEVICE = "mimi://a.example/d/alice/phone"
OTHER = "mimi://a.example/d/bob/phone"
NOTHING_TO_SPARE = 1 << 62


class Desk:
    """Assets of a provider that may crash and start again."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.config = ProviderConfig(
            domain="a.example",
            data_dir=folder,
            identity=Identity(certificate=folder / "c", key=folder / "k"),
            listen=Address(host="127.0.0.1", port=0),
            assets=AssetSettings(**{"free_octets_min": 1, **limits}),
        )
        self.store = SqliteProviderStore.open(folder / "provider.db")
        self.assets = self.fresh()

    def fresh(self) -> Assets:
        clock = SystemClock()
        keys = KeyRing(self.store, Secret(bytes(32)), clock, system_rng)
        self.assets = Assets(self.config, self.store, keys, clock, system_rng)
        return self.assets

    async def take(
        self,
        octets: bytes,
        key: str = "key",
        *,
        device: str = DEVICE,
        start: int = 0,
        size: int | None = None,
    ) -> AssetRecord | None:
        span = Span(start, start + len(octets), size or start + len(octets))
        return await self.assets.take(device, key, span, pieces(octets))

    async def whole(self, octets: bytes, key: str = "key") -> AssetRecord:
        record = await self.take(octets, key)
        assert record is not None
        return record

    async def read(self, name: str, fields: dict[str, str] | None = None) -> bytes:
        return await all_of(await self.assets.stream(name, fields))

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "assets").rglob("*") if path.is_file()]


async def pieces(octets: bytes, size: int = 10) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]


async def breaks(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
    raise ConnectionResetError


async def all_of(answer: Streamed) -> bytes:
    async with aclosing(answer.chunks) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def refused(work: Awaitable[object]) -> ProblemCode:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value.problem


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.assets.open()
    yield made
    made.store.close()


async def test_what_is_uploaded_is_what_is_served(desk: Desk) -> None:
    octets = os.urandom(1_000)
    record = await desk.whole(octets)
    assert record.size == 1_000
    assert record.sha256 == hashlib.sha256(octets).digest()
    assert await desk.read(record.name) == octets
    url = desk.assets.url(record.name)
    assert url == f"https://a.example/v1/{record.name}"
    assert len(record.name) == 43
    assert desk.assets.name_of(url) == record.name


@pytest.mark.parametrize(
    "url",
    [
        "https://b.example/v1/" + "x" * 43,
        "http://a.example/v1/" + "x" * 43,
        "https://a.example/v1/" + "x" * 42,
        "https://a.example/v1/" + "x" * 42 + "/",
        "https://a.example/v1/../v1/" + "x" * 43,
        "https://a-example/v1/" + "x" * 43,
    ],
)
async def test_urls_that_are_not_ours(desk: Desk, url: str) -> None:
    assert desk.assets.name_of(url) is None


async def test_what_is_not_here_is_not_found(desk: Desk) -> None:
    assert await refused(desk.assets.stream("x" * 43)) is ProblemCode.NOT_FOUND
    assert await refused(desk.assets.stream("../../x")) is ProblemCode.NOT_FOUND


async def test_names_tell_nothing_and_are_each_installations_own(
    desk: Desk, tmp_path: Path
) -> None:
    names = {(await desk.whole(b"same", key)).name for key in ("1", "2", "3")}
    other = await desk.take(b"same", "1", device=OTHER)
    assert other is not None
    names.add(other.name)
    folder = tmp_path / "second"
    folder.mkdir()
    second = Desk(folder)
    await second.assets.open()
    names.add((await second.whole(b"same", "1")).name)
    second.store.close()
    assert len(names) == 5


async def test_the_same_upload_again_has_the_same_answer(desk: Desk) -> None:
    record = await desk.whole(bytes(100))
    assert await desk.whole(bytes(100)) == record
    assert await desk.take(bytes(40), start=60) == record
    assert len(desk.files()) == 1


async def test_another_file_under_the_same_key_is_a_conflict(desk: Desk) -> None:
    await desk.whole(bytes(100))
    for octets in (bytes(99), bytes(99) + b"x"):
        conflict = await refused(desk.take(octets))
        assert conflict is ProblemCode.IDEMPOTENCY_CONFLICT
    assert await desk.take(bytes(100), device=OTHER) is not None


async def test_a_broken_upload_goes_on_where_it_ended(desk: Desk) -> None:
    octets = os.urandom(100)
    with pytest.raises(ConnectionResetError):
        await desk.assets.take(DEVICE, "key", Span(0, 100, 100), breaks(octets[:37]))
    assert await desk.assets.offset(DEVICE, "key") == 37
    assert await desk.assets.offset(OTHER, "key") == 0
    desk.fresh()  # as after a crash
    await desk.assets.open()
    assert await desk.assets.offset(DEVICE, "key") == 37
    record = await desk.take(octets[37:], start=37)
    assert record is not None
    assert await desk.read(record.name) == octets
    assert await desk.assets.offset(DEVICE, "key") == 100


async def test_an_upload_goes_on_nowhere_else(desk: Desk) -> None:
    assert await desk.take(bytes(30), size=100) is None
    for start in (29, 31, 70):
        conflict = await refused(desk.take(bytes(10), start=start, size=100))
        assert conflict is ProblemCode.IDEMPOTENCY_CONFLICT
    assert await desk.take(b"x" * 100) is not None  # or from its beginning


async def test_a_body_shorter_than_its_length_is_no_file(desk: Desk) -> None:
    short = desk.assets.take(DEVICE, "key", Span(0, 100, 100), pieces(bytes(99)))
    assert await refused(short) is ProblemCode.MALFORMED_BODY
    assert await desk.assets.offset(DEVICE, "key") == 99


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    octets=st.binary(min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    breaking=st.booleans(),
)
async def test_however_an_upload_is_cut_the_file_is_whole(
    desk: Desk, octets: bytes, cuts: list[int], breaking: bool
) -> None:
    key = system_rng(16).hex()
    size = len(octets)
    for cut in sorted({each for each in cuts if each < size} | {size}):
        start = await desk.assets.offset(DEVICE, key)
        if breaking and cut < size:
            with pytest.raises(ConnectionResetError):
                await desk.assets.take(
                    DEVICE, key, Span(start, size, size), breaks(octets[start:cut])
                )
        elif cut > start:
            await desk.assets.take(
                DEVICE, key, Span(start, cut, size), pieces(octets[start:cut])
            )
    record = await desk.whole(octets, key)
    assert await desk.read(record.name) == octets


async def test_the_same_upload_again_ends_the_one_that_hangs(desk: Desk) -> None:
    hangs = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield bytes(50)
        hangs.set()
        await asyncio.Event().wait()

    async def first() -> ProblemCode:
        return await refused(desk.assets.take(DEVICE, "key", Span(0, 100, 100), half()))

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        hanging = group.create_task(first())
        await hangs.wait()
        start = await desk.assets.offset(DEVICE, "key")
        assert start in {0, 50}  # what was written may lie in memory still
        record = await desk.take(bytes(100))
    assert hanging.result() is ProblemCode.UNAVAILABLE
    assert record is not None
    assert await desk.read(record.name) == bytes(100)


async def test_of_many_who_upload_the_same_the_last_one_wins(desk: Desk) -> None:
    all_are_here = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield bytes(90)
        await all_are_here.wait()
        yield bytes(10)

    async def one() -> AssetRecord | ProblemCode | None:
        try:
            return await desk.assets.take(DEVICE, "key", Span(0, 100, 100), slowly())
        except Problem as problem:
            return problem.problem

    seen: set[object] = set()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tasks = []
        for number in range(5):
            tasks.append(group.create_task(one()))
            while len(seen) == number:
                seen.update(desk.assets._turns.values())
                await asyncio.sleep(0)
        all_are_here.set()
    *earlier, last = (task.result() for task in tasks)
    assert earlier == [ProblemCode.UNAVAILABLE] * 4
    assert isinstance(last, AssetRecord)
    assert await desk.read(last.name) == bytes(100)
    assert not desk.assets._turns


async def test_an_upload_has_its_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UPLOAD_S", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield bytes(10)
        await asyncio.Event().wait()

    late = desk.assets.take(DEVICE, "key", Span(0, 100, 100), never())
    assert await refused(late) is ProblemCode.REQUEST_TIMEOUT
    assert await desk.assets.offset(DEVICE, "key") == 10


# ---- limits


async def test_a_file_has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASSET_OCTETS_MAX", 100)
    await desk.whole(bytes(100))
    assert await refused(desk.take(bytes(101), "k")) is ProblemCode.BODY_TOO_LARGE


async def test_a_device_has_a_quota_with_what_is_unfinished(tmp_path: Path) -> None:
    desk = Desk(tmp_path, per_device_octets=100)
    await desk.assets.open()
    await desk.whole(bytes(40), "1")
    await desk.take(bytes(20), "2", size=30)
    assert await refused(desk.take(bytes(41), "3")) is ProblemCode.BODY_TOO_LARGE
    assert await desk.take(bytes(100), "3", device=OTHER) is not None
    assert await desk.take(bytes(40), "3") is not None
    late = desk.take(bytes(10), "2", start=20)
    assert await refused(late) is ProblemCode.BODY_TOO_LARGE
    desk.store.close()


async def test_a_device_has_few_unfinished_uploads(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARTS_MAX", 3)
    for number in range(3):
        await desk.take(b"x", str(number), size=2)
    assert await refused(desk.take(b"x", "3", size=2)) is ProblemCode.RATE_LIMITED
    assert await desk.take(b"x", "2", start=1) is not None
    assert await desk.take(b"x", "3", size=2) is None
    assert await desk.take(b"x", "3", size=2, device=OTHER) is None


async def test_the_disk_keeps_room_for_the_rest(tmp_path: Path) -> None:
    desk = Desk(tmp_path, free_octets_min=NOTHING_TO_SPARE)
    await desk.assets.open()
    assert await refused(desk.take(b"x")) is ProblemCode.UNAVAILABLE
    assert not desk.files()
    desk.store.close()


async def test_a_full_disk_loses_nothing_of_what_is_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = os.urandom(100)
    await desk.take(octets[:50], size=100)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFailed, match="free some space"):
            await desk.take(octets[50:], start=50)
    assert await desk.assets.offset(DEVICE, "key") == 100
    record = await desk.whole(octets)
    assert await desk.read(record.name) == octets


async def test_an_index_that_fails_leaves_a_file_that_goes_with_the_next_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.store, "add_asset", fails)
        with pytest.raises(StorageFailed):
            await desk.take(bytes(10))
    assert len(desk.files()) == 1
    await desk.fresh().open()
    assert not desk.files()
    record = await desk.whole(bytes(10))
    await desk.fresh().open()
    assert await desk.read(record.name) == bytes(10)


# ---- time


async def test_what_has_expired_is_gone(desk: Desk) -> None:
    old = await desk.whole(b"old", "1")
    new = await desk.whole(b"new", "2")
    now = SystemClock().now()
    assert old.expires_at - now > 89 * module.DAY_MS
    await desk.store.remove_asset(old.name)
    await desk.store.add_asset(replace(old, expires_at=Instant(now - 1)), now=now)
    assert await refused(desk.assets.stream(old.name)) is ProblemCode.NOT_FOUND
    assert len(desk.files()) == 2
    await desk.assets.sweep(now)
    assert [file.name for file in desk.files()] == [new.name]
    assert await desk.store.asset_octets(DEVICE) == 3


async def test_many_that_have_expired_go_in_rounds(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEPT_AT_ONCE", 2)
    for number in range(5):
        await desk.whole(b"x", str(number))
    await desk.assets.sweep(Instant(SystemClock().now() + 91 * module.DAY_MS))
    assert not desk.files()


async def test_uploads_that_nobody_goes_on_with_are_dropped(desk: Desk) -> None:
    await desk.take(b"x", "old", size=2)
    (part,) = desk.files()
    await desk.take(b"x", "new", size=2)
    past = time.time() - 25 * 3_600
    os.utime(part, (past, past))
    await desk.assets.sweep(SystemClock().now())
    assert len(desk.files()) == 1
    assert await desk.assets.offset(DEVICE, "old") == 0
    assert await desk.assets.offset(DEVICE, "new") == 1


# ---- parts of files


async def test_a_download_that_broke_goes_on(desk: Desk) -> None:
    octets = os.urandom(1_000)
    record = await desk.whole(octets)
    answer = await desk.assets.stream(record.name, {"Range": "bytes=400-"})
    assert (answer.status, answer.size) == (206, 600)
    assert answer.headers["Content-Range"] == "bytes 400-999/1000"
    assert await all_of(answer) == octets[400:]
    tag = answer.headers["ETag"]
    for if_range, size in ((tag, 600), ('"other"', 1_000)):
        again = await desk.assets.stream(
            record.name, {"Range": "bytes=400-", "If-Range": if_range}
        )
        assert again.size == size
        await all_of(again)


async def test_a_file_that_vanished_fails_loudly(desk: Desk) -> None:
    record = await desk.whole(b"x")
    desk.files()[0].unlink()
    with pytest.raises(StorageFailed):
        await desk.read(record.name)


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    folder = AssetFolder(file / "assets")
    tries: list[Callable[[], object]] = [
        folder.open,
        folder.free_octets,
        lambda: list(folder.names()),
        lambda: folder.remove("x" * 43),
        lambda: folder.open_part(DEVICE, "x", 0),
        lambda: folder.finish_part(DEVICE, "x"),
        lambda: folder.drop_old_parts(0),
    ]
    for each in tries:
        with pytest.raises(StorageFailed, match="assets"):
            each()
