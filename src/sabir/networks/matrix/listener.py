"""Where the homeserver pushes: the HTTP side of an application service.

* Without the right `hs_token`: 403, compared in constant time.
* 200 only after the transaction was taken; a storage failure gives 500, and the
  homeserver repeats.
* A part that can never be read holds up nothing: it is dropped (`nesting`).
"""

from asyncio import BaseTransport
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from aiohttp import web

from sabir.crypto.secrets import Secret
from sabir.errors import StorageFailed
from sabir.networks import serving
from sabir.networks.matrix.nesting import read_json

BODY_OCTETS_MAX: Final = 32 * 1024 * 1024
"""A hundred events of 65,536 octets, as many ephemeral ones, and escapes."""
SHUTDOWN_S: Final = 5
"""For a transaction that is being stored when we stop."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the homeserver pushed, in its order; single entries are not checked."""

    id: str
    events: tuple[Any, ...]
    ephemeral: tuple[Any, ...]


Take = Callable[[Transaction], Awaitable[bool]]
"""Stores a transaction; False if it has to be repeated."""
Met = Callable[[], None]
"""Hears that the homeserver came over a new connection."""


def parse_transaction(txn: str, octets: bytes) -> Transaction:
    """Read the body of a push (application service API, "Pushing events").

    Raises:
        ValueError: not of this form.
    """
    body = read_json(octets)
    events = body.get("events") if isinstance(body, dict) else None
    if type(events) is not list:
        raise ValueError("no list of events")
    ephemeral = body.get("ephemeral", body.get("de.sorunome.msc2409.ephemeral"))
    return Transaction(
        txn,
        tuple(events),
        tuple(ephemeral if isinstance(ephemeral, list) else ()),
    )


@asynccontextmanager
async def listening(
    host: str, port: int, *, hs_token: Secret, take: Take, met: Met
) -> AsyncIterator[int]:
    """Listen while the context is open; gives the port.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    async with serving.listening(
        _application(hs_token, take, met),
        host,
        port,
        shutdown_s=SHUTDOWN_S,
        also_in="the registration's url",
    ) as bound:
        yield bound


def _application(hs_token: Secret, take: Take, met: Met) -> web.Application:
    endpoint = _Endpoint(hs_token, take, met)
    app = web.Application(client_max_size=BODY_OCTETS_MAX)
    app.router.add_put("/_matrix/app/v1/transactions/{txn}", endpoint.transaction)
    app.router.add_post("/_matrix/app/v1/ping", endpoint.ping)
    app.router.add_get("/_matrix/app/v1/users/{user}", endpoint.absent)
    app.router.add_get("/_matrix/app/v1/rooms/{alias}", endpoint.absent)
    return app


class _Endpoint:
    def __init__(self, hs_token: Secret, take: Take, met: Met) -> None:
        self._hs_token = hs_token
        self._take = take
        self._met = met
        self._connections: WeakSet[BaseTransport] = WeakSet()

    def _is_homeserver(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._hs_token.ct_equal(
            token.encode("utf-8", "surrogateescape")
        ):
            return False
        connection = request.transport
        if connection is not None and connection not in self._connections:
            self._connections.add(connection)
            self._met()
        return True

    async def transaction(self, request: web.Request) -> web.Response:
        if not self._is_homeserver(request):
            return _error(403, "M_FORBIDDEN", "wrong hs_token")
        try:
            pushed = parse_transaction(request.match_info["txn"], await request.read())
        except ValueError as error:
            return _error(400, "M_NOT_JSON", str(error))
        try:
            is_taken = await self._take(pushed)
        except StorageFailed:
            return _error(500, "M_UNKNOWN", "not stored; please repeat")
        if not is_taken:
            return _error(503, "M_UNKNOWN", "starting; please repeat")
        return web.json_response({})

    async def ping(self, request: web.Request) -> web.Response:
        if not self._is_homeserver(request):
            return _error(403, "M_FORBIDDEN", "wrong hs_token")
        return web.json_response({})

    async def absent(self, request: web.Request) -> web.Response:
        if not self._is_homeserver(request):
            return _error(403, "M_FORBIDDEN", "wrong hs_token")
        return _error(404, "M_NOT_FOUND", "made when needed, not on request")


def _error(status: int, errcode: str, text: str) -> web.Response:
    return web.json_response({"errcode": errcode, "error": text}, status=status)
