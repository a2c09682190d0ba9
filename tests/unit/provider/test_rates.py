"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.rates import Rate, RateLimit


def spend(limit: RateLimit, subject: str, at: float) -> int | None:
    """Return None if there was a token, else the seconds to wait."""
    try:
        limit.spend(subject, now_ms=at)
    except Problem as problem:
        return problem.retry_after_s
    return None


def test_what_is_refused_is_429() -> None:
    limit = RateLimit(Rate(count=1, per_ms=1_000))
    limit.spend("b", now_ms=0)
    with pytest.raises(Problem) as caught:
        limit.spend("b", now_ms=0)
    assert caught.value.problem is ProblemCode.RATE_LIMITED


def test_as_many_at_once_and_then_one_by_one() -> None:
    limit = RateLimit(Rate(count=3, per_ms=60_000))
    assert [spend(limit, "b", 0) for _ in range(4)] == [None, None, None, 20]
    assert spend(limit, "b", 10_000) == 10
    assert spend(limit, "b", 20_000) is None
    assert spend(limit, "b", 20_000) == 20


def test_subjects_do_not_share() -> None:
    limit = RateLimit(Rate(count=1, per_ms=1_000))
    assert spend(limit, "b", 0) is None
    assert spend(limit, "c", 0) is None
    assert spend(limit, "b", 0) == 1


def test_buckets_have_a_limit() -> None:
    limit = RateLimit(Rate(count=1, per_ms=1_000), buckets_max=2)
    for subject in ("b", "c", "b", "d"):
        spend(limit, subject, 0)
    assert list(limit._buckets) == ["b", "d"]


@given(st.lists(st.integers(0, 500), max_size=60))
def test_over_any_time_no_more_than_the_rate_and_one_bucket(steps: list[int]) -> None:
    limit = RateLimit(Rate(count=5, per_ms=1_000))
    now = served = 0
    for step in steps:
        now += step
        served += spend(limit, "b", now) is None
    assert served <= 5 + now * 5 / 1_000


def test_who_waits_as_told_is_served() -> None:
    limit = RateLimit(Rate(count=6, per_ms=3_600_000))
    now = 0.0
    for _ in range(20):
        wait_s = spend(limit, "b", now)
        if wait_s is not None:
            now += wait_s * 1_000
            assert spend(limit, "b", now) is None
