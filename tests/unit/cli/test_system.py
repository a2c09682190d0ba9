"""The machine's clock and entropy, as the ports promise them."""

import time

from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Clock


def test_the_clock_counts_milliseconds_since_1970() -> None:
    clock: Clock = SystemClock()
    before, now, after = time.time(), clock.now(), time.time()
    assert int(before * 1000) <= now <= int(after * 1000) + 1


async def test_a_span_is_measured_and_waited_for_in_milliseconds() -> None:
    clock = SystemClock()
    begin = clock.monotonic_ms()
    await clock.sleep(20)
    assert 19 <= clock.monotonic_ms() - begin < 2_000


def test_entropy_has_the_length_asked_for_and_differs() -> None:
    assert len(system_rng(32)) == 32
    assert system_rng(32) != system_rng(32)
