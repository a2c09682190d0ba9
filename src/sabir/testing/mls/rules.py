"""What a test of a rule says: `with unchanged(group), violates(Rule.F07):`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from sabir.errors import PeerMisbehaved
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.snapshots import is_watched

BROKEN: Final[set[Rule]] = set()
"""The rules that tests of this session have seen refused."""

UNGUARDED: Final[set[Rule]] = set()
"""Those whose refusal nobody watched: whether it left a trace is unknown."""


@contextmanager
def violates(rule: Rule) -> Iterator[None]:
    """Expect that the peer is told to have broken this rule, and no other."""
    with pytest.raises(PeerMisbehaved) as wrong:
        yield
    assert wrong.value.rule == rule.name, f"{wrong.value}, not {rule.name}"
    note_broken(rule)


def note_broken(rule: Rule) -> None:
    """Note a refusal by a rule, to be called inside the `unchanged` around it."""
    BROKEN.add(rule)
    if not is_watched():
        UNGUARDED.add(rule)
