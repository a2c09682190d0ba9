"""The HTTP side of a Bot API under test: forms, checks, and troubles on demand.

Every request is checked against the description; whoever uses this looks at
`problems` at the end. What a method does, a subclass says.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import BodyPartReader, web

from sabir.networks.serving import HttpDoor
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.telegram.description import problems, types_of

REQUEST_OCTETS_MAX: Final = 60 * 1024 * 1024
"""Above the 50 MB that Telegram takes, so that the limit itself can be tested."""
SLOW_S: Final = 600.0
SHUTDOWN_S: Final = 0.05
"""Whoever is still asking when the network goes dark is cut off."""


class Refusal(Exception):
    """What the Bot API answers instead of a result.

    Args:
        code: `error_code`.
        text: `description`, as Telegram words it.
        parameters: `retry_after`, `migrate_to_chat_id`.
    """

    def __init__(self, code: int, text: str, **parameters: int) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.parameters = parameters


class BotApiServer(ABC):
    """A server of the Bot API on loopback; `async with` starts and stops it."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Every request with the right token, in order."""
        self.problems: list[str] = []
        """What the description says against requests and answers."""
        self.refusals: list[tuple[str, Refusal]] = []
        """For the next requests of these methods, each once."""
        self.drop_answers = 0
        """So many messages are taken, and no answer comes."""
        self.drop_sends = 0
        """So many messages are lost with their connection."""
        self.slow_chats: set[int] = set()
        self._port = 0
        self._door: HttpDoor | None = None

    @property
    def url(self) -> str:
        """Return the base address, for `api_url`."""
        return f"http://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Listen; on the same port as before, after the first time."""
        app = web.Application(client_max_size=REQUEST_OCTETS_MAX)
        app.router.add_post("/bot{token}/{method}", self._method)
        app.router.add_get("/file/bot{token}/{path:.*}", self._file)
        self._door = HttpDoor(app, shutdown_s=SHUTDOWN_S, cancels=True)
        self._port = await self._door.start(LOOPBACK, self._port)

    async def stop(self) -> None:
        """Cut all connections and accept none."""
        if self._door is not None:
            await self._door.stop()
            self._door = None

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

    @abstractmethod
    async def answer(self, method: str, params: dict[str, Any]) -> Any:
        """Return the result of a method; a file is its octets.

        Raises:
            Refusal: no.
        """

    @abstractmethod
    async def file(self, path: str) -> bytes | None:
        """Return a file by the path that `getFile` gave."""

    # ---- requests

    async def _method(self, request: web.Request) -> web.Response:
        if request.match_info["token"] != self.token:
            return _refused(Refusal(401, "Unauthorized"))
        method = request.match_info["method"]
        params = await _params(request, method)
        self.requests.append((method, params))
        self.problems += problems(method, params)
        is_send = method.startswith("send") and method != "sendChatAction"
        if is_send:
            await self._trouble(request, params)
        for index, (name, refusal) in enumerate(self.refusals):
            if name == method:
                del self.refusals[index]
                return _refused(refusal)
        try:
            result = await self.answer(method, params)
        except Refusal as refusal:
            return _refused(refusal)
        if is_send and self.drop_answers:
            self.drop_answers -= 1
            _cut(request)
        return web.json_response({"ok": True, "result": result})

    async def _trouble(self, request: web.Request, params: Mapping[str, Any]) -> None:
        if params.get("chat_id") in self.slow_chats:
            await asyncio.sleep(SLOW_S)
        if self.drop_sends:
            self.drop_sends -= 1
            _cut(request)
            raise web.HTTPServiceUnavailable

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["token"] != self.token:
            return _refused(Refusal(401, "Unauthorized"))
        octets = await self.file(request.match_info["path"])
        if octets is None:
            return _refused(Refusal(404, "Not Found"))
        return web.Response(body=octets)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _params(request: web.Request, method: str) -> dict[str, Any]:
    """Return the parameters, whether they come as JSON or as a form."""
    if not request.content_type.startswith("multipart/"):
        body = await request.read()
        found: dict[str, Any] = json.loads(body) if body else {}
        return found
    params: dict[str, Any] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader), "a form inside a form"
        name, octets = part.name or "", bytes(await part.read())
        types = types_of(method, name)
        if part.filename is not None:
            params[name] = octets
        elif types == ["String"]:
            params[name] = octets.decode()
        else:
            params[name] = json.loads(octets)
    return params


def _refused(refusal: Refusal) -> web.Response:
    body: dict[str, Any] = {
        "ok": False,
        "error_code": refusal.code,
        "description": refusal.text,
    }
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return web.json_response(body, status=refusal.code)
