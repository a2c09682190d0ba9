"""ntfy's only I/O: one account on one server; a topic is a chat with a cursor."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from sabir.clock import Instant
from sabir.content.capabilities import Capabilities
from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, PolicyRefused, Unavailable
from sabir.networks import api
from sabir.networks.api import ChatId, ConnectionState, Host, NativeId, Outgoing

from sabir_ntfy.conversion import CAPABILITIES, decode, key_of, render

SILENCE_S: Final = 120  # servers send a keepalive every 45 s
LINE_OCTETS_MAX: Final = 256 * 1024
ANSWER_S: Final = 20


class NtfyConnector:
    """One account on one ntfy server."""

    send_window = 1

    def __init__(self, url: str, token: Secret | None) -> None:
        self._url, self._token = url.rstrip("/"), token
        self._http: aiohttp.ClientSession | None = None
        self._host: Host | None = None
        self._group: asyncio.TaskGroup | None = None
        self._topics: dict[ChatId, asyncio.Task[None]] = {}
        self._sending: set[str] = set()

    # ---- coming in

    async def run(self, host: Host) -> None:
        """Follow every portal's topic from its cursor on; until cancelled."""
        host.report(ConnectionState.CONNECTING)
        token = self._token and {"Authorization": f"Bearer {self._token.reveal_text()}"}
        try:
            session = aiohttp.ClientSession(headers=token, read_bufsize=LINE_OCTETS_MAX)
            async with session as self._http, asyncio.TaskGroup() as self._group:
                self._host = host
                async with self._ask("GET", "/v1/health"):
                    host.report(ConnectionState.CATCHING_UP)
                for chat in host.chats():
                    await self.open_chat(chat)
                host.report(ConnectionState.CONNECTED)
                await asyncio.Event().wait()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._http = self._host = self._group = None
            self._topics.clear()

    async def _follow(self, host: Host, chat: ChatId, since: str) -> None:
        async with self._ask("GET", f"/{chat}/json", since=since) as answer:
            async for message in _lines(answer):
                await self._take(host, chat, [message])
        raise Unavailable(f"{self._url} ended the stream; it is asked again")

    async def _messages(self, chat: ChatId, since: str) -> list[dict[str, Any]]:
        async with self._ask("GET", f"/{chat}/json", since=since, poll="1") as answer:
            return [message async for message in _lines(answer)]

    async def _take(
        self, host: Host, chat: ChatId, messages: Sequence[dict[str, Any]]
    ) -> None:
        events = []
        for message in messages:
            native_id, key = NativeId(message["id"]), key_of(message)
            if key and key not in self._sending:
                sent = api.Sent(key=api.IdempotencyKey(key), native_id=native_id)
                await host.echo(chat, key=sent.key, sent=sent)
            elif not key:
                raw = json.dumps(message).encode()
                event = api.NativeEvent(chat=chat, native_id=native_id, payload=raw)
                events.append(event)
        if messages:
            await host.take(events, cursors={chat: messages[-1]["id"]})

    def decode(self, event: api.NativeEvent) -> api.Incoming:
        """Say what a message means."""
        return decode(event)

    # ---- topics

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return the same for every topic."""
        return CAPABILITIES

    async def open_chat(self, chat: ChatId) -> api.ChatInfo:
        """Follow a topic; return when what was missed is in."""
        if self._group is None or self._host is None:
            raise Unavailable(f"not connected to {self._url} yet")
        if not chat.replace("-", "").replace("_", "").isalnum() or len(chat) > 64:
            raise PolicyRefused(f"{chat} is no topic: letters, digits, - and _")
        if chat not in self._topics:
            since = await self._host.cursor(chat)
            if since is None:  # a new portal begins now
                since = str(self._host.clock.now() // 1000)
                await self._host.take([], cursors={chat: since})
            missed = await self._messages(chat, since)
            await self._take(self._host, chat, missed)
            since = missed[-1]["id"] if missed else since
            following = self._follow(self._host, chat, since)
            self._topics[chat] = self._group.create_task(following)
        return api.ChatInfo(chat=chat, kind=api.ChatKind.GROUP, name=chat)

    async def close_chat(self, chat: ChatId) -> None:
        """Stop following a topic."""
        if (task := self._topics.pop(chat, None)) is not None:
            task.cancel()

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[api.Outcome]:
        """Publish one after the other."""
        for outgoing in batch:
            body = render(outgoing)
            if body is None:
                yield api.Refused(key=outgoing.key, reason="ntfy has only text")
                continue
            self._sending.add(outgoing.key)
            try:
                async with self._ask("POST", "/", body=body) as answer:
                    native_id = NativeId(str((await answer.json())["id"]))
                yield api.Sent(key=outgoing.key, native_id=native_id)
            except PolicyRefused as refusal:
                yield api.Refused(key=outgoing.key, reason=str(refusal))
            finally:
                self._sending.discard(outgoing.key)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> api.Finding:
        """Look for our key among what the server keeps."""
        for message in await self._messages(piece.chat, str(attempted_at // 1000 - 60)):
            if key_of(message) == piece.key:
                return api.Sent(key=piece.key, native_id=NativeId(message["id"]))
        return api.NotSent()

    # ---- HTTP

    @asynccontextmanager
    async def _ask(
        self, method: str, path: str, body: object = None, **query: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask the server; what goes wrong becomes an error of the blame tree."""
        if self._http is None:
            raise Unavailable(f"not connected to {self._url} yet")
        total = None if body is None else ANSWER_S
        timeout = aiohttp.ClientTimeout(total=total, sock_read=SILENCE_S)
        try:
            async with self._http.request(
                method, self._url + path, json=body, params=query, timeout=timeout
            ) as answer:
                self._check(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{self._url} does not answer: {error}") from error

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        says = f"{self._url} answers {answer.status} {answer.reason}"
        if answer.status in {401, 403}:
            raise CredentialsRefused(f"{says}; make a new token")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            seconds = int(answer.headers.get("Retry-After", "5"))
            raise Unavailable(says, retry_after_ms=seconds * 1000)
        if not answer.ok and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise PolicyRefused(f"{says}: not accepted")
        if not answer.ok:
            raise Unavailable(f"{says}; look at its log")


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        message = json.loads(line)
        if isinstance(message, dict) and message.get("event") == "message":
            yield message
