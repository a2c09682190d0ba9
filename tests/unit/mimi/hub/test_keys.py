"""The MAC keys of franks: made, turned, kept (7.6); timestamps (D-22)."""

from collections.abc import Iterator

import pytest

from sabir.crypto.secrets import Secret
from sabir.mimi.hub.keys import DAY_MS, KEPT_MS, ROTATED_MS, MacKeys
from sabir.mimi.hub.times import AHEAD_MS_MAX, next_timestamp
from sabir.mimi.problems import Problem

NOW = 1_800_000_000_000


def dice() -> Iterator[bytes]:
    yield from (bytes([number]) * 32 for number in range(1, 100))


def test_the_first_key_is_made_at_once_and_then_every_thirty_days() -> None:
    made = dice()
    keys = MacKeys({})
    assert keys.is_due(NOW)
    keys = keys.rotated(NOW, lambda size: next(made)[:size])
    assert not keys.is_due(NOW)
    assert not keys.is_due(NOW - DAY_MS + ROTATED_MS - 1)
    assert keys.is_due(NOW - DAY_MS + ROTATED_MS)


def test_a_timestamp_selects_its_key() -> None:
    made = dice()
    keys = MacKeys({}).rotated(NOW, lambda _: next(made))
    later = NOW + ROTATED_MS
    keys = keys.rotated(later, lambda _: next(made))
    assert keys.key_at(NOW - DAY_MS - 1) is None
    assert keys.key_at(NOW - DAY_MS) == bytes([1]) * 32
    given_out = next_timestamp(later, later + AHEAD_MS_MAX - 1)
    assert keys.key_at(given_out) == bytes([1]) * 32
    assert keys.key_at(given_out + 1) == bytes([2]) * 32


def test_keys_are_forgotten_when_no_report_needs_them() -> None:
    made = dice()
    keys = MacKeys({}).rotated(NOW, lambda _: next(made))
    second = NOW + ROTATED_MS
    keys = keys.rotated(second, lambda _: next(made))
    start = second + AHEAD_MS_MAX + 1
    kept = keys.rotated(start + KEPT_MS - 1, lambda _: next(made))
    assert kept.key_at(NOW) is not None
    gone = keys.rotated(start + KEPT_MS, lambda _: next(made))
    assert gone.key_at(NOW) is None
    assert next(iter(gone.by_start)) == start


def test_keys_survive_their_store() -> None:
    made = dice()
    keys = MacKeys({}).rotated(NOW, lambda _: next(made))
    keys = keys.rotated(NOW + ROTATED_MS, lambda _: next(made))
    stored = {start: key.reveal() for start, key in keys.by_start.items()}
    again = MacKeys({start: Secret(key) for start, key in reversed(stored.items())})
    assert list(again.by_start) == sorted(stored)
    assert again.key_at(NOW) == keys.key_at(NOW)


def test_timestamps_follow_the_clock_and_never_stand_still() -> None:
    assert next_timestamp(NOW, NOW - 5) == NOW
    assert next_timestamp(NOW, NOW) == NOW + 1
    assert next_timestamp(NOW, NOW + 9) == NOW + 10
    assert next_timestamp(NOW, NOW + AHEAD_MS_MAX - 1) == NOW + AHEAD_MS_MAX
    with pytest.raises(Problem):
        next_timestamp(NOW, NOW + AHEAD_MS_MAX)
