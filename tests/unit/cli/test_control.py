"""Asking the running agent."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sabir.cli import control
from sabir.cli.control import NotRunning, Refusal, ask
from sabir.errors import Unavailable
from tests.unit.cli.shell import lab


def test_no_socket_and_a_dead_socket_both_mean_not_running(tmp_path: Path) -> None:
    door = tmp_path / "control.sock"
    with pytest.raises(NotRunning, match="sabir up"):
        ask(door, "GET", "/status")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door))  # bound, and left behind without a listener
    with pytest.raises(NotRunning, match="sabir up"):
        ask(door, "GET", "/status")


async def test_a_refusal_has_the_agents_words_and_exit_code(tmp_path: Path) -> None:
    async with lab(tmp_path):
        with pytest.raises(Refusal, match="no open portal 99") as raised:
            await asyncio.to_thread(
                ask, tmp_path / "control.sock", "POST", "/unlink", {"portal": 99}
            )
    assert raised.value.exit_code == 4


@asynccontextmanager
async def _answered_by(folder: Path, answer: bytes | None) -> AsyncIterator[Path]:
    """Listen as an agent that gives this answer, or none, and hangs up."""
    door = folder / "control.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()  # until the asker gives up
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, door)
    try:
        yield door
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 500 x\r\n\r\n"]
)
async def test_an_agent_that_dies_meanwhile_is_unavailable(
    tmp_path: Path, answer: bytes
) -> None:
    async with _answered_by(tmp_path, answer) as door:
        with pytest.raises(Unavailable, match="sabir status"):
            await asyncio.to_thread(ask, door, "GET", "/status")


async def test_an_agent_that_does_not_answer_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ANSWER_TIMEOUT_S", 0.1)
    async with _answered_by(tmp_path, None) as door:
        with pytest.raises(Unavailable, match="see its log"):
            await asyncio.to_thread(ask, door, "GET", "/status")
