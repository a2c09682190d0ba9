"""Matrix HTML: the subset both ways, and what hostile markup becomes."""

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
from sabir.networks.matrix.html import DEPTH_MAX, is_user_id, normalise, parse, write

words = st.text(max_size=12)
user_ids = st.from_regex(r"@[a-z0-9._=/+-]{1,20}:[a-z0-9.-]{1,20}", fullmatch=True)
urls = st.one_of(
    st.sampled_from(
        ['https://example.org/?a=b&c="d"', "javascript:alert(1)", "mailto:a@b.c"]
    ),
    st.text(max_size=10).map(lambda tail: "https://" + tail),
    st.text(max_size=10),
)
leaf = st.one_of(
    words.map(Text), words.map(Code), st.builds(Mention, words, user_ids | words)
)


def _wrap(children: st.SearchStrategy[Inline]) -> st.SearchStrategy[Inline]:
    some = st.lists(children, max_size=4).map(tuple)
    return st.one_of(
        some.map(Strong),
        some.map(Emphasis),
        some.map(Strike),
        some.map(Underline),
        st.builds(Spoiler, some, words),
        st.builds(Link, some, urls),
    )


inlines = st.lists(st.recursive(leaf, _wrap, max_leaves=6), max_size=5).map(tuple)
flat = st.one_of(
    inlines.map(Paragraph),
    st.builds(CodeBlock, words, words),
    st.builds(Heading, st.integers(0, 9), inlines),
    st.builds(
        Table,
        st.lists(inlines, max_size=3).map(tuple),
        st.lists(st.lists(inlines, max_size=3).map(tuple), max_size=3).map(tuple),
    ),
    st.just(Rule()),
)


def _nest(blocks: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    some = st.lists(blocks, max_size=3).map(tuple)
    items = st.lists(some, max_size=3).map(tuple)
    return st.one_of(
        some.map(Quote), st.builds(ListBlock, items, st.booleans(), st.integers(-2, 99))
    )


texts = st.lists(st.recursive(flat, _nest, max_leaves=5), max_size=4).map(
    lambda blocks: Rich(tuple(blocks))
)


@given(texts)
def test_what_is_written_is_read_back_in_normal_form(rich: Rich) -> None:
    assert parse(write(rich)) == normalise(rich)


@given(texts)
def test_the_normal_form_is_stable(rich: Rich) -> None:
    assert normalise(normalise(rich)) == normalise(rich)


MARKUP = """
<p> </p> <b> </b> <ul> <ol> <li> </li> </ul> <pre> <code> </code> <td> <tr>
<table> </table> <blockquote> <span data-mx-spoiler> </span> <br> <hr> <a> <a
href=https://x> </a> <h1> </h1> text &amp; &#0; &lt; < <!-- --> <mx-reply> </mx-
reply> <script> </script> <img alt=smile> <details> <th>
"""


@given(st.lists(st.sampled_from(MARKUP.split()) | st.text(max_size=5)).map("".join))
def test_any_markup_is_read_without_complaint_and_to_a_normal_form(html: str) -> None:
    rich = parse(html)
    assert parse(write(rich)) == rich


def para(*children: Inline) -> Rich:
    return Rich((Paragraph(children),))


@pytest.mark.parametrize(
    ("html", "rich"),
    [
        ("a <strong>b</strong> c", para(Text("a "), Strong((Text("b"),)), Text(" c"))),
        ("<b>b</b><i>i</i>", para(Strong((Text("b"),)), Emphasis((Text("i"),)))),
        (
            "<s>x</s><strike>y</strike>",
            para(Strike((Text("x"),)), Strike((Text("y"),))),
        ),
        ("a<br>b<br/>\nc", para(Text("a\nb\nc"))),
        (
            "<p>a</p>\n<p>b</p>\n",
            Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),)))),
        ),
        ("<div>a</div>b", Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),))))),
        ("a\n  b", para(Text("a b"))),
        ("a\n<b>b</b>", para(Text("a "), Strong((Text("b"),)))),
        ("<font color='red'>x</font><blink>y</blink>", para(Text("xy"))),
        ("<script>alert(1)</script>ok", para(Text("ok"))),
        ("<img src='mxc://a/b' alt='🙂'>", para(Text("🙂"))),
        (
            '<a href="https://matrix.to/#/@ada:example.org">Ada</a>: hi',
            para(Mention("Ada", "@ada:example.org"), Text(": hi")),
        ),
        (
            '<a href="https://matrix.to/#/%40ada%3Aexample.org">Ada</a>',
            para(Mention("Ada", "@ada:example.org")),
        ),
        (
            '<a href="matrix:u/ada:example.org">Ada</a>',
            para(Mention("Ada", "@ada:example.org")),
        ),
        (
            '<a href="https://matrix.to/#/#room:example.org">room</a>',
            para(Link((Text("room"),), "https://matrix.to/#/#room:example.org")),
        ),
        ('<a href="javascript:x">t</a>', para(Text("t"))),
        (
            "<span data-mx-spoiler='film'>dies</span>",
            para(Spoiler((Text("dies"),), "film")),
        ),
        ("<span data-mx-color='#f00'>x</span>", para(Text("x"))),
        (
            '<pre><code class="language-py">a = 1\n\nb\n</code></pre>',
            Rich((CodeBlock("a = 1\n\nb", "py"),)),
        ),
        ("<pre>\na\n b</pre>", Rich((CodeBlock("a\n b"),))),
        ("<code class='language-x'>a</code>", para(Code("a"))),
        (
            "<ol start='3'>\n<li>a\n<ul><li>b</li></ul></li>\n<li>c</ol>",
            Rich(
                (
                    ListBlock(
                        (
                            (
                                Paragraph((Text("a"),)),
                                ListBlock(((Paragraph((Text("b"),)),),)),
                            ),
                            (Paragraph((Text("c"),)),),
                        ),
                        ordered=True,
                        start=3,
                    ),
                )
            ),
        ),
        (
            "<ul>loose<li>a</ul>",
            Rich(
                (
                    ListBlock(
                        ((Paragraph((Text("loose"),)),), (Paragraph((Text("a"),)),))
                    ),
                )
            ),
        ),
        (
            "<table><tr><th>a<th>b</tr><tr><td>1<td><p>2</p><p>3</p></table>",
            Rich(
                (
                    Table(
                        ((Text("a"),), (Text("b"),)),
                        (((Text("1"),), (Text("2\n3"),)),),
                    ),
                )
            ),
        ),
        ("<h2>t</h2><hr>", Rich((Heading(2, (Text("t"),)), Rule()))),
        ("<b><p>x</p><p>y</p></b>", para(Strong((Text("x\ny"),)))),
        (
            "<b><ul><li>x</li><li>y</li></ul><blockquote>q</blockquote><hr></b>",
            para(Strong((Text("x\ny\nq"),))),
        ),
        (
            "<blockquote><p>a</p></blockquote>b",
            Rich((Quote((Paragraph((Text("a"),)),)), Paragraph((Text("b"),)))),
        ),
        ("<b>open", para(Strong((Text("open"),)))),
        ("</b>x", para(Text("x"))),
        ("x\x00\ud800", para(Text("x\ufffd"))),
        ("<b/>x", para(Text("x"))),
        ("<li>stray", para(Text("stray"))),
        ("<td>stray", para(Text("stray"))),
        ("<tr><td>a<td>b", Rich((Paragraph((Text("a"),)), Paragraph((Text("b"),))))),
    ],
)
def test_what_clients_send_is_understood(html: str, rich: Rich) -> None:
    assert parse(html) == rich


def test_the_quoted_original_goes_only_when_asked() -> None:
    html = "<mx-reply><blockquote>old</blockquote></mx-reply>new"
    assert parse(html, drop_reply=True) == para(Text("new"))
    assert parse(html) == Rich(
        (Quote((Paragraph((Text("old"),)),)), Paragraph((Text("new"),)))
    )


def _depth(html: str) -> int:
    depth = deepest = 0
    for part in html.split("<")[1:]:
        depth += -1 if part.startswith("/") else 1
        deepest = max(deepest, depth)
    return deepest


def test_nesting_beyond_the_limit_is_flattened_and_the_text_is_kept() -> None:
    html = "<b>" * 500 + "deep" + "</b>" * 500 + "after"
    written = write(parse(html))
    assert "deep" in written
    assert written.endswith("after")
    assert _depth(written) <= DEPTH_MAX
    quotes = write(parse("<blockquote>" * 500 + "deep"))
    assert "deep" in quotes
    assert _depth(quotes) <= DEPTH_MAX
    lists = write(parse("<ul><li>" * 500 + "deep"))
    assert "deep" in lists
    assert _depth(lists) <= DEPTH_MAX


def test_a_single_paragraph_has_no_tag_of_its_own() -> None:
    assert write(Rich.plain("a\nb")) == "a<br>b"


def test_markup_in_text_stays_text() -> None:
    assert write(Rich.plain("<b>&")) == "&lt;b&gt;&amp;"


def test_user_ids_are_told_from_other_uris() -> None:
    assert is_user_id("@ada:example.org")
    assert not is_user_id("xmpp:ada@example.org")
    assert not is_user_id("@ada")
    assert not is_user_id("@" + "a" * 250 + ":example.org")
