"""A small ntfy server: publish, stream, poll, cache; and every kind of trouble."""

import asyncio
import json
from typing import Any

from aiohttp import web

MESSAGE_OCTETS_MAX = 4_096


class NtfyServer:
    def __init__(self, token: str = "") -> None:
        self.token = token
        self.log: list[dict[str, Any]] = []
        self.dark = False
        self.slow_topic = ""
        self.limited = 0
        self.lose_next_answer = False
        self.lose_next_send = False
        self.port = 0
        self._count = 0
        self._listeners: dict[asyncio.Queue[dict[str, Any] | None], str] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/health", self._health)
        app.router.add_post("/", self._publish)
        app.router.add_get("/{topic}/json", self._subscribe)
        self._runner = web.AppRunner(
            app, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        (self.port,) = {address[1] for address in self._runner.addresses}

    async def stop(self) -> None:
        self.drop_all()
        if self._runner is not None:
            await self._runner.cleanup()

    def drop_all(self) -> None:
        for queue in self._listeners:
            queue.put_nowait(None)

    def put(self, topic: str, text: str, **more: Any) -> dict[str, Any]:
        self._count += 1
        message = {
            "id": f"m{self._count}",
            "time": 1_700_000_000 + self._count,
            "event": "message",
            "topic": topic,
            "message": text,
            **more,
        }
        self.log.append(message)
        self.push(message)
        return message

    def push(self, message: dict[str, Any]) -> None:
        for queue, topic in self._listeners.items():
            if topic == message["topic"]:
                queue.put_nowait(message)

    def _refuse(self, request: web.Request) -> None:
        if self.dark:
            raise web.HTTPServiceUnavailable
        given = request.headers.get("Authorization", "")
        if self.token and given != f"Bearer {self.token}":
            raise web.HTTPUnauthorized

    async def _health(self, request: web.Request) -> web.Response:
        self._refuse(request)
        return web.json_response({"healthy": True})

    async def _publish(self, request: web.Request) -> web.Response:
        self._refuse(request)
        if self.limited:
            self.limited -= 1
            raise web.HTTPTooManyRequests(headers={"Retry-After": "7"})
        body = await request.json()
        if len(body["message"].encode()) > MESSAGE_OCTETS_MAX:
            raise web.HTTPRequestEntityTooLarge(MESSAGE_OCTETS_MAX, 0)
        if self.slow_topic == body["topic"]:
            await asyncio.sleep(30)
        if self.lose_next_send:
            self.lose_next_send = False
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        message = self.put(body["topic"], body["message"], tags=body["tags"])
        if self.lose_next_answer:
            self.lose_next_answer = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(message)

    def _since(self, topic: str, since: str) -> list[dict[str, Any]]:
        mine = [each for each in self.log if each["topic"] == topic]
        ids = [each["id"] for each in mine]
        if since in ids:
            return mine[ids.index(since) + 1 :]
        return mine if since.isdecimal() else []

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        self._refuse(request)
        topic, since = request.match_info["topic"], request.query["since"]
        stream = web.StreamResponse()
        await stream.prepare(request)

        async def write(value: Any) -> None:
            await stream.write(json.dumps(value).encode() + b"\n")

        if "poll" not in request.query:
            await write({"id": "open", "event": "open", "topic": topic})
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        missed = self._since(topic, since)
        self._listeners[queue] = topic
        try:
            for message in missed:
                await write(message)
            while "poll" not in request.query:
                live = await queue.get()
                if live is None:
                    return stream
                await write(live)
        finally:
            del self._listeners[queue]
        return stream
