"""Events on their way to the host."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pytest

from sabir.errors import StorageFailed
from sabir.networks.api import ChatId, NativeEvent, NativeId
from sabir.networks.xmpp import intake as module
from sabir.networks.xmpp.intake import Intake, Item
from sabir.testing.clock import VirtualClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng

CHAT = ChatId("r@m")


def event(number: int) -> NativeEvent:
    return NativeEvent(chat=CHAT, native_id=NativeId(str(number)), payload=b"<m/>")


def numbered(number: int, done: list[int]) -> Item:
    return Item(
        event=event(number),
        stream="s",
        cursor=str(number),
        after=lambda: done.append(number),
    )


class SlowHost(RecordingHost):
    """A host whose `take` waits for the test."""

    def __init__(self) -> None:
        super().__init__(clock=VirtualClock(), rng=SeededRng(), chats=[CHAT])
        self.gate = asyncio.Event()

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        await self.gate.wait()
        await super().take(events, cursors=cursors)


async def test_what_arrives_during_a_take_is_taken_together_next() -> None:
    host, done = SlowHost(), list[int]()
    intake = Intake(lambda paused: None)
    run = asyncio.create_task(intake.run(host))
    intake.add(numbered(0, done))
    await asyncio.sleep(0)
    for number in range(1, 5):
        intake.add(numbered(number, done))
    await asyncio.sleep(0)
    assert (host.takes, done) == ([], [])
    host.gate.set()
    await intake.flush()
    assert [len(take) for take in host.takes] == [1, 4]
    assert host.cursors == {"s": "4"}
    assert done == [0, 1, 2, 3, 4]
    await intake.flush()
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run


async def test_nothing_is_acknowledged_that_was_not_stored() -> None:
    host, done = SlowHost(), list[int]()
    host.gate.set()
    host.fail_takes = 1
    intake = Intake(lambda paused: None)
    intake.add(Item(event=event(0), after=lambda: done.append(0)))
    with pytest.raises(StorageFailed):
        await intake.run(host)
    assert done == []


async def test_a_host_that_is_too_slow_stops_the_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_EVENTS_MAX", 4)
    host, pauses = SlowHost(), list[bool]()
    intake = Intake(pauses.append)
    for number in range(4):
        intake.add(Item(event=event(number)))
    assert pauses == [True]
    host.gate.set()
    run = asyncio.create_task(intake.run(host))
    await intake.flush()
    assert pauses == [True, False]
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
