"""What a test of a rule says: `with violates(Rule.F07):`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from sabir.errors import PeerMisbehaved
from sabir.mls.validation.rules import Rule

BROKEN: Final[set[Rule]] = set()
"""The rules that tests of this session have seen refused."""


@contextmanager
def violates(rule: Rule) -> Iterator[None]:
    """Expect that the peer is told to have broken this rule, and no other."""
    with pytest.raises(PeerMisbehaved) as wrong:
        yield
    assert wrong.value.rule == rule.name, f"{wrong.value}, not {rule.name}"
    BROKEN.add(rule)
