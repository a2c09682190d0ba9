"""The SMS connector at an SMSC that others wrote: the acceptance list of SMS."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest
import structlog

from sabir.clock import Instant
from sabir.content.pieces import TextPiece
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    Account,
    AccountId,
    ChatId,
    ConnectionState,
    Corrected,
    Delivered,
    IdempotencyKey,
    InDoubt,
    NotSent,
    Outcome,
    Outgoing,
    Posted,
    ReactionAdded,
    ReactionsReplaced,
    Refused,
    Sent,
    Speaker,
)
from sabir.networks.login import Ask, Done
from sabir.networks.sms.connector import SmsConnector
from sabir.networks.sms.network import NETWORK
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.smpp import PASSWORD, SYSTEM_ID, Smsc

pytestmark = pytest.mark.interop

OURS: Final = "15550002222"
ADA: Final = Speaker(uri="sabir:test/ada", name="Ada", network="matrix")
_phones = count(15_550_200_000)
_keys = count(1)


class FastClock(LoopClock):
    """Spans pass faster than they are, and dates are ahead of the true ones."""

    factor = 1
    ahead_ms = 0

    def now(self) -> Instant:
        return Instant(super().now() + self.ahead_ms)

    def monotonic_ms(self) -> float:
        return super().monotonic_ms() * self.factor

    async def sleep(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000 / self.factor)


class Desk:
    """A host that survives restarts, a phone, and a connector at a time."""

    def __init__(self, smsc: Smsc, **settings: Any) -> None:
        self.smsc = smsc
        self.phone = str(next(_phones))
        self.chat = ChatId(f"+{self.phone}")
        self.clock = FastClock()
        self.host = RecordingHost(
            clock=self.clock, rng=SeededRng("sms"), chats=[self.chat]
        )
        self.settings = settings

    def account(self, **settings: Any) -> Account:
        password = str(settings.pop("password", PASSWORD))
        return Account(
            id=AccountId("sms"),
            network="sms",
            settings={
                "host": self.smsc.host,
                "port": self.smsc.ports["smpp"],
                "tls": "plain",
                "system_id": SYSTEM_ID,
                "number": f"+{OURS}",
                "consent": "portal",
                "messages_per_second": 100,
                "doubt_seconds": 2,
                **self.settings,
                **settings,
            },
            secrets={"password": Secret.from_text(password)},
        )

    def connector(self, **settings: Any) -> SmsConnector:
        made = NETWORK.connector(
            self.account(**settings), clock=self.clock, rng=self.host.rng
        )
        assert isinstance(made, SmsConnector)
        return made

    @asynccontextmanager
    async def living(
        self, *, may_end: bool = False, **settings: Any
    ) -> AsyncIterator[SmsConnector]:
        connector = self.connector(**settings)
        self.host.states.clear()
        run = asyncio.get_running_loop().create_task(connector.run(self.host))
        try:
            await self.host.until(
                lambda: (
                    run.done()
                    or (self.host.states and self.host.states[-1][0] == CONNECTED)
                )
            )
            if run.done():
                await run
            await connector.open_chat(self.chat)
            yield connector
            if run.done() and not may_end:
                await run
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    def piece(self, text: str, key: str = "") -> Outgoing:
        return Outgoing(
            chat=self.chat,
            key=IdempotencyKey(key or f"key{next(_keys):029}"),
            speaker=ADA,
            piece=TextPiece(text=Rich.plain(text)),
            sent_at=self.clock.now(),
        )

    async def send(self, connector: SmsConnector, *texts: str) -> list[Outcome]:
        batch = [self.piece(text) for text in texts]
        return [outcome async for outcome in connector.send(batch)]

    async def says(self, text: str, **how: Any) -> None:
        await self.smsc.says(self.phone, OURS, text, **how)

    def actions(self) -> Sequence[Any]:
        connector = self.connector()
        decoded = [connector.decode(event) for event in self.host.events]
        return [each.action for each in decoded if each is not None]

    def texts(self) -> Sequence[str]:
        return [
            to_plain(action.text)
            for action in self.actions()
            if isinstance(action, Posted) and action.text is not None
        ]

    async def comes(self, text: str) -> None:
        await self.host.until(lambda: text in self.texts())

    async def counts(self, events: int) -> None:
        await self.host.until(lambda: len(self.host.events) == events)

    def delivered(self) -> Sequence[str]:
        return [s.native_id for s in self.host.signals if isinstance(s, Delivered)]


CONNECTED: Final = ConnectionState.CONNECTED


@pytest.fixture
async def desk(smsc: Smsc) -> AsyncIterator[Desk]:
    await smsc.ask("reset")
    yield Desk(smsc)
    await smsc.ask("reset")


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


# ---- sending


@pytest.mark.parametrize("joining", ["udh", "sar"])
@pytest.mark.parametrize(
    ("text", "parts", "coding"),
    [
        ("a" * 160, 1, 0),
        ("a" * 161, 2, 0),
        ("a" * 152 + "€" + "b" * 20, 2, 0),
        ("a" * 159 + "€", 2, 0),
        ("^{}\\[~]|€ @£ ÄÖÜ \n Δ", 1, 0),
        ("ж" * 70, 1, 8),
        ("ж" * 71, 2, 8),
        ("ж" * 66 + "😀" + "ж" * 5, 2, 8),
        ("ж" * 60 + "👩‍👩‍👧‍👦" + "ж" * 20, 2, 8),
        ("e\u0301" * 60, 1, 0),
        ("ç" * 70, 1, 8),
        ("à la 🏳️‍🌈 " * 40, 8, 8),
    ],
)
async def test_the_phone_reads_what_was_written(
    desk: Desk, text: str, parts: int, coding: int, joining: str
) -> None:
    """SM-1: limits, extension characters and emoji on borders."""
    async with desk.living(concatenation=joining) as connector:
        (outcome,) = await desk.send(connector, text)
    seen = await desk.smsc.seen()
    assert isinstance(outcome, Sent)
    assert len(seen) == parts
    assert {each["coding"] for each in seen} == {coding}
    assert "".join(each["text"] for each in seen) == text.replace("e\u0301", "é")
    if parts > 1:
        place = [
            each["udh"][-2:] if joining == "udh" else each["sar"][1:] for each in seen
        ]
        assert place == [[parts, number + 1] for number in range(parts)]
        assert f"sent as {parts} text messages" in outcome.lost


async def test_a_receipt_becomes_delivered_when_it_is_of_all_parts(desk: Desk) -> None:
    async with desk.living() as connector:
        outcomes = await desk.send(connector, "one", "long " * 60)
        await desk.host.until(lambda: len(desk.delivered()) == 2)
    assert list(desk.delivered()) == [
        o.native_id for o in outcomes if isinstance(o, Sent)
    ]


@pytest.mark.parametrize(
    "fault",
    [
        {"receiptFirst": True},
        {"receiptTwice": True},
        {"receiptIdHex": True},
        {"receiptFirst": True, "receiptIdHex": True},
        {"receiptReference": True, "receiptFirst": True},
        {"receiptBare": True},
    ],
)
async def test_receipts_come_as_they_like(desk: Desk, fault: dict[str, Any]) -> None:
    """SM-4: before the answer, twice, in another base; one state each, forward only."""
    await desk.smsc.ask("fault", **fault)
    async with desk.living() as connector:
        (outcome,) = await desk.send(connector, "hello")
        assert isinstance(outcome, Sent)
        await desk.host.until(desk.delivered)
        await until(lambda: _none_pending(desk.smsc))
    assert list(desk.delivered()) == [outcome.native_id]


async def _none_pending(smsc: Smsc) -> bool:
    return await smsc.pending() == 0


async def test_a_failure_is_said_in_the_room_once(desk: Desk) -> None:
    await desk.smsc.ask("fault", receipt="UNDELIV", receiptTwice=True)
    async with desk.living() as connector:
        (outcome,) = await desk.send(connector, "hello")
        assert isinstance(outcome, Sent)
        await desk.host.until(lambda: desk.host.events)
        await until(lambda: _none_pending(desk.smsc))
    (action,) = desk.actions()
    assert action.reply_to == outcome.native_id
    assert "Not delivered by SMS" in to_plain(action.text)
    assert not desk.delivered()


async def test_throttling_slows_down_and_loses_nothing(desk: Desk) -> None:
    """SM-3."""
    desk.clock.factor = 20
    await desk.smsc.ask("fault", throttle=5)
    texts = [f"number {n}" for n in range(12)]
    async with desk.living() as connector:
        outcomes = await desk.send(connector, *texts)
        sender = connector._living().sender
        assert sender._pace.rate < 100
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert list(await desk.smsc.texts(desk.phone)) == texts


async def test_throttling_without_end_is_unavailable_and_not_lost(desk: Desk) -> None:
    desk.clock.factor = 1_000
    await desk.smsc.ask("fault", throttle=100_000)
    piece = desk.piece("patience")
    async with desk.living() as connector:
        with pytest.raises(Unavailable) as waits:
            _ = [outcome async for outcome in connector.send([piece])]
        assert waits.value.retry_after_ms
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
    assert found == NotSent()


async def test_a_refused_part_ends_the_message(desk: Desk) -> None:
    """SM-7: remaining parts are not sent, the next message is."""
    await desk.smsc.ask("fault", rejectFrom=2)
    async with desk.living() as connector:
        (refused,) = await desk.send(connector, "long " * 70)
        await desk.smsc.ask("fault", rejectFrom=0)
        (sent,) = await desk.send(connector, "short")
    assert isinstance(refused, Refused)
    assert "part 2 of 3" in refused.reason
    assert "no such number" in refused.reason
    assert isinstance(sent, Sent)
    assert len(await desk.smsc.seen()) == 2


async def test_an_error_of_the_smsc_is_waited_for(desk: Desk) -> None:
    await desk.smsc.ask("fault", reject=1, rejectStatus=0x08)
    piece = desk.piece("patience")
    async with desk.living() as connector:
        with pytest.raises(Unavailable) as waits:
            _ = [outcome async for outcome in connector.send([piece])]
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
        (sent,) = [outcome async for outcome in connector.send([piece])]
    assert waits.value.retry_after_ms == 5_000
    assert found == NotSent()
    assert isinstance(sent, Sent)


async def test_settings_that_change_amid_a_message_end_it(desk: Desk) -> None:
    await desk.smsc.ask("fault", reject=1, rejectStatus=0x08)
    piece = desk.piece("ä{" * 100)
    async with desk.living() as connector:
        with pytest.raises(Unavailable):
            _ = [outcome async for outcome in connector.send([piece])]
        record = connector._living().ledger.outbox.find(piece.key)
        assert record is not None
        del record.parts[-1]
        (refused,) = [outcome async for outcome in connector.send([piece])]
    assert isinstance(refused, Refused)
    assert "settings" in refused.reason


async def test_a_sender_that_is_a_name_gets_no_answer(desk: Desk) -> None:
    desk.chat = ChatId("name:BANK")
    async with desk.living() as connector:
        (refused,) = await desk.send(connector, "hello")
    assert isinstance(refused, Refused)
    assert "cannot be answered" in refused.reason


async def test_a_window_is_never_more_than_agreed(desk: Desk) -> None:
    await desk.smsc.ask("fault", late=50, receipt="none")
    chats = [ChatId(f"+{next(_phones)}") for _ in range(6)]
    pieces = [replace(desk.piece("hello"), chat=chat) for chat in chats]
    most = 0
    async with desk.living(window=2) as connector, asyncio.TaskGroup() as group:
        link = connector._living().sender._link
        assert link is not None
        tasks = [group.create_task(_outcomes(connector, piece)) for piece in pieces]
        while not all(task.done() for task in tasks):
            most = max(most, len(link._requests))
            await asyncio.sleep(0.002)
    assert most == 2


async def _outcomes(connector: SmsConnector, piece: Outgoing) -> list[Outcome]:
    return [outcome async for outcome in connector.send([piece])]


# ---- doubt


async def _in_doubt(desk: Desk, connector: SmsConnector, piece: Outgoing) -> None:
    with pytest.raises(Unavailable):
        _ = [outcome async for outcome in connector.send([piece])]


async def test_a_lost_answer_is_settled_by_the_receipt(desk: Desk) -> None:
    """SM-2: nothing is sent twice; bound by a receipt that knows text and time."""
    await desk.smsc.ask("fault", dropAfter=1, receiptDelay=300)
    piece = desk.piece("did it arrive?")
    async with desk.living(may_end=True) as connector:
        await _in_doubt(desk, connector, piece)
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
        await desk.host.until(desk.delivered)
    assert isinstance(found, Sent)
    assert [sent.key for _, sent in desk.host.echoes] == [piece.key]
    assert len(await desk.smsc.seen()) == 1


async def test_a_receipt_that_says_too_little_settles_nothing(desk: Desk) -> None:
    await desk.smsc.ask("fault", dropAfter=1, receiptDelay=300, receiptBare=True)
    piece = desk.piece("did it arrive?")
    async with desk.living(may_end=True) as connector:
        await _in_doubt(desk, connector, piece)
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
    assert isinstance(found, InDoubt)
    assert "did it arrive" not in found.reason
    assert desk.phone not in found.reason


async def test_our_own_number_in_the_receipt_settles_it(desk: Desk) -> None:
    await desk.smsc.ask(
        "fault", dropAfter=1, receiptDelay=300, receiptBare=True, receiptReference=True
    )
    piece = desk.piece("did it arrive?")
    async with desk.living(may_end=True) as connector:
        await _in_doubt(desk, connector, piece)
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
    assert isinstance(found, Sent)


async def test_without_a_receipt_it_stays_in_doubt_and_is_never_resent(
    desk: Desk,
) -> None:
    await desk.smsc.ask("fault", dropAfter=1, receipt="none")
    piece = desk.piece("did it arrive?")
    async with desk.living(may_end=True) as connector:
        await _in_doubt(desk, connector, piece)
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
        assert isinstance(found, InDoubt)
        await _in_doubt(desk, connector, piece)
    assert len(await desk.smsc.seen()) == 1


async def test_what_was_not_written_out_is_certainly_not_sent(desk: Desk) -> None:
    piece = desk.piece("never tried")
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
    assert found == NotSent()


async def test_the_rest_of_a_long_message_follows(desk: Desk) -> None:
    """Two parts are there, the third was refused for now: only the third goes."""
    await desk.smsc.ask("fault", dropAfter=2, receiptDelay=300)
    piece = desk.piece("long " * 70)
    async with desk.living(may_end=True) as connector:
        await _in_doubt(desk, connector, piece)
    async with desk.living() as connector:
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
        assert found == NotSent()
        outcomes = [outcome async for outcome in connector.send([piece])]
        again = [outcome async for outcome in connector.send([piece])]
    assert outcomes == again
    assert isinstance(outcomes[0], Sent)
    seen = await desk.smsc.seen()
    assert [each["udh"][-1] for each in seen] == [1, 2, 3]
    assert len({each["udh"][-3] for each in seen}) == 1


async def test_a_late_answer_still_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.smsc.ask("fault", late=1500, receipt="none")
    piece = desk.piece("slowly")
    async with desk.living() as connector:
        session = connector._living().sender._link._session  # type: ignore[union-attr]  # it is there
        monkeypatch.setattr(session, "_timers", type(session._timers)(answer_ms=300))
        await _in_doubt(desk, connector, piece)
        await desk.host.until(lambda: desk.host.echoes)
        found = await connector.lookup(piece, attempted_at=desk.clock.now())
    assert isinstance(found, Sent)


# ---- coming in


@pytest.mark.parametrize(
    "how", [{}, {"join": "sar"}, {"join": "payload"}, {"coding": "gsm7"}]
)
async def test_long_messages_come_whole(desk: Desk, how: dict[str, Any]) -> None:
    text = ("réponse ✓ " if how.get("coding") != "gsm7" else "answer {1} € ") * 30
    async with desk.living():
        await desk.says(text, **how)
        await desk.comes(text)
    assert desk.texts() == [text]
    assert all(each["status"] == 0 for each in await desk.smsc.seen("answered"))


async def test_parts_survive_a_restart_between_them(desk: Desk) -> None:
    """SM-6."""
    text = "x✓" * 100
    async with desk.living():
        await desk.says(text, only=[1, 3], ref=7)
        await until(lambda: _none_pending(desk.smsc))
    assert not desk.host.events
    await desk.says(text, only=[2], ref=7)
    async with desk.living():
        await desk.comes(text)
    assert desk.texts() == [text]


async def test_after_a_day_missing_parts_are_said_and_may_still_come(
    desk: Desk,
) -> None:
    text = "x✓" * 100
    async with desk.living():
        await desk.says(text, only=[1, 3], ref=7)
        await until(lambda: _none_pending(desk.smsc))
    desk.clock.ahead_ms = 24 * 3_600_000
    async with desk.living():
        await desk.counts(1)
        await desk.says(text, only=[2], ref=7)
        await desk.counts(2)
    first, second = desk.actions()
    assert "[part 2 of 3 missing]" in to_plain(first.text)
    assert second == Corrected(
        target=desk.host.events[0].native_id, text=Rich.plain(text)
    )


async def test_what_is_no_message_is_answered_and_left(desk: Desk) -> None:
    """An acknowledgement of a phone's user, and octets without a sender."""
    user = b"\x01\x01" + desk.phone.encode() + b"\0"
    acknowledgement = b"\0" + user + user + b"\x10" + bytes(8) + b"\x02ok"
    async with desk.living():
        for number, body in enumerate((acknowledgement, b"\xff" * 40)):
            head = (16 + len(body)).to_bytes(4) + b"\0\0\0\x05" + bytes(4)
            octets = head + (9_000 + number).to_bytes(4) + body
            await desk.smsc.ask("raw", hex=octets.hex())
        await desk.says("after them")
        await desk.comes("after them")
    assert len(desk.host.events) == 1


async def test_the_same_word_twice_is_two_messages(desk: Desk) -> None:
    """SM-5, on a healthy session."""
    async with desk.living():
        await desk.says("ok")
        await desk.says("ok")
        await desk.host.until(lambda: len(desk.texts()) == 2)


async def test_what_failed_to_be_stored_comes_again(desk: Desk) -> None:
    """SM-5: the SMSC keeps what we answered with a temporary error, or not at all."""
    async with desk.living(may_end=True):
        desk.host.fail_takes = 1
        await desk.says("keep me")
        await desk.host.until(lambda: desk.host.fail_takes == 0)
        await until(lambda: _seen(desk.smsc, "answered"))
    (answered,) = await desk.smsc.seen("answered")
    assert answered["status"] == 0x64
    assert not desk.texts()
    async with desk.living():
        await desk.comes("keep me")
        await until(lambda: _none_pending(desk.smsc))
    assert desk.texts() == ["keep me"]


async def test_between_commit_and_answer_a_cut_doubles_nothing(desk: Desk) -> None:
    """SM-5: the SMSC delivers again what is here already."""
    async with desk.living(may_end=True) as connector:
        link = connector._living().sender._link
        assert link is not None
        link.answer = lambda sequence, status: None  # type: ignore[method-assign]
        await desk.says("once")
        await desk.comes("once")
    async with desk.living():
        await until(lambda: _none_pending(desk.smsc))
        await desk.says("again")
        await desk.comes("again")
    assert desk.texts() == ["once", "again"]


async def test_after_a_restart_the_same_word_is_heard_again(desk: Desk) -> None:
    async with desk.living():
        await desk.says("ok")
        await desk.comes("ok")
        await until(lambda: _none_pending(desk.smsc))
    async with desk.living():
        await desk.says("where are you?")
        await desk.says("ok")
        await desk.counts(3)
    assert desk.texts() == ["ok", "where are you?", "ok"]


async def test_an_unreadable_message_is_kept_and_answered(desk: Desk) -> None:
    body = b"\0\x01\x01" + desk.phone.encode() + b"\0\x01\x01" + b"9" * 60
    pdu = (16 + len(body)).to_bytes(4) + b"\0\0\0\x05" + bytes(4) + b"\0\0\x30\x39"
    async with desk.living():
        await desk.smsc.ask("raw", hex=(pdu + body).hex())
        await desk.host.until(lambda: desk.host.events)
        await desk.says("after it")
        await desk.host.until(lambda: len(desk.host.events) == 2)
    with pytest.raises(Exception, match="SMPP-003"):
        desk.connector().decode(desk.host.events[0])


async def test_numbers_that_wrote_are_listed(desk: Desk) -> None:
    async with desk.living() as connector:
        await connector.close_chat(desk.chat)
        await desk.says("who is this?")
        await until(lambda: _none_pending(desk.smsc))
        listed = [info.chat for info in await connector.list_chats()]
    assert listed == [desk.chat]
    assert not desk.host.events


# ---- what texts stand for


async def test_reactions_answers_and_edits_find_their_message(desk: Desk) -> None:
    async with desk.living() as connector:
        (sent,) = await desk.send(connector, "Ada: shall we meet at the old harbour?")
        assert isinstance(sent, Sent)
        await desk.says("shall we take the dog with us")
        await desk.comes("shall we take the dog with us")
        mine = desk.host.events[0].native_id
        forms = [
            "Loved “Ada: shall we meet at the old harbour?”",
            "Removed a heart from “Ada: shall we meet at the old harbour?”",
            'reacted 🎉 to "Ada: shall we meet at the old…"',
            "👍 to “Ada: shall we meet at the old harbour?”",
            "> Ada: shall we meet at the old harbour?\nyes, at nine",
            "Edited to “shall we take the cat with us”",
            "> shall we take the dog with us\nCorrection: shall we take both",
            "Loved “something nobody said”",
        ]
        for number, form in enumerate(forms):
            await desk.says(form)
            await desk.counts(number + 2)
    assert desk.actions()[1:] == [
        ReactionsReplaced(target=sent.native_id, emoji=("❤️",)),
        ReactionsReplaced(target=sent.native_id, emoji=()),
        ReactionAdded(target=sent.native_id, emoji="🎉"),
        ReactionsReplaced(target=sent.native_id, emoji=("👍",)),
        Posted(text=Rich.plain("yes, at nine"), reply_to=sent.native_id),
        Corrected(target=mine, text=Rich.plain("shall we take the cat with us")),
        Corrected(target=mine, text=Rich.plain("shall we take both")),
        Posted(text=Rich.plain("Loved “something nobody said”")),
    ]


# ---- consent


async def test_nothing_leaves_without_the_senders_act(desk: Desk) -> None:
    """SM-11: a message of the room is no text message by itself."""
    async with desk.living(consent="each-message") as connector:
        refused, sent = await desk.send(connector, "Ada: hello", "Ada: /sms hello")
    assert isinstance(refused, Refused)
    assert '"/sms"' in refused.reason
    assert isinstance(sent, Sent)
    assert list(await desk.smsc.texts(desk.phone)) == ["Ada: hello"]


async def test_reactions_stay_here_unless_they_are_turned_on(desk: Desk) -> None:
    reaction = 'Ada reacted 👍 to "see you"'
    async with desk.living() as connector:
        (refused,) = await desk.send(connector, reaction)
    async with desk.living(reactions=True) as connector:
        (sent,) = await desk.send(connector, reaction)
    assert isinstance(refused, Refused)
    assert isinstance(sent, Sent)


async def test_stop_is_final_until_start(desk: Desk) -> None:
    """SM-10: one confirmation, then nothing, also after a restart."""
    async with desk.living():
        await desk.says("Stop")
        await until(lambda: _count(desk, 1))
    async with desk.living() as connector:
        (refused,) = await desk.send(connector, "but I")
        await desk.says("STOP")
        await desk.says("HELP")
        await until(lambda: _count(desk, 2))
        await desk.says("Start")
        await until(lambda: _count(desk, 3))
        (sent,) = await desk.send(connector, "hello again")
    assert isinstance(refused, Refused)
    assert "STOP" in refused.reason
    assert isinstance(sent, Sent)
    got = await desk.smsc.texts(desk.phone)
    assert [text.split()[0] for text in got] == ["You", "This", "You", "hello"]
    assert desk.texts() == ["Stop", "STOP", "HELP", "Start"]


async def _count(desk: Desk, number: int) -> bool:
    return len(await desk.smsc.texts(desk.phone)) == number


# ---- trouble


async def test_a_wrong_password_is_said_as_such(desk: Desk) -> None:
    with pytest.raises(CredentialsRefused, match="0x0d"):
        await desk.connector(password="wrong").run(desk.host)


async def test_a_certificate_that_nobody_vouches_for_is_refused(desk: Desk) -> None:
    port = desk.smsc.ports["tls"]
    with pytest.raises(Unavailable, match="ca_file"):
        await desk.connector(tls="required", port=port).run(desk.host)


async def test_tls_against_a_plain_port_is_unavailable(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.networks.sms.link.CONNECT_S", 1.0)
    with pytest.raises(Unavailable, match="tls"):
        await desk.connector(tls="required").run(desk.host)


async def test_a_name_or_nonsense_cannot_be_linked(desk: Desk) -> None:
    async with desk.living() as connector:
        for chat in ("+49 151", "bob", "+1", "name:"):
            with pytest.raises(PolicyRefused) as refused:
                await connector.open_chat(ChatId(chat))
            assert chat not in str(refused.value)


async def test_an_idle_link_is_asked_after(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.living() as connector:
        session = connector._living().sender._link._session  # type: ignore[union-attr]  # it is there
        monkeypatch.setattr(session, "_timers", type(session._timers)(idle_ms=100))
        await until(lambda: _seen(desk.smsc, "enquire_link", 2))


async def _seen(smsc: Smsc, kind: str, count: int = 1) -> bool:
    return len(await smsc.seen(kind)) >= count


async def test_the_login_tries_the_account_and_asks_for_consent(desk: Desk) -> None:
    flow = NETWORK.login(rng=desk.host.rng)
    first = await flow.begin()
    assert isinstance(first, Ask)
    answers = {
        "host": desk.smsc.host,
        "port": str(desk.smsc.ports["tls"]),
        "tls": "required",
        "ca_file": str(desk.smsc.certificate.ca_file),
        "system_id": SYSTEM_ID,
        "password": "wrong",
        "system_type": "",
    }
    with pytest.raises(CredentialsRefused):
        await flow.answer(answers)
    second = await flow.answer({**answers, "password": PASSWORD})
    assert isinstance(second, Ask)
    done = await flow.answer(
        {"number": f"+{OURS}", "consent": "each-message", "country_code": ""}
    )
    assert isinstance(done, Done)
    assert done.settings["port"] == desk.smsc.ports["tls"]
    assert [bind["secure"] for bind in await desk.smsc.seen("bind")] == [True, True]
    await flow.close()


async def test_no_log_has_a_number_or_a_text(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """SM-12: the canary is in no line of ours, at any level."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        await desk.smsc.ask("fault", dropAfter=2, receiptDelay=200)
        async with desk.living(may_end=True) as connector:
            await desk.says("canary of the phone")
            await desk.comes("canary of the phone")
            await desk.smsc.ask("redeliver")
            await desk.send(connector, "canary one")
            await _in_doubt(desk, connector, desk.piece("canary two"))
        async with desk.living() as connector:
            await connector.close_chat(desk.chat)
            await desk.says("canary of nobody")
            await until(lambda: _none_pending(desk.smsc))
    written = json.dumps(lines, default=str) + caplog.text
    assert "sms_not_linked" in written
    assert "canary" not in written
    assert desk.phone not in written
    assert PASSWORD not in [line.get("password") for line in lines]


async def test_a_second_piece_of_a_forgotten_past_is_in_doubt(desk: Desk) -> None:
    async with desk.living() as connector:
        connector._living().ledger.outbox._forgotten_at = desk.clock.now()
        found = await connector.lookup(desk.piece("old"), attempted_at=Instant(1))
    assert isinstance(found, InDoubt)
