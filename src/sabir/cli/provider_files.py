"""The files in a provider's data directory."""

import os
from pathlib import Path

from sabir.crypto.certificates import Issued
from sabir.crypto.sealing import KEY_OCTETS
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.provider.config import DATABASE_NAME, KEY_NAME
from sabir.storage.sqlite.provider.store import SqliteProviderStore


def open_store(folder: Path) -> SqliteProviderStore:
    """Open the database.

    Raises:
        StorageFailed: it cannot be opened.
    """
    file = folder / DATABASE_NAME
    try:
        # Before SQLite does it for everybody to read; its other files follow.
        file.touch(0o600)
    except OSError as error:
        raise StorageFailed(
            f"{file}: {error.strerror}; run `sabir provider init DOMAIN` first, and"
            " check that the directory is yours"
        ) from error
    return SqliteProviderStore.open(file)


def read_key(folder: Path) -> Secret:
    """Read the key that seals our own keys.

    Raises:
        ConfigInvalid: it is not there, or no key.
    """
    file = folder / KEY_NAME
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise ConfigInvalid(
            f"{file}: {error.strerror}; put it back from a backup: without it this"
            " provider's rooms cannot go on"
        ) from error
    if len(octets) != KEY_OCTETS:
        raise ConfigInvalid(
            f"{file} does not have {KEY_OCTETS} octets; put it back from a backup"
        )
    return Secret(octets)


def write_pair(folder: Path, certificate: str, key: str, made: Issued) -> None:
    """Write a new certificate and its key.

    Raises:
        ConfigInvalid: there is one already.
        StorageFailed: they cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(folder / key, made.key)
        write_new(folder / certificate, made.certificate)
    except FileExistsError as error:
        raise ConfigInvalid(
            f"{error.filename} is there already; what it has signed would be lost:"
            " move it away first"
        ) from error
    except OSError as error:
        raise StorageFailed(f"{error.filename}: {error.strerror}") from error


def write_new(file: Path, octets: bytes) -> None:
    """Write a new file that only its owner may read.

    Raises:
        OSError: it is there already, or cannot be written.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(octets)
