"""One agent per data directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sabir.cli.lock import InstanceLock
from sabir.errors import ConfigInvalid, StorageFailed


def test_the_second_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path), InstanceLock(tmp_path)
    first.acquire()
    with pytest.raises(ConfigInvalid, match=rf"process {os.getpid()}\).*stop it"):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    holder = (
        "import os, signal, sys; from pathlib import Path\n"
        "from sabir.cli.lock import InstanceLock\n"
        "lock = InstanceLock(Path(sys.argv[1])); lock.acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", holder, str(tmp_path)], check=False)
    assert died.returncode == -9
    assert (tmp_path / "lock").read_text()
    lock = InstanceLock(tmp_path)
    lock.acquire()
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    lock.release()


def test_a_folder_that_is_not_there_or_not_ours_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="sabir init"):
        InstanceLock(tmp_path / "missing").acquire()
    (tmp_path / "lock").mkdir()
    with pytest.raises(StorageFailed, match="data directory is yours"):
        InstanceLock(tmp_path).acquire()
