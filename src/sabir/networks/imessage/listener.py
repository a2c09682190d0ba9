"""Where BlueBubbles calls us. It signs nothing, so the path is the secret.

* Only one path exists, compared in constant time; everything else is 404.
* 200 at once, always: the server ignores the answer. A call can only cause one look
  into the database, and those have a pace.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from sabir.networks import serving
from sabir.networks.imessage.config import WebhookConfig

BODY_OCTETS_MAX: Final = 4 * 1024 * 1024
"""One message with the attributed form of its text and a link's preview."""
BODY_TIMEOUT_S: Final = 20.0
BODIES_AT_ONCE_MAX: Final = 16
"""64 MiB at most are held; a call more than that is dropped, and the timer looks."""
SHUTDOWN_S: Final = 1
PATH: Final = "/imessage/"

OnEvent = Callable[[object, object], None]


@asynccontextmanager
async def listening(config: WebhookConfig, on_event: OnEvent) -> AsyncIterator[int]:
    """Listen while the context is open; gives the port.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    app = web.Application(client_max_size=BODY_OCTETS_MAX)
    app.router.add_route("*", "/{path:.*}", _Endpoint(config, on_event).serve)
    host, port = config.listen_host, config.listen_port
    async with serving.listening(
        app, host, port, shutdown_s=SHUTDOWN_S, also_in="webhook_url"
    ) as bound:
        yield bound


def full_url(config: WebhookConfig) -> str:
    """Return what BlueBubbles is to call, with the secret."""
    return config.url + PATH + config.secret.reveal_text()


class _Endpoint:
    def __init__(self, config: WebhookConfig, on_event: OnEvent) -> None:
        self._path = (PATH + config.secret.reveal_text()).encode()
        self._on_event = on_event
        self._slots = asyncio.Semaphore(BODIES_AT_ONCE_MAX)

    async def serve(self, request: web.Request) -> web.Response:
        path = request.path.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(path, self._path):
            return web.Response(status=404)
        if request.method != "POST":
            return web.Response(status=405)
        if self._slots.locked():
            return web.Response(status=503)
        async with self._slots:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    octets = await request.read()
            except TimeoutError:
                return web.Response(status=408)
        kind, data = _opened(octets)
        self._on_event(kind, data)
        return web.Response(status=200)


def _opened(octets: bytes) -> tuple[Any, Any]:
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError):
        return None, None
    return (
        (body.get("type"), body.get("data")) if isinstance(body, dict) else (None,) * 2
    )
