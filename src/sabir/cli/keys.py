"""The owner's key, which opens the sealed secrets in the database.

It lies in the file `key` of the data directory (`[secrets] store = "file"`), or
in the system's keyring (`store = "keyring"`, needs the extra `sabir[keyring]`).
An existing key is never overwritten: what it has sealed would be lost.
"""

import base64
import binascii
import importlib
import os
import stat
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from sabir.cli.config import Config
from sabir.cli.system import system_rng
from sabir.crypto.sealing import KEY_OCTETS
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.networks.api import Rng

KEYRING_SERVICE: Final = "sabir"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def owner_key(config: Config) -> Secret:
    """Return the owner's key, `KEY_OCTETS` octets.

    Raises:
        ConfigInvalid: there is none, it is open to others, or it is damaged.
    """
    return _store(config).load()


def create_key(config: Config, *, rng: Rng = system_rng) -> bool:
    """Make the owner's key if there is none; False if there is one, which stays.

    Raises:
        ConfigInvalid: the store cannot be used, or holds something else.
        StorageFailed: the key could not be written.
    """
    store = _store(config)
    if store.holds_something():
        store.load()  # says so if it is of no use
        return False
    store.save(Secret(rng(KEY_OCTETS)))
    return True


class _Store(Protocol):
    def holds_something(self) -> bool: ...
    def load(self) -> Secret: ...
    def save(self, key: Secret) -> None: ...


def _store(config: Config) -> _Store:
    data_dir = config.agent.data_dir
    if config.secrets.store == "keyring":
        return _Keyring(data_dir.root)
    return _File(data_dir.key_file)


class _File:
    """The key as a file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds_something(self) -> bool:
        return os.path.lexists(self._path)

    def load(self) -> Secret:
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                octets = file.read(KEY_OCTETS + 1)
        except FileNotFoundError:
            raise ConfigInvalid(
                f"There is no key at {self._path}: run `sabir init` if this is a new"
                " installation; else put the key back from a backup."
            ) from None
        except OSError as error:
            raise ConfigInvalid(
                f"The key {self._path} cannot be read ({error.strerror}): run Sabir as"
                " the user it belongs to."
            ) from error
        if status.st_mode & _OTHERS:
            raise ConfigInvalid(
                f"The key {self._path} is open to other users (mode"
                f" {stat.S_IMODE(status.st_mode):04o}): run"
                f" `chmod 600 {self._path}`. If others may have read it, renew the"
                " accounts' passwords and tokens."
            )
        if len(octets) != KEY_OCTETS:
            raise ConfigInvalid(
                f"The key {self._path} does not have {KEY_OCTETS} octets, so it is not"
                " Sabir's or is damaged: put it back from a backup. If there is none,"
                " delete it, run `sabir init`, and add the accounts again."
            )
        return Secret(octets)

    def save(self, key: Secret) -> None:
        """Write the key durably, or leave nothing behind."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._path, flags, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(key.reveal())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                self._path.unlink()
                raise
            _fsync_directory(self._path.parent)
        except OSError as error:
            raise StorageFailed(
                f"The key cannot be written to {self._path} ({error.strerror}): make"
                " its directory, and check its owner and the free space."
            ) from error


class _Keyring:
    """The key in the system's keyring, one entry per data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._name = str(data_dir.absolute())
        self._keyring = _import_keyring()

    def holds_something(self) -> bool:
        return self._text() is not None

    def load(self) -> Secret:
        text = self._text()
        if text is None:
            raise ConfigInvalid(
                f'The keyring has no key for "{self._name}": run `sabir init` if this'
                " is a new installation; else open the keyring that has it."
            )
        try:
            octets = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            octets = b""
        if len(octets) != KEY_OCTETS:
            raise ConfigInvalid(
                f'The keyring\'s entry for "{self._name}" is not a key of Sabir: put it'
                " back from a backup. If there is none, delete the entry, run"
                " `sabir init`, and add the accounts again."
            )
        return Secret(octets)

    def save(self, key: Secret) -> None:
        text = base64.b64encode(key.reveal()).decode()
        try:
            self._keyring.set_password(KEYRING_SERVICE, self._name, text)
        except self._keyring.errors.KeyringError as error:
            raise _unusable(error) from None

    def _text(self) -> str | None:
        try:
            text = self._keyring.get_password(KEYRING_SERVICE, self._name)
        except self._keyring.errors.KeyringError as error:
            raise _unusable(error) from None
        return None if text is None else str(text)


def _import_keyring() -> ModuleType:
    """Import the optional package `keyring` with its module of errors."""
    try:
        importlib.import_module("keyring.errors")
        return importlib.import_module("keyring")
    except ModuleNotFoundError:
        raise ConfigInvalid(
            'store = "keyring" in [secrets] needs the package keyring: run'
            ' `pip install "sabir[keyring]"`, or set store = "file".'
        ) from None


def _unusable(error: Exception) -> ConfigInvalid:
    return ConfigInvalid(
        f"The system's keyring does not work here ({type(error).__name__}): unlock it,"
        ' or start Sabir in a desktop session, or set store = "file" in [secrets].'
    )


def _fsync_directory(path: Path) -> None:
    """Make a new name in a directory survive a power failure (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
