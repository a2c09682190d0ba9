"""A person's Matrix client over the raw client-server API.

- Everything that arrives by `/sync` is in `events`, in the server's order, with the
  monotonic time of its arrival. A gap in a room's timeline is filled from `/messages`.
- Requests survive a restart of the server: they are repeated until it answers. A send
  is safe to repeat, for its transaction id stays the same.
- `history` is the truth: the room as the homeserver has it.
"""

import asyncio
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from sabir.errors import PolicyRefused, Unavailable
from sabir.testing.clients.arrivals import Arrivals
from sabir.testing.servers.accounts import MatrixAccount

Json = dict[str, Any]

_CLIENT: Final = "/_matrix/client/v3"
_MEDIA: Final = "/_matrix/client/v1/media"

_REPEAT_FOR_S: Final = 90.0
"""How long a request is repeated while the server is away; a restart takes 3 s."""

_REPEAT_AFTER_S: Final = 0.2
"""The pause between two attempts at a server that is away."""

_LONG_POLL_MS: Final = 30_000
"""One `/sync` waits this long for news, as the clients of people do."""

_TIMELINE_EVENTS_MAX: Final = 200
"""Events of one room in one `/sync`; what is beyond is fetched as a gap."""

_PAGE_EVENTS_MAX: Final = 500
"""Events in one page of a room's history."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it arrived.

    `kind` says which part of `/sync` it came in: "timeline", "state", "ephemeral"
    (typing and receipts) or "invite" (the stripped state of a room one is invited to).
    """

    kind: str
    room_id: str
    event: Json
    arrived_s: float

    @property
    def event_id(self) -> str:
        """The event's id; empty for ephemeral events."""
        return str(self.event.get("event_id", ""))

    @property
    def sender(self) -> str:
        """Who sent it; empty for ephemeral events."""
        return str(self.event.get("sender", ""))

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.event.get("type", ""))

    @property
    def content(self) -> Json:
        """The event's content; empty once it was redacted."""
        content: Json = self.event.get("content", {})
        return content

    @property
    def body(self) -> str:
        """The plain text of a message, else empty."""
        return str(self.content.get("body", ""))


class MatrixClient:
    """One device of one person; `async with` begins and ends listening.

    Args:
        account: the login, as `Synapse.add_user` gives it.
    """

    def __init__(self, account: MatrixAccount) -> None:
        self.account = account
        self.user_id = account.user_id
        self.events: Arrivals[Seen] = Arrivals(account.user_id)
        self._session: aiohttp.ClientSession | None = None
        self._listening: asyncio.Task[None] | None = None
        self._since: str | None = None
        self._known: set[str] = set()
        self._sent = 0
        self._run = os.urandom(4).hex()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self.account.base_url,
            headers={"Authorization": f"Bearer {self.account.access_token}"},
            timeout=aiohttp.ClientTimeout(total=120),
        )
        await self._catch_up(wait_ms=0)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        if self._session is not None:
            await self._session.close()

    async def wait_for(
        self, predicate: Callable[[Seen], bool], timeout_s: float = 20.0, mark: int = 0
    ) -> Seen:
        """Return the first arrival that fits, from position `mark` of `events` on."""
        return await self.events.wait_for(predicate, timeout_s, mark)

    async def wait_for_body(
        self, room_id: str, body: str, timeout_s: float = 20.0
    ) -> Seen:
        """Return the first message of a room with this very text."""
        return await self.wait_for(
            lambda seen: (
                seen.kind == "timeline"
                and seen.room_id == room_id
                and seen.body == body
            ),
            timeout_s,
        )

    # -------------------------------------------------------------- rooms and people

    async def create_room(
        self,
        name: str,
        *,
        invite: Iterable[str] = (),
        public: bool = False,
        direct: bool = False,
        encrypted: bool = False,
    ) -> str:
        """Make a room and return its id."""
        initial = {
            "type": "m.room.encryption",
            "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        }
        answer = await self.call(
            "POST",
            f"{_CLIENT}/createRoom",
            {
                "name": name,
                "preset": "public_chat" if public else "private_chat",
                "invite": list(invite),
                "is_direct": direct,
                "initial_state": [initial] if encrypted else [],
            },
        )
        return str(answer["room_id"])

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite somebody."""
        await self._room(room_id, "invite", {"user_id": user_id})

    async def join(self, room: str) -> str:
        """Join by room id or alias; return the room id."""
        answer = await self.call("POST", f"{_CLIENT}/join/{quote(room, safe='')}", {})
        return str(answer["room_id"])

    async def leave(self, room_id: str) -> None:
        """Leave a room."""
        await self._room(room_id, "leave", {})

    async def kick(self, room_id: str, user_id: str, reason: str = "") -> None:
        """Put somebody out of a room."""
        await self._room(room_id, "kick", {"user_id": user_id, "reason": reason})

    async def ban(self, room_id: str, user_id: str, reason: str = "") -> None:
        """Put somebody out of a room for good."""
        await self._room(room_id, "ban", {"user_id": user_id, "reason": reason})

    async def members(self, room_id: str) -> dict[str, str]:
        """Return who has joined: user id to display name."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/joined_members"
        answer = await self.call("GET", path)
        return {
            user_id: str(profile.get("display_name") or "")
            for user_id, profile in answer["joined"].items()
        }

    async def set_state(
        self, room_id: str, event_type: str, content: Json, state_key: str = ""
    ) -> str:
        """Set a state event and return its id."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/state/{event_type}/"
        answer = await self.call("PUT", path + quote(state_key, safe=""), content)
        return str(answer["event_id"])

    async def state(self, room_id: str, event_type: str, state_key: str = "") -> Json:
        """Return the content of a state event.

        Raises:
            PolicyRefused: there is none (M_NOT_FOUND), or we may not see it.
        """
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/state/{event_type}/"
        return await self.call("GET", path + quote(state_key, safe=""))

    async def rename_room(self, room_id: str, name: str) -> str:
        """Give a room a name."""
        return await self.set_state(room_id, "m.room.name", {"name": name})

    async def set_topic(self, room_id: str, topic: str) -> str:
        """Give a room a topic."""
        return await self.set_state(room_id, "m.room.topic", {"topic": topic})

    async def set_display_name(self, name: str) -> None:
        """Change the person's own name in all rooms."""
        path = f"{_CLIENT}/profile/{quote(self.user_id, safe='')}/displayname"
        await self.call("PUT", path, {"displayname": name})

    # -------------------------------------------------------------------- messages

    async def send(
        self,
        room_id: str,
        content: Json,
        *,
        event_type: str = "m.room.message",
        transaction_id: str | None = None,
    ) -> str:
        """Send any event and return its id; repeated until the server has it."""
        transaction_id = transaction_id or self._next_transaction()
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/send/{event_type}/"
        answer = await self.call("PUT", path + quote(transaction_id, safe=""), content)
        return str(answer["event_id"])

    async def send_text(self, room_id: str, body: str) -> str:
        """Send plain text."""
        return await self.send(room_id, {"msgtype": "m.text", "body": body})

    async def send_formatted(self, room_id: str, body: str, html: str) -> str:
        """Send text with its form as Matrix HTML."""
        return await self.send(room_id, _formatted(body, html))

    async def reply(self, room_id: str, event_id: str, body: str) -> str:
        """Answer a message."""
        relation = {"m.in_reply_to": {"event_id": event_id}}
        return await self.send(
            room_id, {"msgtype": "m.text", "body": body, "m.relates_to": relation}
        )

    async def edit(
        self, room_id: str, event_id: str, body: str, html: str | None = None
    ) -> str:
        """Replace the text of one's own message; `event_id` is the first version's."""
        new = _formatted(body, html) if html else {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": event_id}
        fallback = {"msgtype": "m.text", "body": f"* {body}"}
        return await self.send(
            room_id, fallback | {"m.new_content": new, "m.relates_to": relation}
        )

    async def redact(self, room_id: str, event_id: str, reason: str = "") -> str:
        """Take an event back: a message or a reaction."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/redact/"
        path += f"{quote(event_id, safe='')}/{self._next_transaction()}"
        answer = await self.call("PUT", path, {"reason": reason} if reason else {})
        return str(answer["event_id"])

    async def react(self, room_id: str, event_id: str, emoji: str) -> str:
        """React to a message; return the reaction's id, which `redact` takes back."""
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": emoji}
        return await self.send(
            room_id, {"m.relates_to": relation}, event_type="m.reaction"
        )

    async def typing(
        self, room_id: str, *, active: bool, lasts_ms: int = 20_000
    ) -> None:
        """Say that the person is writing, or has stopped."""
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/typing/"
        body: Json = {"typing": active} | ({"timeout": lasts_ms} if active else {})
        await self.call("PUT", path + quote(self.user_id, safe=""), body)

    async def mark_read(self, room_id: str, event_id: str) -> None:
        """Say that the person has read up to this event."""
        path = f"receipt/m.read/{quote(event_id, safe='')}"
        await self._room(room_id, path, {})

    # ----------------------------------------------------------------------- media

    async def upload(self, octets: bytes, media_type: str, file_name: str) -> str:
        """Store a file and return its `mxc:` address."""
        path = f"/_matrix/media/v3/upload?filename={quote(file_name, safe='')}"
        status, answer = await self._request("POST", path, octets, media_type)
        return str(_accepted(status, json.loads(answer))["content_uri"])

    async def download(self, address: str) -> bytes:
        """Return the octets behind an `mxc:` address.

        Raises:
            PolicyRefused: there is no such file.
        """
        path = f"{_MEDIA}/download/{address.removeprefix('mxc://')}"
        status, answer = await self._request("GET", path)
        if status != 200:
            _accepted(status, json.loads(answer))
        return answer

    async def send_file(
        self,
        room_id: str,
        octets: bytes,
        *,
        media_type: str,
        file_name: str,
        caption: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Upload and send a file; the kind follows from the media type.

        A caption goes under the file: `filename` then differs from `body`. `extra` are
        more fields of the content, such as MSC3245's mark of a voice note.
        """
        address = await self.upload(octets, media_type, file_name)
        major = media_type.partition("/")[0]
        kind = major if major in {"image", "video", "audio"} else "file"
        return await self.send(
            room_id,
            {
                "msgtype": f"m.{kind}",
                "body": caption or file_name,
                "filename": file_name,
                "url": address,
                "info": {"mimetype": media_type, "size": len(octets)},
            }
            | dict(extra or {}),
        )

    async def send_voice(self, room_id: str, octets: bytes, duration_ms: int) -> str:
        """Send a voice note (Ogg Opus) with a flat waveform, as MSC3245 marks it."""
        return await self.send_file(
            room_id,
            octets,
            media_type="audio/ogg",
            file_name="Voice message.ogg",
            extra={
                "org.matrix.msc3245.voice": {},
                "org.matrix.msc1767.audio": {
                    "duration": duration_ms,
                    "waveform": [512] * 30,
                },
            },
        )

    # ----------------------------------------------------------------------- truth

    async def history(self, room_id: str) -> list[Json]:
        """Return every event of a room that we may see, oldest first."""
        events: list[Json] = []
        token: str | None = None
        while True:
            page = await self._messages(room_id, "f", token)
            events += page["chunk"]
            if not page["chunk"] or "end" not in page:
                return events
            token = page["end"]

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Make any request of the client-server API; repeated while the server is away.

        Raises:
            PolicyRefused: the server answered with an error; the text has its code.
            Unavailable: the server did not come back in time.
        """
        data = None if body is None else json.dumps(body).encode()
        status, answer = await self._request(method, path, data)
        return _accepted(status, json.loads(answer))

    async def _room(self, room_id: str, action: str, body: Json) -> None:
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/{action}"
        await self.call("POST", path, body)

    def _next_transaction(self) -> str:
        self._sent += 1
        return f"{self._run}-{self._sent}"

    async def _request(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        media_type: str = "application/json",
    ) -> tuple[int, bytes]:
        assert self._session is not None, "use `async with` first"
        headers = {}
        if data is not None:
            headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        deadline = time.monotonic() + _REPEAT_FOR_S
        while True:
            wait_s = _REPEAT_AFTER_S
            try:
                body = None if data is None else io.BytesIO(data)
                async with self._session.request(
                    method, path, data=body, headers=headers
                ) as answer:
                    octets = await answer.read()
                    if answer.status == 429:
                        asked_ms = json.loads(octets).get("retry_after_ms", 0)
                        wait_s = max(wait_s, asked_ms / 1000)
                    elif answer.status < 500:
                        return answer.status, octets
                    reason = f"status {answer.status}"
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as gone:
                reason = str(gone)
            if time.monotonic() + wait_s > deadline:
                raise Unavailable(f"{method} {path.partition('?')[0]}: {reason}")
            await asyncio.sleep(wait_s)

    # --------------------------------------------------------------------- listening

    async def _listen(self) -> None:
        try:
            while True:
                await self._catch_up(wait_ms=_LONG_POLL_MS)
        except (PolicyRefused, Unavailable) as error:
            self.events.fail(error)

    async def _catch_up(self, wait_ms: int) -> None:
        batch = await self._sync_once(wait_ms)
        await self._fill_gaps(batch)
        self._take(batch)

    async def _sync_once(self, wait_ms: int) -> Json:
        timeline = {"room": {"timeline": {"limit": _TIMELINE_EVENTS_MAX}}}
        path = f"{_CLIENT}/sync?timeout={wait_ms}&filter={quote(json.dumps(timeline))}"
        if self._since is not None:
            path += f"&since={quote(self._since)}"
        return await self.call("GET", path)

    async def _fill_gaps(self, batch: Json) -> None:
        """Put what a shortened timeline left out before what it has."""
        for room_id, room in batch.get("rooms", {}).get("join", {}).items():
            timeline = room["timeline"]
            if not timeline.get("limited") or self._since is None:
                continue
            missed: list[Json] = []
            token: str | None = timeline["prev_batch"]
            while token is not None:
                page = await self._messages(room_id, "b", token, self._since)
                missed += page["chunk"]
                token = page.get("end") if page["chunk"] else None
            timeline["events"] = [*reversed(missed), *timeline["events"]]

    async def _messages(
        self, room_id: str, direction: str, start: str | None, end: str | None = None
    ) -> Json:
        path = f"{_CLIENT}/rooms/{quote(room_id, safe='')}/messages"
        path += f"?dir={direction}&limit={_PAGE_EVENTS_MAX}"
        path += f"&from={quote(start)}" if start else ""
        path += f"&to={quote(end)}" if end else ""
        return await self.call("GET", path)

    def _take(self, batch: Json) -> None:
        arrived_s = time.monotonic()
        rooms = batch.get("rooms", {})
        for room_id, room in rooms.get("invite", {}).items():
            for event in room["invite_state"]["events"]:
                self.events.add(Seen("invite", room_id, event, arrived_s))
        inside = rooms.get("join", {}) | rooms.get("leave", {})
        for room_id, room in inside.items():
            for kind in ("state", "timeline", "ephemeral"):
                for event in room.get(kind, {}).get("events", []):
                    self._take_event(Seen(kind, room_id, event, arrived_s))
        self._since = batch["next_batch"]

    def _take_event(self, seen: Seen) -> None:
        if seen.event_id in self._known:
            return
        if seen.event_id:
            self._known.add(seen.event_id)
        self.events.add(seen)


def _formatted(body: str, html: str) -> Json:
    return {
        "msgtype": "m.text",
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": html,
    }


def _accepted(status: int, answer: Json) -> Json:
    if status != 200:
        raise PolicyRefused(
            f"Matrix answered {status} {answer.get('errcode')}: {answer.get('error')}"
        )
    return answer
