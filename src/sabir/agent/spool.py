"""Files on their way: fetched once, checked, kept until they are old.

A file is complete and flushed to the disk before anybody learns its name, and
its name is its SHA-256, so a crash leaves at worst a nameless part to delete.
Never is a whole file in memory.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from sabir.agent.limits import Budget
from sabir.clock import Clock, Instant
from sabir.errors import PolicyRefused, StorageFailed
from sabir.networks.api import DownloadsMedia, NativeMedia, Rng
from sabir.storage.ports import Media

SCHEME: Final = "sabir-spool:"
CHUNK_OCTETS: Final = 64 * 1024
_PART_SUFFIX: Final = ".part"
_DEFAULT: Final = Budget()


class SpooledFile:
    """One complete file in the spool (a `networks.api.MediaReader`)."""

    def __init__(self, path: Path, sha256: bytes, size: int) -> None:
        self.sha256 = sha256
        self.size = size
        self._path = path

    @property
    def url(self) -> str:
        """Return the name by which content refers to it."""
        return SCHEME + self.sha256.hex()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file in pieces of at most 64 KiB.

        Raises:
            StorageFailed: the file is gone or unreadable.
        """
        try:
            with self._path.open("rb") as file:
                while chunk := file.read(CHUNK_OCTETS):
                    yield chunk
        except OSError as error:
            raise StorageFailed(f"spool file {self._path.name}: {error}") from error


class OctetsFile:
    """A small file that is part of the content itself (a `MediaReader`)."""

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self.sha256 = hashlib.sha256(octets).digest()
        self._octets = octets

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the octets."""
        for at in range(0, self.size, CHUNK_OCTETS):
            yield self._octets[at : at + CHUNK_OCTETS]


class Spool:
    """The folder of files, and who fetched what."""

    def __init__(
        self,
        folder: Path,
        media: Media,
        *,
        clock: Clock,
        rng: Rng,
        budget: Budget = _DEFAULT,
    ) -> None:
        self._folder = folder
        self._media = media
        self._clock = clock
        self._rng = rng
        self._budget = budget
        self._file_octets_max = min(budget.file_octets, budget.spool_octets)
        self._octets_here = 0

    def open(self) -> None:
        """Create the folder and delete parts that a crash left.

        Raises:
            StorageFailed: the folder cannot be made or written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in self._folder.glob("*" + _PART_SUFFIX):
                part.unlink()
            files = self._folder.iterdir()
            self._octets_here = sum(file.stat().st_size for file in files)
        except OSError as error:
            raise StorageFailed(f"media spool {self._folder}: {error}") from error

    def find(self, url: str) -> SpooledFile | None:
        """Return the file that content calls `url`, None if it is not here."""
        if not url.startswith(SCHEME):
            return None
        name = url.removeprefix(SCHEME)
        path = self._folder / name
        try:
            size = path.stat().st_size
            return SpooledFile(path, bytes.fromhex(name), size)
        except (OSError, ValueError):
            return None

    async def fetch(
        self, account: str, connector: DownloadsMedia, media: NativeMedia
    ) -> SpooledFile:
        """Bring a file from a network into the spool; at once if it is here already.

        Raises:
            PolicyRefused: too large, or the connector does not visit the address.
            Unavailable: cut off; may be tried again.
            StorageFailed: our disk failed.
        """
        known = await self._media.media_of_handle(account, media.handle)
        if known is not None:
            file = self.find(SCHEME + known[0].hex())
            if file is not None:
                return file
        self._check_announced(media)
        file = await self._receive(
            connector.download(media.handle, octets_max=self._file_octets_max)
        )
        await self._media.add_media(
            account, media.handle, file.sha256, file.size, now=self._clock.now()
        )
        self._octets_here += file.size
        if self._octets_here > self._budget.spool_octets:
            await self.forget(older_than_ms=self._budget.keep_ms)
        return file

    def _check_announced(self, media: NativeMedia) -> None:
        limit = self._file_octets_max
        if media.size is not None and media.size > limit:
            raise PolicyRefused(
                f"the file has {media.size} octets, the limit here is {limit}; "
                "send it smaller, or raise limits.media_file_bytes_max"
            )

    async def _receive(self, chunks: AsyncIterator[bytes]) -> SpooledFile:
        part = self._folder / (self._rng(12).hex() + _PART_SUFFIX)
        try:
            digest, size = await self._write(part, chunks)
            path = self._folder / digest.hex()
            part.rename(path)
            await asyncio.to_thread(_flush_folder, self._folder)
            return SpooledFile(path, digest, size)
        except OSError as error:
            raise StorageFailed(
                f"media spool {self._folder}: {error};"
                " free some space and Sabir goes on"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    async def _write(
        self, part: Path, chunks: AsyncIterator[bytes]
    ) -> tuple[bytes, int]:
        state, size = hashlib.sha256(), 0
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                file.write(chunk)
                state.update(chunk)
                size += len(chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        return state.digest(), size

    async def forget(self, *, older_than_ms: int) -> int:
        """Delete files older than that, and the oldest over the budget.

        Returns:
            How many files went.
        """
        before = Instant(self._clock.now() - older_than_ms)
        gone = await self._media.forget_media(
            before=before, octets_max=self._budget.spool_octets
        )
        for sha256 in gone:
            path = self._folder / sha256.hex()
            if path.exists():
                self._octets_here -= path.stat().st_size
                path.unlink()
        return len(gone)


def _flush_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
