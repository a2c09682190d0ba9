"""The agent API over HTTPS: `ProviderClient` implements `AgentApi`."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import SEEK_END
from typing import Any, BinaryIO, Final, TypeVar

import aiohttp
import structlog
from yarl import URL

from sabir.agent.membership.api import ApiRefused
from sabir.agent.membership.limits import ACK_PAUSE_S, EVENTS_PER_ACK
from sabir.agent.membership.tokens import TokenKeeper
from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, Unavailable
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.assets import (
    UPLOAD,
    AssetStored,
    UploadState,
    content_range,
    download_path,
)
from sabir.mimi.agent_api.events import (
    PING_S,
    Ack,
    Event,
    decode_event,
)
from sabir.mimi.agent_api.forms import Form, decode_form, encode_form
from sabir.mimi.agent_api.key_packages import Stock, StockAnswer
from sabir.mimi.agent_api.overview import PeerAnswer
from sabir.mimi.agent_api.people import Consents
from sabir.mimi.agent_api.registration import (
    Challenge,
    ChallengeRequest,
    DeviceAnswer,
    DeviceEntry,
    DeviceList,
    DeviceRequest,
    TokenAnswer,
    TokenRequest,
)
from sabir.mimi.agent_api.rooms import (
    GenesisAnswer,
    JoinCode,
    JoinCodeRequest,
    Reserved,
    ReserveRequest,
    RoomEntry,
    RoomList,
)
from sabir.mimi.genesis import Reservation
from sabir.mimi.template_names import TemplateName
from sabir.wire.errors import Malformed

ANSWER_OCTETS_MAX: Final = 64 * 1024 * 1024
"""The GroupInfo and tree of the largest room, and an event with its Welcome."""
CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0
"""A hub may be two providers away, and slow."""

TRANSFER_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=3_600, sock_connect=CONNECT_S, sock_read=60
)
"""Of a file: the longest one over a slow line; not a minute without an octet."""
TRANSFERS_MAX: Final = 5
"""Attempts at one file, each where the last one ended."""
PIECE_OCTETS: Final = 64 * 1024

_OCTETS: Final = "application/octet-stream"
_JSON: Final = "application/json"
_LATER: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Ask again, with the same octets and key."""

T = TypeVar("T", bound=Form)

_log = structlog.get_logger()


class _ProblemForm(Form, frozen=True, kw_only=True):
    """A problem document (RFC 9457), as far as it matters."""

    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a provider is.

    Attributes:
        domain: its name, which its certificate must have.
        address: `https://host[:port]`; empty: at its name.
        roots: PEM of the certificates to trust; empty: the system's.
    """

    domain: str
    address: str = ""
    roots: str = field(default="", repr=False)

    def url(self, path: str) -> URL:
        """Return the URL of a path that is percent-encoded already."""
        base = self.address or f"https://{self.domain}"
        return URL(base.rstrip("/") + path, encoded=True)

    def tls(self) -> ssl.SSLContext:
        """Return how to know it."""
        context = ssl.create_default_context(cadata=self.roots or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


class Line:
    """Requests to one provider, without a token or with one that is given.

    Args:
        place: of the provider.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._tls = place.tls()
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the pool of connections."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
            self._session = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def how(self, token: Secret | None = None) -> dict[str, Any]:
        """Return what each request has in common."""
        return {
            "headers": {"Host": self.place.domain, **_authorization(token)},
            "ssl": self._tls,
            "server_hostname": self.place.domain,
        }

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, headers: Mapping[str, str], **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and return its answer, good or not.

        Raises:
            Unavailable: nobody answers.
        """
        how = self.how()
        how["headers"].update(headers)
        url = self.place.url(path)
        try:
            async with self.session.request(
                method, url, allow_redirects=False, **more, **how
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unavailable(_unreachable(self.place, error)) from error

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | Form | None = None,
        *,
        token: Secret | None = None,
        key: str = "",
    ) -> bytes:
        """Ask, and return the body of a good answer.

        Args:
            method: HTTP.
            path: percent-encoded.
            body: octets, or a JSON object.
            token: of our device.
            key: idempotency key.

        Raises:
            Unavailable: nobody answers, or not now.
            CredentialsRefused: the token is no good.
            ApiRefused: no.
        """
        headers = _authorization(token)
        if key:
            headers[paths.IDEMPOTENCY_FIELD] = key
        data = body
        if isinstance(body, Form):
            data = encode_form(body)
            headers["Content-Type"] = _JSON
        elif body is not None:
            headers["Content-Type"] = _OCTETS
        async with self.exchange(method, path, headers, data=data) as response:
            return await good_answer(response)


def _authorization(token: Secret | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal_text()}"}


async def good_answer(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a good answer.

    Raises:
        Unavailable, CredentialsRefused, ApiRefused: it is none.
    """
    octets = await _read(response)
    if response.status // 100 == HTTPStatus.OK // 100:
        return octets
    raise _refusal(response.status, octets, response.headers.get("Retry-After", ""))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    octets = bytearray()
    async for chunk in response.content.iter_any():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise Unavailable(f"an answer of more than {ANSWER_OCTETS_MAX} octets")
    return bytes(octets)


def _unreachable(place: Place, error: BaseException) -> str:
    where = place.address or place.domain
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return (
            f"{where} is not {place.domain} by its certificate ({error}); check the"
            " address, or give the right certificates with --roots"
        )
    why = str(error) or type(error).__name__
    return f"the provider {where} does not answer ({why}); Sabir tries again"


def _refusal(status: int, octets: bytes, retry_after: str) -> Exception:
    try:
        problem = decode_form(octets, _ProblemForm)
    except Malformed:
        problem = _ProblemForm()
    detail = problem.detail or problem.code or f"HTTP status {status}"
    if status in _LATER:
        wait = int(retry_after) * 1_000 if retry_after.isdecimal() else None
        return Unavailable(f"the provider says: {detail}", retry_after_ms=wait)
    if status == HTTPStatus.UNAUTHORIZED:
        return CredentialsRefused(f"the provider says: {detail}")
    return ApiRefused(problem.code or str(status), problem.detail, status)


# ---- without a token


class Reception(Line):
    """How a device gets in; implements `tokens.Renewal`."""

    async def challenge(self, account_token: Secret | None = None) -> Challenge:
        """Get something to sign; with an account token, whose it is, too."""
        shown = "" if account_token is None else account_token.reveal_text()
        request = ChallengeRequest(account_token=shown)
        return decode_form(await self.ask("POST", paths.CHALLENGES, request), Challenge)

    async def register(self, request: DeviceRequest) -> DeviceAnswer:
        """Register a device; the same key again is the same device."""
        return decode_form(await self.ask("POST", paths.DEVICES, request), DeviceAnswer)

    async def renew(self, request: TokenRequest) -> TokenAnswer:
        """Get a new token."""
        return decode_form(await self.ask("POST", paths.TOKEN, request), TokenAnswer)


# ---- with one


class ProviderClient:
    """Implements `AgentApi`.

    Args:
        line: to the provider.
        tokens: of our device.
    """

    def __init__(self, line: Line, tokens: TokenKeeper) -> None:
        self._line = line
        self._tokens = tokens

    async def _ask(
        self, method: str, path: str, body: bytes | Form | None = None, *, key: str = ""
    ) -> bytes:
        """Ask with a token; with another one if that is not good any more."""
        token = await self._tokens.token()
        try:
            return await self._line.ask(method, path, body, token=token, key=key)
        except CredentialsRefused:
            token = await self._tokens.token(refused=token)
            return await self._line.ask(method, path, body, token=token, key=key)

    async def _form(
        self,
        form: type[T],
        method: str,
        path: str,
        body: bytes | Form | None = None,
        *,
        key: str = "",
    ) -> T:
        return decode_form(await self._ask(method, path, body, key=key), form)

    # ---- our device

    async def put_key_packages(self, octets: bytes, key: str) -> StockAnswer:
        """See `AgentApi`."""
        return await self._form(StockAnswer, "PUT", paths.KEY_PACKAGES, octets, key=key)

    async def stock(self) -> Stock:
        """See `AgentApi`."""
        return await self._form(Stock, "GET", paths.KEY_PACKAGES)

    async def devices(self) -> Sequence[DeviceEntry]:
        """See `AgentApi`."""
        return (await self._form(DeviceList, "GET", paths.DEVICES)).devices

    async def remove_device(self, device: str) -> None:
        """See `AgentApi`."""
        await self._ask("DELETE", paths.path(paths.DEVICE, device=device))

    async def tell_device(self, device: str, message: bytes, key: str) -> None:
        """See `AgentApi`."""
        path = paths.path(paths.DEVICE_MESSAGES, device=device)
        await self._ask("POST", path, message, key=key)

    @asynccontextmanager
    async def events(self, after: int) -> AsyncIterator["SocketStream"]:
        """See `AgentApi`."""
        token = await self._tokens.token()
        url = self._line.place.url(paths.EVENTS + paths.query(after=after))
        try:
            async with self._line.session.ws_connect(
                url,
                protocols=(paths.EVENTS_SUBPROTOCOL,),
                heartbeat=PING_S,
                max_msg_size=ANSWER_OCTETS_MAX,
                **self._line.how(token),
            ) as socket:
                yield SocketStream(socket)
        except aiohttp.WSServerHandshakeError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                await self._tokens.token(refused=token)
            raise Unavailable(
                f"no stream of events: HTTP status {error.status}"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(_unreachable(self._line.place, error)) from error

    # ---- people

    async def key_material(self, target: str, request: bytes) -> bytes:
        """See `AgentApi`."""
        path = paths.path(paths.KEY_MATERIAL, targetUser=target)
        return await self._ask("POST", path, request)

    async def tell_consent(self, entry: bytes, key: str) -> None:
        """See `AgentApi`."""
        await self._ask("POST", paths.CONSENTS, entry, key=key)

    async def consents(self) -> Consents:
        """See `AgentApi`."""
        return await self._form(Consents, "GET", paths.CONSENTS)

    async def query(self, domain: str, request: bytes) -> bytes:
        """See `AgentApi`."""
        return await self._ask("POST", paths.path(paths.QUERY, domain=domain), request)

    async def peer(self, domain: str) -> PeerAnswer:
        """See `AgentApi`."""
        path = paths.path(paths.PEER, domain=domain)
        return await self._form(PeerAnswer, "GET", path)

    # ---- rooms

    async def reserve(
        self, template: TemplateName, providers: Sequence[str], key: str
    ) -> Reservation:
        """See `AgentApi`."""
        request = ReserveRequest(template=template, providers=tuple(providers))
        made = await self._form(Reserved, "POST", paths.ROOMS, request, key=key)
        return made.reservation(template)

    async def genesis(self, room: str, octets: bytes, key: str) -> int:
        """See `AgentApi`."""
        path = paths.path(paths.GENESIS, roomId=room)
        answer = await self._form(GenesisAnswer, "PUT", path, octets, key=key)
        return answer.accepted_ms

    async def rooms(self) -> Sequence[RoomEntry]:
        """See `AgentApi`."""
        return (await self._form(RoomList, "GET", paths.ROOMS)).rooms

    async def update(self, room: str, octets: bytes, key: str) -> bytes:
        """See `AgentApi`."""
        path = paths.path(paths.UPDATE, roomId=room)
        return await self._ask("POST", path, octets, key=key)

    async def submit(self, room: str, octets: bytes, key: str) -> bytes:
        """See `AgentApi`."""
        path = paths.path(paths.MESSAGES, roomId=room)
        return await self._ask("POST", path, octets, key=key)

    async def group_info(self, room: str, octets: bytes) -> bytes:
        """See `AgentApi`."""
        return await self._ask(
            "POST", paths.path(paths.GROUP_INFO, roomId=room), octets
        )

    async def attach(self, room: str) -> None:
        """See `AgentApi`."""
        await self._ask("POST", paths.path(paths.ATTACH, roomId=room))

    async def detach(self, room: str) -> None:
        """See `AgentApi`."""
        await self._ask("POST", paths.path(paths.DETACH, roomId=room))

    async def close_room(self, room: str, key: str) -> None:
        """See `AgentApi`."""
        await self._ask("DELETE", paths.path(paths.ROOM, roomId=room), key=key)

    async def make_join_code(
        self, room: str, request: JoinCodeRequest, key: str
    ) -> JoinCode:
        """See `AgentApi`."""
        path = paths.path(paths.JOIN_CODES, roomId=room)
        return await self._form(JoinCode, "POST", path, request, key=key)

    async def report(self, room: str, octets: bytes, key: str) -> None:
        """See `AgentApi`."""
        await self._ask("POST", paths.path(paths.REPORTS, roomId=room), octets, key=key)

    # ---- files

    async def upload(self, sealed: BinaryIO, size: int, key: str) -> AssetStored:
        """See `AgentApi`."""
        offset = 0
        for _ in range(TRANSFERS_MAX - 1):
            try:
                return await self._send_from(sealed, offset, size, key)
            except Unavailable as error:
                _log.info("upload_broken", detail=str(error))
                offset = await self._offset(key)
        return await self._send_from(sealed, offset, size, key)

    async def _offset(self, key: str) -> int:
        path = paths.path(UPLOAD, key=key)
        return (await self._form(UploadState, "GET", path)).offset

    async def _send_from(
        self, sealed: BinaryIO, offset: int, size: int, key: str
    ) -> AssetStored:
        headers = {
            **_authorization(await self._tokens.token()),
            paths.IDEMPOTENCY_FIELD: key,
            "Content-Type": _OCTETS,
            "Content-Length": str(size - offset),
        }
        if offset:
            headers["Content-Range"] = content_range(offset, size, size)
        sealed.seek(offset)
        async with self._line.exchange(
            "POST",
            paths.ASSETS,
            headers,
            data=_pieces(sealed),
            timeout=TRANSFER_TIMEOUT,
        ) as response:
            return decode_form(await good_answer(response), AssetStored)

    async def download(
        self,
        url: str,
        ways: Sequence[str],
        hub: str,
        sealed: BinaryIO,
        *,
        octets_max: int,
    ) -> None:
        """See `AgentApi`."""
        path = download_path(url, ways, hub)
        for _ in range(TRANSFERS_MAX - 1):
            try:
                await self._receive(path, sealed, octets_max)
            except Unavailable as error:
                _log.info("download_broken", detail=str(error))
            else:
                return
        await self._receive(path, sealed, octets_max)

    async def _receive(self, path: str, sealed: BinaryIO, octets_max: int) -> None:
        headers = _authorization(await self._tokens.token())
        offset = sealed.seek(0, SEEK_END)
        if offset:
            headers["Range"] = f"bytes={offset}-"
        async with self._line.exchange(
            "GET", path, headers, timeout=TRANSFER_TIMEOUT
        ) as response:
            if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                await good_answer(response)
            if response.status != HTTPStatus.PARTIAL_CONTENT:
                sealed.seek(0)
                sealed.truncate()
            async for chunk in response.content.iter_any():
                sealed.write(chunk)
                if sealed.tell() > octets_max:
                    raise ApiRefused(
                        "body-too-large", f"more than {octets_max} octets", 413
                    )


async def _pieces(sealed: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := sealed.read(PIECE_OCTETS):
        yield chunk


class SocketStream:
    """Implements `EventStream` over a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._stored = 0
        self._waiting = 0

    async def __aiter__(self) -> AsyncIterator[Event]:
        """See `EventStream`."""
        while True:
            yield decode_event(await self._next())

    async def _next(self) -> str:
        """Wait for an event; a pause acknowledges those before."""
        try:
            word = await self._socket.receive(
                timeout=ACK_PAUSE_S if self._waiting else None
            )
        except TimeoutError:
            await self._flush()
            word = await self._socket.receive()
        if word.type is not aiohttp.WSMsgType.TEXT:
            raise Unavailable(
                f"the stream of events ended (code {self._socket.close_code})"
            )
        text: str = word.data
        return text

    async def ack(self, cursor: int) -> None:
        """See `EventStream`."""
        self._stored = cursor
        self._waiting += 1
        if self._waiting >= EVENTS_PER_ACK:
            await self._flush()

    async def _flush(self) -> None:
        self._waiting = 0
        await self._socket.send_str(encode_form(Ack(ack=str(self._stored))).decode())
