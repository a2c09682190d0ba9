from sabir.testing.rng import SeededRng


def test_the_same_seed_gives_the_same_octets() -> None:
    one, other = SeededRng("x"), SeededRng("x")
    assert [one(5), one(32)] == [other(5), other(32)]


def test_octets_are_as_many_as_asked_for_and_do_not_repeat() -> None:
    rng = SeededRng(1)
    assert [len(rng(size)) for size in (0, 1, 16)] == [0, 1, 16]
    assert rng(16) != rng(16)


def test_another_seed_gives_other_octets() -> None:
    assert SeededRng(1)(16) != SeededRng(2)(16)
