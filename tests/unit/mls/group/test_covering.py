"""Leaving out what does not fit: what fits stays, what came first wins."""

from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.framing import Sender
from sabir.mls.group.covering import ATTEMPTS_MAX, as_items, fitting
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Remove
from sabir.mls.transition import Applied
from sabir.mls.validation.rules import Rule


def waiting(count: int) -> list[Proposed]:
    ben = Sender.member(1)
    return [Proposed(Remove(n), ben, b"reference %d" % n) for n in range(count)]


class Judge:
    """Refuses some proposals always, and others beside one that it has seen."""

    def __init__(self, bad: set[int], rivals: dict[int, int]) -> None:
        self.bad = bad
        self.rivals = rivals
        self.attempts = 0

    def __call__(self, covered: Sequence[Proposed]) -> Applied:
        self.attempts += 1
        numbers = [
            item.proposal.removed
            for item in covered
            if isinstance(item.proposal, Remove)
        ]
        assert numbers == sorted(numbers)
        if self.bad.intersection(numbers):
            raise MlsInvalid(Rule.P03)
        for number in numbers:
            if self.rivals.get(number) in numbers:
                raise MlsMissing("a PSK")
        return cast(Applied, tuple(numbers))

    def fits(self, count: int) -> list[int]:
        """Return what is expected: in order, what does not break the rest."""
        kept: list[int] = []
        for number in range(count):
            rival = self.rivals.get(number)
            beaten = rival in kept or number in {
                self.rivals.get(other) for other in kept
            }
            if number not in self.bad and rival != number and not beaten:
                kept.append(number)
        return kept


NUMBERS = st.integers(0, 20)


@given(st.integers(0, 20), st.sets(NUMBERS), st.dictionaries(NUMBERS, NUMBERS))
def test_what_fits_is_covered(
    count: int, bad: set[int], rivals: dict[int, int]
) -> None:
    judge = Judge(bad, rivals)
    covering = fitting(waiting(count), judge)
    kept = judge.fits(count)
    assert list(covering.covered) == [waiting(count)[number] for number in kept]
    assert cast(object, covering.applied) == tuple(kept)


def test_where_all_fits_there_is_one_attempt_and_few_for_one_bad_among_many() -> None:
    judge = Judge(set(), {})
    fitting(waiting(1000), judge)
    assert judge.attempts == 1
    judge = Judge({500}, {})
    assert len(fitting(waiting(1000), judge).covered) == 999
    assert judge.attempts <= 22


def test_much_nonsense_costs_some_attempts_and_no_more() -> None:
    judge = Judge(set(range(0, 4000, 2)), {})
    covering = fitting(waiting(4000), judge)
    assert judge.attempts <= ATTEMPTS_MAX + 2
    assert covering.covered  # some, and the rest waits


def test_what_is_wrong_without_waiting_proposals_is_told() -> None:
    def refuse(covered: Sequence[Proposed]) -> Applied:
        raise MlsInvalid(Rule.Q08, f"{len(covered)}")

    for count in (0, 3):
        with pytest.raises(MlsInvalid):
            fitting(waiting(count), refuse)


def test_references_come_before_what_is_added_by_value() -> None:
    items = as_items(waiting(2), (Remove(7),))
    assert [getattr(item, "reference", None) for item in items] == [
        b"reference 0",
        b"reference 1",
        None,
    ]
