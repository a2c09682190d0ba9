"""A thin client of the Bot API: one call, one upload, one download.

* The token is part of every address: no address is ever logged or raised, and no
  error of the HTTP library is chained to ours.
* Every failure becomes an error of the blame tree; 429 becomes a `FloodWait`, every
  other refusal a `Rejected`.
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
from sabir.errors import CredentialsRefused, PeerMisbehaved, PolicyRefused, Unavailable
from sabir.networks.api import MediaReader
from sabir.networks.telegram.multipart import Form
from sabir.networks.telegram.render import FilePart

CONNECTIONS_MAX: Final = 16
"""One long poll, and so many chats that send or load at once."""
REQUEST_TIMEOUT_S: Final = 60
CONNECT_TIMEOUT_S: Final = 20
TRANSFER_TIMEOUT_S: Final = 3_600
"""50 MB at 15 kB/s."""
STALL_TIMEOUT_S: Final = 60
"""Without one octet for so long, a download is over."""
ANSWER_OCTETS_MAX: Final = 16 * 1024 * 1024
"""A hundred updates; each holds a message of 4,096 units and the one it answers."""
PIECE_OCTETS: Final = 64 * 1024
RETRY_AFTER_DEFAULT_S: Final = 5
"""When Telegram limits us and does not say for how long."""
DESCRIPTION_CHARACTERS_MAX: Final = 200

Json = dict[str, Any]


class Rejected(PolicyRefused):
    """Telegram answered no.

    Args:
        code: `error_code`, an HTTP status.
        description: Telegram's own words.
        migrated_to: the supergroup that this group has become, if that is why.
    """

    def __init__(self, code: int, description: str, migrated_to: int | None) -> None:
        super().__init__(f"Telegram answered {code}: {description}")
        self.status = code
        self.description = description
        self.migrated_to = migrated_to

    def says(self, *words: str) -> bool:
        """Tell whether the description has one of these words."""
        return any(word in self.description.lower() for word in words)


class FloodWait(Unavailable):
    """Telegram asks to wait; what was asked for was certainly not done."""


class NotReached(Unavailable):
    """No connection was made; what was asked for was certainly not done."""


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a pool of connections with certificates checked."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), raise_for_status=False
    ) as session:
        yield session


class BotApi:
    """One bot at one server of the Bot API."""

    def __init__(
        self, base_url: str, session: aiohttp.ClientSession, token: Secret
    ) -> None:
        self._base = base_url
        self._session = session
        self._token = token
        self.host = URL(base_url).host or base_url

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Any:
        """Call a method and return its result.

        Raises:
            Rejected: Telegram said no.
            FloodWait: it asks to wait (`retry_after_ms`).
            NotReached, Unavailable: no connection; no answer, or its own failure.
            CredentialsRefused: the token is not valid (any more).
            PeerMisbehaved: TELEGRAM-010, the answer is not of the Bot API's form.
        """
        data = json.dumps(params or {}, ensure_ascii=True).encode()
        headers = {"Content-Type": "application/json"}
        timeout = _timeout(total=timeout_s)
        async with self._request(method, data, headers, timeout) as answer:
            return _result(answer.status, await _read(answer))

    async def upload(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        file: FilePart,
        media: MediaReader,
        boundary: str,
    ) -> Any:
        """Call a method with a file, which is streamed; raises as `call`."""
        form = Form(params, file, boundary)
        headers = {
            "Content-Type": form.content_type,
            "Content-Length": str(form.octets(media.size)),
        }
        # While we send, nothing is read: only the total limit can apply.
        timeout = _timeout(total=TRANSFER_TIMEOUT_S)
        data = form.body(media.chunks())
        async with self._request(method, data, headers, timeout) as answer:
            return _result(answer.status, await _read(answer))

    async def download(
        self, file_path: str, *, octets_max: int
    ) -> AsyncIterator[bytes]:
        """Yield the file that `getFile` gave a path for, in pieces of 64 KiB.

        Raises:
            PolicyRefused: larger than `octets_max`, or not there (any more).
            Unavailable: no answer, or cut off.
        """
        url = self._url(f"/file/bot{self._token.reveal_text()}/{_quoted(file_path)}")
        timeout = _timeout(total=TRANSFER_TIMEOUT_S, sock_read=STALL_TIMEOUT_S)
        async with (
            self._failures_named(),
            self._session.get(url, timeout=timeout, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                _result(answer.status, await _read(answer))
                raise Unavailable(f"{self.host} gave no file ({answer.status})")
            announced = answer.content_length
            if announced is not None and announced > octets_max:
                raise too_large(announced, octets_max)
            seen = 0
            async for piece in answer.content.iter_chunked(PIECE_OCTETS):
                seen += len(piece)
                if seen > octets_max:
                    raise too_large(seen, octets_max)
                yield piece
            if announced is not None and seen != announced:
                raise Unavailable(
                    f"a file from {self.host} was cut off after {seen} of {announced} "
                    "octets; it is fetched again"
                )

    def _url(self, path: str) -> URL:
        return URL(self._base + path, encoded=True)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        data: bytes | AsyncIterator[bytes],
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._url(f"/bot{self._token.reveal_text()}/{method}")
        async with (
            self._failures_named(),
            self._session.post(
                url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer,
        ):
            yield answer

    @asynccontextmanager
    async def _failures_named(self) -> AsyncIterator[None]:
        if self._session.closed:
            raise NotReached(f"not connected to {self.host}")
        try:
            yield
        except aiohttp.ClientConnectorCertificateError:
            raise NotReached(
                f"the certificate of {self.host} is not valid; check the clock of this "
                "machine, api_url, and any proxy that opens TLS"
            ) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotReached(
                f"{self.host} cannot be reached; check the network, api_url, and "
                "whether Telegram is blocked here"
            ) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"{self.host} does not answer ({type(error).__name__}); it is tried "
                "again"
            ) from None


def too_large(octets: int, octets_max: int) -> PolicyRefused:
    """Return the refusal of a file over a limit of ours."""
    return PolicyRefused(
        f"the file has {octets} octets or more and the limit here is {octets_max}; "
        "raise the limit for files, or ask for a smaller one"
    )


def _timeout(*, total: float, sock_read: float | None = None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=total, sock_connect=CONNECT_TIMEOUT_S, sock_read=sock_read
    )


def _quoted(path: str) -> str:
    """Return a path as it may stand in an address, whatever the server says."""
    return URL.build(path="/" + path.lstrip("/")).raw_path.lstrip("/")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    octets = bytearray()
    async for chunk in answer.content.iter_any():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise PeerMisbehaved(
                "TELEGRAM-010", f"more than {ANSWER_OCTETS_MAX} octets"
            )
    return bytes(octets)


def _result(status: int, octets: bytes) -> Any:
    """Return the result in an answer, or raise what it says."""
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
        if status >= 500 or status in {301, 302, 403, 404, 407, 413}:
            raise Unavailable(
                f"something in front of the Bot API answered {status}; check api_url "
                "and any proxy"
            )
        raise PeerMisbehaved("TELEGRAM-010", f"answer {status} without ok")
    if body["ok"]:
        return body.get("result")
    raise _refusal(status, body)


def _refusal(status: int, body: Json) -> Exception:
    code = body.get("error_code")
    code = code if isinstance(code, int) else status
    said = body.get("description")
    description = clean(said if isinstance(said, str) else "no reason")
    description = description[:DESCRIPTION_CHARACTERS_MAX]
    parameters = body.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    if code == 401 or (code == 404 and description == "Not Found"):
        # 404: what it says of a token that was never one.
        return CredentialsRefused(
            f"Telegram does not accept the bot's token ({code} {description}); it was "
            "revoked or is mistyped. Ask @BotFather for it (/token) and add the "
            "account again"
        )
    if code == 429:
        after = parameters.get("retry_after")
        is_known = isinstance(after, int) and not isinstance(after, bool) and after > 0
        seconds = (
            after if is_known and isinstance(after, int) else RETRY_AFTER_DEFAULT_S
        )
        return FloodWait(
            f"Telegram asks to wait {seconds} s", retry_after_ms=seconds * 1000
        )
    if code >= 500:
        return Unavailable(f"Telegram answered {code} {description}; it is tried again")
    moved = parameters.get("migrate_to_chat_id")
    return Rejected(code, description, moved if isinstance(moved, int) else None)
