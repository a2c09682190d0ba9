"""One GET to a host whose addresses are known: no redirect, no cookie, no decoding."""

import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sabir.provider.config import Address
from sabir.provider.peers import CONNECT_S, PeerFailed

TOTAL_S: Final = 60.0
"""Seconds for a whole file (D-33)."""
STALL_S: Final = 20.0
"""Seconds for the next octets of it."""
CHUNK_OCTETS: Final = 256 * 1024

_MAX_AGE: Final = re.compile(r"max-age=(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a host answers.

    Attributes:
        status: HTTP.
        size: octets, None if it does not say.
        max_age_s: how long it may be kept.
        chunks: the octets. Raises `PeerFailed`.
    """

    status: int
    size: int | None
    max_age_s: int
    chunks: AsyncIterator[bytes]


class _Pinned(AbstractResolver):
    """Resolves any host to addresses that were looked up, and judged, before."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        return [
            ResolveResult(
                hostname=host,
                host=each.host,
                port=each.port,
                family=socket.AF_INET6 if ":" in each.host else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for each in self._addresses
        ]

    async def close(self) -> None:
        """See `AbstractResolver.close`."""


@asynccontextmanager
async def open_source(
    url: str,
    *,
    who: str,
    addresses: Sequence[Address] | None,
    context: ssl.SSLContext,
    headers: Mapping[str, str],
) -> AsyncIterator[Source]:
    """Ask for a URL.

    Args:
        url: as it is sent, octet by octet.
        who: is asked, for errors.
        addresses: where to connect; None: the DNS says.
        context: TLS.
        headers: besides Host; nothing else goes along.

    Raises:
        PeerFailed: no answer.
    """
    target = URL(url, encoded=True)
    connector = aiohttp.TCPConnector(
        resolver=None if addresses is None else _Pinned(addresses),
        use_dns_cache=False,
        force_close=True,
        limit=1,
    )
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                timeout=aiohttp.ClientTimeout(
                    total=TOTAL_S, sock_connect=CONNECT_S, sock_read=STALL_S
                ),
            ) as session,
            session.get(
                target,
                headers=headers,
                allow_redirects=False,
                ssl=context,
                server_hostname=target.raw_host,
            ) as response,
        ):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise PeerFailed(who, "a content coding that nobody asked for")
            yield Source(
                status=response.status,
                size=response.content_length,
                max_age_s=_max_age_s(response.headers.get("Cache-Control", "")),
                chunks=response.content.iter_chunked(CHUNK_OCTETS),
            )
    except TimeoutError:
        raise PeerFailed(who, "it takes too long", timed_out=True) from None
    except aiohttp.ClientConnectorError as error:
        raise PeerFailed(who, str(error), reached=False) from None
    except (aiohttp.ClientError, OSError) as error:  # its text may have the URL
        raise PeerFailed(who, type(error).__name__) from None


def _max_age_s(cache_control: str) -> int:
    found = _MAX_AGE.search(cache_control)
    if found is None or "no-store" in cache_control or "no-cache" in cache_control:
        return 0
    return int(found[1])
