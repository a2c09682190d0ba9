"""Other providers as we call them: directories, connections, requests (3.0, D-09).

One peer's trouble is its own: every peer has its own few connections.
"""

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy

from sabir.clock import Clock, Instant
from sabir.mimi.directory import (
    DIRECTORY_OCTETS_MAX,
    DIRECTORY_PATH,
    Directory,
    Endpoint,
    decode_directory,
    expand,
    host_of,
)
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.admission import PROFILE_FIELD, PROFILES
from sabir.provider.config import Address, PeerSettings, ProviderConfig
from sabir.provider.http import OCTETS, PROBLEM
from sabir.provider.tls import PeerContext, client_context
from sabir.storage.provider.ports import Peers as PeerStore
from sabir.storage.provider.records import PeerRecord
from sabir.wire.errors import Malformed

CONNECT_S: Final = 5.0
"""Seconds for TCP and TLS (D-07)."""
REQUEST_S: Final = 30.0
"""Seconds for a whole request (D-07)."""
CONNECTIONS_PER_PEER: Final = 8
"""Beyond, requests to this peer wait for one another."""
LINKS_MAX: Final = 1_024
"""Peers with open connections; the one used longest ago is closed first."""
HOSTS_MAX: Final = 8
"""Hosts of one peer's endpoints that we keep a TLS context for."""
DIRECTORY_MIN_MS: Final = 5 * 60_000
DIRECTORY_MAX_MS: Final = 24 * 3_600_000
"""How long a directory is used at least and at most (D-09)."""
REFETCH_MS: Final = 60_000
"""Between two looks at a directory because an endpoint failed."""
NOTE_MS: Final = 60_000
"""That a peer is well is recorded this often, and every change at once."""
PROBLEM_OCTETS_MAX: Final = 4_096
"""Kept of a peer's error (D-06)."""
DIRECTORY_RETRY_MS: Final = 10_000
"""A directory that could not be had is asked for again after so long."""
RETRY_AFTER_MAX_S: Final = 86_400
"""Longest Retry-After that we believe."""

_MAX_AGE: Final = re.compile(r"max-age=(\d{1,9})")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAnswer:
    """What a peer answered; no answer at all is a `Problem`.

    Attributes:
        status: HTTP.
        body: whole.
        retry_after_s: if it said.
        headers: of the response.
    """

    status: int
    body: bytes
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class PeerFailed(Problem):
    """A peer gave no usable answer: 502, or 504 when it took too long.

    Args:
        domain: whose provider.
        reason: for the operator; free of user data.
        timed_out: it took too long.
        reached: False: we never got as far as sending a request.
    """

    def __init__(
        self, domain: str, reason: str, *, timed_out: bool = False, reached: bool = True
    ) -> None:
        code = (
            ProblemCode.UPSTREAM_TIMEOUT if timed_out else ProblemCode.UPSTREAM_FAILED
        )
        super().__init__(code, f"{domain} cannot be reached")
        self.domain = domain
        self.reason = reason
        self.reached = reached


class _FixedAddress(AbstractResolver):
    """Resolves every host to the address the operator gave."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        where = self._address.host
        return [
            ResolveResult(
                hostname=host,
                host=where,
                port=self._address.port,
                family=socket.AF_INET6 if ":" in where else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """See `AbstractResolver.close`."""


class _Link:
    """Our connections to one peer."""

    def __init__(
        self, domain: str, settings: PeerSettings, config: ProviderConfig
    ) -> None:
        self.domain = domain
        self.lock = asyncio.Lock()
        self.directory: Directory | None = None
        self.expires_ms: float = 0.0
        self.fetched_ms: float = float("-inf")
        self.failed_ms: float = float("-inf")
        self.noted: tuple[str, int] | None = None
        self._settings = settings
        self._config = config
        self._contexts: OrderedDict[str, PeerContext] = OrderedDict()
        address = settings.address
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_PER_PEER,
                resolver=None if address is None else _FixedAddress(address),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S),
        )

    def context(self, host: str) -> PeerContext:
        """Return the TLS context for one of the peer's hosts."""
        found = self._contexts.get(host)
        if found is None:
            names = {host}
            if not self._settings.allow_delegated_host:
                names.add(self.domain)
            found = self._contexts[host] = client_context(
                self._config.identity, frozenset(names), pinned=self._settings.pinned
            )
            if len(self._contexts) > HOSTS_MAX:
                self._contexts.popitem(last=False)
        return found


class Peers:
    """Calls other providers."""

    def __init__(self, config: ProviderConfig, store: PeerStore, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._links: OrderedDict[str, _Link] = OrderedDict()

    async def close(self) -> None:
        """Close all connections."""
        while self._links:
            _, link = self._links.popitem()
            await link.session.close()

    async def directory(self, domain: str) -> Directory:
        """Return a peer's directory, from memory while it is fresh.

        Raises:
            Problem: UNKNOWN_PEER we do not talk to it.
            PeerFailed: it gave none.
        """
        link = await self._link(domain)
        return await self._directory(link)

    async def call(
        self,
        domain: str,
        endpoint: Endpoint,
        values: Mapping[str, str],
        body: bytes | None,
        *,
        octets_max: int,
    ) -> PeerAnswer:
        """Make one request of the protocol.

        Args:
            domain: whose provider.
            endpoint: which.
            values: for the variables of its template; the one that our own template
                has is the default.
            body: of a POST; None: a GET.
            octets_max: of the answer.

        Raises:
            Problem: UNKNOWN_PEER we do not talk to it; NOT_FOUND it lacks this.
            PeerFailed: no usable answer.
        """
        link = await self._link(domain)
        url = self._url(link, await self._directory(link), endpoint, values)
        try:
            answer = await self._request(link, url, body, octets_max=octets_max)
        except PeerFailed as failed:
            other = (
                None if failed.reached else await self._moved(link, endpoint, values)
            )
            if other is None or other == url:
                await self._note(link, failed.reason)
                raise
            answer = await self._request(link, other, body, octets_max=octets_max)
        else:
            if answer.status in {404, 421}:
                other = await self._moved(link, endpoint, values)
                if other is not None and other != url:
                    answer = await self._request(
                        link, other, body, octets_max=octets_max
                    )
        await self._note(link, "")
        return answer

    async def deviates(self, domain: str, what: str) -> None:
        """Count a deviation, for the readiness table."""
        _log.info("peer deviates", peer=domain, what=what)
        await self._store.deviates(domain, what, now=self._clock.now())

    # ---- links and directories

    async def _link(self, domain: str) -> _Link:
        if not self._config.admits(domain):
            raise Problem(ProblemCode.UNKNOWN_PEER, f"{domain} is not on our list")
        link = self._links.get(domain)
        if link is None:
            settings = self._config.peers.get(domain, PeerSettings())
            link = self._links[domain] = _Link(domain, settings, self._config)
            if len(self._links) > LINKS_MAX:
                _, old = self._links.popitem(last=False)
                await old.session.close()
        else:
            self._links.move_to_end(domain)
        return link

    async def _directory(self, link: _Link) -> Directory:
        async with link.lock:
            now = self._clock.monotonic_ms()
            if link.directory is not None and now < link.expires_ms:
                return link.directory
            if link.directory is None:
                remembered = await self._remembered(link)
                if remembered is not None:
                    return remembered
            if now < link.failed_ms + DIRECTORY_RETRY_MS and link.directory is None:
                raise PeerFailed(
                    link.domain, "its directory could not be had", reached=False
                )
            return await self._fetch(link)

    async def _remembered(self, link: _Link) -> Directory | None:
        """Take the directory from the store; None if there is no fresh one."""
        record = await self._store.peer(link.domain)
        left_ms = 0 if record is None else record.expires_at - self._clock.now()
        if record is None or not 0 < left_ms <= DIRECTORY_MAX_MS:
            return None
        link.directory = decode_directory(record.directory)
        link.expires_ms = self._clock.monotonic_ms() + left_ms
        return link.directory

    async def _fetch(self, link: _Link) -> Directory:
        """Fetch the directory; the lock is held.

        Raises:
            PeerFailed: there is none.
        """
        try:
            answer = await self._request(
                link,
                f"https://{link.domain}{DIRECTORY_PATH}",
                None,
                octets_max=DIRECTORY_OCTETS_MAX,
                accept="application/json",
            )
            if answer.status != HTTPStatus.OK:
                raise PeerFailed(link.domain, f"directory: status {answer.status}")
            directory = decode_directory(answer.body)
        except Malformed as wrong:
            link.failed_ms = self._clock.monotonic_ms()
            await self._store.deviates(
                link.domain, f"directory {wrong.rule}", now=self._clock.now()
            )
            await self._note(link, f"directory: rule {wrong.rule}")
            raise PeerFailed(link.domain, f"directory: {wrong}") from None
        except PeerFailed as failed:
            link.failed_ms = self._clock.monotonic_ms()
            await self._note(link, failed.reason)
            raise
        fresh_ms = _fresh_ms(answer.headers)
        now_ms = self._clock.monotonic_ms()
        link.directory = directory
        link.fetched_ms = now_ms
        link.expires_ms = now_ms + fresh_ms
        now = self._clock.now()
        await self._store.keep_peer(
            PeerRecord(
                domain=link.domain,
                directory=answer.body,
                fetched_at=now,
                expires_at=Instant(now + fresh_ms),
                last_ok_at=now,
            )
        )
        return directory

    async def _moved(
        self, link: _Link, endpoint: Endpoint, values: Mapping[str, str]
    ) -> str | None:
        """Look at the directory again; return where the endpoint is now.

        None: we looked a moment ago, or it cannot be had.
        """
        async with link.lock:
            if self._clock.monotonic_ms() < link.fetched_ms + REFETCH_MS:
                return None
            try:
                directory = await self._fetch(link)
            except PeerFailed:
                return None
        return self._url(link, directory, endpoint, values)

    def _url(
        self,
        link: _Link,
        directory: Directory,
        endpoint: Endpoint,
        values: Mapping[str, str],
    ) -> str:
        template = directory.templates.get(endpoint)
        if template is None:
            raise Problem(
                ProblemCode.NOT_FOUND, f"{link.domain} does not offer {endpoint.value}"
            )
        try:
            return expand(template, values, values[endpoint.variable])
        except Malformed as wrong:
            raise PeerFailed(link.domain, str(wrong), reached=False) from None

    # ---- one request

    async def _request(
        self,
        link: _Link,
        url: str,
        body: bytes | None,
        *,
        octets_max: int,
        accept: str = f"{OCTETS}, {PROBLEM}",
    ) -> PeerAnswer:
        """Make one request.

        Raises:
            PeerFailed: no usable answer.
        """
        domain = link.domain
        headers = {
            "Accept": accept,
            "From": f"mimi@{self._config.domain}",
            PROFILE_FIELD: PROFILES[0],
        }
        if body is not None:
            headers["Content-Type"] = OCTETS
        host = host_of(url)
        try:
            async with link.session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                ssl=link.context(host),
                server_hostname=host,
            ) as response:
                content = await _read(domain, response, octets_max)
                return PeerAnswer(
                    status=response.status,
                    body=content,
                    retry_after_s=_retry_after_s(response.headers),
                    headers={
                        name.lower(): value for name, value in response.headers.items()
                    },
                )
        except TimeoutError:
            raise PeerFailed(domain, "it takes too long", timed_out=True) from None
        except aiohttp.ClientConnectorError as error:
            # Name, TCP, TLS or certificate: nothing was sent.
            raise PeerFailed(domain, str(error), reached=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise PeerFailed(domain, f"{type(error).__name__}: {error}") from None

    async def _note(self, link: _Link, error: str) -> None:
        """Record a change between good and bad, and now and then that all is well."""
        now = self._clock.now()
        noted = (error, now // NOTE_MS)
        if link.noted != noted:
            link.noted = noted
            await self._store.peer_result(link.domain, error, now=now)


async def _read(
    domain: str, response: aiohttp.ClientResponse, octets_max: int
) -> bytes:
    good = response.status < HTTPStatus.BAD_REQUEST
    limit = octets_max if good else PROBLEM_OCTETS_MAX
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > limit:
            if good:
                raise PeerFailed(domain, f"an answer of more than {limit} octets")
            return bytes(found[:limit])
    return bytes(found)


def _retry_after_s(headers: CIMultiDictProxy[str]) -> int | None:
    value = headers.get("Retry-After", "")
    if not value.isascii() or not value.isdigit():
        return None
    return min(int(value[:9]), RETRY_AFTER_MAX_S)


def _fresh_ms(headers: Mapping[str, str]) -> int:
    found = _MAX_AGE.search(headers.get("cache-control", ""))
    wanted = 0 if found is None else int(found[1]) * 1_000
    return min(max(wanted, DIRECTORY_MIN_MS), DIRECTORY_MAX_MS)
