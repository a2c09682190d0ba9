import asyncio

import pytest

from sabir.clock import Instant
from sabir.testing.clock import EPOCH, LoopClock, VirtualClock, settle


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, duration_ms: int) -> None:
        await clock.sleep(duration_ms)
        woken.append((name, clock.now() - EPOCH))

    async with asyncio.TaskGroup() as group:
        for name, duration_ms in (("c", 30), ("a", 10), ("b", 20), ("a2", 10)):
            group.create_task(sleeper(name, duration_ms))
        await clock.advance(20)
        assert woken == [("a", 10), ("a2", 10), ("b", 20)]
        assert clock.sleeping == 1
        assert clock.next_wakeup_ms == 10
        await clock.advance(100)
    assert woken[-1] == ("c", 30)
    assert clock.now() == EPOCH + 120
    assert clock.monotonic_ms() == 120


async def test_a_woken_sleeper_may_sleep_again_within_one_advance() -> None:
    clock = VirtualClock()
    at: list[int] = []

    async def ticker() -> None:
        for _ in range(3):
            await clock.sleep(10)
            at.append(clock.now() - EPOCH)

    async with asyncio.TaskGroup() as group:
        group.create_task(ticker())
        await clock.advance(100)
    assert at == [10, 20, 30]


async def test_nothing_wakes_before_its_time() -> None:
    clock = VirtualClock()
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(10))
    await clock.advance(9)
    assert not sleeper.done()
    await clock.advance(1)
    assert sleeper.done()


async def test_no_sleep_is_a_turn_of_the_loop() -> None:
    clock = VirtualClock()
    await clock.sleep(0)
    assert clock.sleeping == 0
    assert clock.next_wakeup_ms is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = VirtualClock()
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(10))
    await settle()
    assert clock.sleeping == 1
    sleeper.cancel()
    await settle()
    assert clock.sleeping == 0
    await clock.advance(20)


def test_the_wall_clock_may_jump_and_spans_do_not() -> None:
    clock = VirtualClock(Instant(1_000))
    clock.jump(-500)
    assert clock.now() == 500
    assert clock.monotonic_ms() == 0


async def test_advance_until_moves_from_sleeper_to_sleeper() -> None:
    clock = VirtualClock()
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            await clock.sleep(1_000)
            ticks += 1

    task = asyncio.get_running_loop().create_task(ticker())
    await clock.advance_until(lambda: ticks == 5)
    assert clock.monotonic_ms() == 5_000
    task.cancel()


async def test_advance_until_sees_what_a_thread_did() -> None:
    clock = VirtualClock()
    done: list[int] = []
    loop = asyncio.get_running_loop()
    thread = loop.run_in_executor(None, lambda: done.append(1))
    await clock.advance_until(lambda: bool(done))
    await thread


async def test_advance_until_gives_up_in_virtual_and_in_real_time() -> None:
    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        await clock.advance_until(lambda: False, patience_s=0.02)
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(5_000))
    with pytest.raises(TimeoutError, match="4000 virtual ms"):
        await clock.advance_until(lambda: False, limit_ms=4_000)
    sleeper.cancel()


async def test_the_loop_clock_tells_real_time() -> None:
    clock = LoopClock()
    before, span = clock.now(), clock.monotonic_ms()
    await clock.sleep(5)
    assert clock.now() >= before > EPOCH
    assert clock.monotonic_ms() - span >= 4
