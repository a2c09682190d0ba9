"""ts-mls, an MLS implementation that shares no code with ours, as a child process.

`peer/README.md` says what it can do and what it cannot judge.
"""

import contextlib
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sabir.errors import LocalError, Unavailable
from sabir.testing.install import tsmls_home

SCRIPT: Final = Path(__file__).parent / "peer" / "tsmls_peer.mjs"

_ANSWER_TIMEOUT_S: Final = 120.0
"""A commit over 1,000 members takes 3 s here; a busy CI machine took ten times that."""

_END_TIMEOUT_S: Final = 10.0
_CHUNK_OCTETS: Final = 1 << 18
_TAIL_OCTETS: Final = 2000
"""What an error shows of what the peer wrote to its standard error."""


class TsMlsRefused(Exception):
    """ts-mls refused the operation.

    Args:
        name: the JavaScript error's class, as `ValidationError`.
        message: its text.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class TsMls:
    """A running peer; one plays any number of clients. `with` ends it.

    Args:
        home: the folder that holds `node_modules`; by default the installed one.

    Raises:
        Unavailable: it does not start, does not answer, or has ended.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        try:
            self._process = subprocess.Popen(
                ["node", str(SCRIPT)],
                env={**os.environ, "TSMLS_HOME": str(home or tsmls_home())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
            )
        except OSError as missing:
            self._said.close()
            raise Unavailable(
                f"No node ({missing}); run `python -m sabir.testing.install ts-mls`."
            ) from None
        self._buffer = bytearray()
        self._count = 0
        self.last_ms = 0.0
        """Milliseconds inside ts-mls during the last call."""
        try:
            self.hello = self.call("hello")
        except Unavailable:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, op: str, **arguments: object) -> dict[str, Any]:
        """Run one operation; octets among the arguments are sent as hex.

        Raises:
            TsMlsRefused: ts-mls refused.
            Unavailable: the peer ended or does not answer.
        """
        self._count += 1
        request = {"id": self._count, "op": op, **arguments}
        line = json.dumps(request, default=_hex).encode() + b"\n"
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):  # the answer's end says it better
            pipe.write(line)
            pipe.flush()
        reply: dict[str, Any] = json.loads(self._line())
        if reply["id"] != self._count:
            raise LocalError(f"answer {reply['id']} to request {self._count}")
        self.last_ms = reply.pop("ms", 0.0)
        if not reply["ok"]:
            raise TsMlsRefused(**reply["error"])
        return reply

    def _line(self) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        end = self._buffer.find(b"\n")
        while end < 0:
            ready, _, _ = select.select([pipe], [], [], _ANSWER_TIMEOUT_S)
            if not ready:
                raise Unavailable(f"ts-mls has not answered in {_ANSWER_TIMEOUT_S} s.")
            chunk = os.read(pipe.fileno(), _CHUNK_OCTETS)
            if not chunk:
                raise Unavailable(f"ts-mls has ended. It said: {self._tail()}")
            start = len(self._buffer)
            self._buffer += chunk
            end = self._buffer.find(b"\n", start)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _tail(self) -> str:
        self._said.seek(0)
        return self._said.read()[-_TAIL_OCTETS:].decode(errors="replace")

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


def _hex(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.hex()
    raise TypeError(f"a {type(value).__name__} is no argument of ts-mls")
