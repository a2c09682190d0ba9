"""Random lives of groups of our own members: the table finds who disagrees."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from sabir.testing.mls.players import Player, Side
from sabir.testing.mls.sabir_player import SabirPlayer
from sabir.testing.mls.script_strategies import scripts
from sabir.testing.mls.scripts import (
    Commit,
    JoinFromOutside,
    Propose,
    Say,
    Script,
    Table,
)

OURS, THEIRS = Side.OURS, Side.THEIRS


class Other(SabirPlayer):
    """Stands for the other side."""

    side = THEIRS


def _make(side: Side, name: str, suite: int) -> Player:
    return (SabirPlayer if side is OURS else Other)(name, suite)


PLAIN = Commit(
    who=0, adds=(), removes=(), psk=False, public=True, path=True, tree_inside=True
)
LIFE = Script(
    suite=1,
    founder=OURS,
    first=(OURS, OURS),
    steps=(
        Say(who=0, count=2, late=False, order=1),
        PLAIN,
        JoinFromOutside(side=OURS, sponsor=0, again=None),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts(sides=(OURS,)))
def test_our_own_members_agree(script: Script) -> None:
    table = Table(script.suite, _make)
    table.play(script)
    assert table.done["epochs"] >= 1


@settings(max_examples=300, database=None, deadline=None)
@given(scripts())
def test_each_script_begins_with_members_of_both_sides(script: Script) -> None:
    assert {script.founder, *script.first} == set(Side)


def test_the_last_member_of_a_side_is_not_removed() -> None:
    """Whoever asks: by value, by reference, or one by either."""
    others = replace(LIFE, first=(THEIRS, OURS, THEIRS))
    remove = replace(PLAIN, removes=(0, 0, 0, 0))
    table = Table(1, _make)
    table.play(replace(others, steps=(remove, remove, remove)))
    assert table.done["removed sabir"] + table.done["removed ts-mls"] == 2
    propose = Propose(who=0, what=1, whom=1, side=OURS, public=True)
    table = Table(1, _make)
    table.play(
        replace(others, steps=(propose, replace(propose, whom=3), remove, PLAIN))
    )
    assert table.done["propose Remove sabir"] == 1
    assert table.done["removed ts-mls"] == 1


class Forgetful(SabirPlayer):
    """Takes a message twice: what it read last it reads again."""

    def __init__(self, name: str, suite: int) -> None:
        super().__init__(name, suite)
        self._read: dict[bytes, bytes] = {}

    def process(self, message: bytes) -> bytes | None:
        if message in self._read:
            return self._read[message]
        text = super().process(message)
        if text is not None:
            self._read[message] = text
        return text


class Mistaken(SabirPlayer):
    """Reads something else than was said."""

    def process(self, message: bytes) -> bytes | None:
        text = super().process(message)
        return None if text is None else text + b"?"


class Lagging(SabirPlayer):
    """Stays in its first epoch."""

    def process(self, message: bytes) -> bytes | None:
        del message
        return None


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Forgetful, "read twice"), (Mistaken, "misread"), (Lagging, "misread")],
)
def test_a_member_that_goes_wrong_is_found(kind: type[SabirPlayer], said: str) -> None:
    table = Table(1, lambda _, name, suite: kind(name, suite))
    with pytest.raises(AssertionError, match=said):
        table.play(LIFE)


def test_a_member_left_behind_is_found() -> None:
    silent = Script(suite=1, founder=OURS, first=(OURS, OURS), steps=(PLAIN,))
    table = Table(1, lambda _, name, suite: Lagging(name, suite))
    with pytest.raises(AssertionError, match="sabir 2"):
        table.play(silent)


def test_what_happened_is_counted() -> None:
    table = Table(1, _make)
    table.play(LIFE)
    assert table.done == Counter(
        {
            "commit sabir": 2,
            "commit Add sabir": 2,
            "join sabir": 2,
            "read sabir": 4,
            "join from outside sabir, sponsor sabir": 1,
            "epochs": 3,
            "members": 4,
        }
    )
