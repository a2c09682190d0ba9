"""What the tutorials show runs, and prints what they say it prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(page: Path) -> int:
    """Run the Python of a page in order, and compare its output; count the blocks."""
    names: dict[str, object] = {"__name__": "tutorial"}
    text = page.read_text(encoding="utf-8")
    printed, count = "", 0
    for found in BLOCK.finditer(text):
        kind, body = found.groups()
        if kind == "text":
            assert printed == body, f"{page.name} says\n{body}and prints\n{printed}"
            printed = ""
        elif kind == "python":
            assert printed == "", f"{page.name} does not show\n{printed}"
            line = text.count("\n", 0, found.start()) + 1
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * line + body, str(page), "exec"), names)
            printed, count = output.getvalue(), count + 1
    assert printed == "", f"{page.name} does not show\n{printed}"
    return count


def test_the_tutorial_of_the_mls_library() -> None:
    assert run(TUTORIALS / "mls-library.md") >= 15


@pytest.mark.parametrize(
    "page",
    ["```python\nprint(1)\n```\n```text\n2\n```\n", "```python\nprint(1)\n```\n"],
)
def test_a_tutorial_that_is_not_true_is_noticed(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(AssertionError, match=r"page\.md"):
        run(tmp_path / "page.md")
