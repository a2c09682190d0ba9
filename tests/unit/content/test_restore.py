"""An edit on a poor network keeps the formatting of what did not change."""

import pytest
from hypothesis import given, settings

from sabir.content import gfm
from sabir.content.normal import normalise
from sabir.content.plain import to_plain
from sabir.content.restore import WORDS_MAX, restore
from sabir.content.rich import Paragraph, Rich, Strong, Text
from tests.unit.content.trees import riches


@pytest.mark.parametrize(
    ("previous", "edited", "expected"),
    [
        ("Meet **at six**!", "Meet **at five**!", "Meet **at** five!"),
        ("**one** two", "two one", "two **one**"),
        ("a **b c** d", "a b c e", "a **b c** e"),
        ("see `x y` now", "look: x y then", "look: `x y` then"),
        ("see `x y` now", "see x z now", "see x z now"),
        ("hi [@Ada L](mimi://x/u/ada)", "ho @Ada L", "ho [@Ada L](mimi://x/u/ada)"),
        ("hi [@Ada L](mimi://x/u/ada)", "hi @Ada M", "hi @Ada M"),
        ("**_a_ b**", "a c", "**_a_** c"),
        (
            "# head\n\n- a\n- b\n\ntext",
            "head\n\n- a\n- b\n\nnew",
            "# head\n\n- a\n- b\n\nnew",
        ),
        ("# head one\n\ntext", "head two\n\ntext", "# head two\n\ntext"),
        ("- a\n- b", "- a\n- c", "\\- a  \n\\- c"),
        ("```\na\n\nb\n```\n\n**x**", "a\n\nb\n\nx y", "```\na\n\nb\n```\n\n**x** y"),
        ("**a**", "a\n\nb", "**a**\n\nb"),
        ("**a**\n\n_b_", "b", "_b_"),
    ],
)
def test_unchanged_words_keep_their_marks(
    previous: str, edited: str, expected: str
) -> None:
    plain = Rich.plain(edited.replace("**", "").replace("_", ""))
    assert gfm.write(restore(gfm.read(previous), plain)) == expected


def test_an_edit_with_formatting_is_taken_as_it_is() -> None:
    edited = Rich((Paragraph((Strong((Text("a"),)),)),))
    assert restore(gfm.read("_a_"), edited) == edited


def test_a_plain_message_stays_plain() -> None:
    assert restore(Rich.plain("a"), Rich.plain("b")) == Rich.plain("b")


def test_very_long_paragraphs_are_not_compared_by_words() -> None:
    long = "word " * WORDS_MAX
    restored = restore(gfm.read(f"**a** {long}"), Rich.plain(f"b {long}"))
    assert restored.is_plain


@settings(max_examples=150, deadline=None)
@given(riches)
def test_an_edit_that_changes_nothing_restores_everything_it_can(rich: Rich) -> None:
    previous = normalise(rich)
    plain = Rich.plain(to_plain(previous))
    restored = restore(previous, plain)
    assert to_plain(restored).split() == to_plain(plain).split()
