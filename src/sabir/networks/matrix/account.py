"""One plain account: it polls `/sync`, and speaks for everybody.

* The cursor moves only together with the last of the events it covers.
* A truncated timeline (`limited`) is completed from the history first: matrix
  servers truncate exactly under load.
* What other clients of the same user send is handed on like anybody's message.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import NativeRef
from sabir.errors import CredentialsRefused, Error, PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ConnectionState,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    NativeId,
    Outcome,
    Outgoing,
    PersonId,
    Sent,
    Speaker,
)
from sabir.networks.matrix import capabilities
from sabir.networks.matrix.client import Client, Rejected, Voice, http_session
from sabir.networks.matrix.config import AccountConfig
from sabir.networks.matrix.decode import decode
from sabir.networks.matrix.envelope import (
    Json,
    content_of,
    is_event,
    seal,
    subject_of,
)
from sabir.networks.matrix.media import download
from sabir.networks.matrix.rooms import RoomBook, RoomLoader, describe
from sabir.networks.matrix.signals import SignalReader
from sabir.networks.matrix.takes import hand_on
from sabir.networks.matrix.writer import SEND_WINDOW, Writer, entry_key

SYNC_CURSOR: Final = "sync"
POLL_MS: Final = 30_000
SYNC_TIMEOUT_S: Final = 150.0
"""A poll, and the time a busy server needs for a first answer."""
GAPS_AT_ONCE_MAX: Final = 4
"""One large room must not hold up the others."""
GAP_PAGES_MAX: Final = 100
"""10,000 events per room; beyond it, the newest are taken and the owner is told."""
PAGE_EVENTS: Final = 100
"""Synapse gives no more, whatever is asked."""
TYPING_SHOWN_MS: Final = 30_000
FILTER: Final = json.dumps(
    {
        "presence": {"types": []},
        "account_data": {"types": []},
        "room": {
            "include_leave": False,
            "timeline": {"limit": PAGE_EVENTS, "lazy_load_members": True},
            "state": {"lazy_load_members": True},
            "ephemeral": {"types": ["m.typing", "m.receipt"]},
            "account_data": {"types": []},
        },
    },
    separators=(",", ":"),
)

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """What exists while we are connected."""

    client: Client
    host: Host
    loader: RoomLoader
    writer: Writer
    signals: SignalReader


@dataclass(slots=True)
class _RoomNews:
    """What one answer says about one room."""

    room: ChatId
    timeline: list[Json]
    gap: list[Json] = field(default_factory=list)
    """Events between the last answer and the timeline, oldest first."""
    ephemeral: Sequence[Any] = ()
    prev_batch: str | None = None
    is_limited: bool = False


class PlainAccount:
    """Connector of one account."""

    send_window = SEND_WINDOW

    def __init__(self, config: AccountConfig, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._book = RoomBook()
        self._me = Voice(config.user_id)
        self._session: _Session | None = None
        self._state = ConnectionState.CONNECTING
        self._upload_octets_max: int | None = None

    # ---- running

    async def run(self, host: Host) -> None:
        """Poll until cancelled (see `Connector.run`)."""
        self._report(host, ConnectionState.CONNECTING)
        config = self._config
        try:
            async with http_session() as http:
                client = Client(config.homeserver_url, http, token=config.access_token)
                await self._start(client, host)
                await self._poll(client, host)
        finally:
            self._session = None

    async def _start(self, client: Client, host: Host) -> None:
        await client.versions()
        await self._check_identity(client)
        self._upload_octets_max = await client.media_octets_max()
        loader = RoomLoader(client, self._book, self._clock, voice=None)
        await loader.load(host.chats())
        writer = Writer(
            client,
            self._book,
            _OneCast(self._me),
            self._clock,
            upload_octets_max=self._upload_octets_max,
            with_times=False,
        )
        signals = SignalReader(self._book, self._config.user_id.__eq__)
        self._session = _Session(client, host, loader, writer, signals)

    async def _check_identity(self, client: Client) -> None:
        answer = await client.whoami()
        if answer.get("user_id") != self._config.user_id:
            raise CredentialsRefused(
                f"the token belongs to {answer.get('user_id')}, not to "
                f"{self._config.user_id}; log in as the right user"
            )
        if not answer.get("device_id"):
            raise CredentialsRefused(
                "the token has no device, so repeats would double messages; log in "
                "with user and password to get a token of its own"
            )

    async def _poll(self, client: Client, host: Host) -> None:
        since = await host.cursor(SYNC_CURSOR)
        self._report(host, ConnectionState.CATCHING_UP)
        is_live = False
        while True:
            answer = await self._ask(client, since, wait=is_live)
            news = list(_read_rooms(answer)) if since is not None else []
            await self._connected().loader.load_missing(host.chats())
            await self._complete(client, host, news, since or "")
            next_batch = answer["next_batch"]
            await self._hand_on(host, news, next_batch, late=not is_live)
            since = next_batch
            if not is_live:
                self._report(host, ConnectionState.CONNECTED)
            is_live = True

    def _report(self, host: Host, state: ConnectionState) -> None:
        self._state = state
        host.report(state)

    async def _ask(self, client: Client, since: str | None, *, wait: bool) -> Json:
        """Poll once; a limit on our rate is waited for."""
        query: dict[str, str | int] = {
            "filter": FILTER,
            "set_presence": "offline",
            "timeout": POLL_MS if wait else 0,
        }
        if since is not None:
            query["since"] = since
        while True:
            try:
                answer = await client.sync(query=query, timeout_s=SYNC_TIMEOUT_S)
            except Unavailable as limited:
                if limited.retry_after_ms is None:
                    raise
                await self._clock.sleep(limited.retry_after_ms)
                continue
            if not isinstance(answer.get("next_batch"), str):
                raise Unavailable("the homeserver's /sync has no next_batch")
            return answer

    # ---- gaps

    async def _complete(
        self, client: Client, host: Host, news: Sequence[_RoomNews], since: str
    ) -> None:
        """Fill the gap of every portal's room whose timeline was truncated."""
        portals = set(host.chats())
        slots = asyncio.Semaphore(GAPS_AT_ONCE_MAX)

        async def fill(one: _RoomNews) -> None:
            async with slots:
                one.gap = await self._gap(client, host, one, since)

        try:
            async with asyncio.TaskGroup() as group:
                for one in news:
                    if one.is_limited and one.prev_batch and one.room in portals:
                        group.create_task(fill(one))
        except* Error as errors:
            raise _first(errors) from errors

    async def _gap(
        self, client: Client, host: Host, news: _RoomNews, since: str
    ) -> list[Json]:
        """Page back from the timeline's start to where we were, oldest first."""
        found: list[Json] = []
        token = news.prev_batch or ""
        for _ in range(GAP_PAGES_MAX):
            query: dict[str, str | int] = {
                "dir": "b",
                "from": token,
                "to": since,
                "limit": PAGE_EVENTS,
                "filter": '{"lazy_load_members":true}',
            }
            page = await self._page(client, news.room, query)
            chunk = page.get("chunk")
            events = chunk if isinstance(chunk, list) else []
            found.extend(_with_room(event, news.room) for event in events)
            for event in page.get("state") or ():
                self._learn_name(news.room, event)
            end = page.get("end")
            if not events or not isinstance(end, str) or end == token:
                return list(reversed(found))
            token = end
        # a note: it must not take a connected account back to catching up
        host.report(
            self._state,
            f"{news.room}: only the newest {len(found)} messages of the time away were "
            "taken; older ones are on Matrix only",
        )
        return list(reversed(found))

    async def _page(
        self, client: Client, room: ChatId, query: Mapping[str, str | int]
    ) -> Json:
        while True:
            try:
                return await client.messages(room, query=query)
            except Unavailable as limited:
                if limited.retry_after_ms is None:
                    raise
                await self._clock.sleep(limited.retry_after_ms)

    def _learn_name(self, room: ChatId, event: Any) -> None:
        """Take a lazily loaded member, unless the room knows better."""
        if not isinstance(event, dict):
            return
        event = _with_room(event, room)
        if is_event(event) and self._book.member(room, subject_of(event)) is None:
            self._book.note(event)

    # ---- handing on

    async def _hand_on(
        self, host: Host, news: Sequence[_RoomNews], next_batch: str, *, late: bool
    ) -> None:
        """Store everything of one answer, and with its end its cursor."""
        events: list[NativeEvent] = []
        for one in news:
            late_events = self._since_our_join([*one.gap, *one.timeline])
            late_count = len(late_events) - len(one.timeline)
            for index, event in enumerate(late_events):
                key = self._echo_key(event)
                known = self._book.member(one.room, subject_of(event))
                self._book.note(event)
                if key is None:
                    is_late = late or index < late_count
                    events.append(seal(event, known, late=is_late))
                elif not self._writer.reports(key):
                    sent = Sent(
                        key=key,
                        native_id=NativeId(event["event_id"]),
                        author=PersonId(self._config.user_id),
                    )
                    await host.echo(one.room, key=key, sent=sent)
        await hand_on(host, events, cursors={SYNC_CURSOR: next_batch})
        portals = set(host.chats())
        for one in news:
            if one.room in portals and self._session is not None:
                for ephemeral in one.ephemeral:
                    self._signal(host, one.room, ephemeral)

    def _since_our_join(self, events: Sequence[Any]) -> list[Json]:
        """Return the usable events, without those from before we came in."""
        usable = [event for event in events if is_event(event)]
        if len(usable) < len(events):
            _log.warning("event_without_ids_skipped", count=len(events) - len(usable))
        for index in range(len(usable) - 1, -1, -1):
            if self._is_our_join(usable[index]):
                return usable[index:]
        return usable

    def _is_our_join(self, event: Json) -> bool:
        if event["type"] != "m.room.member" or subject_of(event) != self._me.user_id:
            return False
        unsigned = event.get("unsigned")
        before = unsigned.get("prev_content") if isinstance(unsigned, dict) else None
        was = before.get("membership") if isinstance(before, dict) else None
        return content_of(event).get("membership") == "join" and was != "join"

    def _echo_key(self, event: Json) -> IdempotencyKey | None:
        """Return the key of what we sent ourselves, by its content or transaction."""
        if event["sender"] != self._config.user_id:
            return None
        key = entry_key(content_of(event))
        unsigned = event.get("unsigned")
        txn = unsigned.get("transaction_id") if isinstance(unsigned, dict) else None
        if key is None and isinstance(txn, str) and txn.startswith("s"):
            key = IdempotencyKey(txn[1:])
        return key

    def _signal(self, host: Host, room: ChatId, event: Any) -> None:
        if isinstance(event, dict):
            for signal in self._connected().signals.read(room, event):
                host.signal(signal)

    @property
    def _writer(self) -> Writer:
        return self._connected().writer

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed."""
        return capabilities.of_account(attachment_octets_max=self._upload_octets_max)

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a room by invitation, id or alias (see `Connector.open_chat`)."""
        client = self._connected().client
        try:
            room = ChatId(await client.join(chat))
        except Rejected as no:
            raise PolicyRefused(
                f"{self._config.user_id} may not enter the Matrix room {chat} ({no}); "
                f"let a member invite {self._config.user_id} and try again"
            ) from no
        return await self._describe(client, self._book, room)

    async def _describe(self, client: Client, book: RoomBook, room: ChatId) -> ChatInfo:
        await book.load(client, room)
        people = sum(user != self._config.user_id for user in book.members(room))
        return await describe(client, book, room, people=people)

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a room."""
        session = self._connected()
        try:
            await session.client.leave(chat, reason="", voice=None)
        except Rejected as no:
            _log.info("room_not_left", room=chat, errcode=no.errcode)
        self._book.forget(chat)
        session.writer.forget(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the rooms the account is in."""
        client = self._connected().client
        rooms = await client.joined_rooms()
        return [
            await self._describe(client, RoomBook(), ChatId(room)) for room in rooms
        ]

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        loader, writer = self._connected().loader, self._writer
        for outgoing in batch:
            await loader.need(outgoing.chat)
            yield await writer.write(outgoing)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived."""
        return await self._writer.lookup(piece, attempted_at=attempted_at)

    def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        return download(self._connected().client, handle, octets_max=octets_max)

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show that somebody is typing."""
        await self._connected().client.typing(
            chat, timeout_ms=TYPING_SHOWN_MS if active else 0, voice=self._me
        )

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Show that somebody has read; Matrix has no notice of delivery."""
        if read and ref.native_id:
            await self._connected().client.receipt(chat, ref.native_id, voice=self._me)

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable("the Matrix account is not connected yet")
        return self._session


class _OneCast:
    """The account speaks for everybody."""

    def __init__(self, me: Voice) -> None:
        self.manager = me

    async def speaker(self, outgoing: Outgoing) -> Voice:
        return self.manager

    def author(self, user: str) -> Voice | None:
        return self.manager if user == self.manager.user_id else None

    async def appear(self, outgoing: Outgoing) -> Voice | None:
        return None

    async def recover(self, outgoing: Outgoing, no: Rejected) -> bool:
        return False


def _first(errors: BaseExceptionGroup[Error]) -> Error:
    """Return one of our errors; the others say the same of other rooms."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _with_room(event: Any, room: ChatId) -> Json:
    """Add the room's id, which `/sync` leaves out."""
    return {**event, "room_id": room} if isinstance(event, dict) else {}


def _read_rooms(answer: Json) -> Iterator[_RoomNews]:
    """Read `rooms.join` of a `/sync` answer; `leave` has our own way out."""
    rooms = answer.get("rooms")
    for kind in ("join", "leave"):
        part = rooms.get(kind) if isinstance(rooms, dict) else None
        for room, news in (part if isinstance(part, dict) else {}).items():
            timeline = _object(news, "timeline")
            events = timeline.get("events")
            ephemeral = _object(news, "ephemeral").get("events")
            prev_batch = timeline.get("prev_batch")
            yield _RoomNews(
                room=ChatId(room),
                timeline=[
                    _with_room(event, ChatId(room))
                    for event in (events if isinstance(events, list) else ())
                ],
                ephemeral=ephemeral if isinstance(ephemeral, list) else (),
                prev_batch=prev_batch if isinstance(prev_batch, str) else None,
                is_limited=timeline.get("limited") is True,
            )


def _object(value: Any, name: str) -> Json:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
