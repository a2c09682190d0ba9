"""The power may go at any commit of an agent's database: nothing is lost or doubled."""

import asyncio

import pytest

from sabir.errors import StorageFailed
from sabir.storage.records import RoomId
from sabir.storage.sqlite.database import nowhere
from tests.unit.agent.membership.people import Person, Street, say

COMMITS = range(2, 34, 3)
"""Commits of the database at which the power goes, counted from the start; the story
has a few more than thirty."""


class Power:
    """Goes at the n-th commit, before or after it is on the disk."""

    def __init__(self, commit: int, point: str) -> None:
        self._left = commit
        self._point = f"storage.{point}-commit"
        self.is_gone = False

    def reach(self, point: str) -> None:
        if point == self._point and not self.is_gone:
            self._left -= 1
            self.is_gone = self._left == 0
        if self.is_gone:
            raise StorageFailed("the power is gone")


async def story(ann: Person, ben: Person) -> RoomId:
    """Tell a story; told again, it goes on where it was."""
    memberships = await ann.storage.memberships()
    there = [each for each in memberships if each.state != "left"]
    room = there[0].room if there else await ann.desk.create("Tea")
    await ann.reaches(room, "active")
    shown = await ann.desk.show(room)
    if ben.user not in {each.user for each in shown.participants}:
        await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ann.desk.post(room, say("one"), key="1")
    await ben.has(room, "one")
    await ben.desk.post(room, say("two"), key="2")
    await ann.desk.rename(room, "Coffee")
    await ann.desk.set_role(room, ben.user, 4)
    await ann.desk.post(room, say("three"), key="3")
    await ben.has(room, "three")
    await ann.has(room, "two")
    return room


async def told(power: Power, who: Person, ann: Person, ben: Person) -> RoomId:
    """Tell the story, with a restart where the power goes."""
    first = asyncio.create_task(story(ann, ben))
    while not first.done() and not power.is_gone:
        await asyncio.sleep(0.005)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    who.reach = nowhere
    await who.restart()
    return await story(ann, ben)


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("commit", COMMITS)
@pytest.mark.parametrize("name", ["ann", "b.example:ben"])
async def test_a_story_survives_a_power_cut(
    street: Street,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    commit: int,
    point: str,
) -> None:
    monkeypatch.setattr("sabir.agent.membership.stock.STOCK", 4)
    monkeypatch.setattr("sabir.agent.membership.stock.STOCK_LOW", 2)
    ann, ben = await street.moves_in("ann", "b.example:ben")
    await street.befriend(ann, ben)
    who = street.people[name]
    power = Power(commit, point)
    await who.stop()
    who.reach = power.reach
    await who.start()
    room = await told(power, who, ann, ben)
    for each in (ann, ben):
        assert await each.texts(room) == ["one", "two", "three"]
        shown = await each.desk.show(room)
        assert {one.user: one.role for one in shown.participants} == {
            ann.user: 4,
            ben.user: 4,
        }
        assert not await each.storage.wishes(room)
        assert not await each.storage.drafts(room)
    assert (await ann.desk.show(room)).epoch == (await ben.desk.show(room)).epoch
