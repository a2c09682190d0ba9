"""The page of rules is the table of rules."""

import re
from pathlib import Path

from sabir.content.rules import RULES, page

ROOT = Path(__file__).parents[3]


def test_the_page_is_generated_from_the_table() -> None:
    written = (ROOT / "docs" / "reference" / "losses.md").read_text(encoding="utf-8")
    # If not: python -c "from sabir.content.rules import page; print(page(), end='')"
    assert written == page()


def test_every_rule_has_a_loss_and_a_way_back() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"L[0-4](, L[0-4])*", rule.level), rule
        assert rule.back in ("S", "M", "-"), rule


def test_every_rule_named_in_the_code_is_in_the_table() -> None:
    named: set[str] = set()
    for path in (ROOT / "src" / "sabir" / "content").glob("*.py"):
        if path.name not in ("rules.py", "loss_words.py"):
            text = path.read_text(encoding="utf-8")
            named |= set(re.findall(r'"([A-Z]{2,3}-[0-9]{1,2})"', text))
    assert named <= {rule.name for rule in RULES}
    silent = {rule.name for rule in RULES if rule.level == "L0"}
    assert {rule.name for rule in RULES} - silent == named
