"""Which deliveries are the same message."""

from sabir.networks.sms.twins import EARLIER_MS, REMEMBERED_MAX, Twins, digest_of


def take(
    twins: Twins,
    sequence: int,
    at: float,
    answered: float | None = None,
    digest: str = "d",
    sender: str = "s",
) -> bool:
    if twins.is_twin(sender, digest, sequence, at):
        return False
    if answered is not None:
        twins.answered(digest, answered)
    return True


def test_the_same_word_twice_is_two() -> None:
    twins = Twins([], 0.0)
    assert take(twins, 1, 10.0, 11.0)
    assert take(twins, 2, 12.0, 13.0)


def test_the_same_number_is_the_same() -> None:
    twins = Twins([], 0.0)
    assert take(twins, 1, 10.0, 11.0)
    assert not take(twins, 1, 9_000.0)


def test_a_late_answer_makes_a_repetition_likely() -> None:
    twins = Twins([], 0.0)
    assert take(twins, 1, 10.0, 6_000.0)
    assert not take(twins, 2, 6_100.0)
    twins.answered("d", 6_101.0)
    assert take(twins, 3, 200_000.0)


def test_the_next_session_repeats_what_was_open() -> None:
    twins = Twins([], 0.0)
    take(twins, 1, 10.0, 11.0)
    assert twins.open(5_010.0) == [("s", "d")]
    later = Twins.load(twins.dump(5_000.0), 0.0)
    assert not take(later, 1, 20.0)
    later.answered("d", 21.0)
    assert take(later, 2, 30.0)


def test_the_same_word_twice_comes_again_twice_and_no_more() -> None:
    twins = Twins([], 0.0)
    take(twins, 1, 10.0)
    take(twins, 2, 11.0)
    later = Twins.load(twins.dump(20.0), 0.0)
    taken = [take(later, number, 30.0 + number, 31.0 + number) for number in (1, 2, 3)]
    assert taken == [False, False, True]


def test_something_new_of_the_sender_says_that_the_rest_was_answered() -> None:
    twins = Twins([("s", "d"), ("t", "d")], 0.0)
    assert take(twins, 1, 1.0, 2.0, digest="new")
    assert take(twins, 2, 3.0, 4.0)
    assert not take(twins, 3, 5.0, sender="t")


def test_five_seconds_of_life_settle_an_answer() -> None:
    twins = Twins([], 0.0)
    take(twins, 1, 10.0, 11.0)
    assert not twins.open(5_011.0)
    assert take(Twins.load(twins.dump(5_011.0), 0.0), 1, 20.0)


def test_what_is_not_answered_stays_open() -> None:
    twins = Twins([], 0.0)
    take(twins, 1, 10.0)
    assert twins.open(99_000.0) == [("s", "d")]


def test_a_repetition_is_open_again() -> None:
    twins = Twins([("s", "d")], 0.0)
    assert not take(twins, 1, 20.0)
    assert twins.open(30.0) == [("s", "d")]


def test_what_does_not_come_for_long_is_no_repetition() -> None:
    twins = Twins([("s", "d")], 0.0)
    assert twins.open(EARLIER_MS) == [("s", "d")]
    assert take(twins, 1, EARLIER_MS + 1.0)
    assert not Twins([("s", "d")], 0.0).open(EARLIER_MS + 1.0)


def test_memory_has_a_bound() -> None:
    twins = Twins([], 0.0)
    for number in range(REMEMBERED_MAX + 10):
        take(twins, number, 1.0, digest=str(number))
    assert len(twins.open(2.0)) == REMEMBERED_MAX


def test_a_digest_is_of_all_but_the_head() -> None:
    assert digest_of(b"a" * 16 + b"x") == digest_of(b"b" * 16 + b"x")
    assert digest_of(b"a" * 16 + b"x") != digest_of(b"a" * 16 + b"y")
