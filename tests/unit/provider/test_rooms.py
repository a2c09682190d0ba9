"""One writer per room: turns, repetitions, failures, memory."""

import asyncio
import itertools
from dataclasses import dataclass

import pytest

from sabir.clock import Instant
from sabir.errors import StorageFailed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider import rooms
from sabir.provider.rooms import Decision, RoomDesks, replay_digest
from sabir.storage.provider.records import (
    EventKind,
    HostedRoom,
    NewMessage,
    RoomCommit,
    RoomPhase,
)
from tests.unit.provider.town import Site, Town

_tokens = itertools.count()
ROOM = "mimi://a.example/r/x"


@dataclass
class Tally:
    """The simplest machine: it counts what was accepted."""

    room: str
    count: int

    def decide(self, *, limit: int = 1_000_000) -> Decision:
        if self.count >= limit:
            return Decision(response=b"full")
        after = self.count + 1

        def apply() -> None:
            self.count = after

        said = b"%d" % next(_tokens)
        commit = RoomCommit(
            room=self.room,
            state=b"%d" % after,
            last_at=Instant(after),
            messages=(
                NewMessage(
                    accepted_at=Instant(after),
                    digest=said,
                    kind=EventKind.MESSAGE,
                    octets=said,
                    followers=frozenset({"unknown.example"}),
                ),
            ),
        )
        return Decision(response=b"%d" % after, commit=commit, apply=apply)


def load(stored: HostedRoom) -> Tally:
    return Tally(stored.room, int(stored.state or b"0"))


def count(machine: Tally | None) -> Decision:
    return Decision(response=b"no room") if machine is None else machine.decide()


@pytest.fixture
async def site(town: Town) -> Site:
    site = await town.open("a.example")
    for name in ("x", "y", "z"):
        await site.store.reserve(
            HostedRoom(
                room=f"mimi://a.example/r/{name}",
                hub="a.example",
                phase=RoomPhase.OPEN,
            ),
            now=town.clock.now(),
        )
    return site


@pytest.fixture
def desks(site: Site) -> RoomDesks[Tally]:
    return RoomDesks(site.provider.core, load, rooms_max=2)


async def test_requests_for_a_room_take_turns(
    site: Site, desks: RoomDesks[Tally]
) -> None:
    answers = await asyncio.gather(
        *(desks.change(ROOM, "b.example", b"%d" % body, count) for body in range(50))
    )
    assert sorted(int(answer) for answer in answers) == list(range(1, 51))
    stored = await site.store.room(ROOM)
    assert stored is not None
    assert (stored.state, stored.last_at) == (b"50", 50)


async def test_mc_031_a_repetition_gets_the_first_answer(
    desks: RoomDesks[Tally],
) -> None:
    async def ask(source: str, body: bytes) -> bytes:
        return await desks.change(ROOM, source, body, count)

    assert await ask("b.example", b"same") == b"1"
    assert await ask("b.example", b"other") == b"2"
    assert await ask("b.example", b"same") == b"1"
    assert await ask("c.example", b"same") == b"3", "another's request is another one"
    both = await asyncio.gather(ask("b.example", b"twin"), ask("b.example", b"twin"))
    assert set(both) == {b"4"}


async def test_mc_031_also_after_a_restart(site: Site, desks: RoomDesks[Tally]) -> None:
    await desks.change(ROOM, "b.example", b"same", count)
    again = RoomDesks(site.provider.core, load)
    assert await again.change(ROOM, "b.example", b"same", count) == b"1"
    assert await again.change(ROOM, "b.example", b"next", count) == b"2"


async def test_a_refusal_is_decided_anew(desks: RoomDesks[Tally]) -> None:
    def refuse(machine: Tally | None) -> Decision:
        assert machine is not None
        return machine.decide(limit=0)

    assert await desks.change(ROOM, "b.example", b"x", refuse) == b"full"
    assert await desks.change(ROOM, "b.example", b"x", count) == b"1"


async def test_a_room_that_is_unknown_takes_no_memory(
    desks: RoomDesks[Tally],
) -> None:
    for number in range(100):
        room = f"mimi://a.example/r/guess{number}"
        assert await desks.change(room, "b.example", b"x", count) == b"no room"
    assert not desks._desks


async def test_another_hubs_room_is_unknown(
    site: Site, desks: RoomDesks[Tally]
) -> None:
    followed = "mimi://b.example/r/f"
    await site.store.reserve(
        HostedRoom(room=followed, hub="b.example", phase=RoomPhase.OPEN),
        now=Instant(1),
    )
    assert await desks.change(followed, "b.example", b"x", count) == b"no room"


async def test_a_failed_commit_changes_nothing(
    site: Site, desks: RoomDesks[Tally], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await desks.change(ROOM, "b.example", b"1", count) == b"1"

    async def fail(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(site.store, "commit", fail)
        with pytest.raises(StorageFailed):
            await desks.change(ROOM, "b.example", b"2", count)
    async with desks.asked(ROOM) as machine:
        assert machine is not None
        assert machine.count == 1
    assert await desks.change(ROOM, "b.example", b"2", count) == b"2"


async def test_a_cancelled_request_leaves_memory_and_disk_in_step(
    site: Site, desks: RoomDesks[Tally]
) -> None:
    async def ask(body: bytes) -> bytes:
        return await desks.change(ROOM, "b.example", body, count)

    for number in range(40):
        body = b"%d" % number
        task = asyncio.get_running_loop().create_task(ask(body))
        for _ in range(number % 8):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert int(await ask(body)) == number + 1, "counted once"
    stored = await site.store.room(ROOM)
    assert stored is not None
    assert stored.state == b"40"
    (queue,) = await site.store.queues()
    assert queue.waiting == 40, "each was said once"


async def test_machines_in_memory_have_a_limit(desks: RoomDesks[Tally]) -> None:
    for turn, name in enumerate(("x", "y", "z", "x")):
        room = f"mimi://a.example/r/{name}"
        await desks.change(room, "b", b"%d" % turn, count)
        assert len(desks._desks) <= 2
    assert list(desks._desks) == ["mimi://a.example/r/z", "mimi://a.example/r/x"]


async def test_who_waits_for_a_room_has_a_limit(
    desks: RoomDesks[Tally], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "WAITING_MAX", 2)
    async with desks.asked(ROOM):
        waiting = asyncio.get_running_loop().create_task(
            desks.change(ROOM, "b", b"1", count)
        )
        await asyncio.sleep(0)
        with pytest.raises(Problem) as caught:
            await desks.change(ROOM, "b", b"2", count)
    assert caught.value.problem is ProblemCode.UNAVAILABLE
    assert await waiting == b"1"


def test_parts_of_a_replay_do_not_run_together() -> None:
    digests = {
        replay_digest("ab", "c", b"d"),
        replay_digest("a", "bc", b"d"),
        replay_digest("a", "b", b"cd"),
    }
    assert len(digests) == 3
