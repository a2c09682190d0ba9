"""Assets: ciphertexts that our devices upload, and anybody with their URL gets (7.8).

An upload that breaks goes on where it ended: the part stays, and its name follows from
the device and the idempotency key. Nothing is in the index, or answered, before the
file is on the disk as a whole.
"""

import asyncio
import base64
import hmac
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from sabir.clock import Clock, Instant
from sabir.crypto.secrets import Secret
from sabir.mimi.genesis import ASSET_OCTETS_MAX
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.assets_folder import CHUNK_OCTETS, AssetFolder, disk
from sabir.provider.assets_ranges import Span, wanted_span
from sabir.provider.config import ProviderConfig
from sabir.provider.http import Streamed
from sabir.provider.keys import KeyRing
from sabir.storage.provider.ports import Assets as AssetIndex
from sabir.storage.provider.records import AssetRecord

T = TypeVar("T")

ASSET_PATH: Final = "/v1/{name}"
NAME_OCTETS: Final = 32
UPLOAD_S: Final = 3_600.0
"""Seconds for an upload; later it goes on with another request."""
PARTS_MAX: Final = 16
"""Unfinished uploads of a device."""
PART_KEPT_MS: Final = 24 * 3_600_000
"""An unfinished upload may go on for so long."""
FULL_RETRY_S: Final = 60
"""When a device may try again while there is no room."""
SWEPT_AT_ONCE: Final = 256
"""Expired assets of one look into the index."""
DAY_MS: Final = 24 * 3_600_000
KEY_NAME: Final = "assets"


class Assets:
    """What our devices have uploaded."""

    def __init__(
        self,
        config: ProviderConfig,
        index: AssetIndex,
        keys: KeyRing,
        clock: Clock,
        rng: Callable[[int], bytes],
    ) -> None:
        self._settings = config.assets
        self._base = f"https://{config.endpoint_host}/v1/"
        self._index = index
        self._keys = keys
        self._clock = clock
        self._rng = rng
        self._folder = AssetFolder(config.data_dir / "assets")
        self._turns: dict[str, _Turn] = {}

    async def open(self) -> None:
        """Make the folder; drop files that a crash kept out of the index.

        Raises:
            StorageFailed: the disk or the index failed.
        """
        await asyncio.to_thread(self._folder.open)
        now = self._clock.now()
        for name in await asyncio.to_thread(lambda: list(self._folder.names())):
            if await self._index.asset(name, now=now) is None:
                await asyncio.to_thread(self._folder.remove, name)

    async def sweep(self, now: Instant) -> None:
        """Remove what has expired, and uploads that nobody goes on with.

        Raises:
            StorageFailed: the disk or the index failed.
        """
        while True:
            expired = await self._index.expired_assets(now=now, count_max=SWEPT_AT_ONCE)
            for each in expired:
                await asyncio.to_thread(self._folder.remove, each.name)
                await self._index.remove_asset(each.name)
            if len(expired) < SWEPT_AT_ONCE:
                break
        before_s = (now - PART_KEPT_MS) / 1_000
        await asyncio.to_thread(self._folder.drop_old_parts, before_s)

    # ---- uploads

    async def take(
        self, device: str, key: str, span: Span, chunks: AsyncIterator[bytes]
    ) -> AssetRecord | None:
        """Take octets of an upload.

        Args:
            device: whose.
            key: names the upload among those of the device.
            span: what the request brings.
            chunks: it; may fail, and then the upload goes on with another request.

        Returns:
            The asset, or None while octets are missing.

        Raises:
            Problem: BODY_TOO_LARGE, the file or all files of the device;
                IDEMPOTENCY_CONFLICT, the upload goes on elsewhere, or is another
                file; RATE_LIMITED, too many unfinished ones; UNAVAILABLE, no room
                or the same upload came again; REQUEST_TIMEOUT.
            StorageFailed: the disk or the index failed.
        """
        if span.size > ASSET_OCTETS_MAX:
            raise Problem(
                ProblemCode.BODY_TOO_LARGE,
                f"a file has at most {ASSET_OCTETS_MAX} octets",
            )
        name = await self._name(device, key)
        async with self._turn(_Turn(device, name, span.size)) as turn:
            known = await self.find(name)
            if known is not None:
                await self._check_same(known, span, chunks)
                return known
            await self._check_room(turn)
            async with turn.receiving():
                await self._receive(turn, span, chunks)
            if span.end < span.size:
                return None
            return await self._complete(turn)

    async def offset(self, device: str, key: str) -> int:
        """Return how many octets of an unfinished upload are here.

        Raises:
            StorageFailed: the disk failed.
        """
        name = await self._name(device, key)
        sizes = await asyncio.to_thread(self._folder.part_sizes, device)
        known = await self.find(name)
        return sizes.get(name, 0) if known is None else known.size

    async def _name(self, device: str, key: str) -> str:
        """Return the last segment of the URL: random to whoever lacks our key."""
        secret: Secret = await self._keys.get(KEY_NAME, lambda: self._rng(NAME_OCTETS))
        octets = hmac.digest(secret.reveal(), f"{device}\0{key}".encode(), "sha256")[
            :NAME_OCTETS
        ]
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")

    async def _check_room(self, turn: "_Turn") -> None:
        """Check quota and disk, with all that is promised to others."""
        sizes = dict(await asyncio.to_thread(self._folder.part_sizes, turn.device))
        others = [each for each in self._turns.values() if each.name != turn.name]
        for each in others:
            if each.device == turn.device:
                sizes[each.name] = each.size
        sizes[turn.name] = turn.size
        if len(sizes) > PARTS_MAX:
            raise Problem(
                ProblemCode.RATE_LIMITED,
                f"{PARTS_MAX} uploads are unfinished",
                retry_after_s=FULL_RETRY_S,
            )
        stored = await self._index.asset_octets(turn.device)
        quota = self._settings.per_device_octets
        if stored + sum(sizes.values()) > quota:
            raise Problem(
                ProblemCode.BODY_TOO_LARGE,
                f"{stored} of the {quota} octets for a device's files are used",
            )
        free = await asyncio.to_thread(self._folder.free_octets)
        promised = turn.size + sum(each.size for each in others)
        if free - promised < self._settings.free_octets_min:
            raise Problem(
                ProblemCode.UNAVAILABLE,
                "no room for files at the moment",
                retry_after_s=FULL_RETRY_S,
            )

    async def _receive(
        self, turn: "_Turn", span: Span, chunks: AsyncIterator[bytes]
    ) -> None:
        part = _Part(self._folder, turn.device, turn.name)
        received = 0
        try:
            if not await _whole(part.open, span.start):
                raise Problem(
                    ProblemCode.IDEMPOTENCY_CONFLICT,
                    "the upload goes on at another octet",
                )
            async for chunk in chunks:
                await _whole(part.write, chunk)
                received += len(chunk)
        finally:
            await _whole(part.close)
        if received != span.end - span.start:
            raise Problem(ProblemCode.MALFORMED_BODY, "shorter than its length says")

    async def _complete(self, turn: "_Turn") -> AssetRecord:
        digest = await _whole(self._folder.finish_part, turn.device, turn.name)
        now = self._clock.now()
        record = AssetRecord(
            name=turn.name,
            device=turn.device,
            size=turn.size,
            sha256=digest,
            expires_at=Instant(now + self._settings.keep_days * DAY_MS),
        )
        await self._index.add_asset(record, now=now)
        return record

    async def _check_same(
        self, known: AssetRecord, span: Span, chunks: AsyncIterator[bytes]
    ) -> None:
        """Compare what is brought again with what is here.

        Raises:
            Problem: IDEMPOTENCY_CONFLICT, they differ.
        """
        different = Problem(
            ProblemCode.IDEMPOTENCY_CONFLICT, "the key is that of another file"
        )
        if span.size != known.size:
            raise different
        path = self._folder.path(known.name)
        at = span.start
        async for chunk in chunks:
            if await asyncio.to_thread(self._read, path, at, len(chunk)) != chunk:
                raise different
            at += len(chunk)

    def _read(self, path: Path, at: int, count: int) -> bytes:
        with disk(self._folder.folder), path.open("rb") as file:
            file.seek(at)
            return file.read(count)

    @asynccontextmanager
    async def _turn(self, turn: "_Turn") -> AsyncGenerator["_Turn", None]:
        """Be the only one who works at an asset; whoever did before has to stop."""
        former = self._turns.get(turn.name)
        self._turns[turn.name] = turn
        try:
            if former is not None:
                former.stop()
                await former.over.wait()
            turn.check()
            yield turn
        finally:
            turn.over.set()
            if self._turns.get(turn.name) is turn:
                del self._turns[turn.name]

    # ---- downloads

    def url(self, name: str) -> str:
        """Return the URL of an asset."""
        return self._base + name

    def name_of(self, url: str) -> str | None:
        """Return which asset of ours a URL names, None if it is somebody else's."""
        found = re.fullmatch(re.escape(self._base) + r"([A-Za-z0-9_-]{43})", url)
        return None if found is None else found[1]

    async def find(self, name: str) -> AssetRecord | None:
        """Return an asset that is still here."""
        return await self._index.asset(name, now=self._clock.now())

    async def stream(
        self, name: str, fields: Mapping[str, str] | None = None
    ) -> Streamed:
        """Return an asset's octets.

        Args:
            name: last segment of the URL.
            fields: of the request; `Range` and `If-Range` are followed.

        Raises:
            Problem: NOT_FOUND.
        """
        record = await self.find(name)
        if record is None:
            raise Problem(ProblemCode.NOT_FOUND)
        path = self._folder.path(name)
        tag = f'"{record.sha256.hex()}"'
        fields = fields or {}
        wanted = fields.get("Range", "")
        if fields.get("If-Range", tag) != tag:
            wanted = ""
        left_s = (record.expires_at - self._clock.now()) // 1_000
        headers = {"Cache-Control": f"max-age={left_s}, immutable", "ETag": tag}
        span = wanted_span(wanted, record.size)
        return streamed(span, read_file(path, span.start, span.end), headers)


def streamed(
    span: Span, chunks: AsyncGenerator[bytes, None], headers: Mapping[str, str]
) -> Streamed:
    """Return an answer of a file, or of a part of it (RFC 9110 section 15.3.7)."""
    more = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    if not span.is_whole:
        more["Content-Range"] = span.content_range()
    return Streamed(
        status=200 if span.is_whole else 206,
        size=span.end - span.start,
        chunks=chunks,
        headers={**headers, **more},
    )


async def read_file(path: Path, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """Yield octets of a file.

    Raises:
        StorageFailed: it cannot be read.
    """
    with disk(path.parent):
        file = await asyncio.to_thread(path.open, "rb")
        with file:
            file.seek(start)
            while start < end:
                count = min(CHUNK_OCTETS, end - start)
                chunk = await asyncio.to_thread(file.read, count)
                if not chunk:
                    return
                start += len(chunk)
                yield chunk


class _Part:
    """The open file of an upload; whoever is cancelled while it opens can close it."""

    def __init__(self, folder: AssetFolder, device: str, name: str) -> None:
        self._folder = folder
        self._device = device
        self._name = name
        self._file: BinaryIO | None = None

    def open(self, start: int) -> bool:
        """Open it for what comes from octet `start` on; False if it ends elsewhere."""
        self._file = self._folder.open_part(self._device, self._name, start)
        return self._file is not None

    def write(self, chunk: bytes) -> None:
        """Append. Raises `StorageFailed`."""
        assert self._file is not None, "open() comes first"
        with disk(self._folder.folder):
            self._file.write(chunk)

    def close(self) -> None:
        """Close it, if it is open. Raises `StorageFailed`."""
        if self._file is not None:
            with disk(self._folder.folder):
                self._file.close()


class _Turn:
    """One request's time with an asset."""

    def __init__(self, device: str, name: str, size: int) -> None:
        self.device = device
        self.name = name
        self.size = size
        self.over = asyncio.Event()
        self._stopped = False
        self._limit: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Let the next request have it."""
        self._stopped = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())

    def check(self) -> None:
        """Check whether it is still ours.

        Raises:
            Problem: UNAVAILABLE.
        """
        if self._stopped:
            raise Problem(
                ProblemCode.UNAVAILABLE,
                "the same upload came again",
                retry_after_s=1,
            )

    @asynccontextmanager
    async def receiving(self) -> AsyncGenerator[None, None]:
        """Receive until `stop`, or for the time of one request.

        Raises:
            Problem: UNAVAILABLE, REQUEST_TIMEOUT.
        """
        self.check()
        try:
            async with asyncio.timeout(UPLOAD_S) as self._limit:
                yield
        except TimeoutError:
            self.check()
            raise Problem(
                ProblemCode.REQUEST_TIMEOUT,
                f"after {UPLOAD_S:.0f} s the upload goes on with another request",
            ) from None
        finally:
            self._limit = None


async def _whole(work: Callable[..., T], *arguments: object) -> T:
    """Work in a thread; who is cancelled meanwhile waits until it is done."""
    done = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise
