"""The same message is rendered the same, release after release."""

import pytest

from sabir.content.rules import RULES
from tests.unit.content.golden import CASES, FOLDER, NETWORKS, golden, path

NOT_RENDERED = {"DEC-1", "FMT-1", "VOI-1", "DEL-3"}
"""Rules of the way in, and those that other files show (xmpp/DEL-1 asks, say)."""


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rule", CASES)
def test_a_rule_renders_as_ever(rule: str, network: str) -> None:
    expected = path(rule, network).read_text(encoding="utf-8")
    assert golden(rule, network) == expected


def test_every_rule_has_a_golden_file() -> None:
    assert {rule.name for rule in RULES} - NOT_RENDERED == set(CASES)
    assert len(list(FOLDER.rglob("*.txt"))) == len(CASES) * len(NETWORKS)
