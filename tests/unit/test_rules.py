"""The rules' page, the source and the tests know the same rules."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "rules.md"


def _quoted(folder: Path, prefix: str) -> set[str]:
    """Return the numbers that stand in quotes in the Python files below."""
    rule = re.compile(rf'"({prefix}-\d{{3}})"')
    return {
        number
        for file in folder.rglob("*.py")
        for number in rule.findall(file.read_text(encoding="utf-8"))
    }


def _rows(prefix: str) -> list[str]:
    row = re.compile(rf"^\| ({prefix}-\d{{3}}) \| \S", re.MULTILINE)
    return row.findall(PAGE.read_text(encoding="utf-8"))


PREFIXES = re.findall(r"^## ([A-Z]+):", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_codecs_are_on_the_page() -> None:
    assert {"WIRE", "CONTENT"} <= set(PREFIXES)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_page_source_and_tests_agree(prefix: str) -> None:
    rows = _rows(prefix)
    assert rows == sorted(set(rows)), "each rule once, in order"
    assert _quoted(ROOT / "src", prefix) == set(rows)
    assert _quoted(ROOT / "tests", prefix) == set(rows)
