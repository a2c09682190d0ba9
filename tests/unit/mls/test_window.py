import pytest

from sabir.mls.errors import MlsInvalid
from sabir.mls.limits import Limits
from sabir.mls.ratchet import MessageKey
from sabir.mls.validation.rules import Rule
from sabir.mls.window import Passed, Window

LIMITS = Limits(skipped_keys_per_sender_max=3, skipped_keys_per_group_max=5)


def key(generation: int) -> MessageKey:
    return MessageKey(generation, bytes([generation]), b"nonce")


def add(window: Window, place: int, *generations: int) -> list[tuple[int, int]]:
    """Add keys of a ratchet, drop what is too much, and say what that was."""
    for generation in generations:
        window.keep(place, key(generation))
    dropped = []
    for oldest in window.excess(place):
        window.drop(*oldest)
        dropped.append(oldest)
    return dropped


def test_a_key_is_there_until_it_is_dropped() -> None:
    window = Window(LIMITS)
    assert add(window, 4, 1, 2) == []
    assert window.find(4, 1).key == b"\x01"
    window.drop(4, 1)
    for place, generation in ((4, 1), (4, 0), (5, 2)):
        with pytest.raises(MlsInvalid) as raised:
            window.find(place, generation)
        assert raised.value.rule == Rule.D02.name
    assert list(window) == [(4, 2)]
    window.drop(4, 2)
    assert list(window) == []


def test_the_oldest_of_a_sender_go_first() -> None:
    window = Window(LIMITS)
    assert add(window, 4, 1, 2, 3) == []
    assert add(window, 4, 5, 6) == [(4, 1), (4, 2)]
    assert list(window) == [(4, 3), (4, 5), (4, 6)]


def test_the_oldest_of_the_group_go_first() -> None:
    window = Window(LIMITS)
    add(window, 4, 1, 2, 3)
    assert add(window, 6, 1, 2, 3) == [(4, 1)]
    assert add(window, 8, 0, 1) == [(4, 2), (4, 3)]
    assert list(window) == [(6, 1), (6, 2), (6, 3), (8, 0), (8, 1)]


def test_a_window_for_nothing_keeps_nothing() -> None:
    none = Limits(skipped_keys_per_sender_max=0)
    window = Window(none)
    assert add(window, 4, 1, 2) == [(4, 1), (4, 2)]
    assert list(window) == []
    assert list(window.excess(4)) == []


def test_ages_go_on_after_a_restart() -> None:
    window = Window(LIMITS)
    window.restore(4, Passed(7, key(1)))
    window.keep(4, key(2))
    kept = window.get(4, 2)
    assert kept is not None
    assert kept.age == 8
