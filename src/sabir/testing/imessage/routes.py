"""The routes of BlueBubbles 1.9.9 that the connector uses, with their validators."""

import asyncio
import hashlib
import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import BodyPartReader, web

from sabir.testing.imessage.store import LIMIT_MAX, Json, MessageStore, Row

KEPT_OCTETS_MAX: Final = 1024 * 1024
"""Of a larger upload only size and hash are kept."""
MATCH_S: Final = 120
TAPBACKS: Final = ("love", "like", "dislike", "laugh", "emphasize", "question")
METHODS: Final = ("apple-script", "private-api")
_PRIVATE: Final = (
    "effectId",
    "subject",
    "selectedMessageGuid",
    "ddScan",
    "attributedBody",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """An answer that is an error, as the server words it."""

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(f"{status} {kind}")
        self.status = status
        self.kind = kind
        self.text = text


def invalid(text: str) -> Refusal:
    """Return what a validator says."""
    return Refusal(400, "Validation Error", text)


def fingerprint(text: str | None) -> str:
    """Return what AppleScript sends are matched by: letters and digits of ASCII."""
    return re.sub(r"[^A-Za-z0-9]+", "", text or "")


class Promise:
    """A send that waits for its row."""

    def __init__(self, chat: str, text: str | None, temp: str | None) -> None:
        self.chat = chat
        self.text = fingerprint(text)
        self.temp = temp
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class Routes(ABC):
    """What the API does."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.store = MessageStore()
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, in order."""
        self.problems: list[str] = []
        """What no client should do."""
        self.sends: list[Json] = []
        """Bodies of accepted sends, in order; an upload with `size` and `sha256`."""
        self.helper = True
        self.os_version = "14.5.0"
        self.server_version = "1.9.9"
        self.address: str | None = "me@example.test"
        self.unavailable: set[str] = set()
        """Addresses that are not on iMessage."""
        self.contacts: list[Json] = []
        self.webhooks: dict[int, Json] = {}
        self.hook_answers: list[int] = []
        self.in_flight: set[str] = set()
        self.refusals: list[Refusal] = []
        """For the next sends, each once."""
        self.send_delay_s = 0.0
        self._promises: list[Promise] = []

    @abstractmethod
    async def before_send(self, request: web.Request, chat: str) -> None:
        """Make trouble before a send is accepted."""

    @abstractmethod
    async def after_send(self, request: web.Request) -> None:
        """Make trouble after it."""

    @abstractmethod
    def emit(self, kind: str, data: Any) -> None:
        """Announce an event."""

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of each route."""
        return [
            ("GET", "/ping", self._ping),
            ("GET", "/server/info", self._info),
            ("GET", "/contact", self._contacts),
            ("GET", "/webhook", self._list_webhooks),
            ("POST", "/webhook", self._add_webhook),
            ("DELETE", "/webhook/{id}", self._delete_webhook),
            ("POST", "/chat/query", self._chats),
            ("GET", "/chat/{guid}", self._chat),
            ("POST", "/chat/{guid}/typing", self._mark),
            ("DELETE", "/chat/{guid}/typing", self._mark),
            ("POST", "/chat/{guid}/read", self._mark),
            ("POST", "/message/text", self._text),
            ("POST", "/message/attachment", self._attachment),
            ("POST", "/message/react", self._react),
            ("POST", "/message/query", self._query),
            ("GET", "/message/count", self._count),
            ("GET", "/message/{guid}", self._find),
            ("POST", "/message/{guid}/edit", self._edit),
            ("POST", "/message/{guid}/unsend", self._unsend),
            ("GET", "/attachment/{guid}/download", self._download),
            ("GET", "/handle/availability/imessage", self._availability),
        ]

    # ---- the server

    async def _ping(self, request: web.Request) -> web.Response:
        return _answer("pong")

    async def _info(self, request: web.Request) -> web.Response:
        return _answer(
            {
                "os_version": self.os_version,
                "server_version": self.server_version,
                "private_api": True,
                "helper_connected": self.helper,
                "proxy_service": "lan-url",
                "detected_imessage": self.address,
                "detected_icloud": None,
            }
        )

    async def _contacts(self, request: web.Request) -> web.Response:
        return _answer(self.contacts)

    async def _availability(self, request: web.Request) -> web.Response:
        self._need_helper()
        address = request.query.get("address", "")
        return _answer({"available": address not in self.unavailable})

    async def _list_webhooks(self, request: web.Request) -> web.Response:
        return _answer(list(self.webhooks.values()))

    async def _add_webhook(self, request: web.Request) -> web.Response:
        body = await _body(request, "url", "events")
        if not body["url"].startswith("http"):
            raise invalid("Webhook URL must include an HTTP scheme!")
        for hook in self.webhooks.values():
            if hook["url"] == body["url"]:  # unchanged, whatever the events are
                return _answer(hook)
        hook = {"id": len(self.webhooks) + 1, "url": body["url"]}
        hook["events"] = body["events"]
        self.webhooks[hook["id"]] = hook
        return _answer(hook)

    async def _delete_webhook(self, request: web.Request) -> web.Response:
        if self.webhooks.pop(int(request.match_info["id"]), None) is None:
            raise Refusal(404, "Database Error", "Webhook does not exist!")
        return _answer(None)

    # ---- chats

    async def _chats(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _check_limit(body)
        offset, limit = (
            int(body.get("offset") or 0),
            int(body.get("limit") or LIMIT_MAX),
        )
        found = self.store.all("SELECT * FROM chat")[offset : offset + limit]
        return _answer([self.store.chat_json(c, participants=True) for c in found])

    async def _chat(self, request: web.Request) -> web.Response:
        try:
            chat = self.store.chat(request.match_info["guid"])
        except KeyError:
            raise Refusal(404, "Database Error", "Chat does not exist!") from None
        return _answer(self.store.chat_json(chat, participants=True))

    async def _mark(self, request: web.Request) -> web.Response:
        self._need_helper()
        if request.method == "DELETE":
            self.problems.append("DELETE typing starts it")
        return _answer(None)

    # ---- sending

    async def _text(self, request: web.Request) -> web.Response:
        body = await _body(request, "chatGuid", "message")
        method = body.get("method") or "apple-script"
        if any(body.get(name) for name in _PRIVATE):
            method = "private-api"
        _check_method(method, body.get("tempGuid"))
        return await self._send(
            request,
            body,
            method,
            body["message"],
            thread_originator_guid=body.get("selectedMessageGuid"),
            subject=body.get("subject"),
            expressive_send_style_id=body.get("effectId"),
        )

    async def _attachment(self, request: web.Request) -> web.Response:
        form: Json = {}
        octets, data, digest = 0, b"", hashlib.sha256()
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name != "attachment":
                form[str(part.name)] = await part.text()
                continue
            form["mime"] = part.headers.get("Content-Type", "")
            while chunk := await part.read_chunk(64 * 1024):
                octets += len(chunk)
                digest.update(chunk)
                if octets <= KEPT_OCTETS_MAX:
                    data += chunk
        if not form.get("chatGuid") or not form.get("name"):
            raise invalid("The chatGuid and name fields are required.")
        if not octets:
            raise invalid("Attachment not provided or was empty!")
        method = form.get("method", "apple-script")
        _check_method(method, form.get("tempGuid"))
        form |= {"size": octets, "sha256": digest.hexdigest()}

        def attach(guid: str) -> None:
            self.store.add_file(guid, form["name"], form["mime"], data, size=octets)

        return await self._send(request, form, method, "\ufffc", attach=attach)

    async def _react(self, request: web.Request) -> web.Response:
        body = await _body(request, "chatGuid", "selectedMessageGuid", "reaction")
        if body["reaction"].removeprefix("-") not in TAPBACKS:
            raise invalid("The selected reaction is invalid.")
        self._need_helper()
        self._known_message(body["selectedMessageGuid"], 400)
        return await self._send(
            request,
            body,
            "private-api",
            "Loved “…”",
            associated_message_type=body["reaction"],
            associated_message_guid=f"p:0/{body['selectedMessageGuid']}",
        )

    async def _send(
        self,
        request: web.Request,
        body: Json,
        method: str,
        text: str,
        *,
        attach: Callable[[str], None] = lambda guid: None,
        **columns: Any,
    ) -> web.Response:
        temp, chat = body.get("tempGuid"), body["chatGuid"]
        if temp and temp in self.in_flight:
            raise invalid(f"Message is already queued to be sent! (Temp GUID: {temp})")
        if method == "private-api":
            self._need_helper()
        await self.before_send(request, chat)
        if self.refusals:
            raise self.refusals.pop(0)
        promise = Promise(chat, text, temp)
        self.in_flight.add(temp or "")
        self._promises.append(promise)
        try:
            await asyncio.sleep(self.send_delay_s)
            guid = self.store.add_message(
                chat, text, is_from_me=1, is_delivered=1, **columns
            )
            attach(guid)
            self.sends.append({**body, "guid": guid, "by": method})
            await self.after_send(request)
            if method == "apple-script":
                guid = await asyncio.wait_for(promise.done, MATCH_S)
        finally:
            self.in_flight.discard(temp or "")
        return _answer(self.store.message_json(self.store.message(guid)))

    def match(self, m: Row) -> str | None:
        """Bind an own row to the first request of the same letters; its `tempGuid`."""
        chat, text = self.store.chat_of(m), fingerprint(m["text"])
        for promise in self._promises:
            if not promise.done.done() and (promise.chat, promise.text) == (chat, text):
                promise.done.set_result(m["guid"])
                return promise.temp
        return None

    async def _edit(self, request: web.Request) -> web.Response:
        body = await _body(request, "editedMessage", "backwardsCompatibilityMessage")
        self._need_helper()
        guid = request.match_info["guid"]
        self._known_message(guid, 404)
        await self.before_send(request, "")
        self.store.change(
            guid, text=body["editedMessage"], date_edited=self.store.now()
        )
        await self.after_send(request)
        return _answer(self.store.message_json(self.store.message(guid)))

    async def _unsend(self, request: web.Request) -> web.Response:
        self._need_helper()
        guid = request.match_info["guid"]
        self._known_message(guid, 400)
        self.store.change(
            guid, text=None, date_edited=self.store.now(), retracted_parts="0"
        )
        return _answer(self.store.message_json(self.store.message(guid)))

    # ---- reading

    async def _query(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _check_limit(body)
        statements = [item["statement"] for item in body.get("where") or ()]
        if self.helper and any("message.text" in each for each in statements):
            raise Refusal(500, "Server Error", "Cannot read properties of undefined")
        try:
            found = self.store.query(body)
        except sqlite3.Error as error:
            raise Refusal(500, "Server Error", str(error)) from error
        wanted = {"chat", "chats"} & {w.lower() for w in body.get("with") or ()}
        chats = True if wanted else None
        return _answer([self.store.message_json(m, chats=chats) for m in found])

    async def _count(self, request: web.Request) -> web.Response:
        return _answer({"total": self.store.count(int(request.query["minRowId"]))})

    async def _find(self, request: web.Request) -> web.Response:
        found = self._known_message(request.match_info["guid"], 404)
        wanted = {"chat", "chats"} & set(request.query.get("with", "").split(","))
        return _answer(self.store.message_json(found, chats=True if wanted else None))

    async def _download(self, request: web.Request) -> web.Response:
        try:
            file = self.store.file(request.match_info["guid"])
        except KeyError:
            text = "Cannot read properties of null"
            raise Refusal(500, "Server Error", text) from None
        if request.query.get("original") != "true":
            self.problems.append("a download that may convert the file")
        return web.Response(body=file["data"], content_type=file["mime_type"])

    # ---- checks

    def _need_helper(self) -> None:
        if not self.helper:
            text = "iMessage Private API Helper is not connected!"
            raise Refusal(500, "iMessage Error", text)

    def _known_message(self, guid: str, status: int) -> Row:
        try:
            return self.store.message(guid)
        except KeyError:
            kind = "Database Error" if status == 404 else "Validation Error"
            raise Refusal(status, kind, "Message does not exist!") from None


def _answer(data: Any) -> web.Response:
    body: Json = {"status": 200, "message": "Success"}
    return web.json_response(body if data is None else {**body, "data": data})


async def _body(request: web.Request, *required: str) -> Json:
    try:
        body: Json = await request.json() if request.can_read_body else {}
    except ValueError:
        raise Refusal(500, "Server Error", "Unexpected token in JSON") from None
    for name in required:
        if not body.get(name):
            raise invalid(f"The {name} field is required.")
    return body


def _check_method(method: str, temp: str | None) -> None:
    if method not in METHODS:
        raise invalid("The selected method is invalid.")
    if method == "apple-script" and not temp:
        raise invalid("A 'tempGuid' is required when sending via AppleScript")


def _check_limit(body: Json) -> None:
    if int(body.get("limit") or 1) > LIMIT_MAX:
        raise invalid("The limit may not be greater than 1000.")
    if body.get("sort", "DESC") not in ("ASC", "DESC", "lastmessage"):
        raise invalid("The selected sort is invalid.")
