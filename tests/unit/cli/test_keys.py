"""The owner's key is made once, kept from others, and missed in clear words."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from sabir.cli.config import Config, parse_config
from sabir.cli.keys import create_key, owner_key
from sabir.crypto.sealing import KEY_OCTETS
from sabir.errors import ConfigInvalid, StorageFailed

KEY = bytes(range(KEY_OCTETS))


def _config(data_dir: Path, *, store: str = "file") -> Config:
    return parse_config(
        f'[agent]\nowner = "a"\ndata_dir = "{data_dir}"\ncontrol_socket = "/run/s"\n'
        f'[secrets]\nstore = "{store}"\n',
        file=Path("/etc/sabir.toml"),
        environ={},
        home=Path("/root"),
        settings_of=lambda _: (),
    )


def _rng(octets: int) -> bytes:
    assert octets == KEY_OCTETS
    return KEY


# ---- in a file


def test_a_new_key_is_for_its_owner_only(tmp_path: Path) -> None:
    config = _config(tmp_path)
    assert create_key(config, rng=_rng)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert owner_key(config).ct_equal(KEY)


def test_the_systems_entropy_makes_a_different_key_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert create_key(_config(tmp_path / name))
    first, second = (tmp_path / name / "key" for name in ("a", "b"))
    assert first.read_bytes() != second.read_bytes()


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    config = _config(tmp_path)
    create_key(config, rng=_rng)
    assert not create_key(config, rng=bytes)
    assert owner_key(config).ct_equal(KEY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o777])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    config = _config(tmp_path)
    create_key(config, rng=_rng)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigInvalid, match=rf"mode {mode:04o}.*chmod 600"):
        owner_key(config)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        create_key(config, rng=_rng)


def test_a_missing_key_leads_to_init_or_the_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"run `sabir init`.*backup"):
        owner_key(_config(tmp_path))


@pytest.mark.parametrize("octets", [b"", KEY[:-1], KEY + b"\n"])
def test_a_key_of_the_wrong_size_is_refused(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(octets)
    path.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="does not have 32 octets"):
        owner_key(_config(tmp_path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(ConfigInvalid, match="Is a directory"):
        owner_key(_config(tmp_path))


def test_a_link_to_nowhere_is_not_followed_when_the_key_is_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigInvalid, match="There is no key"):
        create_key(_config(tmp_path), rng=_rng)
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_without_a_directory_is_our_disks_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="make its directory"):
        create_key(_config(tmp_path / "gone"), rng=_rng)


def test_a_key_that_could_not_be_written_whole_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match="No space left"):
        create_key(_config(tmp_path), rng=_rng)
    assert not (tmp_path / "key").exists()


# ---- in the keyring


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring that lives as long as a test."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library has no types here
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.PasswordSetError
        self.entries[service, username] = password


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def test_the_keyring_keeps_one_key_per_data_directory(
    tmp_path: Path, memory: MemoryKeyring
) -> None:
    config = _config(tmp_path, store="keyring")
    assert create_key(config, rng=_rng)
    assert not create_key(config, rng=bytes)
    assert owner_key(config).ct_equal(KEY)
    assert [*memory.entries] == [("sabir", str(tmp_path))]
    assert not (tmp_path / "key").exists()
    with pytest.raises(ConfigInvalid, match=r"has no key for .*sabir init"):
        owner_key(_config(tmp_path / "other", store="keyring"))


@pytest.mark.parametrize("entry", ["", "c2hvcnQ=", "not base64", "ü"])
def test_a_keyring_entry_that_is_no_key_is_refused(
    tmp_path: Path, memory: MemoryKeyring, entry: str
) -> None:
    memory.entries["sabir", str(tmp_path)] = entry
    with pytest.raises(ConfigInvalid, match="is not a key of Sabir"):
        owner_key(_config(tmp_path, store="keyring"))


def test_a_locked_keyring_says_what_to_do(
    tmp_path: Path, memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, store="keyring")
    memory.locked = True
    with pytest.raises(ConfigInvalid, match=r"KeyringLocked.*unlock it"):
        owner_key(config)
    monkeypatch.setattr(memory, "get_password", lambda *_: None)
    with pytest.raises(ConfigInvalid, match=r"PasswordSetError.*unlock it"):
        create_key(config, rng=_rng)


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring.errors", None)
    with pytest.raises(ConfigInvalid, match=r'pip install "sabir\[keyring\]"'):
        owner_key(_config(tmp_path, store="keyring"))
