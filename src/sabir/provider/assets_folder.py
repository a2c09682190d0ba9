"""The files of assets: parts of those under way, and whole ones.

    parts/<device>/<name>      what came of an upload until now
    files/<2 characters>/<name>   whole, flushed, and in the index

All functions block; the caller runs them in a thread.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from sabir.errors import StorageFailed

CHUNK_OCTETS: Final = 256 * 1024
"""Read and written at a time: few trips to a thread, little memory."""
_PREFIX: Final = 2
"""Characters of a name that are a folder: 4,096 folders hold millions of files."""


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Say in our words what the disk did.

    Raises:
        StorageFailed: it failed.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        hint = "free some space" if full else "check owner, mount and disk"
        raise StorageFailed(f"{folder}: {error.strerror}: {hint}") from error


class AssetFolder:
    """A folder of assets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "parts"
        self._files = folder / "files"

    def open(self) -> None:
        """Make the folder. Raises `StorageFailed`."""
        with disk(self.folder):
            for each in (self._parts, self._files):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def free_octets(self) -> int:
        """Return how much the disk still takes. Raises `StorageFailed`."""
        with disk(self.folder):
            return shutil.disk_usage(self.folder).free

    # ---- whole files

    def path(self, name: str) -> Path:
        """Return where a whole file is."""
        return self._files / name[:_PREFIX] / name

    def names(self) -> Iterator[str]:
        """Return the names of all whole files. Raises `StorageFailed`."""
        with disk(self.folder):
            for folder in self._files.iterdir():
                yield from (file.name for file in folder.iterdir())

    def remove(self, name: str) -> None:
        """Remove a whole file; it may be gone already. Raises `StorageFailed`."""
        with disk(self.folder):
            self.path(name).unlink(missing_ok=True)

    # ---- parts

    def part_path(self, device: str, name: str) -> Path:
        """Return where the part of an upload is.

        Args:
            device: URI.
            name: of the asset that it will be.
        """
        return self._parts_of(device) / name

    def part_sizes(self, device: str) -> Mapping[str, int]:
        """Return a device's parts and their octets. Raises `StorageFailed`."""
        folder = self._parts_of(device)
        with disk(self.folder):
            if not folder.is_dir():
                return {}
            return {file.name: file.stat().st_size for file in folder.iterdir()}

    def open_part(self, device: str, name: str, start: int) -> BinaryIO | None:
        """Open a part for what comes from octet `start` on.

        Returns:
            None: the part does not end there. From octet 0 everything begins anew.

        Raises:
            StorageFailed: the disk failed.
        """
        path = self.part_path(device, name)
        with disk(self.folder):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            if start == 0:
                return path.open("wb")
            if not path.exists() or path.stat().st_size != start:
                return None
            return path.open("ab")

    def finish_part(self, device: str, name: str) -> bytes:
        """Flush a part to the disk and make it a whole file; return its SHA-256.

        Raises:
            StorageFailed: the disk failed.
        """
        part, whole = self.part_path(device, name), self.path(name)
        with disk(self.folder):
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                os.fsync(file.fileno())
            whole.parent.mkdir(mode=0o700, exist_ok=True)
            part.rename(whole)
            for folder in (whole.parent, self._files):
                _flush_folder(folder)
        return digest

    def drop_old_parts(self, before_s: float) -> int:
        """Remove parts that did not grow since; return how many.

        Raises:
            StorageFailed: the disk failed.
        """
        dropped = 0
        with disk(self.folder):
            for folder in self._parts.iterdir():
                for file in folder.iterdir():
                    if file.stat().st_mtime < before_s:
                        file.unlink(missing_ok=True)
                        dropped += 1
        return dropped

    def _parts_of(self, device: str) -> Path:
        return self._parts / hashlib.sha256(device.encode()).hexdigest()[:32]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
