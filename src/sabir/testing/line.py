"""A TCP line to a real server that loses, on request, what no server loses itself.

It forwards octets and knows no protocol, so it also stands before TLS. Both losses
end the connection, as a broken line does; the next connection is whole again.
"""

import asyncio
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Final, Self

from sabir.networks.serving import stop_accepting

LOOPBACK: Final = "127.0.0.1"
_CHUNK_OCTETS: Final = 64 * 1024
"""What is forwarded at once; any size is right."""


class _Trouble(Enum):
    """What happens to the next octets of the client."""

    NONE = "forwarded"
    LOSE = "dropped, and the line with them"
    MUTE = "forwarded; the line breaks with the first octet that comes back"
    MUTED = "on their way; what comes back now breaks the line"


class Line:
    """Listens on a port of its own in front of one port of this machine.

    Args:
        port: the server's port on loopback.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener: asyncio.Server | None = None
        self._trouble = _Trouble.NONE
        self._last = b""
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """The port to connect to."""
        assert self._listener is not None, "the line is open inside `async with`"
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        await stop_accepting(self._listener)
        for client in list(self._clients):
            client.transport.abort()
        while self._clients:
            await asyncio.sleep(0.001)  # `_serve` sees the abort and lets go

    def lose_next(self) -> None:
        """Lose what the client writes next: the server never has it."""
        self._trouble = _Trouble.LOSE

    def mute_next(self) -> None:
        """Let the server have what the client writes next, and nothing come back.

        The server's first answer is the proof that it has worked it off; the line
        breaks instead of handing it on.
        """
        self._trouble = _Trouble.MUTE

    def repeat(self) -> None:
        """Hand on the server's last octets once more. Not for TLS, which sees it."""
        for client in self._clients:
            client.write(self._last)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._clients.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(
                LOOPBACK, self._server_port
            )
            ways = {
                asyncio.ensure_future(self._up(reader, upstream)),
                asyncio.ensure_future(self._down(answers, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # no server behind the line: the client sees its connection end
        finally:
            for end in (upstream, writer):
                if end is not None:
                    end.transport.abort()
            self._clients.discard(writer)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):  # one end is gone: so is the line
            while octets := await reader.read(_CHUNK_OCTETS):
                if self._trouble is _Trouble.LOSE:
                    self._trouble = _Trouble.NONE
                    return
                writer.write(octets)
                if self._trouble is _Trouble.MUTE:
                    self._trouble = _Trouble.MUTED
                await writer.drain()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):  # as above
            while octets := await reader.read(_CHUNK_OCTETS):
                if self._trouble is _Trouble.MUTED:
                    self._trouble = _Trouble.NONE
                    return
                self._last = octets
                writer.write(octets)
                await writer.drain()
