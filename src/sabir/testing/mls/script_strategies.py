"""Hypothesis strategies for scripts: small groups mostly, large ones sometimes."""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sabir.testing.mls.players import Side
from sabir.testing.mls.scripts import (
    MEMBERS_MAX,
    Commit,
    JoinFromOutside,
    Propose,
    Read,
    Say,
    Script,
    Step,
)

STEPS_MAX: Final = 14

_SMALL_MAX: Final = 7
_MANY_MIN: Final = 20
_numbers: Final = st.integers(0, 2**16)


def steps(sides: Sequence[Side]) -> SearchStrategy[Step]:
    """Any step, among members of these sides."""
    side = st.sampled_from(sides)
    return st.one_of(
        st.builds(
            Propose,
            who=_numbers,
            what=_numbers,
            whom=_numbers,
            side=side,
            public=st.booleans(),
        ),
        st.builds(
            Commit,
            who=_numbers,
            adds=st.lists(side, max_size=3).map(tuple),
            removes=st.lists(_numbers, max_size=2).map(tuple),
            psk=st.sampled_from((False, False, True)),
            public=st.booleans(),
            path=st.booleans(),
            tree_inside=st.booleans(),
        ),
        st.builds(
            JoinFromOutside,
            side=side,
            sponsor=_numbers,
            again=st.one_of(st.none(), st.none(), _numbers),
        ),
        st.builds(
            Say,
            who=_numbers,
            count=st.integers(1, 5),
            late=st.booleans(),
            order=_numbers,
        ),
        st.builds(Read, order=_numbers),
    )


@st.composite
def scripts(
    draw: st.DrawFn, suites: Sequence[int] = (1,), sides: Sequence[Side] = tuple(Side)
) -> Script:
    """Scripts for 2 to 50 members; one in ten begins with more than 20.

    Each begins with somebody of every side, and the table lets none die out: members
    of one implementation alone prove nothing about the other.
    """
    side = st.sampled_from(sides)
    founder = draw(side)
    small = st.lists(side, min_size=1, max_size=_SMALL_MAX)
    many = st.lists(side, min_size=_MANY_MIN, max_size=MEMBERS_MAX - 1)
    first = st.integers(0, 9).flatmap(lambda number: many if number == 9 else small)
    chosen = draw(first)
    for missing in set(sides) - {founder, *chosen}:
        chosen[draw(_numbers) % len(chosen)] = missing
    return Script(
        suite=draw(st.sampled_from(suites)),
        founder=founder,
        first=tuple(chosen),
        steps=tuple(draw(st.lists(steps(sides), min_size=4, max_size=STEPS_MAX))),
    )
