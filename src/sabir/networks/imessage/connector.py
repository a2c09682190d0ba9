"""The account: one Mac, and everything that uses it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from sabir.clock import Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import NativeRef
from sabir.errors import (
    CredentialsRefused,
    Error,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ConnectionState,
    Finding,
    Host,
    Incoming,
    NativeEvent,
    Outcome,
    Outgoing,
    PersonId,
    Read,
    Signal,
    Speaker,
    Typing,
)
from sabir.networks.imessage import capabilities, names
from sabir.networks.imessage.availability import Availability
from sabir.networks.imessage.book import Book, Chat
from sabir.networks.imessage.client import BlueBubbles, http_session
from sabir.networks.imessage.config import SOCKET, MacConfig
from sabir.networks.imessage.database import Database
from sabir.networks.imessage.decode import decode
from sabir.networks.imessage.events import (
    Hint,
    Nothing,
    ReadHint,
    TypingHint,
    read_event,
)
from sabir.networks.imessage.health import Health
from sabir.networks.imessage.intake import Intake
from sabir.networks.imessage.listener import PATH, full_url, listening
from sabir.networks.imessage.outbox import Outbox
from sabir.networks.imessage.render import Means, path_of
from sabir.networks.imessage.server import OWNER, ServerInfo, server_info
from sabir.networks.imessage.socket_io import follow
from sabir.networks.imessage.timing import NORMAL, Timing

BATCH_PIECES: Final = 8
"""Sent one after the other, so that none overtakes another."""
NOT_CONNECTED: Final = "the Mac is not connected yet"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """What exists while we are connected."""

    api: BlueBubbles
    host: Host
    book: Book
    availability: Availability
    intake: Intake
    outbox: Outbox
    health: Health


class Mac:
    """Connector of one Mac: its owner's account speaks for everybody."""

    send_window = BATCH_PIECES

    def __init__(self, config: MacConfig, *, timing: Timing = NORMAL) -> None:
        self._config = config
        self._timing = timing
        self._session: _Session | None = None
        self._info = ServerInfo(helper=True)
        self._wake = asyncio.Event()

    # ---- running

    async def run(self, host: Host) -> None:
        """Connect, catch up, follow, until cancelled (see `Connector.run`)."""
        host.report(ConnectionState.CONNECTING)
        try:
            async with http_session() as http:
                api = BlueBubbles(self._config.url, http, self._config.password)
                session = await self._start(api, host)
                self._session = session
                await self._live(session)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        finally:
            self._session = None

    async def _start(self, api: BlueBubbles, host: Host) -> _Session:
        self._learn(server_info(await api.get("/server/info")))
        book = Book(api)
        await book.load()
        book.me = self._info.address or OWNER
        availability = Availability(api, host.clock, book)
        database = Database(api)

        async def stop(chat: ChatId) -> str:
            return await availability.stop(chat, helper=self._info.helper)

        outbox = Outbox(
            api,
            host,
            means=lambda: Means(info=self._info, allow_sms=self._config.allow_sms),
            reachable=stop,
            me=lambda: book.me,
            last_row=lambda: intake.row,
            settled=self._wake.set,
            timing=self._timing,
        )
        intake = Intake(database, host, book, outbox)
        await outbox.attempts.load()
        health = Health(
            api, database, host, intake, learn=self._learn, timing=self._timing
        )
        return _Session(api, host, book, availability, intake, outbox, health)

    def _learn(self, info: ServerInfo) -> None:
        self._info = info

    async def _live(self, session: _Session) -> None:
        host = session.host
        host.report(ConnectionState.CATCHING_UP)
        await session.intake.load()
        await session.intake.look(late=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(_gone(session.outbox.refused))
            group.create_task(self._follow_events(session))
            group.create_task(self._tick(host))
            session.health.connected(self._info)
            group.create_task(session.health.watch())
            group.create_task(self._look(session))

    async def _tick(self, host: Host) -> None:
        """Look now and then without an event: the real server loses some."""
        while True:
            await host.clock.sleep(self._timing.look_ms)
            self._wake.set()

    async def _look(self, session: _Session) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await session.intake.look(late=False)
            await session.host.clock.sleep(self._timing.pace_ms)

    # ---- events

    async def _follow_events(self, session: _Session) -> None:
        def on_event(kind: object, data: object) -> None:
            self._on_event(session, kind, data)

        webhook = self._config.webhook
        if webhook is not None:
            async with listening(webhook, on_event):
                await self._register(session.api)
                self._wake.set()
                await asyncio.Event().wait()
        if self._config.receive == SOCKET:
            await follow(session.api, on_event)

    async def _register(self, api: BlueBubbles) -> None:
        """Have the server call us; earlier registrations of ours go.

        The same address again would give back the old registration unchanged.
        """
        assert self._config.webhook is not None
        ours = self._config.webhook.url + PATH
        hooks = await api.get("/webhook")
        for hook in hooks if isinstance(hooks, list) else ():
            if isinstance(hook, dict) and str(hook.get("url")).startswith(ours):
                await api.delete(path_of("webhook", str(hook.get("id"))))
        url = full_url(self._config.webhook)
        await api.post("/webhook", {"url": url, "events": ["*"]})

    def _on_event(self, session: _Session, kind: object, data: object) -> None:
        event = read_event(kind, data)
        match event:
            case Hint(temp=temp, guid=guid):
                if temp and guid is not None:
                    session.outbox.hint(temp, guid)
                self._wake.set()
            case TypingHint(chat=chat, active=active):
                person = session.book.peer(chat)
                if person is not None:
                    self._signal(
                        session, Typing(chat=chat, person=person, active=active)
                    )
            case ReadHint(chat=chat):
                last = session.intake.last_of(chat)
                if last is not None:
                    me = session.book.person(session.book.me)
                    self._signal(session, Read(chat=chat, person=me, native_id=last))
            case Nothing():
                pass

    def _signal(self, session: _Session, signal: Signal) -> None:
        if signal.chat in session.intake.chats:
            session.host.signal(signal)

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed now; it shrinks while the helper is gone."""
        return capabilities.of_chat(chat, self._info)

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Hand on a chat's events from now on (see `Connector.open_chat`)."""
        session = self._connected()
        found = await self._find(session, chat)
        await session.intake.open(found.id)
        return session.book.describe(found)

    async def _find(self, session: _Session, chat: ChatId) -> Chat:
        person = names.address(chat)
        if person is not None:
            return await self._with_person(session, person)
        found = await session.book.find(chat) if names.CHAT.fullmatch(chat) else None
        if found is None:
            raise PolicyRefused(
                "the Mac has no such chat; `sabir chats` lists those that it has"
            )
        return found

    async def _with_person(self, session: _Session, person: PersonId) -> Chat:
        """Return the chat with an address; say what is missing if there is none."""
        chat = session.book.direct_with(person)
        if chat is not None:
            return session.book.chats[chat]
        is_there = await session.availability.ask(person)
        if is_there is False:
            raise PolicyRefused(
                "this address is not on iMessage, so nothing can be linked; ask the"
                " person for the address they use there"
            )
        raise PolicyRefused(
            "the Mac has no iMessage chat with this address yet; write to the person"
            " once on one of your Apple devices, then link"
        )

    async def close_chat(self, chat: ChatId) -> None:
        """Stop handing on its events. The owner stays in the chat."""
        self._connected().intake.chats.discard(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the Mac's chats."""
        book = self._connected().book
        await book.load()
        return [book.describe(chat) for chat in book.chats.values()]

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        outbox = self._connected().outbox
        for outgoing in batch:
            yield await outbox.send(outgoing)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived."""
        return await self._connected().outbox.lookup(piece.key)

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        api = self._connected().api
        if not names.ATTACHMENT.fullmatch(handle):
            raise PolicyRefused("this is not the id of a file of iMessage")
        path = path_of("attachment", handle, "download")
        try:
            async for piece in api.download(path, octets_max=octets_max):
                yield piece
        except (CredentialsRefused, PeerMisbehaved) as error:
            raise Unavailable(str(error)) from error

    # ---- signals

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show the owner typing; it ends by itself, or with the message.

        The server's call that should end it starts it, so it is never used.
        """
        if active:
            await self._best_effort(chat, "typing")

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Mark a chat as read, if the owner allows it. Delivery Messages tells."""
        if read and self._config.read_receipts:
            await self._best_effort(chat, "read")

    async def _best_effort(self, chat: ChatId, what: str) -> None:
        session = self._connected()
        if not self._info.helper or names.is_lesser(chat):
            return
        try:
            await session.api.post(path_of("chat", chat, what), {})
        except Error as error:  # sending will say it if it lasts
            _log.debug("not_shown", what=what, code=error.code)

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable(NOT_CONNECTED)
        return self._session


async def _gone(refused: "asyncio.Future[None]") -> None:
    """Wait until a send has shown that the password is wrong; raises that."""
    await refused


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of our errors out of a task group's."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
