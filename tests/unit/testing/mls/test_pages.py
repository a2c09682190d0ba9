"""The manual's pages about MLS say what the source says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.mls.limits import Limits
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.pages import PAGES, limits_page, main, rules_page

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_a_page_is_current(name: str, page: Callable[[], str]) -> None:
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written == page(), "run python -m sabir.testing.mls.pages"


def test_every_rule_and_every_limit_has_a_row() -> None:
    rows = rules_page().count("\n| ") - rules_page().count("\n| rule |")
    assert rows == len(Rule)
    assert limits_page().count("\n| `") == len(Limits.__dataclass_fields__)


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
