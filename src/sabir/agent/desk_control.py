"""Rooms at a provider through the owner's door: what `sabir room` and `chat` ask."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from sabir.agent.membership.desk import Desk
from sabir.agent.membership.ledger import RoomsStorage
from sabir.agent.membership.timeline_view import ROWS_MAX, entry_at, rows_after
from sabir.content.gfm import read as read_markdown
from sabir.content.meaning import Deleted, Edited, Meaning, Reacted, Said
from sabir.errors import ConfigInvalid, PolicyRefused
from sabir.mimi.template_names import TemplateName
from sabir.storage.ports import Rooms
from sabir.storage.records import EntryRecord, RoomId

WAIT_S_MAX: Final = 30
"""How long one look for new messages lasts; then the caller asks again."""
TEXT_CHARS_MAX: Final = 16_384
"""Of one message from a terminal."""
_WORDS: Final = ("home", "rooms")
"""With which our paths begin."""

T = TypeVar("T", bound="_Form")


class _Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of a request."""


class _Room(_Form, frozen=True, kw_only=True):
    room: str


class _NewRoom(_Form, frozen=True, kw_only=True):
    name: str = ""
    template: TemplateName = TemplateName.GROUP
    others: tuple[str, ...] = ()


class _User(_Form, frozen=True, kw_only=True):
    room: str
    user: str


class _Invitation(_Form, frozen=True, kw_only=True):
    room: str
    user: str
    role: str | None = None


class _Role(_Form, frozen=True, kw_only=True):
    room: str
    user: str
    role: str


class _Link(_Form, frozen=True, kw_only=True):
    room: str
    role: str
    uses: int = 1
    hours: int = 168
    user: str = ""


class _Join(_Form, frozen=True, kw_only=True):
    link: str


class _Name(_Form, frozen=True, kw_only=True):
    room: str
    name: str


class _Words(_Form, frozen=True, kw_only=True):
    """Something said.

    Attributes:
        room: URI.
        text: GFM-MIMI.
        about: number of the message that is answered, changed or reacted to.
        key: the same again is the same message.
    """

    room: str
    text: str = ""
    about: int = 0
    key: str = ""


class _File(_Form, frozen=True, kw_only=True):
    room: str
    path: str


class _Save(_Form, frozen=True, kw_only=True):
    """A file of a message, to be stored.

    Attributes:
        room: URI.
        about: number of the message.
        number: of the file in it, from 0.
        path: absolute, where it goes.
    """

    room: str
    about: int
    number: int = 0
    path: str


class _Read(_Form, frozen=True, kw_only=True):
    room: str
    until: int


class _Report(_Form, frozen=True, kw_only=True):
    room: str
    about: int
    note: str = ""
    anonymous: bool = False


class _Consent(_Form, frozen=True, kw_only=True):
    user: str
    room: str = ""
    grant: bool = True


class _Device(_Form, frozen=True, kw_only=True):
    device: str


class DeskStorage(RoomsStorage, Rooms, Protocol):
    """What these routes look up."""


def homeless_routes() -> list[web.RouteDef]:
    """Return the routes of an agent that is at no provider: they say so."""
    return [web.route("*", f"/{word}{{rest:.*}}", _homeless) for word in _WORDS]


async def _homeless(_request: web.Request) -> web.Response:
    raise ConfigInvalid(
        "this agent is at no provider, and rooms live there: `sabir home join DOMAIN`,"
        " then start `sabir up` anew"
    )


class DeskRoutes:
    """The routes.

    Args:
        desk: of the running agent.
        storage: of the agent.
    """

    def __init__(self, desk: Desk, storage: DeskStorage) -> None:
        self._desk = desk
        self._storage = storage

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for the control server."""
        return [
            web.get("/home", self._home),
            web.get("/home/devices", self._devices),
            web.post("/home/remove-device", self._remove_device),
            web.get("/home/history", self._history),
            web.post("/home/history-ask", self._ask_history),
            web.post("/home/history-give", self._give_history),
            web.get("/home/consents", self._consents),
            web.post("/home/consents", self._consent),
            web.get("/rooms", self._rooms),
            web.post("/rooms", self._create),
            web.get("/rooms/shown", self._shown),
            web.get("/rooms/timeline", self._timeline),
            web.post("/rooms/invite", self._invite),
            web.post("/rooms/link", self._link),
            web.post("/rooms/join", self._join),
            web.post("/rooms/leave", self._leave),
            web.post("/rooms/role", self._role),
            web.post("/rooms/kick", self._kick),
            web.post("/rooms/remove", self._remove),
            web.post("/rooms/ban", self._ban),
            web.post("/rooms/rename", self._rename),
            web.post("/rooms/close", self._close),
            web.post("/rooms/trust", self._trust),
            web.post("/rooms/say", self._say),
            web.post("/rooms/edit", self._edit),
            web.post("/rooms/delete", self._delete),
            web.post("/rooms/react", self._react),
            web.post("/rooms/file", self._file),
            web.post("/rooms/save", self._save),
            web.post("/rooms/read", self._read),
            web.post("/rooms/report", self._report),
        ]

    # ---- our device and people

    async def _home(self, _request: web.Request) -> web.Response:
        return _json(
            {
                "user": self._desk.user,
                "device": self._desk.membership.device,
                "fingerprint": self._desk.histories.fingerprint,
            }
        )

    async def _devices(self, _request: web.Request) -> web.Response:
        return _json(await self._desk.devices())

    async def _remove_device(self, request: web.Request) -> web.Response:
        await self._desk.remove_device((await _form(request, _Device)).device)
        return _json({})

    async def _history(self, _request: web.Request) -> web.Response:
        return _json(await self._desk.histories.asked())

    async def _ask_history(self, _request: web.Request) -> web.Response:
        return _json({"devices": await self._desk.histories.ask()})

    async def _give_history(self, request: web.Request) -> web.Response:
        form = await _form(request, _Device)
        return _json(asdict(await self._desk.histories.give(form.device)))

    async def _consents(self, _request: web.Request) -> web.Response:
        return _json(await self._desk.consents())

    async def _consent(self, request: web.Request) -> web.Response:
        form = await _form(request, _Consent)
        user = await self._desk.find(form.user)
        await self._desk.consent(user, room=form.room, grant=form.grant)
        return _json({"user": user})

    # ---- rooms

    async def _rooms(self, _request: web.Request) -> web.Response:
        names = {each.id: each for each in await self._storage.rooms()}
        rows = []
        for each in await self._desk.listed():
            record = names.get(each.room)
            rows.append(
                {
                    "room": each.room,
                    "name": "" if record is None else record.name,
                    "first": await self._storage.timeline_start(each.room),
                    "last": 0 if record is None else record.last_seq,
                    "state": each.state.value,
                    "detail": each.detail,
                }
            )
        return _json(rows)

    async def _create(self, request: web.Request) -> web.Response:
        form = await _form(request, _NewRoom)
        others = [await self._desk.find(user) for user in form.others]
        room = await self._desk.create(form.name, form.template, others)
        return _json({"room": room})

    async def _shown(self, request: web.Request) -> web.Response:
        room = RoomId(request.query.get("room", ""))
        return _json(asdict(await self._desk.show(room)))

    async def _invite(self, request: web.Request) -> web.Response:
        form = await _form(request, _Invitation)
        room, user = RoomId(form.room), await self._desk.find(form.user)
        role = None if form.role is None else await self._desk.role(room, form.role)
        invited = await self._desk.invite(room, user, role)
        return _json({"user": user, **asdict(invited)})

    async def _link(self, request: web.Request) -> web.Response:
        form = await _form(request, _Link)
        room = RoomId(form.room)
        link = await self._desk.make_link(
            room,
            role=await self._desk.role(room, form.role),
            uses=form.uses,
            life_ms=form.hours * 3_600_000,
            user=await self._desk.find(form.user) if form.user else "",
        )
        return _json({"link": link.text()})

    async def _join(self, request: web.Request) -> web.Response:
        form = await _form(request, _Join)
        return _json({"room": await self._desk.join(form.link)})

    async def _leave(self, request: web.Request) -> web.Response:
        form = await _form(request, _Room)
        await self._desk.leave(RoomId(form.room))
        return _json({})

    async def _role(self, request: web.Request) -> web.Response:
        form = await _form(request, _Role)
        room = RoomId(form.room)
        user = await self._desk.find_in(room, form.user)
        await self._desk.set_role(room, user, await self._desk.role(room, form.role))
        return _json({"user": user})

    async def _kick(self, request: web.Request) -> web.Response:
        return await self._to_user(request, self._desk.kick)

    async def _remove(self, request: web.Request) -> web.Response:
        return await self._to_user(request, self._desk.remove)

    async def _ban(self, request: web.Request) -> web.Response:
        return await self._to_user(request, self._desk.ban)

    async def _to_user(
        self, request: web.Request, act: Callable[[RoomId, str], Awaitable[None]]
    ) -> web.Response:
        form = await _form(request, _User)
        room = RoomId(form.room)
        user = await self._desk.find_in(room, form.user)
        await act(room, user)
        return _json({"user": user})

    async def _rename(self, request: web.Request) -> web.Response:
        form = await _form(request, _Name)
        await self._desk.rename(RoomId(form.room), form.name)
        return _json({})

    async def _close(self, request: web.Request) -> web.Response:
        form = await _form(request, _Room)
        await self._desk.close(RoomId(form.room))
        return _json({})

    async def _trust(self, request: web.Request) -> web.Response:
        form = await _form(request, _Room)
        await self._desk.trust(RoomId(form.room))
        return _json({})

    # ---- messages

    async def _timeline(self, request: web.Request) -> web.Response:
        """Return what is behind a number; wait for it a while if asked to."""
        room = RoomId(request.query.get("room", ""))
        after = _number(request, "after", 0)
        count = min(_number(request, "count", ROWS_MAX), ROWS_MAX)
        wait_s = min(_number(request, "wait", 0), WAIT_S_MAX)
        pulse = self._desk.pulse(room)
        rows = await rows_after(self._storage, room, after, count_max=count)
        if not rows and wait_s:
            try:
                async with asyncio.timeout(wait_s):
                    await pulse.wait()
            except TimeoutError:
                return _json([])
            rows = await rows_after(self._storage, room, after, count_max=count)
        return _json(rows)

    async def _say(self, request: web.Request) -> web.Response:
        form = await _form(request, _Words)
        target = await self._about(form) if form.about else None
        said = Said(
            text=read_markdown(_words(form.text)),
            in_reply_to=None if target is None else target.entry,
        )
        return await self._post(form, said)

    async def _edit(self, request: web.Request) -> web.Response:
        form = await _form(request, _Words)
        target = await self._about(form)
        text = read_markdown(_words(form.text))
        return await self._post(form, Edited(target=target.entry, text=text))

    async def _delete(self, request: web.Request) -> web.Response:
        form = await _form(request, _Words)
        target = await self._about(form)
        return await self._post(form, Deleted(target=target.entry))

    async def _react(self, request: web.Request) -> web.Response:
        form = await _form(request, _Words)
        target = await self._about(form)
        return await self._post(form, Reacted(target=target.entry, emoji=form.text))

    async def _about(self, form: _Words) -> EntryRecord:
        return await entry_at(self._storage, RoomId(form.room), form.about)

    async def _post(self, form: _Words, meaning: Meaning) -> web.Response:
        record = await self._desk.post(RoomId(form.room), meaning, key=form.key)
        return _json({"seq": record.seq, "id": record.entry.hex()})

    async def _file(self, request: web.Request) -> web.Response:
        form = await _form(request, _File)
        record = await self._desk.send_file(RoomId(form.room), Path(form.path))
        return _json({"seq": record.seq, "id": record.entry.hex()})

    async def _save(self, request: web.Request) -> web.Response:
        form = await _form(request, _Save)
        room = RoomId(form.room)
        entry = await entry_at(self._storage, room, form.about)
        saved = await self._desk.save_file(
            room, entry, Path(form.path), number=form.number
        )
        return _json({"octets": saved})

    async def _read(self, request: web.Request) -> web.Response:
        form = await _form(request, _Read)
        return _json(
            {"reported": await self._desk.mark_read(RoomId(form.room), form.until)}
        )

    async def _report(self, request: web.Request) -> web.Response:
        form = await _form(request, _Report)
        room = RoomId(form.room)
        entry = await entry_at(self._storage, room, form.about)
        await self._desk.report(room, entry, note=form.note, anonymous=form.anonymous)
        return _json({})


def _words(text: str) -> str:
    if not text.strip() or len(text) > TEXT_CHARS_MAX:
        raise PolicyRefused(f"a message has 1 to {TEXT_CHARS_MAX} characters")
    return text


async def _form(request: web.Request, form: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=form)
    except msgspec.DecodeError as wrong:
        raise PolicyRefused(f"this was not understood: {wrong}") from wrong


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    digits = text.removeprefix("-")  # entries from before this device came
    if text and not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise PolicyRefused(f'"{name}" is no number')
    return int(text) if text else default


def _json(value: Any) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value, enc_hook=_plain),
        content_type="application/json",
    )


def _plain(value: object) -> object:
    raise NotImplementedError(type(value).__name__)
