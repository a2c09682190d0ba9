"""Exponential, bounded, and never before what the other side asked for."""

from hypothesis import given
from hypothesis import strategies as st

from sabir.agent.backoff import Backoff
from sabir.agent.limits import BACKOFF_FIRST_MS, BACKOFF_MAX_MS


@given(failures=st.integers(1, 40), dice=st.binary(min_size=2, max_size=2))
def test_waits_stay_within_their_bounds(failures: int, dice: bytes) -> None:
    backoff = Backoff(lambda _: dice)
    waits = [backoff.next_ms() for _ in range(failures)]
    assert all(BACKOFF_FIRST_MS // 2 <= wait <= BACKOFF_MAX_MS for wait in waits)


def test_waits_grow_and_start_over_after_a_success() -> None:
    backoff = Backoff(lambda _: b"\xff\xff")
    waits = [backoff.next_ms() for _ in range(12)]
    assert waits == sorted(waits)
    assert waits[-1] == BACKOFF_MAX_MS
    backoff.success()
    assert backoff.next_ms() == waits[0]


def test_retry_after_is_obeyed() -> None:
    assert Backoff(lambda _: b"\0\0").next_ms(at_least_ms=5_000_000) == 5_000_000
