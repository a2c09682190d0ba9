"""Hypothesis strategies for lives of a group, and lives of a given length."""

import random
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sabir.testing.mls.model_steps import (
    Attempt,
    CatchUp,
    Comeback,
    Deliver,
    Enter,
    Life,
    Propose,
    Race,
    Read,
    Restart,
    Say,
    Step,
    Wait,
)

STEPS_MAX: Final = 30

_numbers: Final = st.integers(0, 2**16)
_BIG: Final = 2**16


def attempts() -> SearchStrategy[Attempt]:
    """Commits of members."""
    return st.builds(
        Attempt,
        who=_numbers,
        adds=st.integers(0, 3),
        removes=st.lists(_numbers, max_size=2).map(tuple),
        psk=st.booleans(),
        path=st.booleans(),
        tree_inside=st.booleans(),
    )


def steps() -> SearchStrategy[Step]:
    """Any step."""
    comebacks = st.builds(Comeback, who=st.one_of(st.none(), _numbers))
    return st.one_of(
        st.builds(
            Race,
            runners=st.lists(
                st.one_of(attempts(), attempts(), comebacks), min_size=1, max_size=4
            ).map(tuple),
            order=_numbers,
            silent=st.booleans(),
            slow=st.booleans(),
            crossed=st.booleans(),
        ),
        st.builds(Propose, who=_numbers, what=_numbers, whom=_numbers),
        st.builds(
            Deliver,
            who=_numbers,
            count=st.integers(1, 6),
            dice=_numbers,
            spread=st.integers(1, 8),
        ),
        st.builds(CatchUp, who=st.one_of(st.none(), _numbers)),
        st.builds(Say, who=_numbers, count=st.integers(1, 4)),
        st.builds(Read, dice=_numbers),
        st.builds(Wait, seconds=st.sampled_from((1, 150, 400))),
        st.builds(Restart, who=_numbers),
        st.builds(Enter, which=_numbers),
    )


def lives(first_max: int) -> SearchStrategy[Life]:
    """Lives of groups that begin with up to so many members beside the founder."""
    return st.builds(
        Life,
        seed=st.integers(0, 2**32),
        first=st.integers(1, first_max),
        steps=st.lists(steps(), max_size=STEPS_MAX).map(tuple),
        private=st.booleans(),
    )


# ---- long ones, which need no shrinking


def long_life(
    seed: int, first: int, length: int, *, private: bool, suite: int = 1
) -> Life:
    """Make a life from a seed alone."""
    dice = random.Random(seed)
    return Life(
        seed,
        first,
        tuple(_random_step(dice) for _ in range(length)),
        private=private,
        suite=suite,
    )


def _random_step(dice: random.Random) -> Step:
    def number() -> int:
        return dice.randrange(_BIG)

    def attempt() -> Attempt:
        return Attempt(
            number(),
            adds=dice.choice((0, 0, 1, 2)),
            removes=tuple(number() for _ in range(dice.choice((0, 0, 1, 2)))),
            psk=dice.random() < 0.25,
            path=dice.random() < 0.5,
            tree_inside=dice.random() < 0.5,
        )

    def runner() -> Attempt | Comeback:
        if dice.random() < 0.75:
            return attempt()
        return Comeback(number() if dice.random() < 0.7 else None)

    def some(count_max: int) -> int:
        return dice.randint(1, count_max)

    makers = (
        (5, CatchUp),
        (3, lambda: CatchUp(number())),
        (
            4,
            lambda: Race(
                tuple(runner() for _ in range(some(4))),
                number(),
                silent=dice.random() < 0.4,
                slow=dice.random() < 0.3,
                crossed=dice.random() < 0.5,
            ),
        ),
        (7, lambda: Propose(number(), number(), number())),
        (
            6,
            lambda: Deliver(number(), some(4), number(), dice.randint(1, 9)),
        ),
        (4, lambda: Say(number(), some(3))),
        (2, lambda: Read(number())),
        (1, lambda: Wait(dice.choice((1, 100, 301)))),
        (2, lambda: Restart(number())),
        (1, lambda: Enter(number())),
    )
    weights = [weight for weight, _ in makers]
    ((_, make),) = dice.choices(makers, weights)
    return make()
