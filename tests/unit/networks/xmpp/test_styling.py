"""XEP-0393 both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.rich import (
    Block,
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
from sabir.networks.xmpp.styling import JOINER, read, write


def inline(*children: Inline) -> Rich:
    return Rich((Paragraph(children),))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("*b*", inline(Strong((Text("b"),)))),
        ("a _i_ b", inline(Text("a "), Emphasis((Text("i"),)), Text(" b"))),
        ("~s~", inline(Strike((Text("s"),)))),
        ("`c *x*`", inline(Code("c *x*"))),
        ("*a _b_ c*", inline(Strong((Text("a "), Emphasis((Text("b"),)), Text(" c"))))),
        ("*b*x", inline(Strong((Text("b"),)), Text("x"))),
        ("x*b*", inline(Text("x*b*"))),
        ("* b*", inline(Text("* b*"))),
        ("*b *", inline(Text("*b *"))),
        ("**", inline(Text("**"))),
        ("*a\nb*", inline(Text("*a\nb*"))),
        ("_a\n*b*", inline(Text("_a\n"), Strong((Text("b"),)))),
        ("```\nx = *1*\n```", Rich((CodeBlock("x = *1*"),))),
        ("```py\nx\n```\ny", Rich((CodeBlock("x", "py"), *inline(Text("y")).blocks))),
        ("```\nopen", Rich((CodeBlock("open"),))),
        (
            "> a\n> *b*",
            Rich((Quote(inline(Text("a\n"), Strong((Text("b"),))).blocks),)),
        ),
        (">> deep", Rich((Quote((Quote(inline(Text("deep")).blocks),)),))),
        ("", Rich(())),
    ],
)
def test_styled_text_is_read_as_the_xep_says(text: str, tree: Rich) -> None:
    assert read(text) == tree


def test_deep_quotes_end_as_text_not_as_a_crash() -> None:
    assert read(">" * 5_000 + " x").blocks
    assert read("*_" * 5_000 + "x" + "_*" * 5_000).blocks


@given(st.text(max_size=60))
def test_plain_text_survives_and_reads_as_plain(text: str) -> None:
    styled = write(Rich.plain(text))
    assert styled.text == text
    assert styled.lost == ()
    if not styled.unstyled:
        assert read(styled.text) == Rich.plain(text)


words = st.text("abcé 漢😀", min_size=1, max_size=8).filter(lambda w: w == w.strip())


def spans(children: st.SearchStrategy[Inline]) -> st.SearchStrategy[Inline]:
    return st.one_of(
        children.map(lambda c: Strong((c,))),
        children.map(lambda c: Emphasis((c,))),
        children.map(lambda c: Strike((c,))),
    )


def _depths_differ(inline: Inline, above: tuple[type, ...] = ()) -> bool:
    if isinstance(inline, Strong | Emphasis | Strike):
        kind = type(inline)
        return kind not in above and all(
            _depths_differ(child, (*above, kind)) for child in inline.children
        )
    return True


leaf = st.one_of(words.map(Text), words.map(Code))
inlines = st.recursive(leaf, spans, max_leaves=4).filter(_depths_differ)


@given(st.lists(st.tuples(words, inlines), min_size=1, max_size=5))
def test_what_styling_can_say_comes_back_the_same(
    pairs: list[tuple[str, Inline]],
) -> None:
    children: list[Inline] = []
    for word, span in pairs:
        children += [Text(f"{word} "), span, Text(" ")]
    children.append(Text("end"))
    styled = write(inline(*children))
    assert styled.lost == ()
    assert _flat(read(styled.text)) == _flat(inline(*children))


def _flat(rich: Rich) -> list[tuple[str, str]]:
    """Characters with the styles in force: neighbouring texts do not matter."""
    out: list[tuple[str, str]] = []

    def walk(inline: Inline, styles: str) -> None:
        match inline:
            case Text(text=text):
                out.extend((c, styles) for c in text)
            case Code(text=text):
                out.extend((c, styles + "`") for c in text)
            case Strong(children=c) | Emphasis(children=c) | Strike(children=c):
                for child in c:
                    walk(child, styles + type(inline).__name__)
            case _:
                raise AssertionError(inline)

    for block in rich.blocks:
        assert isinstance(block, Paragraph)
        for child in block.children:
            walk(child, "")
    return out


@given(st.text("*_~`> ab\n", max_size=20))
def test_literal_marks_beside_styled_text_stay_literal(text: str) -> None:
    styled = write(inline(Strong((Text("x"),)), Text(" " + text)))
    tree = read(styled.text)
    first = tree.blocks[0]
    assert isinstance(first, Paragraph)
    assert first.children[0] == Strong((Text("x"),))
    shown = "".join(c for c, _ in _flat(tree))
    assert shown.replace(JOINER, "") == "x " + text
    assert all(style == "" for _, style in _flat(tree)[1:])


def test_literal_marks_alone_need_no_joiner() -> None:
    styled = write(Rich.plain("2 *3* 4"))
    assert (styled.text, styled.unstyled) == ("2 *3* 4", True)
    assert not write(Rich.plain("2 * 3")).unstyled


def test_a_span_over_lines_is_marked_line_by_line() -> None:
    styled = write(inline(Strong((Text("a\n\nb"),))))
    assert styled.text == "*a*\n\n*b*"


def test_spaces_at_the_edge_of_a_span_go_outside() -> None:
    assert write(inline(Text("x"), Strong((Text(" b "),)), Text("y"))).text == "x *b* y"


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (inline(Text("a"), Strong((Text("b"),))), "ab"),
        (inline(Strong((Text("2*3"),))), "2*3"),
        (inline(Text("a"), Strike((Text("b"),))), "a~b~"),
        (inline(Code("a`b")), "a`b"),
        (inline(Underline((Text("u"),))), "u"),
        (
            inline(Link((Text("label"),), "https://x.example")),
            "label (https://x.example)",
        ),
        (Rich((Heading(1, (Text("Title"),)),)), "Title"),
        (
            Rich((ListBlock((inline(Text("a")).blocks, inline(Text("b\nc")).blocks)),)),
            "- a\n- b\n  c",
        ),
        (
            Rich((ListBlock((inline(Text("a")).blocks,), ordered=True, start=3),)),
            "3. a",
        ),
        (
            Rich(
                (Table(((Text("H"),), (Text("I"),)), (((Text("1"),), (Text("2"),)),)),)
            ),
            "H: 1, I: 2",
        ),
        (Rich((Table(((Text("H"),),), ()),)), "H"),
    ],
)
def test_what_styling_cannot_say_is_readable_and_reported(
    tree: Rich, text: str
) -> None:
    styled = write(tree)
    assert styled.text == text
    assert styled.lost


def test_a_spoiler_is_never_shown_bare() -> None:
    styled = write(inline(Spoiler((Text("Rosebud"),), "film")))
    assert styled.text.index("Rosebud") - styled.text.index("film") > 20
    assert styled.lost == ("spoiler",)


def test_blocks_are_written_as_blocks() -> None:
    blocks: tuple[Block, ...] = (
        *inline(Text("a")).blocks,
        *inline(Text("b"), Mention("Ada", "m:1")).blocks,
        Quote((*inline(Text("q")).blocks, *inline(Text("r")).blocks)),
        CodeBlock("x\n```\ny", "py"),
        Rule(),
    )
    styled = write(Rich(blocks))
    assert styled.text == (
        f"a\n\nbAda\n> q\n>\n> r\n```py\nx\n{JOINER}```\ny\n```\n———"
    )
    assert read(styled.text).blocks[1] == Quote((Paragraph((Text("q\n\nr"),)),))


def test_a_link_whose_text_is_its_target_is_written_once() -> None:
    styled = write(inline(Link((Text("https://x.example"),), "https://x.example")))
    assert (styled.text, styled.lost) == ("https://x.example", ())


def test_literal_quote_marks_beside_styled_text_do_not_quote() -> None:
    styled = write(inline(Strong((Text("b"),)), Text("\n> not a quote")))
    assert styled.text == f"*b*\n{JOINER}> not a quote"
