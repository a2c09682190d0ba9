"""Files of other providers: fetched once, kept for a while, handed on as they come.

As the hub we fetch from asset hosts for others (proxyDownload, D-33), so the host
learns no more than our name. For our own devices we ask the room's hub, or the host
itself. What passes is ciphertext; whether it is the right one only devices can tell.
"""

import asyncio
import hashlib
import shutil
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from sabir.clock import Clock
from sabir.errors import StorageFailed
from sabir.mimi.directory import Endpoint, expand, host_of
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.provider.admission import PROFILE_FIELD, PROFILES
from sabir.provider.assets import Assets, streamed
from sabir.provider.assets_folder import CHUNK_OCTETS, disk
from sabir.provider.assets_ranges import wanted_span
from sabir.provider.config import PeerSettings, ProviderConfig
from sabir.provider.download_source import Source, open_source
from sabir.provider.download_targets import URL_OCTETS_MAX, Target, Targets, refused
from sabir.provider.http import OCTETS, PROBLEM, Streamed
from sabir.provider.peers import PeerFailed, Peers
from sabir.provider.tls import client_context
from sabir.storage.provider.ports import Peers as PeerStore
from sabir.wire.errors import Malformed

OCTETS_MAX: Final = MIMI06_A.answer_octets_max[Endpoint.PROXY_DOWNLOAD]
UNDER_WAY_MAX: Final = 64
"""Fetches at a time."""
UNDER_WAY_SHARE: Final = 8
"""The same, for one peer or device."""
KEPT_MAX_S: Final = 24 * 3_600
"""The longest that a file stays."""
FILES_MAX: Final = 10_000
"""Kept at a time, so that small ones do not use up the disk's inodes."""
BUSY_RETRY_S: Final = 2

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_REDIRECTIONS: Final = range(300, 400)

_log = structlog.get_logger()


class Downloads:
    """Fetches files, each once for all who want it at the same time."""

    def __init__(
        self,
        config: ProviderConfig,
        assets: Assets,
        peers: Peers,
        store: PeerStore,
        clock: Clock,
        targets: Targets | None = None,
    ) -> None:
        """Put it together.

        Args:
            config: the operator's decisions.
            assets: our own files are not fetched.
            peers: knows the directories of hubs.
            store: remembers those of all peers.
            clock: time.
            targets: where files may be fetched from; None: as the peers say.
        """
        self._config = config
        self._assets = assets
        self._peers = peers
        self._clock = clock
        self._targets = targets or Targets(config, peers, store, clock)
        self._folder = config.data_dir / "downloads"
        self._files: OrderedDict[bytes, _File] = OrderedDict()
        self._shares: Counter[str] = Counter()
        self._wanted: asyncio.Queue[_File] = asyncio.Queue()

    async def open(self) -> None:
        """Make the folder, and forget what was fetched before.

        Raises:
            StorageFailed: the disk failed.
        """
        await asyncio.to_thread(_clear, self._folder)

    async def run(self) -> None:
        """Fetch what is wanted until cancelled. `open` comes first."""
        async with asyncio.TaskGroup() as group:
            while True:
                file = await self._wanted.get()
                group.create_task(self._fetch(file))

    def sweep(self) -> None:
        """Drop what is too old. Raises `StorageFailed`."""
        for key in list(self._files):
            self._fresh(key)

    # ---- what is wanted

    async def from_host(self, url: str, *, client: str, range_: str = "") -> Streamed:
        """Return a file from the host that keeps it.

        Args:
            url: as named by a peer or a device.
            client: whose share of the fetches is used.
            range_: the field `Range`, or empty.

        Raises:
            Problem: ASSET_TARGET_NOT_ALLOWED; NOT_FOUND; UNAVAILABLE, too much at
                once; as `PeerFailed`.
        """
        name = self._assets.name_of(url)
        if name is not None:
            return await self._assets.stream(name, {"Range": range_})
        key = _key("", url)
        if self._fresh(key) is None:
            target = await self._targets.find(url)
            self._want(key, client, target.host, lambda: self._open_target(target))
        return await self._answer(key, range_)

    async def from_hub(
        self, hub: str, url: str, *, client: str, range_: str = ""
    ) -> Streamed:
        """Return a file through the hub of a room, which hides who wants it.

        Args:
            hub: domain.
            url: of the file.
            client: whose share of the fetches is used.
            range_: the field `Range`, or empty.

        Raises:
            Problem: as `from_host`; UNKNOWN_PEER, we do not talk to the hub.
        """
        if hub == self._config.domain:
            return await self.from_host(url, client=client, range_=range_)
        key = _key(hub, url)
        if self._fresh(key) is None:
            proxied = await self._proxied(hub, url)
            self._want(key, client, hub, lambda: self._open_proxied(hub, proxied))
        return await self._answer(key, range_)

    def _fresh(self, key: bytes) -> "_File | None":
        file = self._files.get(key)
        if file is not None and file.is_done:
            if self._clock.monotonic_ms() < file.expires_ms:
                self._files.move_to_end(key)
                return file
            self._forget(file)
            return None
        return file

    def _want(
        self,
        key: bytes,
        client: str,
        who: str,
        source: Callable[[], AbstractAsyncContextManager[Source]],
    ) -> None:
        """Begin to fetch, unless somebody did meanwhile."""
        if key in self._files:
            return
        if (
            self._shares.total() >= UNDER_WAY_MAX
            or self._shares[client] >= UNDER_WAY_SHARE
        ):
            raise Problem(
                ProblemCode.UNAVAILABLE,
                "too many downloads at once",
                retry_after_s=BUSY_RETRY_S,
            )
        self._shares[client] += 1
        file = _File(key, self._folder / key.hex(), client, who, source)
        self._files[key] = file
        self._wanted.put_nowait(file)

    async def _answer(self, key: bytes, range_: str) -> Streamed:
        file = self._files[key]
        size = await file.known_size()
        span = wanted_span(range_, size)
        age_s = max(0, int(file.expires_ms - self._clock.monotonic_ms())) // 1_000
        return streamed(
            span,
            file.read(span.start, span.end),
            {"Cache-Control": f"max-age={age_s}"},
        )

    # ---- where it comes from

    def _open_target(self, target: Target) -> AbstractAsyncContextManager[Source]:
        context = client_context(
            self._config.identity, frozenset(), pinned=target.pinned
        )
        context.check_hostname = True  # files may be where wildcards are
        return open_source(
            target.url,
            who=target.host,
            addresses=target.addresses,
            context=context,
            headers={"Accept": OCTETS},
        )

    async def _proxied(self, hub: str, url: str) -> str:
        """Return the URL at the hub that hands on a file."""
        if len(url) > URL_OCTETS_MAX:
            raise refused("no URL")
        directory = await self._peers.directory(hub)
        endpoint = Endpoint.PROXY_DOWNLOAD
        template = directory.templates.get(endpoint)
        if template is None:
            raise Problem(ProblemCode.NOT_FOUND, f"{hub} hands on no files")
        try:
            return expand(template, {endpoint.variable: url}, url)
        except Malformed as wrong:
            raise PeerFailed(hub, str(wrong), reached=False) from None

    def _open_proxied(
        self, hub: str, proxied: str
    ) -> AbstractAsyncContextManager[Source]:
        settings = self._config.peers.get(hub, PeerSettings())
        host = host_of(proxied)
        names = {host} if settings.allow_delegated_host else {host, hub}
        return open_source(
            proxied,
            who=hub,
            addresses=None if settings.address is None else [settings.address],
            context=client_context(
                self._config.identity, frozenset(names), pinned=settings.pinned
            ),
            headers={
                "Accept": f"{OCTETS}, {PROBLEM}",
                "From": f"mimi@{self._config.domain}",
                PROFILE_FIELD: PROFILES[0],
            },
        )

    # ---- fetching

    async def _fetch(self, file: "_File") -> None:
        try:
            async with file.source() as source:
                await self._take(file, source)
        except Problem as problem:
            reason = problem.reason if isinstance(problem, PeerFailed) else str(problem)
            _log.info("download failed", host=file.who, reason=reason)
            self._fail(file, problem)
        except StorageFailed as failed:
            _log.error("download failed", host=file.who, reason=str(failed))
            self._fail(file, _no_room())
        finally:
            self._shares[file.client] -= 1
            if not self._shares[file.client]:
                del self._shares[file.client]

    def _fail(self, file: "_File", problem: Problem) -> None:
        file.fail(problem)
        self._forget(file)

    async def _take(self, file: "_File", source: Source) -> None:
        _check_status(file.who, source.status)
        size = source.size
        if size is not None and size > OCTETS_MAX:
            raise PeerFailed(file.who, f"a file of {size} octets")
        await self._make_room(file, OCTETS_MAX if size is None else size)
        kept_s = min(source.max_age_s, KEPT_MAX_S)
        file.expires_ms = self._clock.monotonic_ms() + kept_s * 1_000
        opened = await asyncio.to_thread(_create, file.path)
        file.begin(size)
        try:
            async for chunk in source.chunks:
                if file.written + len(chunk) > file.reserved:
                    raise PeerFailed(file.who, "more octets than it said, or may have")
                await asyncio.to_thread(_append, file.path, opened, chunk)
                file.grow(len(chunk))
        finally:
            await asyncio.to_thread(opened.close)
        if size is not None and file.written < size:
            raise PeerFailed(file.who, "fewer octets than it said")
        file.finish()

    async def _make_room(self, file: "_File", octets: int) -> None:
        """Reserve, and drop what was used longest ago.

        Raises:
            Problem: UNAVAILABLE, all room is in use.
            StorageFailed: the disk failed.
        """
        file.reserved = octets
        over = sum(each.reserved for each in self._files.values())
        over -= self._config.assets.cache_octets
        for each in list(self._files.values()):
            too_many = len(self._files) > FILES_MAX
            if each.is_done and (over > 0 or too_many):
                over -= each.reserved
                self._forget(each)
        free = await asyncio.to_thread(_free_octets, self._folder)
        if over > 0 or free - octets < self._config.assets.free_octets_min:
            raise _no_room()

    def _forget(self, file: "_File") -> None:
        """Drop a file; who reads it already goes on."""
        if self._files.get(file.key) is file:
            del self._files[file.key]
        file.drop()


class _File:
    """A file that is fetched or was."""

    def __init__(
        self,
        key: bytes,
        path: Path,
        client: str,
        who: str,
        source: Callable[[], AbstractAsyncContextManager[Source]],
    ) -> None:
        self.key = key
        self.path = path
        self.client = client
        self.who = who
        self.source = source
        self.reserved = 0
        self.written = 0
        self.expires_ms = 0.0
        self.is_done = False
        self._size: int | None = None
        self._problem: Problem | None = None
        self._changed = asyncio.Event()

    def begin(self, size: int | None) -> None:
        """Note how large it will be, if that is known."""
        self._size = size
        self._tell()

    def grow(self, octets: int) -> None:
        """Note that more is on the disk."""
        self.written += octets
        self._tell()

    def finish(self) -> None:
        """Note that all is there."""
        self._size = self.reserved = self.written
        self.is_done = True
        self._tell()

    def fail(self, problem: Problem) -> None:
        """Note that it will never be whole."""
        self._problem = problem
        self._tell()

    def drop(self) -> None:
        """Remove it from the disk; who has it open reads on."""
        with disk(self.path.parent):
            self.path.unlink(missing_ok=True)

    async def known_size(self) -> int:
        """Wait until it is known how large the file is.

        Raises:
            Problem: it will never be here.
        """
        while self._size is None:
            await self._more()
        return self._size

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield octets as they come.

        Raises:
            Problem: no more will come.
            StorageFailed: the disk failed, or the file made room for others.
        """
        with disk(self.path.parent):
            opened = await asyncio.to_thread(self.path.open, "rb", 0)
            with opened:
                opened.seek(start)
                while start < end:
                    ready = min(CHUNK_OCTETS, end - start, self.written - start)
                    if ready <= 0:
                        await self._more()
                        continue
                    chunk = await asyncio.to_thread(opened.read, ready)
                    if not chunk:
                        return
                    start += len(chunk)
                    yield chunk

    async def _more(self) -> None:
        if self._problem is not None:
            raise self._problem
        await self._changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _key(hub: str, url: str) -> bytes:
    """Return the name of a file; a hub that lies harms only who asked through it."""
    return hashlib.sha256(f"{hub}\0{url}".encode()).digest()


def _check_status(who: str, status: int) -> None:
    """Check that a file follows.

    Raises:
        Problem: none.
    """
    if status == HTTPStatus.OK:
        return
    if status in _GONE:
        raise Problem(ProblemCode.NOT_FOUND)
    if status == HTTPStatus.FORBIDDEN or status in _REDIRECTIONS:
        raise refused(f"{who} refuses, or points elsewhere")
    raise PeerFailed(who, f"status {status}")


def _no_room() -> Problem:
    return Problem(
        ProblemCode.UNAVAILABLE, "no room for files", retry_after_s=BUSY_RETRY_S
    )


def _clear(folder: Path) -> None:
    with disk(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.iterdir():
            file.unlink()


def _create(path: Path) -> BinaryIO:
    with disk(path.parent):
        return path.open("wb")


def _append(path: Path, file: BinaryIO, chunk: bytes) -> None:
    with disk(path.parent):
        file.write(chunk)
        file.flush()


def _free_octets(folder: Path) -> int:
    with disk(folder):
        return shutil.disk_usage(folder).free
