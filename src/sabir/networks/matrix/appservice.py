"""The application service: ghosts speak, the homeserver pushes.

Start-up order: listener, versions, bot, rooms, ping. The ping makes the homeserver
repeat what it could not push while we were down; it is repeated whenever nothing
was pushed for `PING_IDLE_S`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import NativeRef
from sabir.errors import (
    ConfigInvalid,
    CredentialsRefused,
    PolicyRefused,
    StorageFailed,
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
    NativeId,
    Outcome,
    Outgoing,
    PersonId,
    Sent,
    Speaker,
)
from sabir.networks.matrix import capabilities
from sabir.networks.matrix.cast import GhostCast
from sabir.networks.matrix.client import Client, Rejected, Voice, http_session
from sabir.networks.matrix.config import AppServiceConfig
from sabir.networks.matrix.decode import decode
from sabir.networks.matrix.envelope import (
    Json,
    Member,
    content_of,
    is_event,
    member_of,
    seal,
    subject_of,
)
from sabir.networks.matrix.ghosts import DEVICE_ID, Ghosts
from sabir.networks.matrix.invites import Invitations, Invite
from sabir.networks.matrix.listener import Transaction, listening
from sabir.networks.matrix.media import download
from sabir.networks.matrix.progress import Progress
from sabir.networks.matrix.pushes import PushOrder
from sabir.networks.matrix.rooms import RoomBook, RoomLoader, describe
from sabir.networks.matrix.signals import SignalReader
from sabir.networks.matrix.takes import hand_on
from sabir.networks.matrix.writer import SEND_WINDOW, Writer, entry_key

PING_IDLE_S: Final = 60.0
PING_TRIES: Final = 10
PING_PAUSE_MS: Final = 100
"""One second in all; a wrong address in the registration is told after that."""
TYPING_SHOWN_MS: Final = 30_000
TYPING_PAUSE_MS: Final = 3_000
"""At most one notice per ghost and room in this time."""
TXN_CURSOR: Final = "txn"
BOT_NAME: Final = "Sabir"
"""As which the bot enters rooms."""
NAMED_FACT: Final = "bot_named"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """What exists while we are connected."""

    client: Client
    host: Host
    loader: RoomLoader
    ghosts: Ghosts
    writer: Writer
    signals: SignalReader
    progress: Progress


@dataclass(slots=True)
class _Batch:
    """A transaction, sorted."""

    events: list[NativeEvent] = field(default_factory=list)
    echoes: list[tuple[ChatId, Sent]] = field(default_factory=list)
    invites: list[Invite] = field(default_factory=list)


class AppService:
    """Connector of one application service."""

    send_window = SEND_WINDOW

    def __init__(self, config: AppServiceConfig, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._book = RoomBook()
        self._bot = Voice.ghost(config.bot_id, DEVICE_ID)
        self._session: _Session | None = None
        self._upload_octets_max: int | None = None
        self._done_txn: str | None = None
        self._order = PushOrder(None)
        self._taking = asyncio.Lock()
        self._invites = Invitations(config, clock)
        self._wake = asyncio.Event()
        self._failure: StorageFailed | None = None
        self._typing_shown: dict[tuple[ChatId, str], tuple[bool, float]] = {}

    # ---- running

    async def run(self, host: Host) -> None:
        """Serve until cancelled (see `Connector.run`)."""
        host.report(ConnectionState.CONNECTING)
        self._failure = None
        self._done_txn = await host.cursor(TXN_CURSOR)
        self._order = PushOrder(_txn_of(self._done_txn))
        config = self._config
        try:
            async with (
                listening(
                    config.listen_host,
                    config.listen_port,
                    hs_token=config.hs_token,
                    take=self._take,
                    met=self._met,
                ),
                http_session() as http,
            ):
                client = Client(config.homeserver_url, http, token=config.as_token)
                await self._start(client, host)
                host.report(ConnectionState.CONNECTED)
                await self._attend(client, host)
        finally:
            self._session = None

    async def _start(self, client: Client, host: Host) -> None:
        host.report(ConnectionState.CATCHING_UP)
        await client.versions()
        await self._check_identity(client)
        await self._name_bot(client, host)
        self._upload_octets_max = await client.media_octets_max()
        loader = RoomLoader(client, self._book, self._clock, voice=self._bot)
        await loader.load(host.chats())
        ghosts = Ghosts(self._config, client, host)
        writer = Writer(
            client,
            self._book,
            GhostCast(self._config, client, ghosts, self._book, self._bot),
            self._clock,
            upload_octets_max=self._upload_octets_max,
            with_times=True,
        )
        signals = SignalReader(self._book, self._config.is_ours)
        progress = Progress(host, self._clock)
        await progress.load()
        self._session = _Session(
            client, host, loader, ghosts, writer, signals, progress
        )
        await self._ping(client)
        await self._invites.load(host)
        self._wake.set()

    async def _check_identity(self, client: Client) -> None:
        """Make sure of the bot: registered, with a device, of the name we think."""
        await client.register(self._config.bot)
        answer = await client.whoami()
        if answer.get("user_id") != self._config.bot_id:
            raise ConfigInvalid(
                f"the homeserver knows this application service as "
                f"{answer.get('user_id')}, the settings say {self._config.bot_id}; "
                "correct server_name and bot to match the registration"
            )
        as_bot = Voice.ghost(self._config.bot_id)
        await client.create_device(DEVICE_ID, name="Sabir", voice=as_bot)

    async def _name_bot(self, client: Client, host: Host) -> None:
        """Give the bot a name once; what its owner makes of it later stays."""
        if await host.recall(NAMED_FACT):
            return
        try:
            await client.set_profile("displayname", BOT_NAME, voice=self._bot)
        except (Rejected, Unavailable) as failure:
            _log.info("bot_not_named", reason=str(failure))
        else:
            await host.remember(NAMED_FACT, BOT_NAME)

    async def _attend(self, client: Client, host: Host) -> None:
        """Accept invitations, and ping whenever it has been quiet."""
        while True:
            try:
                async with asyncio.timeout(PING_IDLE_S):
                    await self._wake.wait()
            except TimeoutError:
                await self._ping(client)
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            await self._have_repeated(client)
            await self._read_histories()
            await self._connected().loader.load_missing(host.chats())
            await self._invites.accept_due(client, host)

    async def _ping(self, client: Client) -> None:
        """Ask to be called, and with that for what could not be pushed.

        After our restart, Synapse 1.163.2 may try connections of before that are
        closed (`AlreadyCancelled`), one with each ping.
        """
        for tries_left in reversed(range(PING_TRIES)):
            try:
                txn = f"{self._clock.now()}"
                await client.ping(self._config.appservice_id, txn=txn)
            except Rejected as no:
                if no.errcode != "M_CONNECTION_FAILED" or not tries_left:
                    raise self._ping_failed(no) from no
                _log.warning("ping_failed", tries_left=tries_left)
            else:
                return
            await self._clock.sleep(PING_PAUSE_MS)

    async def _have_repeated(self, client: Client) -> None:
        """Have the homeserver repeat at once what we refused; else it takes seconds."""
        if self._order.is_waiting:
            await self._clock.sleep(PING_PAUSE_MS)  # until it has noted the refusal
        if self._order.is_waiting:
            await self._ping(client)

    def _ping_failed(self, no: Rejected) -> CredentialsRefused | Unavailable:
        if no.errcode.startswith("M_CONNECTION") or no.errcode == "M_URL_NOT_SET":
            port = self._config.listen_port
            return Unavailable(
                f"the homeserver cannot reach our listener ({no.errcode}); check that "
                f"the url in the registration leads to port {port} here "
                "(listen_host, listen_port), and firewalls between"
            )
        if no.errcode == "M_BAD_STATUS" and no.body.get("status") == 403:
            return CredentialsRefused(
                "the homeserver came with another hs_token than ours; install our "
                "present registration file and restart the homeserver"
            )
        if no.errcode == "M_BAD_STATUS":
            return Unavailable(
                f"something else answers at the registration's url ({no}); "
                "check the url and the reverse proxy"
            )
        return CredentialsRefused(
            f"the homeserver does not know appservice_id = "
            f"{self._config.appservice_id!r} with our token ({no.errcode}); install "
            "the registration file and restart the homeserver"
        )

    # ---- coming in

    async def _take(self, pushed: Transaction) -> bool:
        """Store a transaction; called by the listener. False: have it repeated."""
        session = self._session
        if session is None:
            return False
        async with self._taking:
            if not self._order.admits(pushed.id):
                _log.info("push_ahead_of_others_refused", txn=pushed.id)
                self._wake.set()
                return False
            try:
                for room in self._unread_of(pushed, session):
                    await self._read_history(room, session)
                mark = _mark(pushed)
                if mark != self._done_txn:
                    await self._store(self._sort(pushed, session), mark, session)
            except Unavailable:
                return False
            except StorageFailed as failure:
                # The next run's ping makes the homeserver repeat it.
                self._failure = failure
                self._wake.set()
                raise
            self._order.taken(pushed.id)
        for signal_event in pushed.ephemeral:
            self._signal(signal_event, session)
        self._wake.set()
        return True

    async def _store(self, batch: _Batch, mark: str, session: _Session) -> None:
        for chat, sent in batch.echoes:
            await session.host.echo(chat, key=sent.key, sent=sent)
        if batch.invites:
            await self._invites.add(batch.invites, session.host)
        progress = session.progress
        if batch.events or batch.echoes or progress.is_behind:
            cursors = {**progress.cursors, TXN_CURSOR: mark}
            await hand_on(session.host, batch.events, cursors=cursors)
            progress.saved()
            self._done_txn = mark

    def _sort(self, pushed: Transaction, session: _Session) -> _Batch:
        batch = _Batch()
        for event in pushed.events:
            if not is_event(event):
                _log.warning("event_without_ids_skipped", txn=pushed.id)
                continue
            room = ChatId(event["room_id"])
            session.progress.note(room, event["event_id"])
            if self._config.is_ours(event["sender"]):
                key = entry_key(content_of(event))
                if key is not None and not session.writer.reports(key):
                    batch.echoes.append((room, _echo(event)))
                self._book.note(event)
                continue
            batch.invites.extend(self._invites.of(event))
            known = self._book.member(room, subject_of(event))
            self._book.note(event)
            batch.events.append(seal(event, known or _named_by(event)))
        return batch

    # ---- what was not pushed

    def _met(self) -> None:
        """Doubt what was pushed: the homeserver may have been restarted."""
        if self._session is not None and self._session.progress.connected():
            self._wake.set()

    def _unread_of(self, pushed: Transaction, session: _Session) -> list[ChatId]:
        unread = session.progress.unread
        rooms = {e.get("room_id") for e in pushed.events if isinstance(e, dict)}
        return [room for room in unread if room in rooms]

    async def _read_histories(self) -> None:
        session = self._connected()
        for room in list(session.progress.unread):
            async with self._taking:
                if room in session.progress.unread:
                    await self._read_history(room, session)

    async def _read_history(self, room: ChatId, session: _Session) -> None:
        """Take what a room has and was not pushed.

        Raises:
            StorageFailed: nothing was taken.
            Unavailable: no answer.
        """
        try:
            events = await session.progress.missing(
                session.client, room, voice=self._bot
            )
        except Rejected as no:
            session.progress.unread.discard(room)
            _log.info("history_not_compared", room=room, errcode=no.errcode)
            return
        if not events:
            return
        # Ours among them need no echo: a send in doubt is repeated and settled so.
        batch = self._sort(Transaction("", tuple(events), ()), session)
        late = [replace(event, late=True) for event in batch.events]
        await hand_on(session.host, late, cursors=session.progress.cursors)
        session.progress.saved()
        _log.info("history_taken", room=room, events=len(late))

    def _signal(self, event: Any, session: _Session) -> None:
        if not isinstance(event, dict) or not isinstance(event.get("room_id"), str):
            return
        room = ChatId(event["room_id"])
        if room in session.host.chats():
            for signal in session.signals.read(room, event):
                session.host.signal(signal)

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed."""
        return capabilities.of_ghosts(attachment_octets_max=self._upload_octets_max)

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a room as the bot (see `Connector.open_chat`)."""
        client = self._connected().client
        try:
            room = ChatId(await client.join(chat, voice=self._bot))
        except Rejected as no:
            raise PolicyRefused(
                f"{self._config.bot_id} may not enter the Matrix room {chat} ({no}); "
                f"invite {self._config.bot_id} there and try again"
            ) from no
        return await self._describe(client, room)

    async def _describe(self, client: Client, room: ChatId) -> ChatInfo:
        await self._connected().progress.begin(client, room, voice=self._bot)
        await self._book.load(client, room, voice=self._bot)
        members = self._book.members(room)
        people = sum(not self._config.is_ours(user) for user in members)
        return await describe(client, self._book, room, people=people, voice=self._bot)

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a room with every ghost and the bot."""
        session = self._connected()
        await session.loader.need(chat)
        ours = [u for u in self._book.members(chat) if self._config.is_ours(u)]
        for user in sorted(ours, key=self._config.bot_id.__eq__):  # the bot goes last
            try:
                voice = Voice.ghost(user)
                await session.client.leave(chat, reason="", voice=voice)
            except Rejected as no:
                _log.info("ghost_not_left", room=chat, errcode=no.errcode)
        self._book.forget(chat)
        session.writer.forget(chat)
        await session.progress.end(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the rooms the bot is in."""
        client = self._connected().client
        rooms = await client.joined_rooms(voice=self._bot)
        return [await self._glance(client, ChatId(room)) for room in rooms]

    async def _glance(self, client: Client, room: ChatId) -> ChatInfo:
        book = RoomBook()
        await book.load(client, room, voice=self._bot)
        people = sum(not self._config.is_ours(user) for user in book.members(room))
        return await describe(client, book, room, people=people, voice=self._bot)

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        loader, writer = self._connected().loader, self._connected().writer
        for outgoing in batch:
            await loader.need(outgoing.chat)
            yield await writer.write(outgoing)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived."""
        return await self._connected().writer.lookup(piece, attempted_at=attempted_at)

    def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        return download(self._connected().client, handle, octets_max=octets_max)

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show that a ghost is typing, at most once in 3 s."""
        session = self._connected()
        user = session.ghosts.user_id(speaker.uri)
        now = self._clock.monotonic_ms()
        was, at = self._typing_shown.get((chat, user), (False, -TYPING_PAUSE_MS))
        is_same = active == was
        if is_same and (not active or now - at < TYPING_PAUSE_MS):
            return
        if self._book.member(chat, user) is None:
            return  # it has not spoken yet; a notice is not worth a new user
        if active:
            self._typing_shown[(chat, user)] = (True, now)
        else:
            self._typing_shown.pop((chat, user), None)
        await session.client.typing(
            chat,
            timeout_ms=TYPING_SHOWN_MS if active else 0,
            voice=Voice.ghost(user),
        )

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Show that a ghost has read; Matrix has no notice of delivery."""
        session = self._connected()
        user = session.ghosts.user_id(speaker.uri)
        if read and ref.native_id and self._book.member(chat, user) is not None:
            await session.client.receipt(chat, ref.native_id, voice=Voice.ghost(user))

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable("the Matrix account is not connected yet")
        return self._session


def _mark(pushed: Transaction) -> str:
    """Name a transaction by its id and its events.

    The id alone would not do: a server that lost its state uses ids again.
    """
    digest = hashlib.sha256(pushed.id.encode())
    for event in pushed.events:
        event_id = event.get("event_id") if isinstance(event, dict) else None
        digest.update(f"\n{event_id}".encode("utf-8", "replace"))
    return f"{pushed.id[:64]} {digest.hexdigest()[:32]}"


def _txn_of(mark: str | None) -> str | None:
    return None if mark is None else mark.partition(" ")[0]


def _echo(event: Json) -> Sent:
    key = entry_key(content_of(event))
    assert key is not None
    return Sent(
        key=key,
        native_id=NativeId(event["event_id"]),
        author=PersonId(event["sender"]),
    )


def _named_by(event: Json) -> Member | None:
    """Return the name a membership event gives itself."""
    return member_of(content_of(event)) if event["type"] == "m.room.member" else None
