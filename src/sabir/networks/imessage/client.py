"""A thin client of BlueBubbles' REST API.

* The password is a parameter of every address, which is the only way the server
  knows: it is added in one place, no address is ever logged or raised, no redirect is
  followed, and no error of the HTTP library is chained to ours.
* Nothing is repeated here: who calls knows whether a repeat is safe.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from yarl import URL

from sabir.content.normal import clean
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    Error,
    PeerIncompatible,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import MediaReader
from sabir.networks.imessage.multipart import Form
from sabir.networks.imessage.render import FilePart

CONNECTIONS_MAX: Final = 16
"""So many chats that send or load at once."""
CONNECT_TIMEOUT_S: Final = 20
READ_TIMEOUT_S: Final = 60
"""For questions; the server itself gives up after five minutes."""
SEND_TIMEOUT_S: Final = 150
"""For texts and changes; the server's own limit is two minutes."""
FILE_TIMEOUT_S: Final = 25 * 60
"""The server's own limit is twenty minutes."""
DOWNLOAD_TIMEOUT_S: Final = 60 * 60
STALL_TIMEOUT_S: Final = 120
"""Without one octet for so long, a download is over."""
ANSWER_OCTETS_MAX: Final = 32 * 1024 * 1024
"""500 messages with the attributed form of their texts."""
PIECE_OCTETS: Final = 64 * 1024
REASON_CHARACTERS_MAX: Final = 160

Json = Mapping[str, Any]


class Rejected(PolicyRefused):
    """The server answered 400 or 404: what was asked for was not done."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"BlueBubbles answered {status}: {reason}")
        self.status = status


class NotReached(Unavailable):
    """No connection was made; what was asked for was certainly not done."""


class HelperMissing(Unavailable):
    """The helper inside Messages is not connected; nothing was done."""


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a pool of connections with certificates checked."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), raise_for_status=False
    ) as session:
        yield session


class BlueBubbles:
    """One server.

    Args:
        base_url: its address without a path.
        session: of `http_session`.
        password: of the server.
    """

    def __init__(
        self, base_url: str, session: aiohttp.ClientSession, password: Secret
    ) -> None:
        self._base = URL(base_url)
        self._session = session
        self._password = password
        self.host = self._base.host or base_url

    # ---- calls

    async def get(self, path: str, **query: str) -> Any:
        """Ask for something and return the answer's `data`.

        Raises:
            Rejected: the server says no.
            NotReached, Unavailable: no connection; no answer, or its own failure.
            CredentialsRefused: the password is wrong.
            PeerIncompatible: this is no BlueBubbles, or an old one.
            PeerMisbehaved: IMESSAGE-010, the answer is not of the known form.
        """
        return await self._call("GET", path, None, READ_TIMEOUT_S, query)

    async def delete(self, path: str) -> Any:
        """Remove something; raises as `get`."""
        return await self._call("DELETE", path, None, READ_TIMEOUT_S, {})

    async def post(
        self, path: str, body: Json, *, timeout_s: float = READ_TIMEOUT_S
    ) -> Any:
        """Call with a JSON body; raises as `get`, and `HelperMissing`."""
        return await self._call("POST", path, body, timeout_s, {})

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None,
        timeout_s: float,
        query: Mapping[str, str],
    ) -> Any:
        data = None if body is None else json.dumps(body, ensure_ascii=True).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        async with (
            self._failures_named(),
            self._session.request(
                method,
                self._url(path, query),
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer,
        ):
            return _result(answer.status, await _read(answer))

    async def upload(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        file: FilePart,
        media: MediaReader,
        boundary: str,
    ) -> Any:
        """Call with a file, which is streamed; raises as `post`."""
        form = Form(fields, file, boundary)
        headers = {
            "Content-Type": form.content_type,
            "Content-Length": str(form.octets(media.size)),
        }
        timeout = aiohttp.ClientTimeout(
            total=FILE_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
        )
        async with (
            self._failures_named(),
            self._session.post(
                self._url(path, {}),
                data=form.body(media.chunks()),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer,
        ):
            return _result(answer.status, await _read(answer))

    async def download(self, path: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield the original of a file in pieces of at most 64 KiB.

        Raises:
            PolicyRefused: larger than `octets_max`.
            Unavailable: no answer, cut off, or the Mac has not got it itself.
        """
        timeout = aiohttp.ClientTimeout(
            total=DOWNLOAD_TIMEOUT_S,
            sock_connect=CONNECT_TIMEOUT_S,
            sock_read=STALL_TIMEOUT_S,
        )
        url = self._url(path, {"original": "true"})
        async with (
            self._failures_named(),
            self._session.get(url, timeout=timeout, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                _result(answer.status, await _read(answer))
            announced = answer.content_length
            if announced is not None and announced > octets_max:
                raise _too_large(announced, octets_max)
            seen = 0
            async for piece in answer.content.iter_chunked(PIECE_OCTETS):
                seen += len(piece)
                if seen > octets_max:
                    raise _too_large(seen, octets_max)
                yield piece
            if announced is not None and seen != announced:
                raise Unavailable(
                    f"a file from the Mac was cut off after {seen} of {announced}"
                    " octets; it is fetched again"
                )

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open the server's Socket.IO as a WebSocket; raises as `get`."""
        query = {"EIO": "4", "transport": "websocket"}
        url = self._url("", query, root="/socket.io/")
        async with (
            self._failures_named(),
            self._session.ws_connect(url, max_msg_size=ANSWER_OCTETS_MAX) as socket,
        ):
            yield socket

    def _url(
        self, path: str, query: Mapping[str, str], *, root: str = "/api/v1"
    ) -> URL:
        """Return an address; the only place where the password is added."""
        secret = self._password.reveal_text()
        full = URL(str(self._base) + root + path, encoded=True)
        return full.with_query({**query, "password": secret})

    @asynccontextmanager
    async def _failures_named(self) -> AsyncIterator[None]:
        if self._session.closed:
            raise NotReached(f"not connected to {self.host}")
        try:
            yield
        except aiohttp.ClientConnectorCertificateError:
            raise NotReached(
                f"the certificate of {self.host} is not valid; check the clock of this"
                " machine, url, and the proxy in front of BlueBubbles"
            ) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotReached(
                f"{self.host} cannot be reached; see that the Mac is awake, that"
                " BlueBubbles runs there, and that url is right"
            ) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"{self.host} does not answer ({type(error).__name__}); it is tried"
                " again"
            ) from None


def _too_large(octets: int, octets_max: int) -> PolicyRefused:
    return PolicyRefused(
        f"the file has {octets} octets or more and the limit here is {octets_max};"
        " raise the limit for files, or ask for a smaller one"
    )


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    octets = bytearray()
    async for chunk in answer.content.iter_any():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise PeerMisbehaved(
                "IMESSAGE-010", f"an answer over {ANSWER_OCTETS_MAX} octets"
            )
    return bytes(octets)


def _result(status: int, octets: bytes) -> Any:
    """Return the `data` of an answer, or raise what it says."""
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or "status" not in body:
        raise _foreign(status, octets)
    if status == 200:
        return body.get("data")
    raise _refusal(status, body)


def _foreign(status: int, octets: bytes) -> Error:
    """Return the error for an answer that is not of the server's form."""
    if status == 404 and octets.strip() == b"Not Found":
        return PeerIncompatible(
            "this BlueBubbles lacks something that Sabir needs; upgrade it to 1.9.9 or"
            " later"
        )
    if status != 200:
        return Unavailable(
            f"something in front of BlueBubbles answered {status}; check url, and any"
            " proxy or tunnel"
        )
    return PeerMisbehaved("IMESSAGE-010", "an answer that is not of BlueBubbles' form")


def _refusal(status: int, body: Json) -> Error:
    said = body.get("error")
    error = said if isinstance(said, dict) else {}
    kind, reason = (
        clean(value)[:REASON_CHARACTERS_MAX] if isinstance(value, str) else ""
        for value in (error.get("type"), error.get("message"))
    )
    if status == 401:
        return CredentialsRefused(
            "BlueBubbles does not accept the password; look it up in its settings on"
            " the Mac and add the account again"
        )
    if status in {400, 404}:
        return Rejected(status, reason or kind or "no reason")
    if "helper" in reason.lower() and "not connected" in reason.lower():
        return HelperMissing(
            "the helper inside Messages is not connected; look at BlueBubbles on the"
            " Mac (Private API)"
        )
    # What is said here may quote a message; it stays out.
    return Unavailable(f"BlueBubbles answered {status} ({kind or 'no kind'})")
