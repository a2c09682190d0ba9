"""The line between a connector and a server: whole, until it is told otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sabir.testing.line import LOOPBACK, Line


class Echo:
    """A server that says everything back, and remembers it."""

    def __init__(self) -> None:
        self.heard = b""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while octets := await reader.read(1_000):
                self.heard += octets
                writer.write(octets)
        except ConnectionResetError:
            pass
        writer.close()


@asynccontextmanager
async def echo_behind_a_line() -> AsyncIterator[tuple[Echo, Line]]:
    echo = Echo()
    async with (
        await asyncio.start_server(echo.serve, LOOPBACK, 0) as server,
        Line(server.sockets[0].getsockname()[1]) as line,
    ):
        yield echo, line


@asynccontextmanager
async def client(
    line: Line,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(LOOPBACK, line.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes until the connection ends."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


async def test_a_whole_line_changes_nothing() -> None:
    async with echo_behind_a_line() as (_, line), client(line) as (reader, writer):
        writer.write(b"words")
        assert await reader.readexactly(5) == b"words"
        line.repeat()
        assert await reader.readexactly(5) == b"words"


async def test_what_is_lost_never_reaches_the_server_and_the_next_line_is_whole() -> (
    None
):
    async with echo_behind_a_line() as (echo, line):
        async with client(line) as (reader, writer):
            line.lose_next()
            writer.write(b"lost")
            assert await rest(reader) == b""
        assert echo.heard == b""
        async with client(line) as (reader, writer):
            writer.write(b"again")
            assert await reader.readexactly(5) == b"again"


async def test_a_muted_line_delivers_and_gives_no_answer() -> None:
    async with echo_behind_a_line() as (echo, line):
        async with client(line) as (reader, writer):
            line.mute_next()
            writer.write(b"heard")
            assert await rest(reader) == b""
        assert echo.heard == b"heard"


async def test_without_a_server_a_connection_ends() -> None:
    async with await asyncio.start_server(Echo().serve, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
    async with Line(port) as line, client(line) as (reader, _):
        assert await rest(reader) == b""
