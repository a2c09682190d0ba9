"""One bot: it speaks for everybody, in private chats, groups, topics and channels."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from sabir.clock import Instant
from sabir.content.capabilities import Capabilities
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
    ChatKind,
    ConnectionState,
    Finding,
    Host,
    Incoming,
    NativeEvent,
    NotSent,
    Outcome,
    Outgoing,
    Speaker,
)
from sabir.networks.telegram import capabilities, names, render
from sabir.networks.telegram.client import BotApi, Rejected, http_session, too_large
from sabir.networks.telegram.config import BotConfig
from sabir.networks.telegram.decode import decode, title_of
from sabir.networks.telegram.directory import Directory
from sabir.networks.telegram.intake import Intake
from sabir.networks.telegram.media_in import FILE_ID
from sabir.networks.telegram.notes import Notes
from sabir.networks.telegram.polling import Poller
from sabir.networks.telegram.webhook import WebhookReader
from sabir.networks.telegram.writer import Writer

SEND_WINDOW: Final = 1
"""After a crash only one piece can be in doubt."""
DOWNLOAD_OCTETS_MAX: Final = 20 * 1000 * 1000
"""Bot API, `getFile`: 20 MB."""
UNSENT_KEYS_MAX: Final = 10_000
"""Pieces offered while there was no connection; the agent stops at the first."""
_SEES_ALL: Final = frozenset({"creator", "administrator"})
_OUT: Final = frozenset({"left", "kicked"})

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Session:
    """What exists while we are connected."""

    api: BotApi
    host: Host
    directory: Directory
    intake: Intake
    writer: Writer
    notes: Notes
    bot: int
    sees_groups: bool
    """Its privacy mode is off."""


class TelegramBot:
    """Connector of one bot."""

    send_window = SEND_WINDOW

    def __init__(self, config: BotConfig) -> None:
        self._config = config
        self._session: _Session | None = None
        self._unsent: dict[str, None] = {}

    # ---- running

    async def run(self, host: Host) -> None:
        """Read updates until cancelled (see `Connector.run`)."""
        host.report(ConnectionState.CONNECTING)
        try:
            async with http_session() as http:
                api = BotApi(self._config.api_url, http, self._config.token)
                session = await self._start(api, host)
                reader = self._reader(session)
                self._session = session
                await reader.run()
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            self._session = None

    async def _start(self, api: BotApi, host: Host) -> _Session:
        me = await api.call("getMe")
        bot = me.get("id") if isinstance(me, dict) else None
        if not isinstance(bot, int):
            raise PeerMisbehaved("TELEGRAM-010", "getMe gave no bot")
        directory = Directory(host)
        await directory.load()
        return _Session(
            api=api,
            host=host,
            directory=directory,
            intake=Intake(host, directory, bot=bot),
            writer=Writer(api, directory, host, bot=bot),
            notes=Notes(host),
            bot=bot,
            sees_groups=me.get("can_read_all_group_messages") is True,
        )

    def _reader(self, session: _Session) -> Poller | WebhookReader:
        webhook = self._config.webhook
        if webhook is None:
            return Poller(session.api, session.intake, session.host, session.notes)
        return WebhookReader(
            session.api, session.intake, session.host.clock, session.notes, webhook
        )

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means (see `decode.decode`)."""
        return decode(event)

    # ---- chats

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed."""
        session = self._session
        is_forum = session is not None and session.directory.is_forum(chat)
        return capabilities.of_chat(is_forum=is_forum)

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """See that the bot is in a chat (see `Connector.open_chat`)."""
        session = self._connected()
        if names.is_username(chat):
            found = await self._chat(session, chat, chat)
            where = names.Place(found["id"])
            name = names.chat_id(where.number)
        else:
            where = names.place(chat)
            name = names.chat_id(where.number, where.topic)
            where = session.directory.place(name)
            found = await self._chat(session, where.number, chat)
        session.directory.learn(found)
        await session.directory.save()
        is_group = found.get("type") != "private"
        if is_group:
            await self._check_member(session, where.number, title_of(found) or name)
        session.intake.open(name)
        known = {info.chat: info.name for info in session.directory.list()}
        return ChatInfo(
            chat=name,
            kind=ChatKind.GROUP if is_group else ChatKind.DIRECT,
            name=known.get(name) or title_of(found),
            topic=str(found.get("description", "")),
        )

    async def _chat(
        self, session: _Session, chat: int | str, asked: str
    ) -> dict[str, Any]:
        try:
            found = await session.api.call("getChat", {"chat_id": chat})
        except Rejected as no:
            raise PolicyRefused(
                f"the bot cannot see {asked} on Telegram ({no.description}); add it to "
                "the group, or let the person open the bot and press Start"
            ) from no
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise PeerMisbehaved("TELEGRAM-010", "getChat gave no chat")
        return found

    async def _check_member(self, session: _Session, number: int, title: str) -> None:
        """See that the bot is in a group; say so if it does not hear everything."""
        params = {"chat_id": number, "user_id": session.bot}
        try:
            member = await session.api.call("getChatMember", params)
        except Rejected as no:
            raise PolicyRefused(
                f"the bot is not in {title} ({no.description}); add it to the group"
            ) from no
        status = member.get("status") if isinstance(member, dict) else None
        if status in _OUT:
            raise PolicyRefused(
                f"the bot is not in {title} (any more); let a member add it again"
            )
        hears_all = session.sees_groups or status in _SEES_ALL
        session.notes.hears(number, title, everything=hears_all)

    async def close_chat(self, chat: ChatId) -> None:
        """Hand on no more; the bot stays where its people have put it."""
        session = self._connected()
        session.intake.close(chat)
        session.writer.forget(chat)
        number = session.directory.place(chat).number
        session.notes.hears(number, "", everything=True)

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the chats that the bot has heard from."""
        return self._connected().directory.list()

    # ---- going out

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces in order (see `Connector.send`)."""
        session = self._session
        if session is None:
            self._note_unsent(batch)
            raise Unavailable("the Telegram bot is not connected yet")
        for outgoing in batch:
            self._unsent.pop(outgoing.key, None)
            yield await session.writer.write(outgoing)

    def _note_unsent(self, batch: Sequence[Outgoing]) -> None:
        for outgoing in batch:
            self._unsent[outgoing.key] = None
        while len(self._unsent) > UNSENT_KEYS_MAX:
            self._unsent.pop(next(iter(self._unsent)))

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Say what is certain of an earlier attempt; a bot cannot read history."""
        session = self._connected()
        if piece.key in self._unsent:
            return NotSent()
        return await session.writer.lookup(piece)

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file (see `DownloadsMedia`)."""
        session = self._connected()
        if not FILE_ID.fullmatch(handle):
            raise PolicyRefused("this is not the id of a file on Telegram")
        try:
            async for piece in self._pieces(session.api, handle, octets_max):
                yield piece
        except (CredentialsRefused, PeerMisbehaved) as error:
            raise Unavailable(str(error)) from error

    async def _pieces(
        self, api: BotApi, handle: str, octets_max: int
    ) -> AsyncIterator[bytes]:
        try:
            file = await api.call("getFile", {"file_id": handle})
        except Rejected as no:
            if not no.says("too big"):
                raise
            raise PolicyRefused(
                f"Telegram gives bots no file over {DOWNLOAD_OCTETS_MAX} octets; ask "
                "for a smaller one"
            ) from no
        path = file.get("file_path") if isinstance(file, dict) else None
        size = file.get("file_size") if isinstance(file, dict) else None
        if not isinstance(path, str) or not path:
            raise PolicyRefused("Telegram has no file under this id any more")
        if isinstance(size, int) and size > octets_max:
            raise too_large(size, octets_max)
        async for piece in api.download(path, octets_max=octets_max):
            yield piece

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show the bot typing; it ends by itself after five seconds."""
        if not active:
            return
        session = self._connected()
        request = render.typing(session.directory.place(chat))
        try:
            await session.api.call(request.method, request.params)
        except Error as error:  # best effort; sending will say it if it lasts
            _log.debug("typing_not_shown", chat=chat, code=error.code)

    def _connected(self) -> _Session:
        if self._session is None:
            raise Unavailable("the Telegram bot is not connected yet")
        return self._session


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of our errors out of a task group's."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
