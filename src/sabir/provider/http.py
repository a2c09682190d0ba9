"""Requests and answers, and which handler a raw path belongs to (D-06 to D-08)."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

from sabir.mimi.problems import Problem, ProblemCode

OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

REQUEST_S: Final = 30.0
"""Seconds for a whole body to arrive (D-07)."""
CHUNK_OCTETS: Final = 65_536
"""Read at a time."""
DECODED_OCTETS_MAX: Final = 2_048
"""Of one variable in a path; identifiers have at most 512, URLs of assets fewer."""

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class BodyBudget:
    """How many octets of bodies may be in memory, in all and of one client.

    Args:
        octets_max: in all.
        share_max: of one client, so that nobody uses up what others need.
    """

    def __init__(self, octets_max: int, share_max: int) -> None:
        self._left = octets_max
        self._share_max = share_max
        self._shares: Counter[str] = Counter()

    def take(self, client: str, octets: int) -> None:
        """Reserve.

        Raises:
            Problem: UNAVAILABLE, come again.
        """
        if octets > min(self._left, self._share_max - self._shares[client]):
            raise Problem(
                ProblemCode.UNAVAILABLE, "too many requests at once", retry_after_s=1
            )
        self._left -= octets
        self._shares[client] += octets

    def give_back(self, client: str, octets: int) -> None:
        """Release."""
        self._left += octets
        self._shares[client] -= octets
        if not self._shares[client]:
            del self._shares[client]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """What the other side showed: dNSNames, and all of it as DER."""

    names: frozenset[str]
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response."""

    status: int = 200
    body: bytes = b""
    content_type: str = OCTETS
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_response(self) -> web.Response:
        """Return it in the server's own form."""
        response = web.Response(status=self.status, body=self.body)
        if self.body or self.status == HTTPStatus.OK:
            response.content_type = self.content_type
        response.headers["Server"] = "sabir"
        response.headers.update(self.headers)
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A response too large for memory.

    Attributes:
        size: octets in all.
        chunks: the octets; where it fails or ends early, the client sees a connection
            that breaks, and never a whole answer.
        status: HTTP.
        headers: besides the type, which is that of octets, and the length.
    """

    size: int
    chunks: AsyncGenerator[bytes, None]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_answer(problem: Problem) -> Answer:
    """Answer with problem+json (RFC 9457)."""
    status = problem.problem.status
    document = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": problem.problem.value,
    }
    if problem.detail:
        document["detail"] = problem.detail
    headers = {}
    if problem.problem is ProblemCode.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    return Answer(
        status=status,
        body=json.dumps(document).encode("utf-8"),
        content_type=PROBLEM,
        headers=headers,
    )


class Exchange:
    """One request, as handlers see it.

    Attributes:
        request: the server's own object.
        peer: the client's certificate, None if it showed none.
        variables: of the path, decoded once.
        path: raw, without the query.
        query: raw.
        client: whose share of the memory for bodies is used.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        peer: PeerCertificate | None,
        budget: BodyBudget,
    ) -> None:
        """Wrap a request; its body is not read yet."""
        self.request = request
        self.peer = peer
        self.variables: Mapping[str, str] = {}
        self.path, _, self.query = request.raw_path.partition("?")
        self.client = client_of(request.remote, peer)
        self._budget = budget
        self._held = 0

    @property
    def method(self) -> str:
        """Return the method, upper case."""
        return self.request.method

    async def body(self, octets_max: int) -> bytes:
        """Read the body.

        Raises:
            Problem: BODY_TOO_LARGE, REQUEST_TIMEOUT, UNAVAILABLE, or MALFORMED_BODY
                for a content coding.
        """
        self._begin(octets_max)
        try:
            async with asyncio.timeout(REQUEST_S):
                return await self._read(octets_max)
        except TimeoutError:
            raise Problem(
                ProblemCode.REQUEST_TIMEOUT, f"no whole body after {REQUEST_S:.0f} s"
            ) from None

    async def chunks(
        self, octets_max: int, *, stall_s: float
    ) -> AsyncGenerator[bytes, None]:
        """Read a body that is not kept in memory, piece by piece.

        Args:
            octets_max: in all.
            stall_s: seconds for the next piece.

        Raises:
            Problem: as `body`, but never UNAVAILABLE.
            ConnectionError: the client is gone.
        """
        self._begin(octets_max)
        found = 0
        while True:
            try:
                async with asyncio.timeout(stall_s):
                    chunk = await self.request.content.read(CHUNK_OCTETS)
            except TimeoutError:
                raise Problem(
                    ProblemCode.REQUEST_TIMEOUT,
                    f"nothing more came for {stall_s:.0f} s",
                ) from None
            if not chunk:
                return
            found += len(chunk)
            if found > octets_max:
                raise _too_large(octets_max)
            yield chunk

    def _begin(self, octets_max: int) -> None:
        """Look at the head before the body is read."""
        if self.request.headers.get("Content-Encoding", "identity") != "identity":
            raise Problem(ProblemCode.MALFORMED_BODY, "content codings are not used")
        announced = self.request.content_length
        if announced is not None and announced > octets_max:
            raise _too_large(octets_max)
        self._continue()

    async def _read(self, octets_max: int) -> bytes:
        found = bytearray()
        content = self.request.content
        while chunk := await content.read(CHUNK_OCTETS):
            self._budget.take(self.client, len(chunk))
            self._held += len(chunk)
            found += chunk
            if len(found) > octets_max:
                raise _too_large(octets_max)
        return bytes(found)

    def _continue(self) -> None:
        """Tell a client that waits for it that the body is wanted."""
        expected = self.request.headers.get("Expect", "")
        transport = self.request.transport
        if expected.lower() == "100-continue" and transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def release(self) -> None:
        """Give back the memory of the body."""
        self._budget.give_back(self.client, self._held)
        self._held = 0


def client_of(remote: str | None, peer: PeerCertificate | None) -> str:
    """Return by what limits know a client: its certificate's names, or its address."""
    if peer is not None and peer.names:
        return " ".join(sorted(peer.names))
    return remote or ""


Handler = Callable[[Exchange], Awaitable[Answer | Streamed | web.StreamResponse]]


def _too_large(octets_max: int) -> Problem:
    return Problem(ProblemCode.BODY_TOO_LARGE, f"at most {octets_max} octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path; `{name}` stands for one segment."""

    method: str
    template: str
    handler: Handler


class Router:
    """Finds the handler of a raw path: `%2F` never separates segments."""

    def __init__(self, *routes: Route) -> None:
        self._routes: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            segments = tuple(route.template.split("/"))
            self._routes.setdefault(len(segments), []).append((segments, route))

    def find(self, method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
        """Return the handler and the path's variables, each decoded once.

        Raises:
            Problem: NOT_FOUND; METHOD_NOT_ALLOWED; PATH_MISMATCH: a variable is not
                percent-encoded UTF-8.
        """
        found = path.split("/")
        known = False
        for segments, route in self._routes.get(len(found), ()):
            if all(
                want == have or (want.startswith("{") and have)
                for want, have in zip(segments, found, strict=True)
            ):
                known = True
                if route.method == method:
                    return route.handler, {
                        want[1:-1]: decode_once(have)
                        for want, have in zip(segments, found, strict=True)
                        if want.startswith("{")
                    }
        if known:
            raise Problem(ProblemCode.METHOD_NOT_ALLOWED)
        raise Problem(ProblemCode.NOT_FOUND)


def decode_once(segment: str) -> str:
    """Decode a segment of a raw path, once (D-08).

    Raises:
        Problem: PATH_MISMATCH, it is not percent-encoded UTF-8.
    """
    if _BROKEN_ESCAPE.search(segment) or len(segment) > 3 * DECODED_OCTETS_MAX:
        raise Problem(ProblemCode.PATH_MISMATCH, "the path is not percent-encoded")
    octets = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), segment)
    try:
        return octets.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Problem(ProblemCode.PATH_MISMATCH, "the path is not UTF-8") from None
