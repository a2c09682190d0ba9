"""WhatsApp's marks are read and written so that they read the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.normal import normalise
from sabir.content.plain import to_plain
from sabir.content.rich import (
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Link,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Spoiler,
    Strike,
    Strong,
    Table,
    Text,
    Underline,
)
from sabir.networks.whatsapp.markup import SPACER, read, write, write_plain


def line(*children: object) -> Rich:
    return Rich((Paragraph(children),))  # type: ignore[arg-type]  # inlines of a test


def item(text: str) -> tuple[Paragraph]:
    return (Paragraph((Text(text),)),)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("plain", line(Text("plain"))),
        ("a *b* c", line(Text("a "), Strong((Text("b"),)), Text(" c"))),
        ("(*b*)", line(Text("("), Strong((Text("b"),)), Text(")"))),
        ("_i_ ~s~", line(Emphasis((Text("i"),)), Text(" "), Strike((Text("s"),)))),
        ("*b _bi_*", line(Strong((Text("b "), Emphasis((Text("bi"),)))))),
        ("`*x*`", line(Code("*x*"))),
        ("a ```c d``` e", line(Text("a "), Code("c d"), Text(" e"))),
        ("```c\nd```", Rich((CodeBlock("c\nd"),))),
        ("```\nc\n```", Rich((CodeBlock("c"),))),
        ("```c```", Rich((CodeBlock("c"),))),
        (
            "> a\n> *b*",
            Rich((Quote((Paragraph((Text("a\n"), Strong((Text("b"),)))),)),)),
        ),
        ("* a\n- b", Rich((ListBlock((item("a"), item("b"))),))),
        ("2. a\n3. b", Rich((ListBlock((item("a"), item("b")), True, 2),))),
        (
            "1. a\n3. b",
            Rich((ListBlock((item("a"),), True), ListBlock((item("b"),), True, 3))),
        ),
        ("x\n- a\ny", Rich((*item("x"), ListBlock((item("a"),)), *item("y")))),
    ],
)
def test_marks_are_read(text: str, tree: Rich) -> None:
    assert read(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4",
        "snake_case_name",
        "b* x*",
        "*x *",
        "**",
        "a* b*",
        "```",
        "``` ```",
        "01. a",
        ">a",
        "-a",
        "*\u200bx*",
        "*a",
        "~",
        "___",
    ],
)
def test_what_is_no_mark_stays_text(text: str) -> None:
    assert read(text) == line(Text(text))


def test_nothing_is_nothing() -> None:
    assert read("") == Rich(())


def test_quotes_nest_no_deeper_than_we_read() -> None:
    assert to_plain(read("> " * 40 + "x")).endswith("x")


@pytest.mark.parametrize(
    ("tree", "text", "lost"),
    [
        (line(Text("a "), Strong((Text("b"),))), "a *b*", ()),
        (line(Text("a"), Strong((Text("b"),)), Text("c")), "a\u200b*b*\u200bc", ()),
        (line(Strong((Text(" b "),))), " *b* ", ()),
        (line(Strong((Text("b\nc"),))), "*b*\n*c*", ()),
        (line(Code("x*y")), "`x*y`", ()),
        (line(Text("a"), Code("b")), "a\u200b`b`", ()),
        (Rich((CodeBlock("c", "py"),)), "```\nc\n```", ("language of a code block",)),
        (Rich((Heading(1, (Text("H"),)), *item("x"))), "*H*\nx", ("heading",)),
        (line(Link((Text("t"),), "https://a.b")), "t (https://a.b)", ("link text",)),
        (line(Link((Text("https://a.b"),), "https://a.b")), "https://a.b", ()),
        (line(Underline((Text("u"),))), "u", ("underline",)),
        (line(Mention("@Ann", "1")), "@Ann", ()),
        (Rich((ListBlock((item("a"), item("b")), True, 2),)), "2. a\n3. b", ()),
        (Rich((Quote(item("q")), Quote(item("r")))), "> q\n\n> r", ()),
        (Rich((*item("a"), *item("b"))), "a\n\nb", ()),
        (Rich((*item("a"), Rule())), "a\n———", ()),
        (Rich((Table(((Text("h"),),), (((Text("c"),),),)),)), "h: c", ("table",)),
    ],
)
def test_trees_are_written(tree: Rich, text: str, lost: tuple[str, ...]) -> None:
    written = write(tree)
    assert written.text == text
    assert set(lost) <= set(written.lost)


def test_literal_marks_are_kept_from_working_and_that_is_said() -> None:
    written = write(line(Text("*stars* and "), Strong((Text("bold"),))))
    assert written.text == f"*{SPACER}stars*{SPACER} and *bold*"
    assert written.lost == ("marks that are meant literally",)
    assert read(written.text) == line(
        Text(f"*{SPACER}stars*{SPACER} and "), Strong((Text("bold"),))
    )


@pytest.mark.parametrize("text", ["2*3*4", "- a list", "> a quote", "it's 5 * 3"])
def test_harmless_marks_are_left_as_they_were_typed(text: str) -> None:
    assert write(Rich.plain(text)).text == text
    assert write(Rich.plain(text)).lost == ()


def test_what_cannot_be_marked_is_written_bare_and_said() -> None:
    assert write(line(Strong((Text("2*3"),)))).lost[0] == "bold that cannot be marked"
    assert write(line(Code("a`b"))).lost[0] == "code that cannot be marked"
    assert write(line(Strike((Text("a~b"),)))).text.startswith("~")
    spoiler = write(line(Spoiler((Text("end"),), "plot")))
    assert spoiler.text.startswith("Spoiler below: plot\n")
    fence = write(Rich((CodeBlock("a```b"),)))
    assert "fence inside a code block" in fence.lost
    assert read(fence.text) == Rich((CodeBlock(f"a`{SPACER}`{SPACER}`b"),))
    nested = write(Rich((ListBlock(((*item("a"), *item("b")),)),)))
    assert "lines inside a list item" in nested.lost
    assert write_plain(line(Text("*a*"))) == "*a*"


MARKS = st.text(alphabet=" *_~`>-1.ab\n\u200b", max_size=40)


@given(MARKS)
def test_any_text_reads_as_its_own_words(text: str) -> None:
    letters = [c for c in to_plain(read(text)) if c in "ab"]
    assert letters == [c for c in text if c in "ab"]


@given(MARKS)
def test_literal_text_never_comes_back_with_spans(text: str) -> None:
    written = write(Rich.plain(text)).text
    spans = {Strong, Emphasis, Strike, Code, CodeBlock}
    assert not _kinds(normalise(read(written)).blocks) & spans
    assert written.replace(SPACER, "") == to_plain(normalise(Rich.plain(text))).replace(
        SPACER, ""
    )


@given(MARKS)
def test_what_was_read_is_written_so_that_it_reads_the_same(text: str) -> None:
    tree = normalise(read(text))
    written = write(tree)
    if not written.lost:
        assert _kinds(normalise(read(written.text)).blocks) == _kinds(tree.blocks)


def _kinds(node: object) -> set[type]:
    if isinstance(node, tuple):
        return set().union(*(_kinds(inner) for inner in node))
    found = {type(node)}
    for name in ("children", "items"):
        found |= _kinds(getattr(node, name, ()))
    return found
