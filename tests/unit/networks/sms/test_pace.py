"""How fast we send."""

from sabir.networks.sms.pace import Pace


def _sent(pace: Pace, from_ms: int, span_ms: int) -> int:
    return sum(pace.wait_ms(float(at)) == 0 for at in range(from_ms, from_ms + span_ms))


def test_a_second_holds_as_many_as_agreed() -> None:
    pace = Pace(5, 0.0)
    assert _sent(pace, 0, 1) == 1
    assert _sent(pace, 1, 10_000) in range(50, 56)


def test_rests_double_and_a_success_ends_them() -> None:
    pace = Pace(5, 0.0)
    assert [pace.refused(at) for at in (0.0, 2_000.0, 5_000.0)] == [1001, 2001, 4001]
    assert pace.wait_ms(5_001.0) == 4_000
    pace.accepted()
    assert pace.refused(20_000.0) == 1_001


def test_refusals_of_one_window_are_one() -> None:
    pace = Pace(5, 0.0)
    pace.refused(0.0)
    assert pace.refused(500.0) == 501
    assert pace.rate == 2.5


def test_a_rest_is_a_minute_at_most_and_the_rate_comes_back() -> None:
    pace = Pace(16, 0.0)
    now = 0.0
    for _ in range(10):
        now += pace.refused(now)
    assert pace.refused(now) == 60_001
    assert pace.rate == 1.0
    for _ in range(60):
        pace.accepted()
    assert pace.rate == 16.0


def test_less_than_one_a_second_still_goes() -> None:
    pace = Pace(1, 0.0)
    pace.refused(0.0)
    assert _sent(pace, 2_000, 100_000) >= 6
