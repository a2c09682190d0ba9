"""A business number over Meta's Cloud API.

Start-up order: listener (503 until we are ready), the number (which checks the
token), ready. There is nothing to catch up on: Meta keeps what we did not take and
delivers it again. The number is asked again every minute, as a proof of life.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import NativeRef
from sabir.errors import (
    CredentialsRefused,
    PeerMisbehaved,
    PolicyRefused,
    StorageFailed,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ChatKind,
    ConnectionState,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    Outcome,
    Outgoing,
    Sent,
    Speaker,
)
from sabir.networks.whatsapp import capabilities, render
from sabir.networks.whatsapp.client import Client, Json, Rejected, http_session
from sabir.networks.whatsapp.config import CloudConfig
from sabir.networks.whatsapp.decode import decode
from sabir.networks.whatsapp.envelope import Delivery, Status, take_apart
from sabir.networks.whatsapp.listener import listening
from sabir.networks.whatsapp.media import download
from sabir.networks.whatsapp.names import (
    GROUP,
    OURS,
    chat_of,
    is_group,
    one_line,
    phone,
)
from sabir.networks.whatsapp.outbox import Outbox
from sabir.networks.whatsapp.people import People
from sabir.networks.whatsapp.signals import Marks, Receipts
from sabir.networks.whatsapp.verdicts import graph_error

SEND_WINDOW: Final = 1
"""One message in flight per chat: Meta keeps no order, and a break leaves one in
doubt, not many."""
PROOF_PAUSE_S: Final = 60.0
PROOFS_MISSED_MAX: Final = 2
"""In a row; one lost answer does not end a connection on which webhooks come in."""
EVENTS_PER_TAKE_MAX: Final = 1_000
"""What a host takes at once."""
NO_WEBHOOK: Final = (
    "no webhook has come yet; if people write and nothing arrives, see "
    "docs/how-to/whatsapp.md"
)

_KEY: Final = re.compile(r"([a-z2-7]{32})(\.2)?")

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """What exists while we are connected."""

    client: Client
    host: Host
    people: People


class CloudNumber:
    """Connector of one business number."""

    send_window = SEND_WINDOW

    def __init__(self, config: CloudConfig, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._outbox = Outbox(config, clock)
        self._receipts = Receipts()
        self._marks = Marks()
        self._session: _Session | None = None
        self._taking = asyncio.Lock()
        self._failed: asyncio.Future[None] | None = None
        self._heard = False

    # ---- running

    async def run(self, host: Host) -> None:
        """Serve until cancelled (see `Connector.run`)."""
        host.report(ConnectionState.CONNECTING)
        config = self._config
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failed = failed
        try:
            async with listening(config, take=self._take), http_session() as http:
                client = Client(
                    config.graph_url,
                    config.graph_version,
                    http,
                    number_id=config.number_id,
                    token=config.access_token,
                )
                await self._prove(client)
                people = People(host)
                await people.load()
                self._session = _Session(client, host, people)
                detail = "" if self._heard else NO_WEBHOOK
                host.report(ConnectionState.CONNECTED, detail)
                await self._attend(client, failed)
        finally:
            self._session = self._failed = None
            if failed.done():
                failed.exception()

    async def _attend(self, client: Client, failed: "asyncio.Future[None]") -> None:
        """Look every minute whether Meta is there; end with whatever ends us."""
        missed = 0
        while True:
            try:
                async with asyncio.timeout(PROOF_PAUSE_S):
                    await asyncio.shield(failed)
            except TimeoutError:
                missed = await self._proved(client, missed)

    async def _proved(self, client: Client, missed: int) -> int:
        """Ask once; return how many answers in a row are missing."""
        try:
            await self._prove(client)
        except Unavailable:
            if missed + 1 >= PROOFS_MISSED_MAX:
                raise
            return missed + 1
        return 0

    async def _prove(self, client: Client) -> None:
        try:
            found = await client.number()
        except Rejected as no:
            raise CredentialsRefused(
                f"Meta does not let us see the number {self._config.number_id} ({no}); "
                "check phone_number_id, and that the token's system user has the "
                "business account as an asset"
            ) from no
        quality = found.get("quality_rating")
        if quality == "RED":
            _log.warning("number_quality_low")

    def _fail(self, error: CredentialsRefused | StorageFailed) -> None:
        """End the run: nothing works until somebody has acted."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    # ---- coming in

    async def _take(self, body: Json) -> bool:
        """Store what a webhook brought; called by the listener."""
        session = self._session
        if session is None:
            return False
        async with self._taking:
            found = take_apart(
                body, number=self._config.number_id, aliases=session.people.aliases
            )
            try:
                await self._store(found, session)
            except StorageFailed as failure:
                self._fail(failure)
                raise
        self._tell(found, session)
        return True

    async def _store(self, found: Delivery, session: _Session) -> None:
        host, people = session.host, session.people
        for status in found.statuses:
            await self._settle(status, host)
        portals = set(host.chats())
        wanted = [event for event in found.events if event.chat in portals]
        times = await people.advanced(found.inbound)
        while len(wanted) > EVENTS_PER_TAKE_MAX:
            await host.take(wanted[:EVENTS_PER_TAKE_MAX])
            wanted = wanted[EVENTS_PER_TAKE_MAX:]
        if wanted or times:
            await host.take(wanted, cursors=people.cursors(times))
            people.stored(times)
        await people.meet(found.people)

    async def _settle(self, status: Status, host: Host) -> None:
        """Take a status as the answer to a send whose own answer was lost."""
        key = _KEY.fullmatch(status.key)
        if key is None or key[2] or self._outbox.knows(key[1]):
            return
        name = IdempotencyKey(key[1])
        sent = Sent(key=name, native_id=status.native_id, author=OURS)
        if not self._outbox.is_sending(name):
            await host.echo(status.chat, key=name, sent=sent)
        self._outbox.settle(sent)

    def _tell(self, found: Delivery, session: _Session) -> None:
        """Pass on what is not stored."""
        if not self._heard:
            self._heard = True
            session.host.report(ConnectionState.CONNECTED)
        portals = set(session.host.chats())
        for chat, native_id in found.newest.items():
            self._marks.came(chat, native_id)
        for status in found.statuses:
            name = session.people.names.get(status.person, "")
            signal = self._receipts.signal(status, name)
            if signal is not None and status.chat in portals:
                session.host.signal(signal)
        for error in found.errors:
            known = graph_error(error)
            _log.warning("number_error", error_code=known.code, title=known.title)
        if found.unusable or found.foreign:
            counts = {"unusable": found.unusable, "foreign": found.foreign}
            _log.info("webhook_partly_unread", **counts)

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed."""
        return capabilities.capabilities(group=is_group(chat))

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Name a chat; a person's needs no entering (see `Connector.open_chat`)."""
        session = self._connected()
        known = chat_of(chat)
        if known is None:
            raise PolicyRefused(
                "this is no WhatsApp chat; name a person by the number with its "
                "country code, like whatsapp:+4915112345678, or a group as "
                "`sabir chats` does"
            )
        if is_group(known):
            return await self._group_info(known, session.client)
        return self._person_info(known, session.people)

    @staticmethod
    def _person_info(chat: ChatId, people: People) -> ChatInfo:
        name = one_line(people.names.get(chat, "")) or phone(chat)
        return ChatInfo(chat=chat, kind=ChatKind.DIRECT, name=name, members=2)

    async def _group_info(self, chat: ChatId, client: Client) -> ChatInfo:
        try:
            found = await client.group(chat.removeprefix(GROUP))
        except Rejected as no:
            raise PolicyRefused(
                f"Meta does not show this group ({no}); only groups that the number "
                "has made itself can be linked, and not every number may make some"
            ) from no
        except (CredentialsRefused, PeerMisbehaved) as error:
            raise self._unavailable(error) from error
        members = found.get("total_participant_count")
        return ChatInfo(
            chat=chat,
            kind=ChatKind.GROUP,
            name=one_line(str(found.get("subject") or "")),
            topic=one_line(str(found.get("description") or "")),
            members=members if isinstance(members, int) else None,
        )

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a chat: without a portal nothing of it is handed on."""
        self._connected()

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return who has written to the number, and its groups."""
        session = self._connected()
        chats = [self._person_info(ChatId(p), session.people) for p in _newest(session)]
        try:
            groups = await session.client.groups()
        except (Rejected, PeerMisbehaved) as no:
            _log.info("groups_not_listed", reason=str(no))
            return chats
        except CredentialsRefused as error:
            raise self._unavailable(error) from error
        for found in groups:
            chat = chat_of(f"{GROUP}{found.get('id')}")
            if chat is not None:
                name = one_line(str(found.get("subject") or ""))
                chats.append(ChatInfo(chat=chat, kind=ChatKind.GROUP, name=name))
        return chats

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        for outgoing in batch:
            session = self._connected()
            try:
                outcome = await self._outbox.send(
                    outgoing,
                    session.client,
                    last_inbound=session.people.last_inbound,
                    renamed=session.people.rename,
                )
            except CredentialsRefused as error:
                self._fail(error)
                raise self._unavailable(error) from error
            yield outcome

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived (see `Outbox.fate`).

        Meta's list of sent messages names neither recipient nor key, so it is of no
        use here.
        """
        self._connected()
        return self._outbox.fate(piece.key, attempted_at=attempted_at)

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        client = self._connected().client
        try:
            async for piece in download(client, handle, octets_max=octets_max):
                yield piece
        except CredentialsRefused as error:
            self._fail(error)
            raise self._unavailable(error) from error
        except PeerMisbehaved as error:
            raise self._unavailable(error) from error

    # ---- signals

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show typing where everything was read already; it ends by itself."""
        client = self._connected().client
        target = self._marks.to_type(chat)
        if active and target is not None:
            await self._mark(client, render.read_mark(target, typing=True))

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Mark somebody's message as read; delivery WhatsApp tells itself."""
        client = self._connected().client
        if not read or not ref.native_id or ref.author == OURS or is_group(chat):
            return
        if self._marks.to_mark(chat, ref.native_id):
            try:
                await self._mark(client, render.read_mark(ref.native_id, typing=False))
            except Unavailable:
                self._marks.unmark(chat)
                raise

    async def _mark(self, client: Client, body: Json) -> None:
        try:
            await client.post_message(body)
        except Rejected as no:
            _log.info("read_mark_refused", error_code=no.error.code)
        except CredentialsRefused as error:
            self._fail(error)

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"WhatsApp does not let us in: {error}")

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable("the WhatsApp account is not connected yet")
        return self._session


def _newest(session: _Session) -> list[str]:
    return list(reversed(session.people.names))
