import asyncio

import pytest

from sabir.errors import Unavailable
from sabir.networks.signal.pace import Pace
from sabir.testing.clock import VirtualClock


async def test_a_burst_goes_at_once_and_then_one_a_second() -> None:
    clock = VirtualClock()
    pace = Pace(clock, burst=3, interval_ms=1_000)
    begun: list[float] = []

    async def send() -> None:
        for _ in range(5):
            await pace.turn()
            begun.append(clock.monotonic_ms())

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        await clock.advance(5_000)
    assert begun == [0, 0, 0, 1_000, 2_000]


async def test_a_pause_holds_everything_and_the_longest_counts() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    pace.pause(60_000, "a limit")
    pace.pause(1_000, "a shorter one")
    with pytest.raises(Unavailable, match="a limit") as caught:
        await pace.turn()
    assert caught.value.retry_after_ms == 60_001
    await clock.advance(60_000)
    await pace.turn()
