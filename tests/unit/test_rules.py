"""The rules' page, the source and the tests know the same rules."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "rules.md"
OTHER_NAMES: Final = frozenset({"SHA", "MC"})
"""What stands in quotes and looks like a rule's number: `"SHA-256"`, and the lines of
MIMI's checklist."""


def _quoted(folder: Path) -> set[str]:
    """Return the numbers that stand in quotes in the Python files below."""
    rule = re.compile(r'"([A-Z]+)-(\d{3})"')
    return {
        f"{prefix}-{number}"
        for file in folder.rglob("*.py")
        for prefix, number in rule.findall(file.read_text(encoding="utf-8"))
        if prefix not in OTHER_NAMES
    }


def _with(prefix: str, numbers: set[str]) -> set[str]:
    return {number for number in numbers if number.startswith(f"{prefix}-")}


def _rows(prefix: str) -> list[str]:
    """Return the numbers of rows with a meaning and a source."""
    row = re.compile(rf"^\| ({prefix}-\d{{3}}) \| \S.* \| \S.* \|$", re.MULTILINE)
    return row.findall(PAGE.read_text(encoding="utf-8"))


SOURCE = _quoted(ROOT / "src")
TESTS = _quoted(ROOT / "tests")
PREFIXES = re.findall(r"^## ([A-Z]+):", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_a_section_for_everything_that_is_raised() -> None:
    assert {number.partition("-")[0] for number in SOURCE} == set(PREFIXES)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_page_source_and_tests_agree(prefix: str) -> None:
    rows = _rows(prefix)
    assert rows == sorted(set(rows)), "each rule once, in order"
    assert _with(prefix, SOURCE) == set(rows)
    assert _with(prefix, TESTS) == set(rows)
