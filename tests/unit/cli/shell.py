"""The command line over one folder: as a call, as a process, beside an agent."""

import asyncio
import contextlib
import io
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sabir.agent.control import ControlServer
from sabir.cli.main import main
from tests.unit.agent.bridge import Bridge, bridged

CANARY: Final = "canary-7f3a91"
"""The secret of every account here: it may be in no output."""
PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A folder with a `sabir.toml`, whose data directory is the folder itself."""

    def __init__(self, folder: Path, accounts: str = "") -> None:
        self.folder = folder
        self.config = folder / "sabir.toml"
        self.config.write_text(
            f'[agent]\nowner = "test"\ndata_dir = "."\nlog_format = "json"\n{accounts}'
        )

    def __call__(self, *arguments: str) -> Result:
        """Run a command in this process."""
        return call("--config", str(self.config), *arguments)

    async def asks(self, *arguments: str) -> Result:
        """Run a command while the agent runs in this loop."""
        return await asyncio.to_thread(self, *arguments)

    def spawn(self, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
        """Start a command as a process."""
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sabir.cli",
                "--config",
                str(self.config),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
            **more,
        )

    @contextmanager
    def up(self) -> "Iterator[subprocess.Popen[str]]":
        """Have `sabir up` running, its log in `up.log`."""
        with (self.folder / "up.log").open("a") as log:
            process = self.spawn("up", stdout=log, stderr=log)
        try:
            self.wait_until_up(process)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def wait_until_up(self, process: "subprocess.Popen[str]") -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            assert process.poll() is None, self.log()
            status = self("status", "--json")
            if status.code == 0 and status.json["pid"] == process.pid:
                return
            time.sleep(0.05)
        raise AssertionError(f"not up: {self.log()}")

    def log(self) -> str:
        return (self.folder / "up.log").read_text()


def call(*arguments: str) -> Result:
    """Run a command in this process, as `sabir` does."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def closed_port() -> int:
    """Return a loopback port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def matrix_account(folder: Path, name: str = "work") -> str:
    """Return a section: an account at a homeserver that is not there."""
    token = folder / "token"
    token.touch(0o600)
    token.write_text(CANARY)
    return (
        f"[accounts.{name}]\n"
        'network = "matrix"\nkind = "account"\n'
        f'homeserver_url = "http://127.0.0.1:{closed_port()}"\n'
        'user_id = "@ada:example.org"\naccess_token_file = "token"\n'
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return the next line of a process, or fail when none comes."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    assert ready, "no line came"
    return process.stdout.readline()


@dataclass(frozen=True, slots=True)
class Lab:
    """An agent between two networks in memory, and the commands over it."""

    bridge: Bridge
    sabir: Shell


@asynccontextmanager
async def lab(folder: Path, **options: Any) -> AsyncIterator[Lab]:
    """Run an agent with two linked chats behind its control socket."""
    sabir = Shell(folder)
    async with bridged(folder, **options) as bridge:
        control = ControlServer(bridge.agent, folder / "control.sock")
        await control.start()
        try:
            yield Lab(bridge, sabir)
        finally:
            await control.stop()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
