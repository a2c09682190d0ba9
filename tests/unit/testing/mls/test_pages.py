"""The manual's pages about MLS say what the source says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.mls import limits
from sabir.mls.limits import Limits
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.pages import PAGES, limits_page, main, rules_page

NOT_LISTED = {"ATTEMPTS_MAX", "EPOCH_MAX", "GENERATION_MAX"}
"""What we try at most, and what MLS itself bounds (rules O05 and D05)."""

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_a_page_is_current(name: str, page: Callable[[], str]) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == page(), "run python -m sabir.testing.mls.pages"


def test_every_rule_and_every_limit_has_a_row() -> None:
    rows = rules_page().count("\n| ") - rules_page().count("\n| rule |")
    assert rows == len(Rule)
    own, fixed = limits_page().split("## The same for everybody")
    assert own.count("\n| `") == len(Limits.__dataclass_fields__)
    named = set(re.findall(r"^\| `(\w+)`", fixed, re.MULTILINE))
    everywhere = {
        name
        for file in Path(limits.__file__).parent.rglob("*.py")
        for name in re.findall(
            r"^([A-Z]\w+_MAX): Final", file.read_text(), re.MULTILINE
        )
    }
    assert everywhere - named == NOT_LISTED


def test_pages_are_written_in_a_checkout_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="checkout"):
        main()
    reference = tmp_path / "docs" / "reference"
    reference.mkdir(parents=True)
    main()
    assert {file.name for file in reference.iterdir()} == set(PAGES)
