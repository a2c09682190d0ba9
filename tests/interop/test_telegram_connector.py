"""The bot at crabline's Bot API, which we did not write.

What crabline has: polling, texts in, texts out with entities, edits, deletions,
reactions, files out, topics. The rest is tested at a Telegram of our own
(`tests/unit/networks/telegram`).
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from sabir.content.meaning import MediaKind
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.crypto.secrets import Secret
from sabir.networks.api import ConnectionState, Outcome, Posted, Refused, Sent
from sabir.networks.telegram import names
from sabir.networks.telegram.config import BotConfig
from sabir.networks.telegram.connector import TelegramBot
from sabir.testing.clock import LoopClock
from sabir.testing.pytest_plugin import need
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.telegram import CrablineTelegram
from sabir.testing.telegram.gate import CrablineGate
from tests.unit.networks.telegram.bench import ADA, file, outgoing

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]
_groups = count(5_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crabline(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[CrablineTelegram]:
    need("crabline")
    async with CrablineTelegram(tmp_path_factory.mktemp("crabline")) as server:
        yield server


class Place:
    """One group, with the bot in it."""

    def __init__(self, crabline: CrablineTelegram) -> None:
        self.crabline = crabline
        self.number = -(10**12) - next(_groups)
        self.chat = names.chat_id(self.number)
        titles = {self.number: "Tea"}
        self.gate = CrablineGate(crabline.base_url, crabline.token, titles)
        self.host = RecordingHost(clock=LoopClock(), rng=SeededRng(), chats=[self.chat])

    def bot(self) -> TelegramBot:
        token = Secret.from_text(self.crabline.token)
        return TelegramBot(BotConfig(api_url=self.gate.url, token=token))

    async def send(self, bot: TelegramBot, piece: Any, data: bytes = b"") -> Outcome:
        whole = outgoing(piece, self.chat, data=data)
        (outcome,) = [outcome async for outcome in bot.send([whole])]
        return outcome


@pytest.fixture
async def at(crabline: CrablineTelegram) -> AsyncIterator[tuple[Place, TelegramBot]]:
    place = Place(crabline)
    async with place.gate, asyncio.TaskGroup() as group:
        bot = place.bot()
        run = group.create_task(bot.run(place.host))
        await place.host.until(
            lambda: (ConnectionState.CONNECTED, "") in place.host.states
        )
        await bot.open_chat(place.chat)
        yield place, bot
        run.cancel()
    assert not place.gate.problems, place.gate.problems


async def test_texts_come_with_their_marks(at: tuple[Place, TelegramBot]) -> None:
    place, bot = at
    bold = [{"type": "bold", "offset": 3, "length": 4}]
    await place.crabline.says(place.number, 7, "😀 bold", entities=bold)
    await place.host.until(lambda: place.host.events)
    incoming = bot.decode(place.host.events[0])
    assert incoming is not None
    assert incoming.action == Posted(
        text=Rich((Paragraph((Text("😀 "), Strong((Text("bold"),)))),))
    )


async def test_what_the_bot_does_is_taken(at: tuple[Place, TelegramBot]) -> None:
    place, bot = at
    bold = Rich((Paragraph((Text("😀 "), Strong((Text("bold"),)))),))
    sent = await place.send(bot, TextPiece(text=bold))
    assert isinstance(sent, Sent)
    target = NativeRef(native_id=sent.native_id)
    reply = TextPiece(text=Rich.plain("and"), reply_to=target)
    for piece in (
        reply,
        EditPiece(target=target, text=Rich.plain("plain")),
        ReactPiece(target=target, emoji="👍"),
        DeletePiece(target=target),
    ):
        outcome = await place.send(bot, piece)
        assert isinstance(outcome, Sent), outcome
    await bot.typing(place.chat, ADA, active=True)
    assert place.gate.requests[-1][0] == "sendChatAction"


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        (MediaKind.FILE, "application/pdf"),
        (MediaKind.IMAGE, "image/png"),
        (MediaKind.VIDEO, "video/mp4"),
        (MediaKind.AUDIO, "audio/mpeg"),
        (MediaKind.GIF, "video/mp4"),
    ],
)
async def test_files_are_taken(
    at: tuple[Place, TelegramBot], kind: MediaKind, content_type: str
) -> None:
    place, bot = at
    data = bytes(range(256)) * 1_000
    caption = Rich((Paragraph((Strong((Text("Look"),)),)),))
    piece = file(kind, content_type, caption=caption, filename='a "b".bin')
    outcome = await place.send(bot, piece, data)
    assert isinstance(outcome, Sent), outcome
    (got,) = [v for v in place.gate.requests[-1][1].values() if isinstance(v, bytes)]
    assert got == data


async def test_a_file_of_nearly_50_mb_is_taken(
    at: tuple[Place, TelegramBot],
) -> None:
    place, bot = at
    outcome = await place.send(bot, file(), bytes(45_000_000))
    assert isinstance(outcome, Sent), outcome


async def test_crabline_keeps_the_limits_that_we_keep(
    at: tuple[Place, TelegramBot],
) -> None:
    place, bot = at
    full = await place.send(bot, TextPiece(text=Rich.plain("😀" * 2_048)))
    assert isinstance(full, Sent), full
    caption = Rich.plain("x" * 1_024)
    assert isinstance(await place.send(bot, file(caption=caption), b"f"), Sent)
    over = await place.send(bot, TextPiece(text=Rich.plain("😀" * 2_049)))
    assert isinstance(over, Refused)


async def test_the_straight_way_works_too(crabline: CrablineTelegram) -> None:
    """Without the gate: nothing between the connector and crabline."""
    token = Secret.from_text(crabline.token)
    bot = TelegramBot(BotConfig(api_url=crabline.base_url, token=token))
    number = -(10**12) - next(_groups)
    chat = names.chat_id(number)
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(), chats=[chat])
    async with asyncio.TaskGroup() as group:
        run = group.create_task(bot.run(host))
        await host.until(lambda: (ConnectionState.CONNECTED, "") in host.states)
        await crabline.says(number, 7, "hello")
        await host.until(lambda: host.events)
        piece = outgoing(TextPiece(text=Rich.plain("Ahoy")), chat)
        (outcome,) = [outcome async for outcome in bot.send([piece])]
        assert isinstance(outcome, Sent)
        assert crabline.sent(number) == ["Ahoy"]
        run.cancel()
