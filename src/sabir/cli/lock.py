"""One agent per data directory."""

import fcntl
import os
from pathlib import Path
from typing import IO

from sabir.errors import ConfigInvalid, StorageFailed


class InstanceLock:
    """Held while an agent uses a data directory; the kernel frees it on any death."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigInvalid: another process has it; names its pid.
            ConfigInvalid: there is no such folder.
            StorageFailed: the folder cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            raise ConfigInvalid(
                f"there is no {self._path.parent}; run `sabir init` first"
            ) from None
        except OSError as error:
            raise StorageFailed(
                f"{self._path}: {error.strerror}; check that the data directory is"
                " yours and can be written"
            ) from error
        file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = file.read().strip() or "unknown"
            file.close()
            raise ConfigInvalid(
                f"Sabir runs already on {self._path.parent} (process {pid});"
                " stop it first, or use another agent.data_dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
