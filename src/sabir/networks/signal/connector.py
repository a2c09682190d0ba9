"""The account: one connection to the daemon, and everything that uses it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.pieces import NativeRef
from sabir.errors import (
    CredentialsRefused,
    PeerIncompatible,
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
    Speaker,
)
from sabir.networks.signal import capabilities, names
from sabir.networks.signal.attempts import Attempts
from sabir.networks.signal.book import Book
from sabir.networks.signal.config import SignalConfig
from sabir.networks.signal.decode import decode
from sabir.networks.signal.http import HttpDaemon
from sabir.networks.signal.intake import WAITING_MAX, Intake
from sabir.networks.signal.media import fetch
from sabir.networks.signal.media_in import request_of
from sabir.networks.signal.outbox import Outbox
from sabir.networks.signal.pace import Pace
from sabir.networks.signal.render import target
from sabir.networks.signal.rpc import Daemon, SocketDaemon
from sabir.networks.signal.trust import Trust
from sabir.networks.signal.verdicts import NOT_HELD, RpcError, Unlinked, judge
from sabir.networks.signal.watch import LOOK_MS, Watch, gone

OWN_ID: Final = "aci"
NOT_CONNECTED: Final = "the Signal account is not connected yet"
BATCH_PIECES: Final = 8
"""Sent one after the other, so that none overtakes another."""

_log = structlog.get_logger(__name__)


class _Session:
    """One connection's life."""

    def __init__(
        self, daemon: Daemon, host: Host, book: Book, trust: Trust, outbox: Outbox
    ) -> None:
        self.daemon = daemon
        self.host = host
        self.book = book
        self.trust = trust
        self.outbox = outbox


class SignalAccount:
    """A linked device: one account speaks for everybody."""

    send_window = BATCH_PIECES

    def __init__(
        self, config: SignalConfig, *, clock: Clock, look_ms: int = LOOK_MS
    ) -> None:
        self._config = config
        self._clock = clock
        self._look_ms = look_ms
        self._pace = Pace(clock)
        self._session: _Session | None = None
        self._intake: Intake | None = None
        self._watch: Watch | None = None

    # ---- coming in

    async def run(self, host: Host) -> None:
        """Connect, receive, and look after the account (see `Connector.run`)."""
        host.report(ConnectionState.CONNECTING)
        waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(WAITING_MAX)
        try:
            async with self._daemon(waiting) as daemon, asyncio.TaskGroup() as group:
                group.create_task(daemon.run())
                await self._live(daemon, host, waiting)
        except BaseExceptionGroup as errors:
            error = _first(errors)
            if isinstance(error, RpcError):
                raise _trouble(error) from error
            raise error from None
        finally:
            self._session = self._intake = self._watch = None

    @asynccontextmanager
    async def _daemon(
        self, waiting: asyncio.Queue[Mapping[str, Any]]
    ) -> AsyncIterator[Daemon]:
        where = self._config.endpoint
        if where.is_http:
            number = self._config.number
            async with HttpDaemon.connected(where, number, waiting.put) as http:
                yield http
        else:
            async with SocketDaemon.connected(where, waiting.put) as socket:
                yield socket

    async def _live(
        self, daemon: Daemon, host: Host, waiting: asyncio.Queue[Mapping[str, Any]]
    ) -> None:
        number = self._config.number
        try:
            version = await self._check(daemon)
            book = Book(number, await self._own_id(daemon, host))
            await book.load(daemon)
        except RpcError as error:
            raise _trouble(error) from error
        trust = Trust(daemon, host, number=number, book=book)
        await trust.load()
        outbox = Outbox(
            daemon,
            host,
            number=number,
            version=version,
            book=book,
            trust=trust,
            attempts=Attempts(host),
            pace=self._pace,
            folder=self._config.files_dir,
        )
        await outbox.load()
        intake = Intake(
            daemon,
            host,
            number=number,
            book=book,
            trust=trust,
            outbox=outbox,
            waiting=waiting,
        )
        intake.chats = set(host.chats())
        watch = Watch(
            daemon,
            host,
            number=number,
            book=book,
            trust=trust,
            intake=intake,
            clock=self._clock,
            look_ms=self._look_ms,
        )
        self._session = _Session(daemon, host, book, trust, outbox)
        self._intake, self._watch = intake, watch
        host.report(ConnectionState.CATCHING_UP)
        await watch.compare(intake.chats)
        async with asyncio.TaskGroup() as group:
            group.create_task(intake.run())
            group.create_task(watch.follow())
            group.create_task(watch.look())
            group.create_task(gone(outbox.unlinked))
            await daemon.subscribe(number)
            await trust.review()
            watch.report()

    async def _check(self, daemon: Daemon) -> str:
        """Return the daemon's version; make sure that it has our account.

        Raises:
            CredentialsRefused: it has not.
        """
        answer = await daemon.call("version", {})
        version = answer.get("version") if isinstance(answer, dict) else None
        held = await daemon.call("listAccounts", {})
        numbers = [
            each.get("number")
            for each in (held if isinstance(held, list) else ())
            if isinstance(each, dict)
        ]
        if self._config.number not in numbers:
            raise CredentialsRefused(NOT_HELD)
        _log.info("daemon_answers", version=str(version)[:40])
        return str(version)

    async def _own_id(self, daemon: Daemon, host: Host) -> PersonId:
        """Return our own account id; it stays when the number changes."""
        known = self._config.aci or names.person_id(await host.recall(OWN_ID))
        if known is not None:
            return known
        own = await own_id(daemon, self._config.number)
        await host.remember(OWN_ID, own)
        return own

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed."""
        has_folder = self._config.files_dir is not None
        return capabilities.of_account(has_folder=has_folder)

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Hand on a chat's events from now on (see `Connector.open_chat`)."""
        session = self._connected()
        where = names.place(chat)
        if where.group is not None:
            if where.group not in session.book.groups:
                try:
                    await session.book.load_groups(session.daemon, where.group)
                except RpcError as error:
                    raise _trouble(error) from error
            self._check_group(session.book, where.group)
        if self._intake is not None and self._watch is not None:
            self._intake.chats.add(chat)
            await self._watch.compare([chat])
        return session.book.describe(chat)

    @staticmethod
    def _check_group(book: Book, name: str) -> None:
        group = book.groups.get(name)
        if group is None:
            raise PolicyRefused(
                "this Signal account knows no such group; `sabir chats` lists those"
                " that it is in"
            )
        if group.is_invited:
            raise PolicyRefused(
                "this account is only invited to the group; accept the invitation on"
                " the phone, then link it"
            )
        if not group.is_member:
            raise PolicyRefused(
                "this account is not in the group any more; let somebody in it add you"
            )

    async def close_chat(self, chat: ChatId) -> None:
        """Stop handing on its events. The owner stays in the group."""
        self._connected()
        if self._intake is not None:
            self._intake.chats.discard(chat)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the groups the account is in, and the people it knows."""
        return self._connected().book.chats()

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        outbox = self._connected().outbox
        for outgoing in batch:
            yield await outbox.send(outgoing)

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt arrived."""
        return self._connected().outbox.lookup(piece.key)

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        self._connected()
        method, params = request_of(handle)
        full = {"account": self._config.number, **params}
        try:
            async for piece in fetch(
                self._config.endpoint, method, full, octets_max=octets_max
            ):
                yield piece
        except RpcError as error:
            raise Unavailable(
                "the daemon cannot fetch the file from Signal, which keeps files for 45"
                " days"
            ) from error

    # ---- signals

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show that somebody is typing."""
        session = self._connected()
        where = target(chat, me=session.book.me)
        if "noteToSelf" in where:
            return
        params = {"account": self._config.number, **where, "stop": not active}
        await self._best_effort("sendTyping", params)

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Tell an author that their message was read, if the owner allows it.

        Delivery the daemon tells by itself.
        """
        session = self._connected()
        message = names.message_of(ref.native_id)
        if not self._config.read_receipts or not read or message is None:
            return
        author, sent_at = message
        if author == session.book.me:
            return
        params = {
            "account": self._config.number,
            "recipient": [author],
            "targetTimestamp": [sent_at],
            "type": "read",
        }
        await self._best_effort("sendReceipt", params)

    async def _best_effort(self, method: str, params: Mapping[str, Any]) -> None:
        try:
            await self._connected().daemon.call(method, params)
        except RpcError as error:
            _log.info("signal_not_shown", method=method, code=error.code)

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable(NOT_CONNECTED)
        return self._session


async def own_id(daemon: Daemon, number: str) -> PersonId:
    """Ask for the account id that belongs to a number.

    Raises:
        PeerIncompatible: the daemon does not say.
        RpcError, Unavailable: as they say.
    """
    params = {"account": number, "recipient": [number]}
    return read_own_id(await daemon.call("getUserStatus", params))


def read_own_id(answer: object) -> PersonId:
    """Read the answer of `getUserStatus` about ourselves.

    Raises:
        PeerIncompatible: no account id in it.
    """
    for entry in answer if isinstance(answer, list) else ():
        person = names.person_id(entry.get("uuid") if isinstance(entry, dict) else None)
        if person is not None:
            return person
    raise PeerIncompatible(
        "the daemon does not say which account id the number belongs to; upgrade"
        " signal-cli to 0.14 or later"
    )


def _trouble(error: RpcError) -> CredentialsRefused | Unavailable:
    verdict = judge(error)
    if isinstance(verdict, Unlinked):
        return CredentialsRefused(verdict.detail)
    return Unavailable(f"{error}; its log says why")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one error of a group, however deep."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
