"""Foreign texts on a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from sabir.cli.harmless import harmless, harmless_line


@given(st.text())
def test_nothing_but_line_ends_moves_the_cursor(text: str) -> None:
    shown = harmless(text)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert shown.count("\n") == text.count("\n")
    assert harmless_line(text).isprintable()


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in ("Tea at five", "Чай", "お茶 🍵", "a\nb"):
        assert harmless(text) == text


def test_direction_overrides_and_escapes_are_shown() -> None:
    assert harmless("\x1b[2J\u202egnp") == "\\x1b[2J\\u202egnp"
