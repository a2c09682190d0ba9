"""A bot at a Telegram of our own, with a host that remembers: for these tests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from itertools import count
from typing import Any

from sabir.clock import Instant
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import Disposition, ExternalPart
from sabir.content.pieces import MediaPiece, Piece, TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    ConnectionState,
    Connector,
    IdempotencyKey,
    Incoming,
    Outcome,
    Outgoing,
    Posted,
    Speaker,
)
from sabir.networks.telegram.config import BotConfig, WebhookConfig
from sabir.networks.telegram.connector import TelegramBot
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.telegram.fake import FakeTelegram, user

GROUP = -1_000_000_001_234
BASIC = -77
CHAT = ChatId("channel:1234")
ANN = user(7, "Ann")
BOB = user(8, "Bob")
ADA = Speaker(uri="matrix:u/ada:e.org", name="Ada", network="matrix")

_numbers = count(1)


class Bench:
    """One bot, running."""

    def __init__(self, server: FakeTelegram, host: RecordingHost) -> None:
        self.server = server
        self.host = host
        self.bot = TelegramBot(config(server))

    @asynccontextmanager
    async def running(
        self, hook: WebhookConfig | None = None, *, may_end: bool = False
    ) -> AsyncIterator[None]:
        """Run the bot until the block ends; it must not end before unless it may."""
        self.bot = TelegramBot(config(self.server, hook))
        self.host.states.clear()
        async with asyncio.TaskGroup() as group:
            run = group.create_task(self._run(may_end=may_end))
            await self.host.until(lambda: self.is_connected or run.done())
            for chat in self.host.chats():
                await self.bot.open_chat(chat)
            yield
            run.cancel()

    async def _run(self, *, may_end: bool) -> None:
        with suppress(Unavailable) if may_end else nullcontext():
            await self.bot.run(self.host)

    @property
    def is_connected(self) -> bool:
        return bool(self.host.states) and (
            self.host.states[-1][0] is ConnectionState.CONNECTED
        )

    async def send(self, piece: Piece, chat: ChatId = CHAT, **more: Any) -> Outcome:
        """Send a piece and return what became of it."""
        (outcome,) = [o async for o in self.bot.send([outgoing(piece, chat, **more)])]
        return outcome

    async def says(self, text: str, chat: ChatId = CHAT) -> Outcome:
        """Send a text."""
        return await self.send(TextPiece(text=Rich.plain(text)), chat)

    async def taken(self, number: int) -> list[Incoming | None]:
        """Wait for so many events and return what they mean."""
        await self.host.until(lambda: len(self.host.events) >= number)
        return [self.bot.decode(event) for event in self.host.events]

    async def texts(self, number: int) -> list[str]:
        """Wait for so many events and return the texts of the messages."""
        found = []
        for incoming in await self.taken(number):
            if incoming is not None and isinstance(incoming.action, Posted):
                text = incoming.action.text
                found.append("" if text is None else to_plain(text))
        return found

    def methods(self, name: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of a method."""
        return [params for method, params in self.server.requests if method == name]


def config(server: FakeTelegram, hook: WebhookConfig | None = None) -> BotConfig:
    token = Secret.from_text(server.token)
    return BotConfig(api_url=server.url, token=token, webhook=hook)


@asynccontextmanager
async def bench(*chats: ChatId) -> AsyncIterator[Bench]:
    """Give a bench with a supergroup `CHAT`; nothing may have been wrong at the end."""
    async with FakeTelegram() as server:
        server.add_chat(GROUP, "Tea")
        server.add_chat(BASIC, "Old tea")
        server.add_chat(7, "Ann")
        host = RecordingHost(
            clock=LoopClock(), rng=SeededRng("telegram"), chats=chats or (CHAT,)
        )
        yield Bench(server, host)
        assert not server.problems, server.problems


def outgoing(piece: Piece, chat: ChatId = CHAT, *, data: bytes = b"") -> Outgoing:
    return Outgoing(
        chat=chat,
        key=key(),
        speaker=ADA,
        piece=piece,
        sent_at=Instant(1),
        media=Octets(data) if isinstance(piece, MediaPiece) else None,
    )


def key() -> IdempotencyKey:
    number = next(_numbers)
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return IdempotencyKey("".join(letters[number >> 5 * i & 31] for i in range(32)))


class Octets:
    """A file on our disk."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).digest()
        self._data = data

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), 65_536):
            yield self._data[start : start + 65_536]


def file(
    kind: MediaKind = MediaKind.FILE,
    content_type: str = "text/plain",
    *,
    caption: Rich | None = None,
    filename: str = "f.txt",
) -> MediaPiece:
    part = ExternalPart(
        content_type=content_type,
        url="https://e.org/f",
        size=9,
        filename=filename,
        disposition=Disposition.ATTACHMENT,
    )
    return MediaPiece(attachment=Attachment(part=part, kind=kind), caption=caption)


async def all_of(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def ends(connector: Connector, host: RecordingHost) -> BaseException | None:
    """Run a connector until it ends by itself; return what it raised."""
    loop = asyncio.get_running_loop()
    run = loop.create_task(connector.run(host))
    await asyncio.wait([run], timeout=10)
    assert run.done()
    return run.exception()


def phrases(states: Sequence[tuple[ConnectionState, str]]) -> list[str]:
    return [detail for _, detail in states if detail]
