"""The HTTP dialect in front of a `SignalDaemon`: `--http` of signal-cli."""

import asyncio
import json
from typing import Any, Final

from aiohttp import web

from sabir.networks.serving import HttpDoor
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.signal_daemon import Fault, SignalDaemon

KEEPALIVE_S: Final = 0.05
"""signal-cli waits 15 s; tests do not."""


class SignalHttp:
    """Serves a daemon over HTTP; its queue is read by whoever asks for events."""

    def __init__(self, daemon: SignalDaemon) -> None:
        self._daemon = daemon
        self._door: HttpDoor | None = None
        self._sent = 0
        self.port = 0

    async def start(self) -> None:
        """Listen on a free loopback port."""
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.router.add_get("/api/v1/check", self._check)
        app.router.add_post("/api/v1/rpc", self._rpc)
        app.router.add_get("/api/v1/events", self._events)
        self._door = HttpDoor(app, shutdown_s=0.1, cancels=True)
        self.port = await self._door.start(LOOPBACK, self.port)

    async def stop(self) -> None:
        """Cut everything."""
        if self._door is not None:
            await self._door.stop()

    async def _check(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _rpc(self, request: web.Request) -> web.Response:
        call = await request.json()
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            answer["result"] = await self._daemon.carry_out(
                call["method"], call.get("params", {})
            )
        except Fault as fault:
            answer["error"] = {
                "code": fault.code,
                "message": str(fault),
                "data": fault.data,
            }
        text = json.dumps(answer, separators=(",", ":"))
        return web.Response(text=text, content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        while True:
            for number, result in list(self._daemon.journal):
                if number > self._sent:
                    self._sent = number
                    data = json.dumps(result)
                    await stream.write(f"event:receive\ndata:{data}\n\n".encode())
            await stream.write(b":\n")
            await asyncio.sleep(KEEPALIVE_S)
