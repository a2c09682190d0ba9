"""An HTTP door: where a network calls us, and where a counterpart is called in tests.

Two moments of asyncio (CPython 3.11) leave a socket open for good, and a door avoids
both. A server that begins to listen as it is made is lost if its maker is cancelled
just then (`create_server` waits a turn before it returns), so it is made first and
listens afterwards. A connection that was accepted and not yet begun is dropped if the
server is closed in that moment (`Server._attach` refuses it), so a door stops
accepting, lets what it accepted begin, and closes only then.
"""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from sabir.errors import ConfigInvalid

TURNS_TO_BEGIN: Final = 2
"""Of the event loop: one attaches an accepted connection, one gives it its protocol."""


class HttpDoor:
    """Serves one application at one address.

    Args:
        app: what is served.
        shutdown_s: how long calls under way may take when it stops.
        cancels: whether a call is cancelled when its caller goes away.
    """

    def __init__(
        self, app: web.Application, *, shutdown_s: float, cancels: bool = False
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=shutdown_s,
            handler_cancellation=cancels,
        )
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is the kernel's choice for port 0.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._server = await asyncio.get_running_loop().create_server(
            await self._protocols(), host, port, reuse_address=True, start_serving=False
        )
        await self._server.start_serving()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def start_at(self, path: Path) -> None:
        """Listen on a UNIX socket.

        Raises:
            OSError: the socket cannot be made there.
        """
        self._server = await asyncio.get_running_loop().create_unix_server(
            await self._protocols(), path, start_serving=False
        )
        await self._server.start_serving()

    async def stop(self) -> None:
        """Accept nobody, wait for what is under way, cut the rest."""
        server, self._server = self._server, None
        try:
            if server is not None:
                await stop_accepting(server)
        finally:
            await self._runner.cleanup()

    async def _protocols(self) -> web.Server:
        await self._runner.setup()
        made = self._runner.server
        assert made is not None, "setup() makes it"
        return made


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server; what it had accepted is served, and ends as its protocol ends."""
    loop = asyncio.get_running_loop()
    for listening_socket in server.sockets:
        loop.remove_reader(listening_socket)
    try:
        for _ in range(TURNS_TO_BEGIN):
            await asyncio.sleep(0)
    finally:
        server.close()


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, shutdown_s: float, also_in: str
) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port.

    Args:
        app: what is served.
        host: from the setting `listen_host`.
        port: from the setting `listen_port`.
        shutdown_s: how long calls under way may take at the end.
        also_in: where else the port stands, for whoever has to change it.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    door = HttpDoor(app, shutdown_s=shutdown_s)
    try:
        try:
            bound = await door.start(host, port)
        except OSError as error:
            raise _not_listening(host, port, error, also_in) from error
        yield bound
    finally:
        await door.stop()


def _not_listening(host: str, port: int, error: OSError, also_in: str) -> ConfigInvalid:
    if error.errno == errno.EADDRINUSE:
        return ConfigInvalid(
            f"listen_port = {port}: another program listens on {host}:{port}; stop it, "
            f"or choose another port here and in {also_in}"
        )
    return ConfigInvalid(
        f"cannot listen on listen_host = {host!r}, listen_port = {port} "
        f"({error.strerror}); use an address of this machine and a port over 1023"
    )
