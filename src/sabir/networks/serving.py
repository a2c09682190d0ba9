"""An HTTP door: where a network calls us, and where a counterpart is called in tests.

asyncio drops a connection that it has accepted and not yet begun to serve if its
server is closed in that moment (`Server._attach` refuses it, and its socket stays open
until it is collected; CPython 3.11). So a door first stops accepting, then lets what it
accepted begin, and closes only then.
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
            await self._protocols(), host, port, reuse_address=True
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def start_at(self, path: Path) -> None:
        """Listen on a UNIX socket.

        Raises:
            OSError: the socket cannot be made there.
        """
        self._server = await asyncio.get_running_loop().create_unix_server(
            await self._protocols(), path
        )

    async def stop(self) -> None:
        """Accept nobody, wait for what is under way, cut the rest."""
        if self._server is not None:
            await stop_accepting(self._server)
            self._server = None
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
    for _ in range(TURNS_TO_BEGIN):
        await asyncio.sleep(0)
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
