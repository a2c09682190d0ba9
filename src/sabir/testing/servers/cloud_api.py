"""A WhatsApp Cloud API of our own, with state, for what crabline's lacks.

- Every request is checked against our description of the API; what does not fit is
  answered 400 and noted in `violations`, which a test looks at in the end.
- Messages, reactions, read marks and files are kept; statuses follow as webhooks.
- Errors, lost answers and slow people can be ordered.
"""

import asyncio
import base64
import hashlib
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import BodyPartReader, web

from sabir.networks.serving import HttpDoor
from sabir.testing.openapi.document import Request, whatsapp_cloud
from sabir.testing.servers.meta_hooks import MetaHooks
from sabir.testing.servers.ports import LOOPBACK

NUMBER_ID: Final = "100000000000000"
DISPLAY: Final = "15550000000"
TOKEN: Final = "cloud-api-token"
BODY_OCTETS_MAX: Final = 120 * 1024 * 1024
SHUTDOWN_S: Final = 0.2

Json = dict[str, Any]
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What the next message request meets, instead of its answer."""

    status: int = 400
    code: int = 100
    error: Mapping[str, Any] = field(default_factory=dict)
    """More members of the error object."""
    headers: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
    """No error object at all, as a proxy answers."""
    cut: bool = False
    """The connection ends without an answer."""
    accepted: bool = False
    """With `cut`: the message is accepted before."""


@dataclass(slots=True)
class StoredFile:
    """A file that was uploaded, or is to be downloaded."""

    data: bytes
    content_type: str
    filename: str = ""


class CloudApi:
    """The API and Meta's webhooks; `async with` starts and stops it.

    Args:
        hooks: where statuses and messages are delivered; None: nowhere.
    """

    def __init__(self, hooks: MetaHooks | None = None) -> None:
        self.hooks = hooks
        self.token = TOKEN
        self.messages: list[Json] = []
        """Accepted message bodies, in order, each with its `id`."""
        self.reads: list[Json] = []
        """Accepted read marks."""
        self.files: dict[str, StoredFile] = {}
        self.requests: list[Request] = []
        """Everything that was asked, in order, without files' octets."""
        self.violations: list[str] = []
        self.troubles: deque[Trouble] = deque()
        self.slow: set[str] = set()
        """People whose messages are not answered."""
        self.other_ids: dict[str, str] = {}
        """Numbers that WhatsApp knows by another wa_id."""
        self.groups: list[Json] = []
        self.statuses: tuple[str, ...] = ("sent", "delivered")
        """What is told of every message."""
        self.wrong_digest = False
        self.base_url = ""
        self._door: HttpDoor | None = None
        self._port = 0

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

    async def start(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=BODY_OCTETS_MAX)
        app.router.add_get("/files/{media}", self._file)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._door = HttpDoor(app, shutdown_s=SHUTDOWN_S)
        self._port = await self._door.start(LOOPBACK, self._port)
        self.base_url = f"http://{LOOPBACK}:{self._port}"

    async def stop(self) -> None:
        """Close everything."""
        if self._door is not None:
            await self._door.stop()
            self._door = None

    # ---- people

    def says(
        self, person: str, content: Json, *, name: str = "Ann", **more: Any
    ) -> str:
        """Let somebody send something; return the message's id.

        Args:
            person: wa_id.
            content: `{"type": ..., <type>: {...}}`.
            name: as they call themselves.
            more: further members of the message (`context`, `group_id`, ...).
        """
        message_id = f"wamid.IN{next(_numbers)}"
        message = {
            "from": person,
            "id": message_id,
            "timestamp": str(int(time.time())),
            **content,
            **more,
        }
        contact = {"profile": {"name": name}, "wa_id": person}
        self.tell({"contacts": [contact], "messages": [message]})
        return message_id

    def tell(self, value: Json, *, of: str = "messages") -> None:
        """Deliver a change."""
        assert self.hooks is not None
        self.hooks.put(change(value, of=of))

    def status(self, message: Json, state: str, **more: Any) -> None:
        """Tell what became of a message of ours."""
        status = {
            "id": message["id"],
            "status": state,
            "timestamp": str(int(time.time())),
            "recipient_id": self.other_ids.get(message["to"], message["to"]),
            **more,
        }
        if "biz_opaque_callback_data" in message:
            status["biz_opaque_callback_data"] = message["biz_opaque_callback_data"]
        self.tell({"statuses": [status]})

    def put_file(self, data: bytes, content_type: str) -> str:
        """Keep a file that somebody sent; return its id."""
        media_id = str(4_490_000_000_000_000 + next(_numbers))
        self.files[media_id] = StoredFile(data, content_type)
        return media_id

    # ---- the API

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body, file = await _body(request)
        asked = Request(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )
        self.requests.append(asked)
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, 190, {"message": "Error validating access token"})
        wrong = whatsapp_cloud().violations(asked)
        self.violations += wrong
        if wrong:
            return _error(400, 100, {"message": "(#100) Invalid parameter"})
        match request.path.split("/")[2:]:
            case [number, "messages"] if number == NUMBER_ID and isinstance(body, dict):
                return await self._message(request, body)
            case [number, "media"] if number == NUMBER_ID and isinstance(body, dict):
                return self._upload(body, file)
            case [number, "groups"] if number == NUMBER_ID:
                return web.json_response({"data": {"groups": self.groups}})
            case [number] if number == NUMBER_ID:
                return web.json_response(
                    {
                        "id": NUMBER_ID,
                        "display_phone_number": "+1 555-000-0000",
                        "verified_name": "Sabir Tea",
                        "quality_rating": "GREEN",
                    }
                )
            case [node] if node in self.files:
                return self._media(node)
            case [node]:
                for group in self.groups:
                    if group["id"] == node:
                        return web.json_response(group)
            case _:
                pass
        return _error(400, 100, {"message": "(#100) Object does not exist"})

    async def _message(self, request: web.Request, body: Json) -> web.StreamResponse:
        if self.troubles:
            trouble = self.troubles.popleft()
            if trouble.accepted:
                self._accept(body)
            return _trouble(request, trouble)
        if body.get("to") in self.slow:
            await asyncio.sleep(3_600)
        if body.get("status") == "read":
            self.reads.append(body)
            return web.json_response({"success": True})
        message = self._accept(body)
        known = self.other_ids.get(body["to"], body["to"])
        return web.json_response(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": body["to"], "wa_id": known}],
                "messages": [{"id": message["id"]}],
            }
        )

    def _accept(self, body: Json) -> Json:
        message = {**body, "id": f"wamid.OUT{next(_numbers)}"}
        self.messages.append(message)
        if self.hooks is not None:
            for state in self.statuses:
                self.status(message, state)
        return message

    def _upload(self, form: Json, file: StoredFile | None) -> web.StreamResponse:
        assert file is not None
        media_id = self.put_file(file.data, form["type"])
        self.files[media_id].filename = file.filename
        return web.json_response({"id": media_id})

    def _media(self, media_id: str) -> web.StreamResponse:
        file = self.files[media_id]
        digest = hashlib.sha256(file.data + b"?" * self.wrong_digest).digest()
        return web.json_response(
            {
                "messaging_product": "whatsapp",
                "url": f"{self.base_url}/files/{media_id}",
                "mime_type": file.content_type,
                "sha256": base64.b64encode(digest).decode(),
                "file_size": str(len(file.data)),
                "id": media_id,
            }
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        file = self.files.get(request.match_info["media"])
        if file is None:
            return web.Response(status=404)
        return web.Response(
            body=file.data, content_type=file.content_type.split(";")[0]
        )


def change(value: Json, *, of: str = "messages", number: str = NUMBER_ID) -> Json:
    """Return the body of a webhook with one change."""
    metadata = {"display_phone_number": DISPLAY, "phone_number_id": number}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": "1000", "changes": [{"field": of, "value": whole}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


async def _body(request: web.Request) -> tuple[object, StoredFile | None]:
    if request.content_type == "application/json" and request.can_read_body:
        return await request.json(), None
    if request.content_type != "multipart/form-data":
        return None, None
    form: Json = {}
    file = None
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name, data = part.name or "", bytes(await part.read())
        if name == "file":
            content_type = part.headers.get("Content-Type", "")
            file = StoredFile(data, content_type, part.filename or "")
            form[name] = ""
        else:
            form[name] = data.decode()
    return form, file


def _trouble(request: web.Request, trouble: Trouble) -> web.StreamResponse:
    if trouble.cut:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)
    if trouble.bare:
        return web.Response(status=trouble.status, text="<html>sorry</html>")
    answer = _error(trouble.status, trouble.code, dict(trouble.error))
    answer.headers.update(trouble.headers)
    return answer


def _error(status: int, code: int, more: Json) -> web.Response:
    error = {
        "message": "(#0) refused",
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "AbC",
        **more,
    }
    return web.json_response({"error": error}, status=status)
