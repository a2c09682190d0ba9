"""Texts that stand for something, and ordinary ones that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.sms.forms import (
    Answer,
    Correction,
    Form,
    Reaction,
    act_of,
    form_of,
    wants_help,
    wants_start,
    wants_stop,
    without_name,
)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Loved “hi”", Reaction(emoji="❤️", quoted="hi")),
        ('Laughed at "two\nlines"', Reaction(emoji="😂", quoted="two\nlines")),
        ("Emphasized “hi”", Reaction(emoji="‼️", quoted="hi")),
        (
            "Removed a question mark from “hi”",
            Reaction(emoji="❓", quoted="hi", removed=True),
        ),
        ("Reacted 👩🏽‍🚀 to “hi”", Reaction(emoji="👩🏽‍🚀", quoted="hi")),
        ("Removed 🎉 from “hi”", Reaction(emoji="🎉", quoted="hi", removed=True)),
        ("👍 to “hi”", Reaction(emoji="👍", quoted="hi")),
        ("🇩🇪 to “hi”", Reaction(emoji="🇩🇪", quoted="hi")),
        ('reacted 🎉 to "hi…"', Reaction(emoji="🎉", quoted="hi…", alone=False)),
        ('Ada reacted 1️⃣ to "hi"', Reaction(emoji="1️⃣", quoted="hi", alone=False)),
        ("> Ada: hi\nyes", Answer(quoted="Ada: hi", text="yes")),
        (
            "> Ada: hi\nAda: Correction: ho",
            Correction(quoted="Ada: hi", text="ho"),
        ),
        ("> hi\nCorrection: ho", Correction(quoted="hi", text="ho")),
        ("Edited to “ho”", Correction(text="ho")),
    ],
)
def test_forms(text: str, form: Form) -> None:
    assert form_of(text) == form


@pytest.mark.parametrize(
    "text",
    [
        "Loved it",
        "Loved “hi” so much",
        "I said “hi”",
        "Correction: it is nine",
        "12 to “hi”",
        "from 9 to “five”",
        "> only a quotation",
        "Removed a tooth from “him”",
        "reacted badly to “hi”",
        "",
        "x" * 5_000,
    ],
)
def test_ordinary_texts(text: str) -> None:
    assert form_of(text) is None


words = st.text("abcdefghij ,.!?'“”\"📎\n", max_size=60)


@given(words)
def test_any_text_is_a_form_or_none(text: str) -> None:
    assert form_of(text) is None or "“" in text or '"' in text or "> " in text


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("/sms hi", "hi"),
        ("Ada: /sms hi", "Ada: hi"),
        ("Ada: Correction: /sms hi", "Ada: Correction: hi"),
        ("> Bo: hm\nAda: /sms yes\nno", "> Bo: hm\nAda: yes\nno"),
        ("Ada: /sms\nhi", "Ada: hi"),
        ("Ada: hi", None),
        ("Ada: hi /sms", None),
        ("Ada: /smsx", None),
        ("> /sms hi\nAda: no", None),
    ],
)
def test_the_senders_act(text: str, asked: str | None) -> None:
    assert act_of(text) == asked


def test_keywords_are_whole_messages() -> None:
    assert wants_stop(" stop. ")
    assert wants_stop("UNSUBSCRIBE")
    assert not wants_stop("stop it")
    assert wants_start("Start")
    assert not wants_start("start now")
    assert wants_help("help!")
    assert not wants_help("help me")


def test_a_name_in_front_can_be_left_out() -> None:
    assert without_name("Ada: hi: you") == "hi: you"
    assert without_name("hi") == "hi"
