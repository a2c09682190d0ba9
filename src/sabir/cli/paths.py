"""Where things lie on this machine: the configuration and the data directory.

Computes only; nothing is created or read here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG_NAME: Final = "sabir.toml"
CONFIG_VARIABLE: Final = "SABIR_CONFIG"
SOCKET_PATH_OCTETS_MAX: Final = 107
"""`sun_path` of Linux has 108 octets, the last one zero (unix(7))."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """The directory that holds everything an owner must back up."""

    root: Path

    @property
    def key_file(self) -> Path:
        """The owner's key."""
        return self.root / "key"

    @property
    def database_file(self) -> Path:
        """The database."""
        return self.root / "sabir.db"

    @property
    def media_spool(self) -> Path:
        """Files on their way."""
        return self.root / "media"

    @property
    def control_socket(self) -> Path:
        """Where the running agent listens, unless configured otherwise."""
        return self.root / "control.sock"


def config_path(
    *, given: str | None, environ: Mapping[str, str], working_dir: Path, home: Path
) -> Path:
    """Return the configuration file to use, which may not exist.

    In this order: the path given on the command line, `$SABIR_CONFIG`,
    `sabir.toml` in the working directory if it is there, and the owner's own
    (`$XDG_CONFIG_HOME/sabir/sabir.toml`).
    """
    named = given or environ.get(CONFIG_VARIABLE)
    if named:
        return expand(named, base=working_dir, home=home)
    here = working_dir / CONFIG_NAME
    if here.is_file():
        return here
    return _xdg(environ, "XDG_CONFIG_HOME", home / ".config") / "sabir" / CONFIG_NAME


def default_data_dir(*, environ: Mapping[str, str], home: Path) -> Path:
    """Return `$XDG_DATA_HOME/sabir`, normally `~/.local/share/sabir`."""
    return _xdg(environ, "XDG_DATA_HOME", home / ".local" / "share") / "sabir"


def expand(text: str, *, base: Path, home: Path) -> Path:
    """Read a path as an owner writes it: `~/` is `home`, else relative to `base`."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return base / text


def _xdg(environ: Mapping[str, str], variable: str, fallback: Path) -> Path:
    """XDG base directories: a relative path there is invalid and is ignored."""
    named = Path(environ.get(variable, ""))
    return named if named.is_absolute() else fallback
