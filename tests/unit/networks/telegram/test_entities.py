"""Formatted text to the tree and back; every offset in UTF-16 code units."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.normal import normalise
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
    Text,
    Underline,
)
from sabir.networks.telegram.entities import ENTITIES_MAX, read, write

KINDS = [
    *("bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre"),
    *("blockquote", "expandable_blockquote", "text_link", "text_mention", "url"),
    *("custom_emoji", "mention", "hashtag", "future_kind"),
]


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


def one(*inlines: Inline) -> Rich:
    return Rich((Paragraph(inlines),))


def test_text_without_entities_is_itself() -> None:
    assert read("Ahoy!\nWho is there?", None) == (
        Rich.plain("Ahoy!\nWho is there?"),
        (),
    )


def test_offsets_count_utf16_code_units() -> None:
    text, _ = read("😀 bold 😀", [entity("bold", 3, 4)])
    assert text == one(Text("😀 "), Strong((Text("bold"),)), Text(" 😀"))
    assert write(text).entities == [entity("bold", 3, 4)]


def test_marks_nest_and_overlap() -> None:
    text, _ = read("abcdef", [entity("bold", 0, 4), entity("italic", 2, 4)])
    assert text == one(
        Strong((Text("ab"),)),
        Emphasis((Strong((Text("cd"),)), Text("ef"))),
    )
    assert write(text).entities == [entity("bold", 0, 4), entity("italic", 2, 4)]


def test_every_mark_has_its_kind() -> None:
    for kind, mark in (
        ("bold", Strong),
        ("italic", Emphasis),
        ("underline", Underline),
        ("strikethrough", Strike),
        ("spoiler", Spoiler),
    ):
        text, _ = read("word", [entity(kind, 0, 4)])
        assert text == one(mark((Text("word"),)))
        assert write(text).entities == [entity(kind, 0, 4)]


def test_code_stands_alone() -> None:
    text, _ = read("a b", [entity("code", 2, 1)])
    assert text == one(Text("a "), Code("b"))
    bold_code = one(Strong((Text("a "), Code("b"))))
    assert write(bold_code).entities == [entity("bold", 0, 2), entity("code", 2, 1)]


def test_quotes_and_code_blocks_are_blocks() -> None:
    text, _ = read(
        "before\nquoted\nx = 1\nafter",
        [
            entity("blockquote", 7, 6),
            entity("pre", 14, 5, language="python"),
            entity("bold", 7, 6),
        ],
    )
    assert text == Rich(
        (
            Paragraph((Text("before"),)),
            Quote((Paragraph((Strong((Text("quoted"),)),)),)),
            CodeBlock("x = 1", "python"),
            Paragraph((Text("after"),)),
        )
    )
    written = write(text)
    assert written.text == "before\nquoted\nx = 1\nafter"
    assert read(written.text, written.entities)[0] == text


def test_a_code_block_may_stand_in_a_quote() -> None:
    text, _ = read("a\nx\nb", [entity("blockquote", 0, 5), entity("pre", 2, 1)])
    inner = (Paragraph((Text("a"),)), CodeBlock("x"), Paragraph((Text("b"),)))
    assert text == Rich((Quote(inner),))


def test_quotes_do_not_nest_there() -> None:
    inner = Quote((Paragraph((Text("deep"),)),))
    written = write(Rich((Quote((inner,)),)))
    assert written.text == "deep"
    assert written.entities == [entity("blockquote", 0, 4)]


def test_links_and_mentions() -> None:
    someone = {"id": 7, "is_bot": False, "first_name": "Ann"}
    text, _ = read(
        "see here, @Ann",
        [
            entity("text_link", 4, 4, url="https://e.org/"),
            entity("text_mention", 10, 4, user=someone),
        ],
    )
    assert text == one(
        Text("see "),
        Link((Text("here"),), "https://e.org/"),
        Text(", "),
        Mention("Ann", "7"),
    )
    assert write(text).entities == [
        entity("text_link", 4, 4, url="https://e.org/"),
        entity("text_mention", 10, 4, user=someone),
    ]


def test_a_bare_link_is_left_to_telegram() -> None:
    bare = one(Link((Text("https://e.org"),), "https://e.org"))
    assert write(bare).entities == []


def test_a_mention_of_somebody_elsewhere_is_its_name() -> None:
    written = write(one(Mention("Ada", "matrix:@ada:e.org")))
    assert (written.text, written.entities) == ("@Ada", [])


def test_a_spoilers_reason_stands_in_front_of_it() -> None:
    written = write(one(Spoiler((Text("Rosebud"),), "film")))
    assert written.text == "(film) Rosebud"
    assert written.entities == [entity("spoiler", 7, 7)]


def test_what_has_no_form_is_written_as_lines() -> None:
    items = tuple((Paragraph((Strong((Text(each),)),)),) for each in "ab")
    written = write(Rich((ListBlock(items), Rule(), Heading(1, (Text("End"),)))))
    assert written.text == "- a\n- b\n\n---\n\nEnd"
    assert written.entities == [entity("bold", 2, 1), entity("bold", 6, 1)]


def test_more_than_a_hundred_marks_are_reported() -> None:
    inlines: list[Inline] = []
    for _ in range(ENTITIES_MAX + 1):
        inlines += [Strong((Text("b"),)), Text(" ")]
    written = write(one(*inlines))
    assert len(written.entities) == ENTITIES_MAX
    assert written.lost == ("formatting beyond the hundredth mark",)


def test_custom_emoji_are_reported() -> None:
    text, lost = read("😀", [entity("custom_emoji", 0, 2, custom_emoji_id="1")])
    assert text == Rich.plain("😀")
    assert lost == ("custom emoji, shown as ordinary ones",)


@pytest.mark.parametrize(
    "entities",
    [
        "bold",
        {},
        [None, 1, "x", []],
        [entity("bold", -1, 2), entity("bold", 0, 0), entity("bold", 9, 9)],
        [{"type": "bold"}, {"type": "bold", "offset": True, "length": True}],
        [entity("text_link", 0, 2), entity("text_link", 0, 2, url=3)],
        [entity("text_mention", 0, 2), entity("text_mention", 0, 2, user={"id": "x"})],
    ],
)
def test_entities_of_another_form_are_passed_over(entities: Any) -> None:
    assert read("text", entities) == (Rich.plain("text"), ())


def test_no_character_is_ever_split() -> None:
    text, _ = read("😀😀", [entity("bold", 1, 2)])
    assert text == one(Strong((Text("😀😀"),)))
    text, _ = read("ab", [entity("bold", 1, 500)])
    assert text == one(Text("a"), Strong((Text("b"),)))


@given(
    st.text(max_size=30),
    st.lists(
        st.builds(
            entity,
            st.sampled_from(KINDS),
            st.integers(-2, 40),
            st.integers(-2, 40),
            url=st.just("https://e.org"),
            user=st.just({"id": 7, "is_bot": False, "first_name": "A"}),
            language=st.sampled_from(["", "c", 7]),
        ),
        max_size=6,
    ),
)
def test_any_ranges_give_a_tree_in_normal_form(text: str, entities: list[Any]) -> None:
    rich, _ = read(text, entities)
    assert normalise(rich) == rich


_words = st.text("ab😀é ", min_size=1, max_size=8)
_inlines: st.SearchStrategy[Inline] = st.recursive(
    _words.map(Text) | _words.map(Code) | st.just(Mention("Ann", "7")),
    lambda inner: st.one_of(
        *(
            st.builds(mark, st.lists(inner, min_size=1, max_size=3).map(tuple))
            for mark in (Strong, Emphasis, Underline, Strike, Spoiler)
        ),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda i: Link(tuple(i), "https://e.org")
        ),
    ),
    max_leaves=6,
)
_paragraphs = st.lists(_inlines, min_size=1, max_size=4).map(
    lambda i: Paragraph(tuple(i))
)
_blocks: st.SearchStrategy[Block] = st.one_of(
    _paragraphs,
    st.builds(CodeBlock, _words, st.sampled_from(["", "python"])),
    st.lists(_paragraphs, min_size=1, max_size=2).map(lambda b: Quote(tuple(b))),
)


@given(st.lists(_blocks, min_size=1, max_size=4).map(lambda b: Rich(tuple(b))))
def test_whatever_is_written_keeps_to_telegrams_rules(rich: Rich) -> None:
    written = write(normalise(rich))
    units = written.text.encode("utf-16-le")
    assert written.size == len(units) // 2
    for found in written.entities:
        start, end = found["offset"], found["offset"] + found["length"]
        assert 0 <= start < end <= written.size
        for at in (start, end):
            assert not 0xDC <= (units[2 * at + 1] if at < written.size else 0) <= 0xDF
    alone = [e for e in written.entities if e["type"] in {"code", "pre"}]
    marks = [
        e for e in written.entities if e["type"] not in {"code", "pre", "blockquote"}
    ]
    for code in alone:
        for mark in marks:
            starts, ends = mark["offset"], mark["offset"] + mark["length"]
            assert ends <= code["offset"] or starts >= code["offset"] + code["length"]


@given(st.lists(_blocks, min_size=1, max_size=4).map(lambda b: Rich(tuple(b))))
def test_writing_what_was_read_changes_nothing_more(rich: Rich) -> None:
    first = write(normalise(rich))
    again = write(read(first.text, first.entities)[0])
    third = write(read(again.text, again.entities)[0])
    assert (third.text, third.entities) == (again.text, again.entities)
