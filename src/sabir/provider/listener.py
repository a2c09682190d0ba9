"""A listening socket: bounded connections, handshakes, heads and bodies.

aiohttp reads HTTP; accepting is ours, because whoever opens connections and says
nothing must cost little and keep nobody out: unfinished handshakes have a limit of
their own, and the oldest makes room for the newest.
"""

import asyncio
import socket
import ssl
from collections import Counter, OrderedDict
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from sabir.errors import ConfigInvalid, PeerIncompatible, StorageFailed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.greeting import greets_in_tls
from sabir.provider.http import (
    OCTETS,
    Answer,
    BodyBudget,
    Exchange,
    PeerCertificate,
    Router,
    Streamed,
    client_of,
    problem_answer,
)
from sabir.provider.tls import HANDSHAKE_S, dns_names
from sabir.wire.errors import Malformed

CONNECTIONS_MAX: Final = 4_096
"""Connections with a finished handshake."""
HANDSHAKES_MAX: Final = 512
"""Unfinished handshakes."""
BACKLOG: Final = 1_024
"""Connections the kernel keeps until we accept them."""
HEAD_S: Final = 10.0
"""Seconds for a new connection's first request line and fields."""
IDLE_S: Final = 75.0
"""Seconds a connection may stay open between requests."""
LINGER_S: Final = 2.0
"""Seconds for what a client still sends after it was answered."""
HEAD_LINE_OCTETS: Final = 8_190
"""Of the request line, and of each field."""
FIELDS_MAX: Final = 64
"""Header fields of a request."""
WRITE_S: Final = 30.0
"""Seconds for a client to read an answer, or the next piece of a long one."""
STREAM_S: Final = 3_600.0
"""Seconds for a client to read the longest answer: 128 MiB at 37 KiB/s."""
CONNECTIONS_PER_CLIENT: Final = 256
"""Of one provider, or of one address without a certificate."""
BODIES_OCTETS_MAX: Final = 256 * 1024 * 1024
"""Octets of bodies in memory at a time."""
BODIES_SHARE_OCTETS: Final = 64 * 1024 * 1024
"""The same, of one client."""
STORAGE_RETRY_S: Final = 5
"""What we ask of a client when our disk fails."""

_log = structlog.get_logger()


class _Connection(RequestHandler):
    """A connection that must say something soon, and whose errors are documents."""

    __slots__ = ("_client", "_overdue", "_shares")

    def __init__(self, server: web.Server, shares: "_Shares", **settings: Any) -> None:
        super().__init__(server, **settings)
        self._shares = shares
        self._client = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._overdue = asyncio.get_running_loop().call_later(HEAD_S, self.force_close)
        remote = transport.get_extra_info("peername") or ("",)
        peer = shown_certificate(transport.get_extra_info("ssl_object"))
        self._client = client_of(str(remote[0]), peer)
        if not self._shares.take(self._client):
            _log.warning("too many connections of one client")
            self.force_close()

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._overdue.cancel()
        self._shares.give_back(self._client)
        super().connection_lost(exc)

    @override
    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, unless the client does not read it."""
        try:
            async with asyncio.timeout(WRITE_S):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.cut_off()
            return resp, True

    def cut_off(self) -> None:
        """End the connection at once."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()  # nobody reads what a mere close would still send

    def head_came(self) -> None:
        """Note that the first request is here."""
        self._overdue.cancel()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request failed", path=_shape(request), exc_info=exc)
            problem = Problem(ProblemCode.INTERNAL)
        else:
            problem = Problem(ProblemCode.MALFORMED_BODY, "this is no HTTP request")
        self.close()
        return problem_answer(problem).to_response()


class _Shares:
    """How many connections each client has."""

    def __init__(self, share_max: int) -> None:
        self._share_max = share_max
        self._shares: Counter[str] = Counter()

    def take(self, client: str) -> bool:
        """Count one; False if it is one too many. It is counted in any case."""
        self._shares[client] += 1
        return self._shares[client] <= self._share_max

    def give_back(self, client: str) -> None:
        """Count one less."""
        self._shares[client] -= 1
        if not self._shares[client]:
            del self._shares[client]


def _shape(request: web.BaseRequest) -> str:
    """Return a path without identifiers."""
    return "/".join(request.raw_path.partition("?")[0].split("/")[:3])


class Listener:
    """Serves a router on one address."""

    def __init__(
        self,
        router: Router,
        context: ssl.SSLContext,
        *,
        connections_max: int = CONNECTIONS_MAX,
        handshakes_max: int = HANDSHAKES_MAX,
    ) -> None:
        self._router = router
        self._context = context
        self._connections_max = connections_max
        self._handshakes_max = handshakes_max
        self._budget = BodyBudget(BODIES_OCTETS_MAX, BODIES_SHARE_OCTETS)
        self._shares = _Shares(CONNECTIONS_PER_CLIENT)
        self._server = web.Server(self._serve)
        self._socket: socket.socket | None = None
        self._shaking: OrderedDict[asyncio.Task[None], None] = OrderedDict()

    async def start(self, host: str, port: int) -> int:
        """Bind; return the port (that of the kernel's choice for port 0).

        Raises:
            ConfigInvalid: the address cannot be bound.
        """
        try:
            self._socket = socket.create_server(
                (host, port),
                family=socket.AF_INET6 if ":" in host else socket.AF_INET,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another"
                " address in the configuration, or stop the program that has it"
            ) from error
        self._socket.setblocking(False)
        bound: int = self._socket.getsockname()[1]
        return bound

    async def run(self) -> None:
        """Accept until cancelled; then finish what is under way and close."""
        listening = self._socket
        assert listening is not None, "start() comes first"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        accepted, _ = await loop.sock_accept(listening)
                    except OSError as error:  # no file descriptors, or it is gone again
                        _log.warning("cannot accept", reason=error.strerror)
                        await asyncio.sleep(0.1)
                        continue
                    self._admit(group, accepted)
        finally:
            self.close()
            self._server.pre_shutdown()  # those that wait for another request
            await self._server.shutdown(timeout=LINGER_S)

    def close(self) -> None:
        """Give the address back; `run` does it, if it has begun."""
        if self._socket is not None:
            self._socket.close()

    def _admit(self, group: asyncio.TaskGroup, accepted: socket.socket) -> None:
        if len(self._server.connections) >= self._connections_max:
            accepted.close()
            return
        if len(self._shaking) >= self._handshakes_max:
            oldest, _ = self._shaking.popitem(last=False)
            oldest.cancel()
        task = group.create_task(self._shake(accepted))
        self._shaking[task] = None
        task.add_done_callback(lambda done: self._shaking.pop(done, None))

    async def _shake(self, accepted: socket.socket) -> None:
        """Do the handshake; aiohttp has the connection afterwards."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                greets = await greets_in_tls(accepted)
        except (OSError, TimeoutError):
            greets = False
        except asyncio.CancelledError:
            accepted.close()
            raise
        if not greets:
            accepted.close()
            return
        try:
            await loop.connect_accepted_socket(
                self._connection,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=LINGER_S,
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            _log.debug("no handshake", reason=type(error).__name__)

    def _connection(self) -> _Connection:
        return _Connection(
            self._server,
            self._shares,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            max_line_size=HEAD_LINE_OCTETS,
            max_field_size=HEAD_LINE_OCTETS,
            max_headers=FIELDS_MAX,
            lingering_time=LINGER_S,
            auto_decompress=False,
            access_log=None,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if isinstance(connection, _Connection):
            connection.head_came()
        exchange = Exchange(
            request,
            shown_certificate(request.get_extra_info("ssl_object")),
            self._budget,
        )
        try:
            handler, exchange.variables = self._router.find(
                exchange.method, exchange.path
            )
            answer = await handler(exchange)
        except Problem as problem:
            answer = problem_answer(problem)
        except Malformed as wrong:
            answer = problem_answer(
                Problem(ProblemCode.MALFORMED_BODY, f"rule {wrong.rule}")
            )
        except PeerIncompatible as unknown:
            answer = problem_answer(Problem(ProblemCode.MALFORMED_BODY, str(unknown)))
        except StorageFailed as failed:
            _log.error("storage failed", reason=str(failed))
            answer = problem_answer(
                Problem(ProblemCode.UNAVAILABLE, retry_after_s=STORAGE_RETRY_S)
            )
        finally:
            exchange.release()
        if isinstance(answer, Streamed):
            return await _stream(request, answer)
        return answer.to_response() if isinstance(answer, Answer) else answer


async def _stream(request: web.BaseRequest, answer: Streamed) -> web.StreamResponse:
    """Send a long answer; a source that fails cuts the connection off."""
    response = web.StreamResponse(status=answer.status)
    response.content_type = OCTETS
    response.content_length = answer.size
    response.headers["Server"] = "sabir"
    response.headers.update(answer.headers)
    left = answer.size
    try:
        async with aclosing(answer.chunks) as chunks, asyncio.timeout(STREAM_S):
            await response.prepare(request)
            async for chunk in chunks:
                left -= len(chunk)
                async with asyncio.timeout(WRITE_S):
                    await response.write(chunk)
    except (OSError, TimeoutError, Problem, StorageFailed) as error:
        _log.info("long answer cut off", reason=type(error).__name__)
        left = left or 1
    connection = request.protocol
    if left and isinstance(connection, _Connection):
        connection.cut_off()
    return response


def shown_certificate(tls: ssl.SSLObject | None) -> PeerCertificate | None:
    """Return what the client showed in the handshake; it was validated there."""
    der = None if tls is None else tls.getpeercert(binary_form=True)
    if tls is None or not der:
        return None
    return PeerCertificate(names=dns_names(tls.getpeercert()), der=der)
