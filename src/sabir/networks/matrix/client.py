"""A thin client of the Matrix client-server API: the endpoints a connector needs.

* Every failure becomes an error of the blame tree; 429 becomes `Unavailable`
  with the time to wait, every other refusal a `Rejected`.
* At most `REQUESTS_AT_ONCE_MAX` requests run, whatever the number of rooms.
* Nothing is repeated here: who calls knows whether a repeat is safe.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, PeerMisbehaved, PolicyRefused, Unavailable
from sabir.networks.matrix.nesting import read_json

REQUESTS_AT_ONCE_MAX: Final = 8
"""Per homeserver (design of the connector: across rooms in parallel, at most 8)."""
CONNECTIONS_MAX: Final = 16
"""The requests above, four transfers, one long poll."""
REQUEST_TIMEOUT_S: Final = 60
"""Joining a large federated room takes long; the server gives up about then, too."""
CONNECT_TIMEOUT_S: Final = 20
ANSWER_OCTETS_MAX: Final = 64 * 1024 * 1024
"""A first `/sync`, or the members of a very large room."""
RETRY_AFTER_DEFAULT_MS: Final = 1_000
"""When a server limits us and does not say for how long."""
V3: Final = "/_matrix/client/v3"
V1: Final = "/_matrix/client/v1"

Json = dict[str, Any]


class Rejected(PolicyRefused):
    """The homeserver answered no.

    Args:
        status: HTTP status.
        errcode: the Matrix error code, e.g. `M_FORBIDDEN`.
        text: the server's own words.
        body: the whole answer.
    """

    def __init__(self, status: int, errcode: str, text: str, body: Json) -> None:
        super().__init__(f"the homeserver answered {status} {errcode}: {text}")
        self.status = status
        self.errcode = errcode
        self.body = body


class ProxyAnswered(Unavailable):
    """Something in front of the homeserver answered in its place.

    Args:
        status: HTTP status.
        where: the request.
    """

    def __init__(self, status: int, where: str) -> None:
        super().__init__(
            f"{where} answered {status} without a Matrix error; check homeserver_url "
            "and the reverse proxy"
        )
        self.status = status


@dataclass(frozen=True, slots=True)
class Voice:
    """As whom a request is made.

    A send without a device is not remembered by Synapse over its restart, and
    would be doubled when repeated; hence every ghost has one.
    """

    user_id: str
    query: str = ""
    """The masquerading query, ready to append; empty for the token's own user."""

    @classmethod
    def ghost(cls, user_id: str, device_id: str = "") -> "Voice":
        """Return the voice of a user in our namespace."""
        names = {"user_id": user_id} | ({"device_id": device_id} if device_id else {})
        return cls(user_id, urlencode(names))


def segments(*parts: str) -> str:
    """Return path segments, each escaped."""
    return "".join("/" + quote(part, safe="") for part in parts)


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a pool of connections with certificates checked."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=75)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
        ),
        raise_for_status=False,
    ) as session:
        yield session


class Client:
    """One token at one homeserver."""

    def __init__(
        self, base_url: str, session: aiohttp.ClientSession, *, token: Secret | None
    ) -> None:
        self._base = base_url
        self._session = session
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE_MAX)
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.reveal_text()}"

    # ---- the wire

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
        voice: Voice | None = None,
        timeout_s: float | None = None,
    ) -> Json:
        """Make one request and return the answer.

        Raises:
            Rejected: the server said no.
            CredentialsRefused: it does not take our token, or we not its certificate.
            Unavailable: no answer, a limit (`retry_after_ms`), or its own failure.
            PeerMisbehaved: MATRIX-010, the answer is no JSON object or too large.
        """
        async with self._slots:
            return await self._request(
                method, path, body=body, query=query, voice=voice, timeout_s=timeout_s
            )

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
        voice: Voice | None = None,
        timeout_s: float | None = None,
    ) -> Json:
        data = None if body is None else _encoded(body)
        timeout = aiohttp.ClientTimeout(
            total=timeout_s or REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
        )
        async with (
            self._failures_named(),
            self._session.request(
                method,
                self.url(path, query=query, voice=voice),
                data=data,
                headers=self._headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer,
        ):
            return _checked(answer, await _read(answer))

    def url(
        self,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        voice: Voice | None = None,
    ) -> URL:
        """Return a whole address; `path` is escaped already."""
        parts = [urlencode(query)] if query else []
        if voice is not None and voice.query:
            parts.append(voice.query)
        tail = "?" + "&".join(parts) if parts else ""
        return URL(self._base + path + tail, encoded=True)

    @asynccontextmanager
    async def transfer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        data: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make a request whose body or answer is streamed."""
        async with (
            self._failures_named(),
            self._session.request(
                method,
                self.url(path, query=query),
                data=data,
                headers={**self._headers, **(headers or {})},
                timeout=timeout,
                max_redirects=3,
            ) as answer,
        ):
            if answer.status >= 300:
                _checked(answer, await _read(answer))
            yield answer

    @asynccontextmanager
    async def _failures_named(self) -> AsyncIterator[None]:
        host = self._base
        if self._session.closed:
            raise Unavailable(f"not connected to {host}")
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            raise CredentialsRefused(_certificate_text(host, error)) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise Unavailable(
                f"{host} does not speak TLS with us ({error.os_error}); check the "
                "address and the server's TLS settings"
            ) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"{host} does not answer ({reason}); check that the homeserver runs "
                "and that homeserver_url is right"
            ) from error

    # ---- the account

    async def versions(self) -> Json:
        """Return which versions of the specification the server speaks."""
        return await self.call("GET", "/_matrix/client/versions")

    async def whoami(self, *, voice: Voice | None = None) -> Json:
        """Return the user (and device) of the token."""
        return await self.call("GET", f"{V3}/account/whoami", voice=voice)

    async def register(self, localpart: str) -> None:
        """Register a user of our namespace; that it exists is success."""
        body = {
            "type": "m.login.application_service",
            "username": localpart,
            "inhibit_login": True,
        }
        try:
            await self.call("POST", f"{V3}/register", body=body)
        except Rejected as no:
            if no.errcode != "M_USER_IN_USE":
                raise

    async def create_device(self, device_id: str, *, name: str, voice: Voice) -> None:
        """Create a device of a ghost (MSC4190, stable since 1.17)."""
        path = f"{V3}/devices{segments(device_id)}"
        await self.call("PUT", path, body={"display_name": name}, voice=voice)

    async def set_profile(self, field: str, value: str, *, voice: Voice) -> None:
        """Set `displayname` or `avatar_url`."""
        path = f"{V3}/profile{segments(voice.user_id, field)}"
        await self.call("PUT", path, body={field: value}, voice=voice)

    async def ping(self, appservice_id: str, *, txn: str) -> None:
        """Ask the server to call our listener; it repeats what it could not push."""
        path = f"{V1}/appservice{segments(appservice_id)}/ping"
        await self.call("POST", path, body={"transaction_id": txn})

    # ---- rooms

    async def joined_rooms(self, *, voice: Voice | None = None) -> Sequence[str]:
        """Return the ids of the rooms we are in."""
        answer = await self.call("GET", f"{V3}/joined_rooms", voice=voice)
        rooms = answer.get("joined_rooms")
        return (
            [r for r in rooms if isinstance(r, str)] if isinstance(rooms, list) else []
        )

    async def join(self, room: str, *, voice: Voice | None = None) -> str:
        """Enter a room by id or alias and return its id."""
        path = f"{V3}/join{segments(room)}"
        answer = await self.call("POST", path, body={}, voice=voice)
        return _field(answer, "room_id")

    async def leave(self, room: str, *, reason: str, voice: Voice | None) -> None:
        """Leave a room."""
        path = f"{V3}/rooms{segments(room)}/leave"
        body = {"reason": reason} if reason else {}
        await self.call("POST", path, body=body, voice=voice)

    async def invite(self, room: str, user: str, *, voice: Voice | None) -> None:
        """Invite somebody."""
        path = f"{V3}/rooms{segments(room)}/invite"
        await self.call("POST", path, body={"user_id": user}, voice=voice)

    async def joined_members(self, room: str, *, voice: Voice | None = None) -> Json:
        """Return who is in a room: user id to `{display_name, avatar_url}`."""
        path = f"{V3}/rooms{segments(room)}/joined_members"
        joined = (await self.call("GET", path, voice=voice)).get("joined")
        return joined if isinstance(joined, dict) else {}

    async def state(
        self, room: str, event_type: str, *, voice: Voice | None = None
    ) -> Json | None:
        """Return the content of a state event with an empty key, None if absent."""
        path = f"{V3}/rooms{segments(room)}/state{segments(event_type)}/"
        try:
            return await self.call("GET", path, voice=voice)
        except Rejected as no:
            if no.status == 404:
                return None
            raise

    async def messages(
        self,
        room: str,
        *,
        query: Mapping[str, str | int],
        voice: Voice | None = None,
    ) -> Json:
        """Return a page of a room's history."""
        path = f"{V3}/rooms{segments(room)}/messages"
        return await self.call("GET", path, query=query, voice=voice)

    async def reactions(self, room: str, target: str, *, voice: Voice | None) -> Json:
        """Return a page of the reactions to a message."""
        path = f"{V1}/rooms{segments(room)}/relations{segments(target)}"
        return await self.call(
            "GET",
            f"{path}/m.annotation/m.reaction",
            query={"limit": 100},
            voice=voice,
        )

    # ---- sending

    async def send(
        self,
        room: str,
        event_type: str,
        *,
        txn: str,
        content: Mapping[str, Any],
        voice: Voice | None,
        at: int = 0,
    ) -> str:
        """Send an event and return its id; the same `txn` gives the same id.

        Args:
            room: where.
            event_type: part of the path, so part of what makes it the same send.
            txn: unique per device.
            content: the event's content.
            voice: who says it.
            at: for an application service: the time to show, in ms; 0 = now.
        """
        path = f"{V3}/rooms{segments(room)}/send{segments(event_type, txn)}"
        query = {"ts": at} if at else None
        return _field(
            await self.call("PUT", path, body=content, query=query, voice=voice),
            "event_id",
        )

    async def redact(
        self,
        room: str,
        target: str,
        *,
        txn: str,
        content: Mapping[str, Any],
        voice: Voice | None,
    ) -> str:
        """Redact an event and return the id of the redaction."""
        path = f"{V3}/rooms{segments(room)}/redact{segments(target, txn)}"
        return _field(
            await self.call("PUT", path, body=content, voice=voice), "event_id"
        )

    async def set_state(
        self, room: str, event_type: str, content: Json, *, voice: Voice | None
    ) -> str:
        """Set a state event with an empty key and return its id."""
        path = f"{V3}/rooms{segments(room)}/state{segments(event_type)}/"
        return _field(
            await self.call("PUT", path, body=content, voice=voice), "event_id"
        )

    async def typing(self, room: str, *, timeout_ms: int, voice: Voice) -> None:
        """Show that somebody is typing for `timeout_ms`; 0 = stopped."""
        path = f"{V3}/rooms{segments(room)}/typing{segments(voice.user_id)}"
        body: Json = {"typing": timeout_ms > 0}
        if timeout_ms:
            body["timeout"] = timeout_ms
        await self.call("PUT", path, body=body, voice=voice)

    async def receipt(self, room: str, event: str, *, voice: Voice) -> None:
        """Show that somebody has read everything up to `event`."""
        path = f"{V3}/rooms{segments(room)}/receipt/m.read{segments(event)}"
        await self.call("POST", path, body={}, voice=voice)

    async def media_octets_max(self) -> int | None:
        """Return the largest upload the server takes, None if it does not say."""
        try:
            answer = await self.call("GET", f"{V1}/media/config")
        except Rejected as no:
            if no.status == 404:
                return None
            raise
        size = answer.get("m.upload.size")
        return size if isinstance(size, int) and size > 0 else None

    # ---- receiving

    async def sync(self, *, query: Mapping[str, str | int], timeout_s: float) -> Json:
        """Wait for news; runs beside the other requests, not in their number."""
        return await self._request(
            "GET", f"{V3}/sync", query=query, timeout_s=timeout_s
        )


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _field(answer: Json, name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise PeerMisbehaved("MATRIX-010", f"the answer has no {name}")
    return value


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if (answer.content_length or 0) > ANSWER_OCTETS_MAX:
        raise PeerMisbehaved("MATRIX-010", f"{answer.content_length} octets announced")
    octets = bytearray()
    async for chunk in answer.content.iter_any():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise PeerMisbehaved("MATRIX-010", f"more than {ANSWER_OCTETS_MAX} octets")
    return bytes(octets)


def _checked(answer: aiohttp.ClientResponse, octets: bytes) -> Json:
    """Return the answer's object, or raise what its status means."""
    try:
        body = read_json(octets)
    except ValueError:
        body = None
    status = answer.status
    if status == 200 or status == 201:
        if not isinstance(body, dict):
            raise PeerMisbehaved("MATRIX-010", "the answer is not a JSON object")
        return body
    known = body if isinstance(body, dict) else {}
    errcode, text = str(known.get("errcode", "")), str(known.get("error", ""))[:200]
    where = f"{answer.method} {answer.url.host}"
    if status == 429 or errcode == "M_LIMIT_EXCEEDED":
        wait = _retry_after_ms(answer, known)
        raise Unavailable(f"{where} limits our rate", retry_after_ms=wait)
    if errcode in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}:
        raise CredentialsRefused(
            f"{where} does not accept the token ({errcode}). If it is the "
            "access_token: log in again; if it is the as_token: install the "
            "registration file that holds it on the homeserver and restart that"
        )
    if status >= 500 and not errcode.startswith(("M_BAD_STATUS", "M_CONNECTION")):
        raise Unavailable(f"{where} answered {status} {text}; its log says why")
    if not errcode:
        # Not a Matrix answer: a proxy in front of it, or another web server.
        raise ProxyAnswered(status, where)
    raise Rejected(status, errcode, text, known)


def _retry_after_ms(answer: aiohttp.ClientResponse, body: Json) -> int:
    value = body.get("retry_after_ms")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    header = answer.headers.get("Retry-After", "")
    return int(header) * 1000 if header.isdecimal() else RETRY_AFTER_DEFAULT_MS


def _certificate_text(host: str, error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    reason = (
        cause.verify_message
        if isinstance(cause, ssl.SSLCertVerificationError)
        else str(cause)
    )
    return (
        f"the certificate of {host} is not valid: {reason}; renew it on the server, "
        "correct homeserver_url to the name in the certificate, or add the issuing "
        "authority to this machine's trusted certificates (SSL_CERT_FILE)"
    )
