"""Where we fetch files from: asset hosts of peers, and nothing else (D-33).

Whoever may name a URL to us could otherwise look into our own network with our eyes.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog

from sabir.clock import Clock, Instant
from sabir.mimi.directory import decode_directory
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.uris import SCHEME, domain_of
from sabir.provider.config import Address, PeerSettings, ProviderConfig
from sabir.provider.peers import PeerFailed, Peers
from sabir.storage.provider.ports import Peers as PeerStore
from sabir.wire.errors import Malformed

URL_OCTETS_MAX: Final = 2_048
PORT: Final = 443
RESOLVE_S: Final = 5.0
"""Seconds for the DNS."""
FRESH_MS: Final = 60_000
"""How long a look at the directories of all peers is believed."""

_PLAIN: Final = re.compile(r"[\x21-\x7e]+")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_TRANSLATED: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a host. Raises `OSError`."""

_log = structlog.get_logger()


def refused(why: str) -> Problem:
    """Return what is answered to a URL that we do not fetch."""
    return Problem(ProblemCode.ASSET_TARGET_NOT_ALLOWED, why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that may be fetched.

    Attributes:
        url: exactly as it was named.
        host: of it.
        addresses: of the host; only these are connected to.
        pinned: PEM of the authorities that may certify the host; empty: any.
    """

    url: str
    host: str
    addresses: Sequence[Address]
    pinned: bytes = field(default=b"", repr=False)


def host_of_asset(url: str) -> str:
    """Return the host of a URL that has the form of an asset's.

    Raises:
        Problem: ASSET_TARGET_NOT_ALLOWED.
    """
    if len(url) > URL_OCTETS_MAX or not _PLAIN.fullmatch(url) or "\\" in url:
        raise refused("no URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused("no URL") from None
    host = parts.hostname or ""
    authority = host if port is None else f"{host}:{port}"
    if parts.scheme != "https" or not url.startswith(f"https://{authority}/"):
        raise refused("the URL must be like https://host/path, in lower case")
    if "#" in url or port not in {None, PORT}:
        raise refused(f"a fragment, or a port other than {PORT}")
    if not _is_name(host):
        raise refused("the host must be a DNS name")
    return host


def _is_name(host: str) -> bool:
    """Tell whether this is a DNS name, and neither an address nor read as one."""
    last = host.rpartition(".")[2]
    if re.fullmatch(r"\d+|0x[0-9a-f]*", last):
        return False
    try:
        return domain_of(SCHEME + host) == host
    except Malformed:
        return False


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public Internet.

    Addresses of IPv6 that stand for one of IPv4 are judged by that one.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64 or found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if found.teredo is not None or found.is_site_local:
            return False
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast and not found.is_reserved


async def resolve(host: str) -> Sequence[str]:
    """Ask the system for the addresses of a host.

    Raises:
        OSError: it knows none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, PORT, type=socket.SOCK_STREAM
    )
    return [str(address[0]) for *_, address in found]


class Targets:
    """Knows the asset hosts of our peers."""

    def __init__(
        self,
        config: ProviderConfig,
        peers: Peers,
        store: PeerStore,
        clock: Clock,
        resolve: Resolve = resolve,
    ) -> None:
        self._config = config
        self._peers = peers
        self._store = store
        self._clock = clock
        self._resolve = resolve
        self._hosts: dict[str, str] = {}
        self._looked_ms = float("-inf")
        self._read: dict[str, tuple[Instant, tuple[str, ...]]] = {}

    async def find(self, url: str) -> Target:
        """Return a URL as a target.

        Raises:
            Problem: ASSET_TARGET_NOT_ALLOWED.
            PeerFailed: the host is not found at the moment.
        """
        host = host_of_asset(url)
        domain = await self._peer_of(host)
        settings = self._config.peers.get(domain, PeerSettings())
        if settings.address is not None:
            addresses: Sequence[Address] = [settings.address]
        else:
            addresses = await self._public_addresses(host)
        return Target(url=url, host=host, addresses=addresses, pinned=settings.pinned)

    async def _public_addresses(self, host: str) -> Sequence[Address]:
        """Ask for the host's addresses, once: what they are is what we connect to."""
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await self._resolve(host)
        except TimeoutError:
            raise PeerFailed(host, "no answer of the DNS", timed_out=True) from None
        except OSError as error:
            raise PeerFailed(host, f"not found: {error}", reached=False) from None
        if not found or not all(map(is_public, found)):
            _log.warning("asset host with an address of no public network", host=host)
            raise refused("the host is not in the public network")
        return [Address(host=each, port=PORT) for each in found]

    # ---- whose host

    async def _peer_of(self, host: str) -> str:
        """Return the peer that has a host.

        Raises:
            Problem: ASSET_TARGET_NOT_ALLOWED, nobody.
        """
        await self._look()
        domain = self._hosts.get(host)
        if domain is None:
            await self._ask_owner(host)
            domain = self._hosts.get(host)
        if domain is None:
            raise refused("the host is no asset host of a peer of ours")
        return domain

    async def _look(self) -> None:
        """Read again, now and then, what the directories of our peers say."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._looked_ms + FRESH_MS:
            return
        self._looked_ms = now_ms
        read = {}
        for record in await self._store.peers():
            if self._config.admits(record.domain):
                known = self._read.get(record.domain)
                if known is None or known[0] != record.fetched_at:
                    known = record.fetched_at, _asset_hosts(record.directory)
                read[record.domain] = known
        self._read = read
        self._hosts = {}
        for domain, (_, hosts) in read.items():
            self._add(domain, hosts)
        for domain, settings in self._config.peers.items():
            if self._config.admits(domain):
                self._add(domain, settings.asset_hosts)

    async def _ask_owner(self, host: str) -> None:
        """Fetch the directory of a listed peer whose domain the host is, or is below.

        Only of those that the operator named: else anybody could have us ask anywhere.
        """
        for domain in _above(host):
            if domain in self._config.peers and domain not in self._read:
                try:
                    directory = await self._peers.directory(domain)
                except Problem as failed:
                    _log.info("no directory", peer=domain, reason=str(failed))
                    continue
                self._add(domain, directory.asset_domains)

    def _add(self, domain: str, hosts: Sequence[str]) -> None:
        """Note hosts; one that several name is whose domain it is below."""
        for host in hosts:
            if host not in self._hosts or domain in _above(host):
                self._hosts[host] = domain


def _above(host: str) -> Iterator[str]:
    """Yield a host and the domains above it."""
    while host:
        yield host
        host = host.partition(".")[2]


def _asset_hosts(directory: bytes) -> tuple[str, ...]:
    try:
        return tuple(map(str.lower, decode_directory(directory).asset_domains))
    except Malformed:
        return ()
