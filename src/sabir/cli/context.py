"""What every command starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sabir.cli.composition import Installation
from sabir.cli.config import load_config
from sabir.cli.paths import config_path
from sabir.networks.api import Setting
from sabir.networks.registry import network


def settings_of(name: str) -> Sequence[Setting]:
    """Return what an account of a network may set.

    Raises:
        ConfigInvalid: there is no such network; names the nearest.
    """
    return network(name).settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of the command line."""

    given: str | None
    environ: Mapping[str, str]
    working_dir: Path

    @property
    def home(self) -> Path:
        """Return the owner's home directory."""
        return Path(self.environ.get("HOME", "/"))

    @property
    def config_file(self) -> Path:
        """Return the configuration file in force, which may not exist."""
        return config_path(
            given=self.given,
            environ=self.environ,
            working_dir=self.working_dir,
            home=self.home,
        )

    def installation(self) -> Installation:
        """Read the configuration.

        Raises:
            ConfigInvalid: it is missing or wrong; names every problem.
        """
        config = load_config(
            self.config_file,
            environ=self.environ,
            home=self.home,
            settings_of=settings_of,
        )
        return Installation(config=config, environ=self.environ)
