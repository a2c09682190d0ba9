"""Fates of pieces in a room: reflected, bounced, swallowed."""

import asyncio
from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement

import pytest

from sabir.clock import Instant
from sabir.content.pieces import TextPiece
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.errors import Unavailable
from sabir.networks.api import (
    ChatId,
    IdempotencyKey,
    Outcome,
    Outgoing,
    Refused,
    Sent,
    Speaker,
)
from sabir.networks.xmpp import names
from sabir.networks.xmpp.archive import Archive
from sabir.networks.xmpp.muc import Bounced, Fate, Reflected, Room, Seat
from sabir.networks.xmpp.outbox import PAUSE_MS, RoomOutbox
from sabir.networks.xmpp.render import Address, Rendered, render
from sabir.networks.xmpp.stream import ComponentLogin, Stream
from sabir.testing.rng import SeededRng

ROOM = "r@m.x"
GHOST = "ada@gw.x/sabir"
Answer = Callable[[str, int], Fate | None]
"""What the room does with the text, the n-th time it is written; None: nothing."""


class Clock:
    """Time that passes at once, and how much of it was waited."""

    def __init__(self) -> None:
        self.slept: list[int] = []

    def now(self) -> Instant:
        return Instant(0)

    def monotonic_ms(self) -> float:
        return 0.0

    async def sleep(self, duration_ms: int) -> None:
        self.slept.append(duration_ms)
        await asyncio.sleep(0)


class RoomWire(Stream):
    """A room that answers as a test wants."""

    def __init__(self, answer: Answer, *, ping: str = "") -> None:
        login = ComponentLogin(
            domain="gw.x", host="127.0.0.1", port=1, secret=Secret.from_text("s")
        )
        super().__init__(login, rng=SeededRng())
        self.room: Room
        self.accepted: list[str] = []
        self.joins = 0
        self._reacts = answer
        self._ping = ping
        self._times: dict[str, int] = {}

    def write(self, stanza: Element) -> None:
        text = stanza.findtext("body") or ""
        self._times[text] = self._times.get(text, 0) + 1
        fate = self._reacts(text, self._times[text])
        if isinstance(fate, Reflected):
            self.accepted.append(text)
        if fate is not None:
            self.room.settle(stanza.get("id", ""), fate)

    async def ask(self, iq: Element, *, timeout_s: float = 1) -> Element:
        assert iq.find("ping") is not None
        answer = Element("iq", {"type": "error" if self._ping else "result"})
        if self._ping:
            error = SubElement(answer, "error")
            SubElement(error, f"{{{names.STANZAS}}}{self._ping}")
        return answer


YES = Reflected("sid", "", "Ada")


async def send(
    answer: Answer, texts: list[str], *, ping: str = ""
) -> tuple[list[Outcome], RoomWire, Clock]:
    clock, wire = Clock(), RoomWire(answer, ping=ping)
    listener = Seat("sabir@gw.x/sabir", "Sabir", joined=True)
    archive = Archive(wire, owner=ROOM, reader=listener.owner)
    room = wire.room = Room(jid=ROOM, listener=listener, stream=wire, archive=archive)
    seat = Seat(GHOST, "Ada", joined=True)

    async def take_seat(outgoing: Outgoing) -> tuple[Seat, str]:
        wire.joins += not seat.joined
        seat.joined = True
        return seat, ""

    async def make(outgoing: Outgoing, seat: Seat, prefix: str) -> Rendered:
        address = Address(sender=seat.owner, to=ROOM, group=True, prefix=prefix)
        assert isinstance(outgoing.piece, TextPiece)
        return render(outgoing.piece, key=outgoing.key, address=address)

    async def perform(outgoing: Outgoing) -> None:
        return None

    outbox = RoomOutbox(room, clock, perform=perform, seat=take_seat, render=make)
    batch = [
        Outgoing(
            chat=ChatId(ROOM),
            key=IdempotencyKey(f"{number:a>32}"),
            speaker=Speaker(uri="m:ada", name="Ada", network="matrix"),
            piece=TextPiece(text=Rich.plain(text)),
            sent_at=Instant(0),
        )
        for number, text in enumerate(texts)
    ]
    outcomes = [outcome async for outcome in outbox.send(batch)]
    assert room.fates == {}
    return outcomes, wire, clock


async def test_a_room_that_lost_the_ghost_gets_everything_in_order() -> None:
    out = Bounced("not-acceptable", "")
    outcomes, wire, _ = await send(
        lambda text, time: out if time == 1 else YES,
        ["a", "b", "c"],
        ping="not-acceptable",
    )
    assert [type(outcome) for outcome in outcomes] == [Sent] * 3
    assert wire.accepted == ["a", "b", "c"]
    assert wire.joins == 1


async def test_a_room_that_finds_us_too_fast_is_given_time() -> None:
    fast = Bounced("policy-violation", "")
    outcomes, wire, clock = await send(
        lambda text, time: fast if (text, time) == ("b", 1) else YES, ["a", "b", "c"]
    )
    assert [type(outcome) for outcome in outcomes] == [Sent] * 3
    assert sorted(wire.accepted) == ["a", "b", "c"]
    assert PAUSE_MS in clock.slept
    assert wire.room.spacing_ms == 25


async def test_a_room_that_never_takes_a_message_refuses_it_alone() -> None:
    big = Bounced("policy-violation", "too big")
    outcomes, _, _ = await send(
        lambda text, time: big if text == "b" else YES, ["a", "b", "c"]
    )
    assert [type(outcome) for outcome in outcomes] == [Sent, Refused, Sent]
    assert "too big" in str(outcomes[1])


async def test_a_verdict_refuses_and_the_next_may_go() -> None:
    outcomes, wire, _ = await send(
        lambda text, time: Bounced("forbidden", "") if text == "a" else YES, ["a", "b"]
    )
    assert [type(outcome) for outcome in outcomes] == [Refused, Sent]
    assert wire.accepted == ["b"]


async def test_trouble_of_the_world_leaves_the_rest_in_doubt() -> None:
    away = Bounced("remote-server-timeout", "")
    with pytest.raises(Unavailable) as raised:
        await send(lambda text, time: away, ["a"])
    assert raised.value.retry_after_ms


async def test_what_got_lost_is_written_again_after_the_barrier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sabir.networks.xmpp.outbox.REFLECTION_TIMEOUT_S", 0.01)
    outcomes, wire, _ = await send(
        lambda text, time: None if (text, time) == ("a", 1) else YES, ["a", "b"]
    )
    assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
    assert wire.accepted == ["b", "a"]
    outcomes, _, _ = await send(lambda text, time: None, ["a"])
    assert isinstance(outcomes[0], Refused)


async def test_an_undecided_room_leaves_all_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sabir.networks.xmpp.outbox.REFLECTION_TIMEOUT_S", 0.01)
    with pytest.raises(Unavailable):
        await send(lambda text, time: None, ["a"], ping="remote-server-timeout")
