"""Files: put up through a slot (XEP-0363), fetched by URL. Always streamed.

A URL in a message is chosen by a stranger: at most three redirects, a ceiling,
and no address of this machine or of a private network.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urljoin
from xml.etree.ElementTree import Element, SubElement

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import MediaReader
from sabir.networks.xmpp import names
from sabir.networks.xmpp.stream import Stream, new_iq

CHUNK_OCTETS: Final = 65_536
REDIRECTS_MAX: Final = 3
IDLE_TIMEOUT_S: Final = 60
"""Without one octet. Also the window over which a download's rate is averaged."""
RATE_OCTETS_PER_S_MIN: Final = 8_000
"""A download's least rate: half of what the slowest mobile data (EDGE) brings. With
the ceiling on octets it bounds the time in which a portal waits for a file."""
_SLOT_HEADERS: Final = frozenset({"authorization", "cookie", "expires"})
_OK: Final = frozenset({200, 201, 204})
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers to an upload after which the same may succeed."""


class NoUpload(Exception):
    """The server takes no such file; the text is for a person."""


# ---- up


async def find_service(stream: Stream, *, domain: str, sender: str) -> str:
    """Return the JID of a server's upload service, empty if it has none.

    Raises:
        Unavailable: the server does not answer.
    """
    if await _offers_upload(stream, domain, sender):
        return domain
    iq = new_iq("get", to=domain, sender=sender)
    SubElement(iq, "query", {"xmlns": names.DISCO_ITEMS})
    answer = await stream.ask(iq)
    for item in answer.iter(f"{{{names.DISCO_ITEMS}}}item"):
        jid = item.get("jid", "")
        if "@" not in jid and jid and await _offers_upload(stream, jid, sender):
            return jid
    return ""


async def _offers_upload(stream: Stream, jid: str, sender: str) -> bool:
    iq = new_iq("get", to=jid, sender=sender)
    SubElement(iq, "query", {"xmlns": names.DISCO_INFO})
    answer = await stream.ask(iq)
    found = answer.iter(f"{{{names.DISCO_INFO}}}feature")
    return any(feature.get("var") == names.UPLOAD for feature in found)


async def upload(
    stream: Stream,
    reader: MediaReader,
    *,
    service: str,
    sender: str,
    filename: str,
    content_type: str,
) -> str:
    """Put a file up and return its URL.

    Raises:
        NoUpload: too large, over the quota, or not allowed.
        Unavailable: no answer, or the transfer broke.
    """
    iq = new_iq("get", to=service, sender=sender)
    attributes = {
        "xmlns": names.UPLOAD,
        "filename": filename or "file",
        "size": str(reader.size),
        "content-type": content_type,
    }
    SubElement(iq, "request", attributes)
    answer = await stream.ask(iq)
    condition = names.condition(answer)
    if condition == "internal-server-error":
        raise Unavailable(f"{service} takes no file now ({condition})")
    put = answer.find(f"{{{names.UPLOAD}}}slot/{{{names.UPLOAD}}}put")
    get = answer.find(f"{{{names.UPLOAD}}}slot/{{{names.UPLOAD}}}get")
    if condition or put is None or get is None:
        raise NoUpload(_why(service, condition, answer))
    await _put(put, reader, content_type)
    return get.get("url", "")


def _why(service: str, condition: str, answer: Element) -> str:
    if condition == "not-acceptable":
        limit = next(answer.iter(f"{{{names.UPLOAD}}}max-file-size"), None)
        most = f"at most {limit.text} octets" if limit is not None else "smaller ones"
        return f"{service} takes {most}: raise its limit, or send a smaller file"
    if condition == "resource-constraint":
        return (
            f"{service} has no room for our files now (a quota, XEP-0363): have its "
            "administrator raise it (Prosody: http_file_share_daily_quota)"
        )
    return (
        f"{service} does not let us put files up ({condition or 'no slot'}): have its "
        "administrator allow our domain (Prosody: http_file_share_access)"
    )


async def _put(put: Element, reader: MediaReader, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Content-Length": str(reader.size)}
    for header in put.findall(f"{{{names.UPLOAD}}}header"):
        if header.get("name", "").lower() in _SLOT_HEADERS:
            value = (header.text or "").replace("\r", "").replace("\n", "")
            headers[header.get("name", "")] = value
    try:
        async with (
            aiohttp.ClientSession(timeout=_timeout()) as session,
            session.put(
                URL(put.get("url", ""), encoded=True),
                data=reader.chunks(),
                headers=headers,
                allow_redirects=False,
            ) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(
            f"putting a file up broke ({type(error).__name__}): see that the upload "
            "service's address can be reached from here"
        ) from error
    if status in _AGAIN:
        raise Unavailable(f"the upload service answers with status {status}")
    if status not in _OK:
        raise NoUpload(_why_not_put(status))


def _why_not_put(status: int) -> str:
    if status == 413:
        return (
            "the upload service finds the file too large (status 413): have the limit "
            "of its web server raised, or send a smaller file"
        )
    return (
        f"the upload service refuses the file (status {status}): have its "
        "administrator look into its log"
    )


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_read=IDLE_TIMEOUT_S, sock_connect=30)


# ---- down


class _Guard(AbstractResolver):
    """Resolves names, but to no address that a stranger must not reach through us."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            _check_address(one["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _check_address(host: str) -> None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return
    if not address.is_global or address.is_multicast:
        raise PolicyRefused(
            "the file lies at an address of a private network: ask for a public one"
        )


async def download(
    url: str, *, octets_max: int, allow_private: bool
) -> AsyncIterator[bytes]:
    """Yield a file in pieces of at most 64 KiB.

    Raises:
        PolicyRefused: too large, too slow, too many redirects, or an address we do
            not visit.
        Unavailable: no answer, or cut off.
    """
    resolver = None if allow_private else _Guard()
    connector = aiohttp.TCPConnector(resolver=resolver)
    try:
        async with aiohttp.ClientSession(
            connector=connector, timeout=_timeout(), auto_decompress=False
        ) as session:
            for _ in range(REDIRECTS_MAX + 1):
                target = _checked(url, allow_private=allow_private)
                # whole headers, which could drip as well
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    answer = await session.get(target, allow_redirects=False)
                async with answer as response:
                    if response.status in (301, 302, 303, 307, 308):
                        url = urljoin(url, response.headers.get("Location", ""))
                        continue
                    async for chunk in _body(response, octets_max):
                        yield chunk
                    return
    except aiohttp.InvalidURL as error:
        raise PolicyRefused("the file's address is malformed") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        refused = _cause(error)
        if refused is not None:
            raise refused from error
        raise Unavailable(f"fetching a file broke ({type(error).__name__})") from error
    raise PolicyRefused(f"the file's address redirects more than {REDIRECTS_MAX} times")


def _cause(error: BaseException) -> PolicyRefused | None:
    """Return our own refusal that an HTTP error wraps."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, PolicyRefused):
            return at
        at = at.__cause__ or at.__context__
    return None


def _checked(url: str, *, allow_private: bool) -> URL:
    try:
        target = URL(url)
        host = target.host or ""
    except ValueError as error:
        raise PolicyRefused("the file's address is malformed") from error
    schemes = ("https", "http") if allow_private else ("https",)
    if target.scheme not in schemes or not host:
        raise PolicyRefused("the file's address is not https")
    if not allow_private:
        _check_address(host)
    return target


async def _body(
    response: aiohttp.ClientResponse, octets_max: int
) -> AsyncIterator[bytes]:
    if response.status != 200:
        raise Unavailable(f"the file's server answers with status {response.status}")
    announced = response.content_length
    if announced is not None and announced > octets_max:
        raise PolicyRefused(f"the file has {announced} octets, over {octets_max}")
    total, pace = 0, _Pace()
    async for chunk in response.content.iter_chunked(CHUNK_OCTETS):
        pace.note(len(chunk))
        total += len(chunk)
        if total > octets_max:
            raise PolicyRefused(f"the file has more than {octets_max} octets")
        yield chunk
    if announced is not None and total != announced:
        raise Unavailable("the file was cut off")


class _Pace:
    """Sees that octets come at `RATE_OCTETS_PER_S_MIN`, window by window.

    So a file of n octets takes at most n / rate seconds, and two idle timeouts.
    """

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._since = self._time()
        self._octets = 0

    def note(self, octets: int) -> None:
        """Count what came.

        Raises:
            PolicyRefused: too little came in a whole window.
        """
        self._octets += octets
        elapsed = self._time() - self._since
        if elapsed < IDLE_TIMEOUT_S:
            return
        if self._octets < RATE_OCTETS_PER_S_MIN * elapsed:
            raise PolicyRefused(
                f"the file comes slower than {RATE_OCTETS_PER_S_MIN} octets a second: "
                "open its address yourself, or have it sent from a faster server"
            )
        self._since += elapsed
        self._octets = 0
