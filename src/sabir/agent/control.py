"""The owner's door to a running agent: HTTP on a UNIX socket of mode 0600.

Who may open the socket may do everything; nobody else can. JSON in, JSON out;
errors carry the code and the text of the blame tree.
"""

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sabir.agent.agent import Agent, ChatAddress
from sabir.errors import ConfigInvalid, Error, PolicyRefused
from sabir.networks.serving import HttpDoor
from sabir.storage.records import PortalId, RoomId

BODY_OCTETS_MAX: Final = 64 * 1024
"""A command is a few names."""
SHUTDOWN_S: Final = 0.5
"""Entering a chat may take a minute; who asked for it must not keep us from ending."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the error that a handler raised, in words."""
    try:
        return await handler(request)
    except Error as error:
        body = {"code": error.code, "detail": str(error), "exit": error.exit_code}
        return web.json_response(body, status=422)


class ControlServer:
    """Serves one agent.

    Args:
        agent: whose door it is.
        path: of the socket.
        more: further routes, of what else runs in this process.
    """

    def __init__(
        self, agent: Agent, path: Path, more: Iterable[web.AbstractRouteDef] = ()
    ) -> None:
        self._agent = agent
        self._path = path
        self._more = more
        self._door: HttpDoor | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigInvalid: the socket cannot be made there.
        """
        app = web.Application(middlewares=[explained], client_max_size=BODY_OCTETS_MAX)
        app.router.add_get("/status", self._status)
        app.router.add_post("/link", self._link)
        app.router.add_post("/unlink", self._unlink)
        app.router.add_get("/chats/{account}", self._chats)
        app.router.add_routes(self._more)
        self._door = HttpDoor(app, shutdown_s=SHUTDOWN_S)
        # asyncio takes the place of a socket that a killed process left behind.
        if self._path.exists() and not self._path.is_socket():
            raise ConfigInvalid(
                f"{self._path} is there and is no socket; set agent.control_socket to"
                " another path"
            )
        mask = os.umask(0o177)
        try:
            await self._door.start_at(self._path)
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {self._path}: {error.strerror};"
                " set agent.control_socket to a path that you may write"
            ) from error
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening."""
        if self._door is not None:
            await self._door.stop()
        self._path.unlink(missing_ok=True)

    async def _status(self, _request: web.Request) -> web.Response:
        view = await self._agent.view()
        return web.json_response(
            {
                "pid": os.getpid(),
                "accounts": [asdict(each) for each in view.accounts],
                "rooms": [asdict(each) for each in view.rooms],
                "portals": [
                    {
                        **asdict(portal),
                        "counts": asdict(view.counts[portal.id])
                        if portal.id in view.counts
                        else None,
                    }
                    for portal in view.portals
                ],
            }
        )

    async def _link(self, request: web.Request) -> web.Response:
        body = await _body(request)
        chats = _chats(body)
        room = body.get("room")
        made, portals = await self._agent.link(
            chats, room=None if room is None else RoomId(str(room))
        )
        return web.json_response(
            {"room": made, "portals": [asdict(portal) for portal in portals]}
        )

    async def _unlink(self, request: web.Request) -> web.Response:
        body = await _body(request)
        number = body.get("portal")
        if not isinstance(number, int):
            raise PolicyRefused('"portal" is no number')
        portal = await self._agent.unlink(PortalId(number))
        return web.json_response(asdict(portal))

    async def _chats(self, request: web.Request) -> web.Response:
        chats = await self._agent.chats(request.match_info["account"])
        return web.json_response([asdict(chat) for chat in chats])


def _chats(body: dict[str, Any]) -> list[ChatAddress]:
    match body.get("chats"):
        case [*entries]:
            chats = []
            for entry in entries:
                match entry:
                    case {"account": str() as account, "chat": str() as chat}:
                        chats.append(ChatAddress(account=account, chat=chat))
                    case _:
                        raise PolicyRefused('a chat is {"account": "…", "chat": "…"}')
            return chats
        case _:
            raise PolicyRefused('"chats" is no list')


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise PolicyRefused("the body is no JSON object")
    return body
