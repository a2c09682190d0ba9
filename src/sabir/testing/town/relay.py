"""A bad network before one provider: it delays, loses requests, and loses answers.

It forwards octets and knows no protocol, so it also stands before TLS. A request whose
answer is lost is asked again by its sender: so the server sees it twice. With the keys
of both ends (`Tap`) it also hears what passes inside TLS.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Final, Self

from sabir.networks.serving import stop_accepting

LOOPBACK: Final = "127.0.0.1"
_CHUNK_OCTETS: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad the network is.

    Attributes:
        delay_ms: the longest delay of a piece.
        lose: how often a piece of a request is lost, and the line with it, of 1.
        mute: how often an answer is lost, and the line with it, of 1.
    """

    delay_ms: float = 0
    lose: float = 0
    mute: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """What it takes to listen.

    Attributes:
        server: to be taken for the server by its clients.
        client: to be taken for the client by its server.
        domain: of the server.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    domain: str


class Relay:
    """Listens on a port of its own in front of one port of this machine.

    Args:
        port: the server's port on loopback.
        faults: how bad it is; may be changed while it runs.
        seed: of chance.
        tap: keep what passes, readable, in `heard`.
    """

    def __init__(
        self, port: int, faults: Faults, *, seed: int, tap: Tap | None = None
    ) -> None:
        self.faults = faults
        self.heard = bytearray()
        self._tap = tap
        self.delayed = self.lost = self.muted = 0
        self._server_port = port
        self._random = Random(seed)
        self._listener: asyncio.Server | None = None
        self._ways: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """The port to connect to."""
        assert self._listener is not None, "the relay is open inside `async with`"
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        tls = None if self._tap is None else self._tap.server
        self._listener = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        await stop_accepting(self._listener)
        for way in list(self._ways):
            way.transport.abort()
        while self._ways:
            await asyncio.sleep(0.001)  # `_serve` sees the abort and lets go

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._ways.add(writer)
        server: asyncio.StreamWriter | None = None
        try:
            answers, server = await asyncio.open_connection(
                LOOPBACK,
                self._server_port,
                ssl=None if self._tap is None else self._tap.client,
                server_hostname=None if self._tap is None else self._tap.domain,
            )
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._up(reader, server))
                down = group.create_task(self._down(answers, writer))
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        except OSError:
            pass  # nobody behind the relay: the client sees its connection end
        finally:
            for end in (server, writer):
                if end is not None:
                    end.transport.abort()
            self._ways.discard(writer)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):  # one end is gone: so is the way
            while octets := await reader.read(_CHUNK_OCTETS):
                await self._passing(octets)
                if self._random.random() < self.faults.lose:
                    self.lost += 1
                    return
                writer.write(octets)
                await writer.drain()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):  # as above
            while octets := await reader.read(_CHUNK_OCTETS):
                await self._passing(octets)
                if self._random.random() < self.faults.mute:
                    self.muted += 1
                    return
                writer.write(octets)
                await writer.drain()

    async def _passing(self, octets: bytes) -> None:
        if self._tap is not None:
            self.heard += octets
        if self.faults.delay_ms:
            self.delayed += 1
            await asyncio.sleep(self._random.uniform(0, self.faults.delay_ms) / 1_000)
