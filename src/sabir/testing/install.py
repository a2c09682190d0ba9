"""Installs the real servers that tests and the demo run, and the peer of MLS tests.

    python -m sabir.testing.install prosody kannel smpp

and without a name: all of them.

- Synapse comes by pip into a virtual environment of its own, under `.lab` in the
  checkout (elsewhere: SABIR_LAB_HOME).
- Prosody, ejabberd and Kannel (SMS) come from Debian or Ubuntu by apt-get, as root or
  by `sudo -n`. The services that such a package would start are kept from starting: our
  servers run as children of the tests.
- ts-mls comes by `npm ci`, every package pinned by its digest, into `.lab` too. It
  needs node 18 or newer and npm; where they are absent they come like Prosody.
- crabline (WhatsApp Cloud API, Telegram Bot API), prism (any OpenAPI document) and smpp
  (SMS) come by `npm ci` likewise, with a node of their own (`sabir.testing.npm`).
- What is there already is left alone, without asking the network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sabir.errors import ConfigInvalid, Error, Unavailable
from sabir.testing.npm import packages

SYNAPSE_VERSION: Final = "1.163.2"

SERVERS: Final = (
    "synapse",
    "prosody",
    "ejabberd",
    "kannel",
    "ts-mls",
    *packages.COUNTERPARTS,
)

NODE_MAJOR_MIN: Final = 18
"""The oldest node that ts-mls was seen to run on: that of Debian 12."""

_PEER: Final = Path(__file__).parent / "mls" / "peer"
"""`package.json` and `package-lock.json` of ts-mls, and our script around it."""

_PACKAGES: Final = {
    "prosody": (
        "prosody",
        "prosody-modules",
        "lua-dbi-sqlite3",
        "lua-sec",
        "lua-event",
    ),
    "ejabberd": ("ejabberd", "erlang-p1-sqlite3"),
    "kannel": ("kannel",),
}

_APT_SCRIPT: Final = """
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
  for unit in $UNITS; do systemctl disable --now "$unit" || true; done
fi
"""
"""Run as root. policy-rc.d answers 101, "not allowed", to every start of a service."""


def lab_home() -> Path:
    """Return the folder of what is installed for tests alone."""
    chosen = os.environ.get("SABIR_LAB_HOME")
    if chosen:
        return Path(chosen).resolve()
    checkout = Path(__file__).resolve().parents[3]
    inside = (checkout / "pyproject.toml").exists()
    return (checkout if inside else Path.cwd()) / ".lab"


def synapse_python() -> Path:
    """Return the interpreter of Synapse's virtual environment, installed or not."""
    return lab_home() / "synapse-venv" / "bin" / "python"


def tsmls_home() -> Path:
    """Return the folder that holds ts-mls's `node_modules`, installed or not."""
    return lab_home() / "ts-mls"


def available(server: str) -> str | None:
    """Say why this server cannot be run here; None when it can.

    Raises:
        ConfigInvalid: there is no such server.
    """
    if server == "synapse":
        if _synapse_mark().exists():
            return None
        missing = f"Synapse {SYNAPSE_VERSION} is not in {lab_home()}"
    elif server == "ts-mls":
        unsuitable = _unsuitable_node()
        if unsuitable is None and _tsmls_mark().exists():
            return None
        missing = unsuitable or f"ts-mls is not in {lab_home()}"
    elif server in packages.COUNTERPARTS:
        if packages.is_installed(lab_home(), server):
            return None
        missing = f"{server} is not in {lab_home()}"
    elif server in _PACKAGES:
        absent = _absent_packages(server)
        if not absent:
            return None
        missing = f"Debian packages are missing: {' '.join(absent)}"
    else:
        raise ConfigInvalid(f"No server {server!r}; there are {', '.join(SERVERS)}.")
    return f"{missing}; run `python -m sabir.testing.install {server}`"


def install(servers: Sequence[str]) -> None:
    """Install what is missing of these servers.

    Raises:
        ConfigInvalid: there is no such server, or nobody here may install packages.
        Unavailable: pip or apt-get failed.
    """
    missing = [server for server in servers if available(server) is not None]
    if not missing:
        return
    with _alone():
        missing = [server for server in missing if available(server) is not None]
        if "synapse" in missing:
            _install_synapse()
        _install_packages(missing)
        if "ts-mls" in missing:
            _install_tsmls()
        for server in missing:
            if server in packages.COUNTERPARTS:
                packages.install(lab_home(), server, _run)
    for server in missing:
        reason = available(server)
        if reason is not None:
            raise Unavailable(f"Installed {server}, yet: {reason}")


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time install."""
    lab_home().mkdir(parents=True, exist_ok=True)
    with (lab_home() / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _synapse_mark() -> Path:
    """Written last, so that an interrupted installation does not count."""
    return lab_home() / "synapse-venv" / f"synapse-{SYNAPSE_VERSION}"


def _install_synapse() -> None:
    folder = synapse_python().parents[1]
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "python3-venv")
    wanted = f"matrix-synapse=={SYNAPSE_VERSION}"
    pip = [str(synapse_python()), "-m", "pip", "install", "--quiet"]
    _run([*pip, wanted], "a package index that pip reaches")
    _synapse_mark().touch()


def _tsmls_mark() -> Path:
    """Written last; another set of packages has another mark."""
    lock = (_PEER / "package-lock.json").read_bytes()
    return tsmls_home() / f"ready-{hashlib.sha256(lock).hexdigest()[:16]}"


def _unsuitable_node() -> str | None:
    """Say why node cannot run ts-mls; None when it can."""
    if shutil.which("node") is None:
        return "node is missing"
    done = subprocess.run(
        ["node", "--version"], capture_output=True, check=False, text=True
    )
    version = done.stdout.strip()
    major = version.removeprefix("v").partition(".")[0]
    if not major.isdecimal() or int(major) < NODE_MAJOR_MIN:
        return f"node {version or '?'} is too old, {NODE_MAJOR_MIN} is needed"
    return None


def _install_tsmls() -> None:
    unsuitable = _unsuitable_node()
    if unsuitable is not None:
        raise ConfigInvalid(
            f"{unsuitable}. Put a newer one first in PATH, or run only the tests "
            "without a real server (`pytest -m 'not interop'`)."
        )
    home = tsmls_home()
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_PEER / name, home / name)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    npm = ["npm", "ci", "--prefix", str(home), *quiet]
    _run(npm, "npm, and a package index that it reaches")
    _tsmls_mark().touch()


def _install_packages(servers: Sequence[str]) -> None:
    packages = [name for server in servers for name in _absent_packages(server)]
    if not packages:
        return
    units = " ".join(server for server in servers if server in _PACKAGES)
    script = f'set -e\nUNITS="{units}"\n{_APT_SCRIPT}'
    by_hand = f"apt-get install --no-install-recommends {' '.join(packages)}"
    root = _become_root(by_hand)
    _run([*root, "sh", "-c", script, "sh", *packages], f"root may run `{by_hand}`")


def _become_root(by_hand: str) -> list[str]:
    """Return what to put before a command so that root runs it."""
    if shutil.which("apt-get") is None:
        raise ConfigInvalid(
            "There is no apt-get here. Install Prosody 0.12 and ejabberd 23.01, or "
            "newer, on Debian or Ubuntu, or run only the tests without a real server "
            "(`pytest -m 'not interop'`)."
        )
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if (
        shutil.which("sudo")
        and subprocess.run([*sudo, "true"], check=False).returncode == 0
    ):
        return sudo
    raise ConfigInvalid(f"Only root may install packages. Run: sudo {by_hand}")


def _absent_packages(server: str) -> list[str]:
    if server == "ts-mls":  # where node comes from does not matter
        commands = {"node": "nodejs", "npm": "npm"}
        return [commands[name] for name in commands if shutil.which(name) is None]
    if server not in _PACKAGES:
        return []
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"]
    wanted = _PACKAGES[server]
    if shutil.which("dpkg-query") is None:
        return list(wanted)
    done = subprocess.run(
        [*query, *wanted], capture_output=True, check=False, text=True
    )
    present = {
        line.split()[0]
        for line in done.stdout.splitlines()
        if line.endswith(" installed")
    }
    return [name for name in wanted if name not in present]


def _run(command: Sequence[str], needs: str) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unavailable(
            f"`{command[0]}` failed with status {done.returncode}; its output is "
            f"above. It needs: {needs}."
        )


def main(arguments: Sequence[str]) -> int:
    """Install the named servers (none named: all of them); return an exit code."""
    try:
        install(arguments or SERVERS)
    except Error as failed:
        print(failed.diagnostics(), file=sys.stderr)
        return failed.exit_code
    for server in arguments or SERVERS:
        print(f"{server}: ready")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
