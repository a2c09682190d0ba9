from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.labels import derive_tree_secret
from sabir.crypto.suites import SUITES
from sabir.mls.ratchet import GENERATION_MAX, Head, step_to

SUITE = SUITES[1]
START = Head(0, b"\x03" * 32)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 50))
def test_two_steps_arrive_where_one_does(first: int, more: int, keep: int) -> None:
    there = step_to(SUITE, START, first, keep)
    assert there.before is START
    assert there.after.generation == first + 1
    twice = step_to(SUITE, there.after, first + 1 + more, keep)
    once = step_to(SUITE, START, first + 1 + more, keep)
    assert once.message_key.key == twice.message_key.key
    assert once.message_key.nonce == twice.message_key.nonce
    assert once.after.secret == twice.after.secret


@given(st.integers(0, 40), st.integers(0, 50))
def test_the_newest_of_those_passed_over_are_kept(generation: int, keep: int) -> None:
    passed = step_to(SUITE, START, generation, keep).passed
    kept = [message_key.generation for message_key in passed]
    assert kept == list(range(max(0, generation - keep), generation))
    for message_key in passed:
        alone = step_to(SUITE, START, message_key.generation, 0).message_key
        assert (alone.key, alone.nonce) == (message_key.key, message_key.nonce)


def test_the_last_generation_can_be_reached() -> None:
    step = step_to(SUITE, Head(GENERATION_MAX, bytes(32)), GENERATION_MAX, 0)
    key = derive_tree_secret(SUITE, bytes(32), b"key", GENERATION_MAX, SUITE.nk)
    assert step.message_key.key == key
    assert step.after.generation == GENERATION_MAX + 1


def test_no_secret_is_in_the_text_of_a_step() -> None:
    text = repr(step_to(SUITE, START, 1, 1))
    assert "\\x" not in text
    assert "generation=1" in text
