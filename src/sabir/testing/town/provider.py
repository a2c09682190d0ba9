"""`sabir provider up` as a child process."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.process import ServerProcess


class ProviderProcess(ServerProcess):
    """One provider.

    Args:
        home: its folder; the data directory is inside.
        domain: its name.
        authority: folder of `ca.pem` and `ca.key`, made by `make_authority`.
    """

    name: ClassVar[str] = "provider"
    port_names: ClassVar[tuple[str, ...]] = ("federation", "agents")

    def __init__(self, home: Path, domain: str, authority: Path) -> None:
        super().__init__(home)
        self.domain = domain
        self.data = self.home / "data"
        self._authority = authority
        self._peers: Mapping[str, int] = {}

    @property
    def agents_address(self) -> str:
        """Where its users' agents reach it."""
        return f"https://{LOOPBACK}:{self.ports['agents']}"

    def knows(self, peers: Mapping[str, int]) -> None:
        """Say at which ports of this machine other providers are, before the start."""
        self._peers = peers

    def call(self, *arguments: str) -> str:
        """Run a `sabir provider` command to its end; return what it printed.

        Raises:
            Unavailable: it failed; carries what it said.
        """
        done = subprocess.run(
            [*_SABIR, "--data-dir", str(self.data), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
        )
        if done.returncode:
            raise Unavailable(f"sabir provider {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def add_user(self, name: str) -> str:
        """Make a user; return the account token."""
        for line in self.call("user", "add", name).splitlines():
            if line.startswith("account token"):
                return line.split()[-1]
        raise Unavailable("`sabir provider user add` shows no account token")

    # ---- as ServerProcess wants it

    def prepare(self) -> None:
        """Make its directory and certificate, unless they are there."""
        if self.data.exists():
            return
        self.call(
            "init",
            self.domain,
            "--listen",
            f"{LOOPBACK}:{self.ports['federation']}",
            "--agents",
            f"{LOOPBACK}:{self.ports['agents']}",
        )
        self.call("cert", "--ca", str(self._authority))

    def _configure(self) -> None:
        self.prepare()
        settings = self.data / "provider.toml"
        text = settings.read_text()
        for domain, port in self._peers.items():
            section = f'\n[peers."{domain}"]\n'  # not the one in a comment
            if section not in text:
                text += f'{section}url = "https://{LOOPBACK}:{port}"\n'
        settings.write_text(text)

    def _command(self) -> Sequence[str]:
        return [*_SABIR, "--data-dir", str(self.data), "up"]

    async def _is_ready(self) -> bool:
        """Both doors answer, with whatever they say to a stranger."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{self.agents_address}/", ssl=False):
                    return True
            except aiohttp.ClientError:
                return False

    def _log_files(self) -> Sequence[Path]:
        return ()


_SABIR = (sys.executable, "-m", "sabir.cli", "provider")


def make_authority(folder: Path) -> Path:
    """Make a development authority; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "ca.pem").exists():
        command = [*_SABIR, "--data-dir", str(folder), "ca"]
        subprocess.run(command, check=True, capture_output=True)
    return folder
