"""Where Meta delivers: the webhook.

* Only one path exists, and it is secret; everything else is 404, without a word.
* The signature (`X-Hub-Signature-256`) is checked over the octets as they came, in
  constant time, before anything is parsed: 401.
* 200 only after everything in a body was stored; else Meta delivers it again, for days.
* A body again is harmless: everything in it has an id, and times never go back.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from sabir.errors import StorageFailed
from sabir.networks import serving
from sabir.networks.whatsapp.config import CloudConfig
from sabir.networks.whatsapp.envelope import Json, open_body

BODY_OCTETS_MAX: Final = 3 * 1024 * 1024
"""Meta says so: "Payloads can be up to 3 MB"."""
BODY_TIMEOUT_S: Final = 20.0
"""For one body to come in; nobody may hold a connection open with half a body."""
BODIES_AT_ONCE_MAX: Final = 16
"""48 MiB at most are held for people who have not shown a signature yet."""
SHUTDOWN_S: Final = 2
"""For a body that is being stored when we stop; if it is not, it comes again."""
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What we repeat; Meta sends digits."""
SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})")

Take = Callable[[Json], Awaitable[bool]]
"""Stores what a body holds; False if it has to come again."""

_log = structlog.get_logger(__name__)


def is_signed(octets: bytes, header: str, app_secret: bytes) -> bool:
    """Tell whether Meta signed these octets (HMAC-SHA256 with the app's secret)."""
    found = SIGNATURE.fullmatch(header)
    wanted = hmac.new(app_secret, octets, hashlib.sha256).hexdigest()
    return found is not None and hmac.compare_digest(wanted, found[1])


@asynccontextmanager
async def listening(config: CloudConfig, *, take: Take) -> AsyncIterator[int]:
    """Listen while the context is open; gives the port.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    app = web.Application(client_max_size=BODY_OCTETS_MAX)
    app.router.add_route("*", "/{path:.*}", _Endpoint(config, take).serve)
    host, port = config.listen_host, config.listen_port
    async with serving.listening(
        app, host, port, shutdown_s=SHUTDOWN_S, also_in="the reverse proxy"
    ) as bound:
        yield bound


class _Endpoint:
    def __init__(self, config: CloudConfig, take: Take) -> None:
        self._config = config
        self._take = take
        self._slots = asyncio.Semaphore(BODIES_AT_ONCE_MAX)

    async def serve(self, request: web.Request) -> web.Response:
        path = request.path.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(path, self._config.path.encode()):
            return web.Response(status=404)
        match request.method:
            case "GET":
                return self._handshake(request)
            case "POST":
                return await self._deliver(request)
            case _:
                return web.Response(status=405)

    def _handshake(self, request: web.Request) -> web.Response:
        """Answer the question by which Meta makes sure of a new webhook."""
        query = request.query
        token = query.get("hub.verify_token", "").encode("utf-8", "surrogateescape")
        challenge = query.get("hub.challenge", "")
        if query.get("hub.mode") != "subscribe" or not CHALLENGE.fullmatch(challenge):
            return web.Response(status=400)
        if not self._config.verify_token.ct_equal(token):
            _log.warning("webhook_verify_token_wrong")
            return web.Response(status=403)
        _log.info("webhook_verified")
        headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(text=challenge, headers=headers)

    async def _deliver(self, request: web.Request) -> web.Response:
        if self._slots.locked():
            return web.Response(status=503)
        async with self._slots:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    octets = await request.read()
            except TimeoutError:
                return web.Response(status=408)
            signature = request.headers.get("X-Hub-Signature-256", "")
            if not is_signed(octets, signature, self._config.app_secret.reveal()):
                _log.warning("webhook_not_signed", octets=len(octets))
                return web.Response(status=401)
        return await self._store(octets)

    async def _store(self, octets: bytes) -> web.Response:
        try:
            body = open_body(octets)
        except ValueError as error:
            _log.warning("webhook_not_json", octets=len(octets), error=str(error))
            return web.Response(status=400)
        try:
            is_taken = await self._take(body)
        except StorageFailed:
            return web.Response(status=500)
        return web.Response(status=200 if is_taken else 503)
