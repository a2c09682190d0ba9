"""Long texts in parts: nothing lost, nothing cut that belongs together."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.content import gfm
from sabir.content.capabilities import TextUnit
from sabir.content.cutting import cut, linear, prefixed
from sabir.content.measuring import measure
from sabir.content.normal import normalise
from sabir.content.plain import to_plain
from sabir.content.rich import (
    CodeBlock,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Strong,
    Table,
    Text,
)
from sabir.content.splitting import fits, split
from tests.unit.content.trees import riches

FAMILY = "👩‍👩‍👧‍👦"
COUNTER = regex.compile(r"^\([0-9]+/[0-9]+\)\s?")


def parts(
    text: Rich, limit: int, unit: TextUnit = TextUnit.UTF16, most: int = 99
) -> list[str]:
    found = split(text, limit=limit, unit=unit, parts_max=most)
    assert found is not None
    return [to_plain(part) for part in found]


def plain_parts(text: str, limit: int) -> list[str]:
    return [COUNTER.sub("", part) for part in parts(Rich.plain(text), limit)]


def test_a_paragraph_end_beyond_half_is_preferred() -> None:
    text = "One. Two. Three.\n\nFour. Five. Six seven."
    assert plain_parts(text, 32) == ["One. Two. Three.", "Four. Five. Six seven."]


def test_a_paragraph_end_before_half_is_not_taken() -> None:
    text = "One.\n\nTwo three. Four five six seven eight"
    assert plain_parts(text, 36)[0] == "One.\n\nTwo three."


def test_else_a_sentence_end_else_a_word_end() -> None:
    assert plain_parts("Aa bb cc dd. Ee ff gg hh ii jj", 26)[0] == "Aa bb cc dd."
    assert plain_parts("aa bb cc dd ee ff gg", 14)[0] == "aa bb cc"


def test_a_sentence_without_spaces_ends_too() -> None:
    assert (
        plain_parts("今日は晴れです。明日も晴れでしょうか。", 16)[0]
        == "今日は晴れです。"
    )


def test_else_between_clusters() -> None:
    assert plain_parts(FAMILY * 4, 30) == [FAMILY * 2, FAMILY * 2]
    assert all(len(p) % 2 == 0 for p in plain_parts("e\u0301" * 30, 21))


def test_a_cluster_longer_than_a_part_is_cut_after_all() -> None:
    text = "e" + "\u0301" * 50
    assert "".join(plain_parts(text, 20)) == text


def test_an_address_is_not_cut() -> None:
    address = "https://example.org/a_long_path?x=1"
    found = plain_parts(f"see the words here {address} and more words", 50)
    assert any(address in part for part in found)


def test_an_address_longer_than_a_part_is_cut_after_all() -> None:
    address = "https://example.org/" + "x" * 60
    assert "".join(plain_parts(address, 40)) == address


def test_a_mention_is_not_cut() -> None:
    text = Rich(
        (Paragraph((Text("hello to you "), Mention("Ada Lovelace", "mimi://x/u/ada"))),)
    )
    found = split(text, limit=26, unit=TextUnit.UTF16, parts_max=9)
    assert found is not None
    assert [to_plain(p) for p in found] == ["(1/2) hello to you", "(2/2) @Ada Lovelace"]
    assert "Mention" in repr(found[1])


def test_a_mention_longer_than_a_part_becomes_its_text() -> None:
    text = Rich((Paragraph((Mention("A" * 40, "mimi://x/u/a"),)),))
    assert "".join(COUNTER.sub("", p) for p in parts(text, 26)) == "@" + "A" * 40


def test_marks_are_closed_and_opened_again() -> None:
    text = gfm.read("**aaaa bbbb _cccc dddd_ eeee**")
    found = split(text, limit=22, unit=TextUnit.UTF16, parts_max=9)
    assert found is not None
    written = [gfm.write(part) for part in found]
    assert written == ["(1/2) **aaaa bbbb _cccc_**", "(2/2) **_dddd_ eeee**"]


def test_code_is_closed_and_opened_again_at_a_line() -> None:
    code = CodeBlock("  one = 1\n  two = 2\n  three = 3", "py")
    found = split(Rich((code,)), limit=30, unit=TextUnit.UTF16, parts_max=9)
    assert found is not None
    assert [part.blocks[-1] for part in found] == [
        CodeBlock("  one = 1\n  two = 2", "py"),
        CodeBlock("  three = 3", "py"),
    ]


def test_a_numbered_list_goes_on() -> None:
    items = tuple((Paragraph((Text(f"item number {n}"),)),) for n in range(4))
    text = Rich((ListBlock(items, ordered=True, start=1),))
    found = split(text, limit=46, unit=TextUnit.UTF16, parts_max=9)
    assert found is not None
    assert to_plain(found[1]).endswith("3. item number 2\n4. item number 3")


def test_a_table_keeps_its_header() -> None:
    rows = tuple(((Text(f"k{n}"),), (Text(f"value {n}"),)) for n in range(6))
    table = Table(((Text("key"),), (Text("value"),)), rows)
    found = split(Rich((table,)), limit=60, unit=TextUnit.UTF16, parts_max=9)
    assert found is not None
    tables = [b for part in found for b in part.blocks if isinstance(b, Table)]
    assert len(tables) > 1
    assert {t.header for t in tables} == {table.header}
    assert tuple(row for t in tables for row in t.rows) == rows


def test_too_many_parts_are_no_parts() -> None:
    text = Rich.plain("word " * 100)
    assert split(text, limit=30, unit=TextUnit.UTF16, parts_max=10) is None
    assert split(text, limit=5, unit=TextUnit.UTF16, parts_max=10) is None


def test_ten_parts_have_room_for_their_counter() -> None:
    found = parts(Rich.plain("abcdefgh " * 20), 26, most=10)
    assert len(found) == 10
    assert found[0].startswith("(1/10) ")
    assert max(map(len, found)) <= 26


@pytest.mark.parametrize("unit", TextUnit)
@pytest.mark.parametrize("char", ["a", "é", "😀", "e\u0301", FAMILY, "ש", '"'])
def test_a_limit_means_what_it_says(unit: TextUnit, char: str) -> None:
    text = Rich.plain(char * 40)
    exact = measure(char * 40, unit)
    assert fits(text, exact, unit)
    assert fits(text, exact + 1, unit)
    assert not fits(text, exact - 1, unit)
    found = split(text, limit=exact - 1, unit=unit, parts_max=9)
    assert found is not None
    assert all(fits(part, exact - 1, unit) for part in found)
    assert "".join(COUNTER.sub("", to_plain(p)) for p in found) == char * 40


def squeezed(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=41, max_size=300), st.sampled_from(TextUnit))
def test_parts_of_a_plain_text_are_the_text(text: str, unit: TextUnit) -> None:
    rich = normalise(Rich.plain(text))
    if fits(rich, 40, unit):
        return
    found = split(rich, limit=40, unit=unit, parts_max=99)
    if found is None:
        return
    assert all(fits(part, 40, unit) for part in found)
    joined = "".join(COUNTER.sub("", to_plain(part)) for part in found)
    assert squeezed(joined) == squeezed(to_plain(rich))


@settings(max_examples=100, deadline=None)
@given(riches, st.integers(0, 200))
def test_a_cut_loses_nothing_but_the_gap(rich: Rich, at: int) -> None:
    blocks = normalise(rich).blocks
    whole = linear(blocks)
    left, right = cut(blocks, at)
    assert squeezed(linear(left)) in squeezed(whole)
    joined = squeezed(linear(left) + linear(right))
    # A table that is cut has its header twice, all else is there once.
    if not any(isinstance(block, Table) for block in _deep(blocks)):
        assert joined == squeezed(whole)


def _deep(blocks: tuple[object, ...]) -> list[object]:
    found: list[object] = []
    for block in blocks:
        found.append(block)
        if isinstance(block, Quote):
            found += _deep(block.children)
        elif isinstance(block, ListBlock):
            for item in block.items:
                found += _deep(item)
    return found


@settings(max_examples=60, deadline=None)
@given(riches)
def test_formatted_texts_split_into_parts_that_fit(rich: Rich) -> None:
    text = normalise(rich)
    if fits(text, 60, TextUnit.UTF16):
        return
    found = split(text, limit=60, unit=TextUnit.UTF16, parts_max=99)
    if found is not None:
        assert all(fits(part, 60, TextUnit.UTF16) for part in found)


def test_a_rule_is_not_cut() -> None:
    assert cut((Rule(),), 1) == ((), (Rule(),))


def test_a_prefix_goes_in_front_of_whatever_there_is() -> None:
    bold = Paragraph((Strong((Text("x"),)),))
    assert prefixed(Rich(()), "Ada: ") == Rich.plain("Ada:")
    assert to_plain(prefixed(Rich((bold,)), "Ada: ")) == "Ada: x"
    assert to_plain(prefixed(Rich((Rule(),)), "Ada: ")) == "Ada:\n\n---"
