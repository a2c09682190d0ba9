"""GFM-MIMI: what is written is read back, and literal text stays literal."""

import pytest
from hypothesis import example, given, settings

from sabir.content import gfm
from sabir.content.normal import normalise
from sabir.content.rich import (
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
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
from tests.unit.content.trees import TRICKY, riches


def paragraph(*children: Inline) -> Rich:
    return Rich((Paragraph(children),))


@settings(max_examples=300, deadline=None)
@given(riches)
@example(paragraph(Text("a"), Strong((Text("(b)"),)), Text("c")))
@example(paragraph(Text("!"), Link((Text("x"),), "https://x.example")))
def test_what_is_written_is_read_back(rich: Rich) -> None:
    written = gfm.write(rich)
    assert gfm.read(written) == normalise(rich), written


@settings(max_examples=200, deadline=None)
@given(riches)
def test_the_normal_form_is_its_own(rich: Rich) -> None:
    normal = normalise(rich)
    assert normalise(normal) == normal


@pytest.mark.parametrize("text", TRICKY)
def test_literal_text_stays_literal_beside_marks(text: str) -> None:
    rich = paragraph(Text("x"), Strong((Text("b"),)), Text(text), Code("c"))
    assert gfm.read(gfm.write(rich)) == normalise(rich)


@pytest.mark.parametrize(
    ("rich", "written"),
    [
        (paragraph(Text("*not bold*")), r"\*not bold\*"),
        (paragraph(Text("# x")), r"\# x"),
        (paragraph(Text("1. x")), r"1\. x"),
        (paragraph(Text("a_b_c _d_")), r"a_b_c \_d\_"),
        (paragraph(Text("  x")), "&#32;&#32;x"),
        (paragraph(Text("a\\b")), r"a\\b"),
        (paragraph(Text("https://x.example/a_b_c")), "https://x.example/a_b_c"),
        (
            paragraph(Text("<b>x</b> 1 < 2 & a &amp; b")),
            "&lt;b>x&lt;/b> 1 < 2 & a &amp;amp; b",
        ),
        (paragraph(Text("a\nb\n\nc")), "a  \nb  \n\\\nc"),
        (paragraph(Mention("Ada", "mimi://x/u/ada")), "[@Ada](mimi://x/u/ada)"),
        (paragraph(Underline((Text("u"),))), "++u++"),
        (paragraph(Spoiler((Text("s"),))), "||s||"),
        (paragraph(Spoiler((Text("s"),), "why")), "||`spoiler: why` s||"),
        (paragraph(Text("a"), Strong((Text("(b)"),))), "&#97;**(b)**"),
        (paragraph(Code("a`b")), "``a`b``"),
        (paragraph(Code("`")), "`` ` ``"),
        (Rich((CodeBlock("```", "py"),)), "````py\n```\n````"),
        (Rich((Rule(),)), "***"),
        (
            Rich((Table(((Text("a|b"),),), (((Code("c|d"),),),)),)),
            "| a\\|b |\n| --- |\n| `c\\|d` |",
        ),
    ],
)
def test_it_looks_as_a_person_would_write_it(rich: Rich, written: str) -> None:
    assert gfm.write(rich) == written
    assert gfm.read(written) == normalise(rich)


@pytest.mark.parametrize(
    ("text", "rich"),
    [
        ("<b>x</b>", paragraph(Text("<b>x</b>"))),
        ("<!-- x -->", paragraph(Text("<!-- x -->"))),
        (
            "<https://x.example/>",
            paragraph(Link((Text("https://x.example/"),), "https://x.example/")),
        ),
        ("https://x.example/", paragraph(Text("https://x.example/"))),
        ("![alt](https://x/i.png)", paragraph(Link((Text("alt"),), "https://x/i.png"))),
        (
            "![](https://x/i.png)",
            paragraph(Link((Text("https://x/i.png"),), "https://x/i.png")),
        ),
        ("C++11 and C++14, i++ + j++", paragraph(Text("C++11 and C++14, i++ + j++"))),
        ("if (a || b || c) +++ |||", paragraph(Text("if (a || b || c) +++ |||"))),
        ("a\nb", paragraph(Text("a\nb"))),
        ("    code", Rich((CodeBlock("code"),))),
        ("```py x\ncode\n```", Rich((CodeBlock("code", "py"),))),
        ("a\n===", Rich((Heading(1, (Text("a"),)),))),
        ("- [ ] task", Rich((ListBlock(((Paragraph((Text("[ ] task"),)),),)),))),
        (
            "[x]: https://x/\n\n[x]",
            Rich((Paragraph((Text("[x]: https://x/"),)), Paragraph((Text("[x]"),)))),
        ),
        (
            "**a *b **c** d* e**",
            paragraph(Strong((Text("a "), Emphasis((Text("b c d"),)), Text(" e")))),
        ),
        (
            "> a\n\n> b",
            Rich(
                (Quote((Paragraph((Text("a"),)),)), Quote((Paragraph((Text("b"),)),)))
            ),
        ),
    ],
)
def test_mc_099_markdown_of_others_is_read(text: str, rich: Rich) -> None:
    assert gfm.read(text) == rich


def test_marks_inside_a_link_are_read() -> None:
    rich = paragraph(Link((Underline((Text("u"),)), Text(" x")), "https://x/"))
    assert gfm.read("[++u++ x](https://x/)") == rich


def test_endless_nesting_is_shown_as_it_is_written() -> None:
    text = "> " * 500 + "deep"
    assert gfm.read(text) == Rich.plain(text)


def test_endless_brackets_are_shown_as_they_are_written() -> None:
    text = "[" * (gfm.BRACKETS_MAX + 1)
    assert gfm.read(text) == Rich.plain(text)


def test_frames_are_at_most_so_deep() -> None:
    quote: Quote | Paragraph = Paragraph((Text("x"),))
    for _ in range(40):
        quote = Quote((quote,))
    items: ListBlock | Paragraph = Paragraph((Text("x"),))
    for _ in range(40):
        items = ListBlock(((items,),))
    for rich in (Rich((quote,)), Rich((items,))):
        assert gfm.write(rich).count("x") == 1
        assert gfm.read(gfm.write(rich)) == normalise(rich)


def test_struck_words_are_struck() -> None:
    assert gfm.read("~~a~~ ~b~") == paragraph(Strike((Text("a"),)), Text(" ~b~"))
