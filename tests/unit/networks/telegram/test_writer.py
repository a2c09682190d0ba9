"""Sending under trouble: what waits, what is certain, what is in doubt."""

import asyncio
from typing import Final

import pytest

from sabir.content.pieces import (
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
)
from sabir.content.rich import Rich
from sabir.errors import LocalError, Unavailable
from sabir.networks.api import ChatId, InDoubt, NotSent, Refused, Sent
from sabir.networks.telegram import writer
from sabir.testing.telegram.shell import Refusal
from tests.unit.networks.telegram.bench import (
    BASIC,
    CHAT,
    GROUP,
    Bench,
    bench,
    file,
    outgoing,
)

OTHER: Final = ChatId("chat:77")
TEXT: Final = TextPiece(text=Rich.plain("hello"))


def flood(seconds: int, method: str = "sendMessage") -> tuple[str, Refusal]:
    text = f"Too Many Requests: retry after {seconds}"
    return method, Refusal(429, text, retry_after=seconds)


async def finding(at: Bench, piece: object) -> object:
    return await at.bot.lookup(piece, attempted_at=1)  # type: ignore[arg-type]


async def test_a_flood_wait_is_waited_for_and_the_message_goes_once() -> None:
    async with bench() as at, at.running():
        at.server.refusals.append(flood(1))
        begun = asyncio.get_running_loop().time()
        assert isinstance(await at.says("hello"), Sent)
        assert asyncio.get_running_loop().time() - begun >= 1
        assert [m["text"] for m in at.server.sent(GROUP)] == ["hello"]


async def test_a_flood_wait_holds_up_its_own_chat_only() -> None:
    async with bench(CHAT, OTHER) as at, at.running():
        at.server.refusals.append(flood(30))
        loop = asyncio.get_running_loop()
        slow = loop.create_task(at.says("slow"))
        await at.host.until(lambda: len(at.methods("sendMessage")) == 1)
        assert isinstance(await at.says("fast", OTHER), Sent)
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


async def test_a_second_chats_flood_wait_holds_up_the_whole_bot() -> None:
    third = ChatId("user:7")
    async with bench(CHAT, OTHER, third) as at, at.running():
        at.server.refusals += [flood(30), flood(30)]
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(at.says("a"))]
        await at.host.until(lambda: len(at.methods("sendMessage")) == 1)
        waiting.append(loop.create_task(at.says("b", OTHER)))
        await at.host.until(lambda: len(at.methods("sendMessage")) == 2)
        waiting.append(loop.create_task(at.says("c", third)))
        await at.host.until(lambda: at.host.facts.get(f"unsent:{third}"))
        assert len(at.methods("sendMessage")) == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_long_flood_wait_is_told_and_nothing_is_in_doubt() -> None:
    piece = outgoing(TEXT)
    async with bench() as at:
        async with at.running():
            at.server.refusals.append(flood(600))
            for _ in range(2):  # the second time Telegram is not even asked
                with pytest.raises(Unavailable) as limited:
                    _ = [o async for o in at.bot.send([piece])]
                assert 590_000 < (limited.value.retry_after_ms or 0) <= 600_000
                assert isinstance(await finding(at, piece), NotSent)
            assert len(at.methods("sendMessage")) == 1
        async with at.running():  # a new process knows it too
            assert isinstance(await finding(at, piece), NotSent)
            other = outgoing(TEXT)
            assert isinstance(await finding(at, other), InDoubt)
            _ = [o async for o in at.bot.send([piece])]
            assert isinstance(await finding(at, piece), InDoubt)


async def test_a_process_that_dies_while_it_waits_leaves_no_doubt() -> None:
    piece = outgoing(TEXT)
    async with bench() as at:
        async with at.running():
            at.server.refusals.append(flood(30))

            async def sends() -> None:
                _ = [o async for o in at.bot.send([piece])]

            sending = asyncio.get_running_loop().create_task(sends())
            await at.host.until(lambda: at.host.facts.get(f"unsent:{CHAT}"))
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        async with at.running():
            assert isinstance(await finding(at, piece), NotSent)


async def test_a_lost_answer_is_a_doubt_that_is_told_and_never_repeated() -> None:
    piece = outgoing(TEXT)
    async with bench() as at, at.running():
        at.server.drop_answers = 1
        with pytest.raises(Unavailable, match="does not answer"):
            _ = [o async for o in at.bot.send([piece])]
        found = await finding(at, piece)
        assert isinstance(found, InDoubt)
        assert "no way to look" in found.reason
        assert len(at.server.sent(GROUP)) == 1


async def test_what_never_left_us_may_be_sent_again() -> None:
    piece = outgoing(TEXT)
    async with bench() as at:
        async with at.running(may_end=True):
            session = at.bot._connected()
            await at.server.stop()
            with pytest.raises(Unavailable, match="cannot be reached"):
                await session.writer.write(piece)
            assert isinstance(await session.writer.lookup(piece), NotSent)
            await at.server.start()
        with pytest.raises(Unavailable, match="not connected yet"):
            _ = [o async for o in at.bot.send([piece])]
        async with at.running():
            assert isinstance(await finding(at, piece), NotSent)


async def test_an_answer_of_another_form_is_a_doubt() -> None:
    async with bench() as at, at.running():
        at.server.refusals.append(
            ("sendMessage", Refusal(500, "Internal Server Error"))
        )
        with pytest.raises(Unavailable, match="500"):
            await at.says("hello")


async def test_what_says_how_things_shall_be_may_be_repeated() -> None:
    target = NativeRef(native_id="1")
    async with bench() as at, at.running():
        for piece in (
            EditPiece(target=target, text=Rich.plain("x")),
            DeletePiece(target=target),
            ReactPiece(target=target, emoji="👍"),
        ):
            assert isinstance(await finding(at, outgoing(piece)), NotSent)


@pytest.mark.parametrize(
    ("code", "text", "hint"),
    [
        (403, "Forbidden: bot was blocked by the user", "only they can unblock it"),
        (403, "Forbidden: bot can't initiate conversation with a user", "press Start"),
        (400, "Bad Request: not enough rights to send text", "administrator"),
        (400, "Bad Request: chat not found", "does not exist"),
        (400, "Bad Request: something new", "nothing was sent"),
    ],
)
async def test_a_refusal_says_why_and_what_can_be_done(
    code: int, text: str, hint: str
) -> None:
    async with bench() as at, at.running():
        at.server.refusals.append(("sendMessage", Refusal(code, text)))
        outcome = await at.says("hello")
        assert isinstance(outcome, Refused)
        assert hint in outcome.reason
        assert isinstance(await at.says("next"), Sent)


async def test_changes_that_telegram_refuses_say_why() -> None:
    target = NativeRef(native_id="9")
    async with bench() as at, at.running():
        for piece, hint in (
            (EditPiece(target=target, text=Rich.plain("x")), "not there any more"),
            (ReactPiece(target=target, emoji="👍"), "not there any more"),
            (ReactPiece(target=target, emoji="🐈"), "73 emoji"),
            (ChatNamePiece(name="Tea"), "does not rename groups"),
        ):
            outcome = await at.send(piece)
            assert isinstance(outcome, Refused)
            assert hint in outcome.reason
        late = Refusal(400, "Bad Request: message can't be deleted for everyone")
        at.server.refusals.append(("deleteMessage", late))
        outcome = await at.send(DeletePiece(target=target))
        assert isinstance(outcome, Refused)
        assert "48 hours" in outcome.reason


async def test_a_file_without_octets_is_our_own_mistake() -> None:
    async with bench() as at, at.running():
        piece = outgoing(TEXT)
        broken = type(piece)(
            chat=piece.chat,
            key=piece.key,
            speaker=piece.speaker,
            piece=file(),
            sent_at=piece.sent_at,
        )
        with pytest.raises(LocalError):
            _ = [o async for o in at.bot.send([broken])]


async def test_a_flood_wait_between_a_file_and_its_words_is_waited_for() -> None:
    async with bench() as at, at.running():
        at.server.refusals.append(flood(1))
        outcome = await at.send(file(caption=Rich.plain("x" * 2_000)), data=b"f")
        assert isinstance(outcome, Sent)
        assert len(at.server.sent(GROUP)) == 2


async def test_a_closed_chat_is_forgotten() -> None:
    async with bench(CHAT, OTHER) as at, at.running():
        at.server.refusals.append(flood(600))
        with pytest.raises(Unavailable):
            await at.says("hello", OTHER)
        await at.bot.close_chat(OTHER)
        assert isinstance(await at.says("hello", OTHER), Sent)
        assert at.server.sent(BASIC)


def test_we_wait_no_longer_than_a_minute_by_ourselves() -> None:
    assert writer.FLOOD_WAIT_MAX_MS == 60_000
