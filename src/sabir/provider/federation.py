"""The ten endpoints other providers ask (section 3): thin doors before services.

A door lets the peer in, reads path and body within their limits, and hands octets on.
What a service means by them is its own business. An endpoint without a service is not
in our directory, and not found.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sabir.mimi.directory import Endpoint, our_path
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.uris import Kind, domain_of, parse_uri
from sabir.provider.core import Core
from sabir.provider.http import Answer, Exchange, Handler, Route, Streamed
from sabir.wire.errors import Malformed

_ROOMS: Final = frozenset(
    {
        Endpoint.UPDATE,
        Endpoint.SUBMIT_MESSAGE,
        Endpoint.GROUP_INFO,
        Endpoint.REPORT_ABUSE,
    }
)
"""About a room that must be hosted here."""
_DOMAINS: Final = frozenset(
    {Endpoint.REQUEST_CONSENT, Endpoint.UPDATE_CONSENT, Endpoint.IDENTIFIER_QUERY}
)
"""Named by our own domain."""
_BODILESS: Final = frozenset(
    {
        Endpoint.NOTIFY,
        Endpoint.REQUEST_CONSENT,
        Endpoint.UPDATE_CONSENT,
        Endpoint.REPORT_ABUSE,
    }
)
"""Answered with 201 and nothing else (D-05)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of an admitted peer.

    Attributes:
        source: the peer's domain.
        about: what the path names: a room, a user, our domain, a URL.
        body: whole, undecoded.
    """

    source: str
    about: str
    body: bytes


Service = Callable[[Call], Awaitable[bytes | Answer | Streamed]]
"""Answers a call: octets of a struct (none for those of 201), or a whole answer."""


class Federation:
    """The doors of those endpoints that have a service."""

    def __init__(self, core: Core, services: Mapping[Endpoint, Service]) -> None:
        self._core = core
        self._services = services

    @property
    def offered(self) -> frozenset[Endpoint]:
        """Return the endpoints that have a service."""
        return frozenset(self._services)

    def routes(self) -> Sequence[Route]:
        """Return a route for each."""
        return [
            Route(
                method="GET" if endpoint is Endpoint.PROXY_DOWNLOAD else "POST",
                template=our_path(endpoint),
                handler=self._door(endpoint, service),
            )
            for endpoint, service in self._services.items()
        ]

    def _door(self, endpoint: Endpoint, service: Service) -> Handler:
        async def handle(exchange: Exchange) -> Answer | Streamed:
            source = self._core.admission.admit(exchange)
            about = self._about(endpoint, source, exchange)
            self._limit(endpoint, source)
            body = b""
            if endpoint is not Endpoint.PROXY_DOWNLOAD:
                body = await exchange.body(MIMI06_A.request_octets_max[endpoint])
            answer = await service(Call(source=source, about=about, body=body))
            if not isinstance(answer, bytes):
                return answer
            if endpoint in _BODILESS:
                return Answer(status=HTTPStatus.CREATED)
            return Answer(body=answer)

        return handle

    def _about(self, endpoint: Endpoint, source: str, exchange: Exchange) -> str:
        """Return what the path names, checked.

        Raises:
            Problem: PATH_MISMATCH, DOMAIN_NOT_AUTHORIZED, NOT_FOUND.
        """
        value = exchange.variables[endpoint.variable]
        ours = self._core.config.domain
        if endpoint is Endpoint.PROXY_DOWNLOAD:
            return value
        if endpoint in _DOMAINS:
            if value.lower() != ours:
                raise Problem(ProblemCode.NOT_FOUND, "another provider's domain")
            return ours
        kind = Kind.USER if endpoint is Endpoint.KEY_MATERIAL else Kind.ROOM
        try:
            parse_uri(value, kind)
        except Malformed as wrong:
            raise Problem(
                ProblemCode.PATH_MISMATCH, f"the path names no {kind.name.lower()}"
            ) from wrong
        if endpoint is Endpoint.NOTIFY and domain_of(value) != source:
            raise Problem(
                ProblemCode.DOMAIN_NOT_AUTHORIZED, "the room is another hub's"
            )
        if endpoint in _ROOMS and domain_of(value) != ours:
            raise Problem(ProblemCode.NOT_FOUND, "the room is another hub's")
        return value

    def _limit(self, endpoint: Endpoint, source: str) -> None:
        if endpoint is Endpoint.IDENTIFIER_QUERY:
            self._core.rates.identifier_query.spend(
                source, now_ms=self._core.clock.monotonic_ms()
            )
