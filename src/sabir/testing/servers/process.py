"""One real server as a child process: start, wait by asking, stop, restart, kill.

- Everything a server owns lies in its home: configuration, data, logs, ports.
- A server is ended by its own pid and nothing else. A pid file in the home names a
  process that an interrupted run has left behind; it is ended before the next start.
- Nothing here is bound to an event loop, so that one server can serve many tests.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from sabir.errors import LocalError, Unavailable
from sabir.testing.servers.ports import LOOPBACK, keep_ports

_START_TIMEOUT_S: Final = 90.0
"""Synapse takes 3 s here; a busy CI machine took ten times that."""

_STOP_TIMEOUT_S: Final = 20.0
"""After this long a server that was asked to end is killed."""

_POLL_S: Final = 0.05
"""How often readiness and ending are asked for."""

_TAIL_LINES: Final = 15
"""What an error shows of each log."""


class ServerProcess(ABC):
    """A server under test; `async with` starts and stops it.

    Args:
        home: the server's folder, made when absent. Two servers need two homes.
    """

    name: ClassVar[str]
    """The server's name, as `python -m sabir.testing.install` knows it."""

    port_names: ClassVar[tuple[str, ...]]
    """What the server needs a port for."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self.host = LOOPBACK
        self.ports = keep_ports(self.home / "ports.json", self.port_names)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _configure(self) -> None:
        """Write the configuration; called before every start."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command line; it contains the home, which marks it as ours."""

    @abstractmethod
    async def _is_ready(self) -> bool:
        """Ask the server, once, whether it serves everything that it should."""

    @abstractmethod
    def _log_files(self) -> Sequence[Path]:
        """Return where the server logs, besides its standard output."""

    def _environment(self) -> Mapping[str, str]:
        return {}

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it is down."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def is_running(self) -> bool:
        """Say whether the server's process is there; it may still be starting."""
        return self.pid is not None

    async def start(self) -> None:
        """Start the server and return when it answers.

        Raises:
            LocalError: it runs already.
            Unavailable: it is not installed, it ended, or it does not answer; the
                message shows the last lines of its logs and the way out.
        """
        if self.is_running():
            raise LocalError(f"{self.name} runs already (pid {self.pid})")
        self._end_left_behind()
        self._configure()
        self._spawn()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not await self._is_ready():
            if not self.is_running():
                raise self._failure("ended while it was starting")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"did not answer within {_START_TIMEOUT_S:.0f} s")
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """Ask the server to end, kill it when it does not; nothing when it is down."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, _STOP_TIMEOUT_S)
        self.kill()

    async def restart(self) -> None:
        """Stop and start on the same ports with the same data."""
        await self.stop()
        await self.start()

    def kill(self) -> None:
        """End the server at once, as a power cut would (SIGKILL); data stays."""
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._process = None
        self._pid_file.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def _pid_file(self) -> Path:
        return self.home / "server.pid"

    @property
    def _output_file(self) -> Path:
        return self.home / "output.log"

    def _spawn(self) -> None:
        with self._output_file.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    self._command(),
                    cwd=self.home,
                    env=dict(os.environ) | dict(self._environment()),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except FileNotFoundError as absent:
                raise self._failure(f"is not installed ({absent.filename})") from absent
        self._pid_file.write_text(str(self._process.pid))

    def _end_left_behind(self) -> None:
        """End the process of an earlier run in this home, if it is still there."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except (OSError, ValueError):
            return
        if str(self.home) not in command:
            return
        os.kill(pid, signal.SIGKILL)
        while str(self.home) in _command_line(pid):
            time.sleep(_POLL_S)

    def _failure(self, what: str) -> Unavailable:
        logs = [self._output_file, *self._log_files()]
        tails = "".join(f"\n--- {file}\n{_tail(file)}" for file in logs)
        return Unavailable(
            f"{self.name} {what}. If it is not installed, run "
            f"`python -m sabir.testing.install {self.name}`; otherwise the last lines "
            f"of its logs tell why.{tails}"
        )


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _tail(file: Path) -> str:
    if not file.exists():
        return "(no such file)"
    return "\n".join(file.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
