import asyncio
import contextlib

import pytest

from sabir.testing.crash import Crash, CrashPoints


def test_an_armed_name_dies_once_at_the_nth_occurrence() -> None:
    crash = CrashPoints()
    crash.reach("save")
    crash.arm("save", 2)
    crash.reach("save")
    with pytest.raises(Crash, match="save"):
        crash.reach("save")
    assert not crash.armed
    crash.reach("save")
    assert crash.reached == ["save"] * 4


def test_other_names_live() -> None:
    crash = CrashPoints()
    crash.arm("save")
    crash.reach("send")
    assert crash.armed
    crash.disarm()
    crash.reach("save")


def test_occurrences_can_be_armed_one_after_the_other() -> None:
    def life(crash: CrashPoints) -> None:
        for name in ("a", "b", "a"):
            crash.reach(name)

    first = CrashPoints()
    life(first)
    assert first.occurrences == [("a", 1), ("b", 1), ("a", 2)]
    for name, occurrence in first.occurrences:
        crash = CrashPoints()
        crash.arm(name, occurrence)
        with pytest.raises(Crash):
            life(crash)
        assert len(crash.occurrences) == first.occurrences.index((name, occurrence)) + 1


def test_a_crash_is_no_exception_and_passes_every_handler() -> None:
    crash = CrashPoints()
    crash.arm("x")
    with pytest.raises(Crash), contextlib.suppress(Exception):
        crash.reach("x")


def test_the_zeroth_occurrence_is_refused() -> None:
    with pytest.raises(ValueError, match="first occurrence is 1"):
        CrashPoints().arm("x", 0)


async def test_a_crash_ends_a_task_group() -> None:
    crash = CrashPoints()
    crash.arm("x")

    async def worker() -> None:
        await asyncio.sleep(0)
        crash.reach("x")

    async def process() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker())
            group.create_task(asyncio.sleep(60))

    with pytest.raises(BaseExceptionGroup) as caught:
        await process()
    assert caught.group_contains(Crash)
