"""BlueBubbles 1.9.9 as its clients see it: REST, webhooks, Socket.IO, and its faults.

Faults that are kept on purpose (seen on the real server, or read in its source):

 * a send with `tempGuid` is announced twice, first with it, then without;
 * `tempGuid` is refused only while in flight; afterwards it sends again;
 * AppleScript sends are matched on ASCII letters and digits only, so two non-Latin
   texts in flight get each other's guid;
 * what arrives while the server is down, or with an old date, is never announced, and
   its first edit comes as `new-message`;
 * a send that fails after it was announced is announced by nothing;
 * `updated-message` has no `chats`; group changes come twice;
 * `message.text` in a `where` is answered 500 while the helper is connected;
 * an unknown attachment is 500, an unknown path is plain text;
 * webhooks: one attempt, no signature, no retry.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import aiohttp
from aiohttp import web

from sabir.networks.serving import HttpDoor
from sabir.testing.imessage.routes import Refusal, Routes
from sabir.testing.imessage.store import Json, Row
from sabir.testing.servers.ports import LOOPBACK

POLL_S: Final = 0.02
"""The real server looks every second or at a change of the file; tests are short."""
LOOK_BACK_S: Final = 30
SEED_S: Final = 60
SLOW_S: Final = 600.0
BODY_OCTETS_MAX: Final = 1024 * 1024 * 1024
SHUTDOWN_S: Final = 0.05
PING_INTERVAL_MS: Final = 60_000
PING_TIMEOUT_MS: Final = 120_000

_GROUP_EVENTS: Final = {
    (1, 0): "participant-added",
    (1, 1): "participant-removed",
    (2, 0): "group-name-change",
    (3, 0): "participant-left",
}


class FakeMac(Routes):
    """A Mac with BlueBubbles on loopback; `async with` starts and stops it."""

    def __init__(self, password: str = "a-password-of-32-characters-1234") -> None:
        super().__init__(password)
        self.drop_events = 0
        """So many events reach nobody."""
        self.repeat_events = 0
        """So many events come twice."""
        self.slow_chats: set[str] = set()
        self.drop_sends = 0
        """So many sends are lost with their connection."""
        self.drop_answers = 0
        """So many sends go out, and the connection dies instead of an answer."""
        self._port = 0
        self._door: HttpDoor | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._closing: Callable[[], None] = lambda: None
        self._main: asyncio.Task[None] | None = None
        self._known: set[str] = set()
        self._states: dict[str, tuple[Any, ...]] = {}
        self._checked_at = 0

    @property
    def url(self) -> str:
        """Return the address, for the setting `url`."""
        return f"http://{LOOPBACK}:{self._port}"

    # ---- life

    async def start(self) -> None:
        """Listen; on the same port as before, after the first time."""
        app = web.Application(
            middlewares=[self._envelope], client_max_size=BODY_OCTETS_MAX
        )
        for method, path, handler in self.routes():
            app.router.add_route(method, f"/api/v1{path}", handler)
        app.router.add_get("/socket.io/", self._socket)
        self._door = HttpDoor(app, shutdown_s=SHUTDOWN_S, cancels=True)
        self._port = await self._door.start(LOOPBACK, self._port)
        self._seed()
        started = asyncio.Event()
        self._main = asyncio.get_running_loop().create_task(self._live(started))
        await started.wait()
        self.emit("hello-world", None)

    async def stop(self) -> None:
        """Cut all connections and accept none, as a Mac that falls asleep."""
        if self._door is None:
            return
        for socket in list(self._sockets):
            await socket.close()
        await self._door.stop()
        self._door = None
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait([self._main])
        self.in_flight.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _live(self, started: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as self._http, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            started.set()
            while True:
                await asyncio.sleep(POLL_S)
                self._poll()

    # ---- what is announced

    def _seed(self) -> None:
        """Remember the last minute without a word."""
        self._known, self._states = set(), {}
        for message in self._candidates(SEED_S):
            self._kind(message)

    def _candidates(self, seconds: int) -> list[Row]:
        return self.store.all(
            "SELECT * FROM message WHERE date >= :t OR date_edited >= :t"
            " OR date_retracted >= :t OR (is_from_me AND (date_delivered >= :t"
            " OR date_read >= :t)) ORDER BY date",
            t=self.store.now() - seconds * 10**9,
        )

    def _kind(self, m: Row) -> str | None:
        """Return the event for a row, None without; `error` is not looked at."""
        state = tuple(
            m[name]
            for name in (
                "date",
                "is_delivered",
                "date_delivered",
                "date_read",
                "date_edited",
                "date_retracted",
            )
        )
        before = self._states.get(m["guid"])
        self._states[m["guid"]] = state
        if m["guid"] not in self._known:
            self._known.add(m["guid"])
            return "new-message"
        return "updated-message" if before not in (None, state) else None

    def _poll(self) -> None:
        for message in self._candidates(LOOK_BACK_S):
            kind = self._kind(message)
            if kind is None:
                continue
            shown = self.store.message_json(message, chats=kind == "new-message")
            temp = self.match(message) if message["is_from_me"] else None
            if temp is not None:
                self.emit("new-message", shown | {"tempGuid": temp})
            change = (message["item_type"], message["group_action_type"])
            if kind == "new-message" and change in _GROUP_EVENTS:
                self.emit(_GROUP_EVENTS[change], shown)
            self.emit(kind, shown)

    def announce_again(self) -> None:
        """Announce the newest message once more, as after a restart of Messages."""
        newest = self.store.all("SELECT * FROM message ORDER BY ROWID DESC LIMIT 1")[0]
        self.emit("new-message", self.store.message_json(newest))

    def emit(self, kind: str, data: Any) -> None:
        """Announce something to sockets and webhooks, once and without any care."""
        if self.drop_events > 0:
            self.drop_events -= 1
            return
        times = 1
        if self.repeat_events > 0:
            self.repeat_events -= 1
            times = 2
        assert self._tasks is not None
        for _ in range(times):
            self._tasks.create_task(self._announce(kind, data))

    async def _announce(self, kind: str, data: Any) -> None:
        for hook in list(self.webhooks.values()):
            if {"*", kind} & set(hook["events"]):
                with suppress(aiohttp.ClientError):
                    body = {"type": kind, "data": data}
                    async with self._http.post(hook["url"], json=body) as answer:
                        self.hook_answers.append(answer.status)
        for socket in list(self._sockets):
            with suppress(ConnectionError):
                await socket.send_str("42" + json.dumps([kind, data]))

    # ---- HTTP

    @web.middleware
    async def _envelope(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if not request.path.startswith("/api/v1/"):
            return await handler(request)
        path = request.path.removeprefix("/api/v1")
        self.requests.append((request.method, path))
        if request.match_info.http_exception is not None:
            return web.Response(status=404, text="Not Found")
        said = next(
            (
                request.query[n]
                for n in ("guid", "password", "token")
                if n in request.query
            ),
            None,
        )
        try:
            if said is None or said.strip() != self.password:
                why = "Missing server password!" if said is None else "Unauthorized"
                raise Refusal(401, "Authentication Error", why)
            return await handler(request)
        except Refusal as no:
            error = {"type": no.kind, "message": no.text}
            body: Json = {"status": no.status, "message": "refused", "error": error}
            return web.json_response(body, status=no.status)

    async def before_send(self, request: web.Request, chat: str) -> None:
        """Make the trouble that a test wants for this send."""
        if chat in self.slow_chats:
            await asyncio.sleep(SLOW_S)
        if self.drop_sends > 0:
            self.drop_sends -= 1
            cut(request)

    async def after_send(self, request: web.Request) -> None:
        """Swallow the answer, if a test wants that."""
        if self.drop_answers > 0:
            self.drop_answers -= 1
            cut(request)

    # ---- Socket.IO (Engine.IO 4, Socket.IO 5, WebSocket only)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = {
            "sid": "fake",
            "upgrades": [],
            "pingInterval": PING_INTERVAL_MS,
            "pingTimeout": PING_TIMEOUT_MS,
        }
        await socket.send_str("0" + json.dumps(session))
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            if message.data == "40":
                await socket.send_str('40{"sid":"fake"}')
                if request.query.get("password") != self.password:
                    await socket.send_str("41")
                    break
                self._sockets.add(socket)
        self._sockets.discard(socket)
        return socket

    async def ping_sockets(self) -> None:
        """Send the heartbeat that real servers send every minute."""
        for socket in list(self._sockets):
            await socket.send_str("2")

    @property
    def listeners(self) -> int:
        """Return how many sockets are open."""
        return len(self._sockets)

    # ---- what people and Apple do

    def incoming(self, chat: str, text: str | None, **columns: Any) -> str:
        """Let somebody write; return the guid."""
        columns.setdefault("handle_id", 1)
        age_s = columns.pop("age_s", 0)
        columns["date"] = self.store.now() - age_s * 10**9
        return self.store.add_message(chat, text, is_delivered=1, **columns)

    def mine(self, chat: str, text: str, **columns: Any) -> str:
        """Let the owner write on another device of theirs."""
        return self.store.add_message(chat, text, is_from_me=1, **columns)

    def edit(self, guid: str, text: str) -> None:
        """Let the author change their message."""
        self.store.change(guid, text=text, date_edited=self.store.now())

    def unsend(self, guid: str) -> None:
        """Let the author take their message back."""
        self.store.change(
            guid, text=None, date_edited=self.store.now(), retracted_parts="0"
        )

    def receipt(self, guid: str, kind: str) -> None:
        """Let a message of ours be `delivered` or `read`."""
        self.store.change(guid, is_delivered=1, **{f"date_{kind}": self.store.now()})

    def fail(self, guid: str, code: int = 22) -> None:
        """Let a send fail after it was answered; nothing is announced."""
        self.store.change(guid, error=code, is_delivered=0)

    def types(self, chat: str, *, display: bool = True) -> None:
        """Announce that somebody types, or stopped."""
        self.emit("typing-indicator", {"display": display, "guid": chat})


def cut(request: web.Request) -> NoReturn:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise web.HTTPServiceUnavailable
