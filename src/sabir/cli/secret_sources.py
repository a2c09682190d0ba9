"""Secrets that an unattended set-up keeps outside `sabir.toml`: a file, a variable."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid

SECRET_OCTETS_MAX: Final = 64 * 1024
"""Our choice, and what `crypto.sealing` takes; also stops `/dev/zero`."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret in a file of its own, such as a container's or systemd's."""

    path: Path

    def read(self) -> Secret:
        """Return the file's octets without one line end behind them.

        Raises:
            ConfigInvalid: missing, unreadable, empty or too large.
        """
        try:
            with self.path.open("rb") as file:
                octets = file.read(SECRET_OCTETS_MAX + 1)
        except OSError as error:
            raise ConfigInvalid(
                f"The secret file {self.path} cannot be read ({error.strerror}):"
                " create it, or correct its path or its owner."
            ) from error
        if len(octets) > SECRET_OCTETS_MAX:
            raise ConfigInvalid(
                f"The secret file {self.path} is larger than {SECRET_OCTETS_MAX}"
                " octets: point to the file that holds only the secret."
            )
        octets = octets.removesuffix(b"\n").removesuffix(b"\r")
        if not octets:
            raise ConfigInvalid(
                f"The secret file {self.path} is empty: write the secret into it."
            )
        return Secret(octets)


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """A secret in a variable of the process's environment."""

    name: str

    def read(self, environ: Mapping[str, str]) -> Secret:
        """Return the variable's value.

        Raises:
            ConfigInvalid: not set, or empty.
        """
        value = environ.get(self.name, "")
        if not value:
            raise ConfigInvalid(
                f"The environment variable {self.name} is not set: set it where"
                " Sabir is started."
            )
        return Secret.from_text(value)
