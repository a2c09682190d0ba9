"""Starting, ending and outliving a child process, played by small scripts."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from sabir.errors import LocalError, Unavailable
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_anything_http

SERVES = """
import http.server, sys
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])),
                                http.server.BaseHTTPRequestHandler)
server.serve_forever()
"""

REFUSES_TO_END = (
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES
)


class Script(ServerProcess):
    """A server made of a few lines of Python."""

    name: ClassVar[str] = "script"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    program: ClassVar[str] = SERVES
    interpreter: ClassVar[str] = sys.executable

    def _configure(self) -> None:
        (self.home / "script.py").write_text(self.program)

    def _command(self) -> Sequence[str]:
        script = self.home / "script.py"
        return [self.interpreter, str(script), "--port", str(self.ports["http"])]

    async def _is_ready(self) -> bool:
        return await answers_anything_http(self.ports["http"])

    def _log_files(self) -> Sequence[Path]:
        return [self.home / "server.log"]


async def test_it_answers_once_started_and_not_once_stopped(tmp_path: Path) -> None:
    server = Script(tmp_path)
    async with server:
        assert server.is_running()
        assert await answers_anything_http(server.ports["http"])
    assert not server.is_running()
    assert server.pid is None
    assert not await answers_anything_http(server.ports["http"])


async def test_a_restart_is_another_process_on_the_same_port(tmp_path: Path) -> None:
    async with Script(tmp_path) as server:
        pid, ports = server.pid, dict(server.ports)
        await server.restart()
        assert server.pid != pid
        assert server.ports == ports


async def test_a_killed_server_is_gone_at_once_and_starts_again(tmp_path: Path) -> None:
    async with Script(tmp_path) as server:
        server.kill()
        assert not server.is_running()
        server.kill()
        await server.start()
        assert server.is_running()


async def test_a_running_server_is_not_started_twice(tmp_path: Path) -> None:
    async with Script(tmp_path) as server:
        with pytest.raises(LocalError, match="runs already"):
            await server.start()


async def test_a_server_that_ends_while_starting_shows_its_log(tmp_path: Path) -> None:
    class Failing(Script):
        program: ClassVar[str] = "raise SystemExit('the disk is full')"

    server = Failing(tmp_path)
    with pytest.raises(Unavailable) as failed:
        await server.start()
    assert "the disk is full" in str(failed.value)
    assert "python -m sabir.testing.install script" in str(failed.value)


async def test_a_server_that_is_not_installed_says_so(tmp_path: Path) -> None:
    class Absent(Script):
        interpreter: ClassVar[str] = "/nonexistent/python"

    with pytest.raises(Unavailable, match="is not installed"):
        await Absent(tmp_path).start()


async def test_a_server_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(Script):
        program: ClassVar[str] = REFUSES_TO_END

    monkeypatch.setattr("sabir.testing.servers.process._STOP_TIMEOUT_S", 0.3)
    server = Stubborn(tmp_path)
    await server.start()
    await server.stop()
    assert not server.is_running()


async def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(Script):
        program: ClassVar[str] = "import time\ntime.sleep(600)"

    monkeypatch.setattr("sabir.testing.servers.process._START_TIMEOUT_S", 0.3)
    server = Silent(tmp_path)
    with pytest.raises(Unavailable, match="did not answer"):
        await server.start()
    assert not server.is_running()


async def test_what_an_interrupted_run_left_behind_is_ended(tmp_path: Path) -> None:
    left_behind = Script(tmp_path)
    await left_behind.start()
    async with Script(tmp_path) as server:
        assert server.is_running()
        assert not left_behind.is_running()


async def test_somebody_else_with_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    server = Script(tmp_path)
    (tmp_path / "server.pid").write_text(str(stranger.pid))
    async with server:
        assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()
