"""TXT-7: nothing invisible that changes what is read."""

import pytest

from sabir.content import gfm
from sabir.content.loss import LossItem
from sabir.content.plain import to_plain
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.content.tidying import tidy, tidy_name

EVERYWHERE = """# a%

**b%** `c%` [@d%](mimi://x/u/d)

> e%

- f%

```
g%
```

| h% |
|-|
| i% |

***
"""


def rules(items: list[LossItem]) -> list[str]:
    return [item.rule for item in items]


def test_a_clean_text_is_the_same_object() -> None:
    text = Rich.plain("hello\n\tworld")
    assert tidy(text) == (text, [])
    assert tidy(text)[0] is text


def test_several_plain_paragraphs_are_one_text() -> None:
    text = Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),))))
    assert tidy(text) == (Rich.plain("a\n\nb"), [])


@pytest.mark.parametrize(
    "text",
    [
        "a\u202eb",
        "a\u2067b\u202c",
        "a\u2069",
        "a\u2067b\nc\u2069",
        "\u202a\u2067\u202c\u2069",
    ],
)
def test_marks_that_are_not_closed_on_their_line_go(text: str) -> None:
    found, items = tidy(Rich.plain(text))
    plain = to_plain(found)
    assert not set(plain) & set("\u202a\u202c\u202e\u2067\u2069")
    assert rules(items) == ["TXT-7"]


def test_marks_go_from_everywhere() -> None:
    found, items = tidy(gfm.read(EVERYWHERE.replace("%", "\u202e")))
    assert found == gfm.read(EVERYWHERE.replace("%", ""))
    assert rules(items) == ["TXT-7"]


def test_control_characters_go_from_formatted_text() -> None:
    found, items = tidy(Rich((Paragraph((Strong((Text("a\x07"),)),)),)))
    assert found == Rich((Paragraph((Strong((Text("a"),)),)),))
    assert rules(items) == ["TXT-7"]


def test_line_ends_of_other_systems_are_no_loss() -> None:
    assert tidy(Rich.plain("a\r\nb\rc")) == (Rich.plain("a\nb\nc"), [])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada", "Ada"),
        (" Ada \n\x07 L\u202e ", "Ada L"),
        ("דגה", "\u2068דגה\u2069"),
        ("", ""),
        ("👩‍👩‍👧" * 90, "👩‍👩‍👧" * 80),
    ],
)
def test_a_name_stays_on_its_line_and_its_side(name: str, shown: str) -> None:
    assert tidy_name(name) == shown
