"""Signal's own mock server, with real libsignal on both ends: an external lab.

Mock server, library and the lab's programs are AGPL-3.0: they are separate processes
behind a socket, are not part of Sabir, and are not brought here. Set `SABIR_SIGNAL_LAB`
to the lab's folder to run the tests that need it; it is started by its own `lab.py`.
"""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.servers.ports import LOOPBACK, keep_ports

VARIABLE: Final = "SABIR_SIGNAL_LAB"
HOME_VARIABLE: Final = "SABIR_SIGNAL_LAB_HOME"
"""Where the lab installs its packages; a folder of the test when it is not set."""
START_S: Final = 300
"""With the first download of its packages."""
_PORTS: Final = ("SIGNAL_PORT", "CONTROL_PORT", "SIDECAR_PORT")


def available() -> str | None:
    """Return why the lab cannot run here, None if it can."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return f"{VARIABLE} does not name the folder of a Signal lab (AGPL, not part)"
    if not (Path(folder) / "lab.py").is_file():
        return f"{VARIABLE} names a folder without lab.py"
    return None


class SignalLab:
    """The lab, from `async with` to its end.

    Args:
        home: a folder for its ports, and for its packages unless the environment
            names another one.
    """

    def __init__(self, home: Path) -> None:
        self._script = Path(os.environ[VARIABLE]).resolve() / "lab.py"
        self._home = Path(os.environ.get(HOME_VARIABLE) or home).resolve()
        self._ports = keep_ports(home / "ports.json", _PORTS)
        self.port = self._ports["SIDECAR_PORT"]
        """Where the linked device speaks JSON-RPC."""

    async def __aenter__(self) -> Self:
        await self._run("up")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._run("down")

    async def _run(self, command: str, **extra: str) -> None:
        environment = {
            **os.environ,
            **{name: str(port) for name, port in self._ports.items()},
            "LAB_HOME": str(self._home),
            "PYTHONDONTWRITEBYTECODE": "1",
            **extra,
        }
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, str(self._script), command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"lab.py {command} failed: {done.stderr[-1500:]}")

    async def phone(self, method: str, **params: Any) -> Any:
        """Play a phone, or the network, through the lab's control API."""
        url = f"http://{LOOPBACK}:{self._ports['CONTROL_PORT']}/{method}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=io.BytesIO(json.dumps(params).encode())) as answer,
        ):
            result = json.loads(await answer.read())
        assert answer.status == 200, f"{method}: {result}"
        return result

    async def call(self, method: str, **params: Any) -> Any:
        """Ask the linked device directly, as another program would."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        writer.write(json.dumps(body).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        assert "error" not in answer, answer
        return answer["result"]

    async def swallow(self, text: str, number: str) -> None:
        """Take what waits for an account up to this text, so that nobody gets it."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        body = {"jsonrpc": "2.0", "id": 1, "method": "subscribeReceive", "params": {}}
        writer.write(json.dumps(body).encode() + b"\n")
        while line := await reader.readline():
            result = json.loads(line).get("params", {}).get("result", {})
            found = result.get("envelope", {}).get("dataMessage", {})
            if result.get("account") == number and found.get("message") == text:
                break
        writer.close()

    def kill_daemon(self) -> None:
        """End the linked device's process at once (SIGKILL), by its own pid."""
        file = self._home / "signal" / "sidecar.pid"
        os.kill(int(file.read_text()), signal.SIGKILL)

    async def restart_daemon(self, **extra: str) -> None:
        """Start the linked device again, with its store."""
        await self._run("restart-sidecar", **extra)
