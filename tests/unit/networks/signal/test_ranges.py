from hypothesis import given
from hypothesis import strategies as st

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
    Rich,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)
from sabir.networks.signal.ranges import read, write
from sabir.networks.signal.text import units
from tests.unit.networks.signal.events import CAROL, NAMES

WORDS = st.text(st.sampled_from("ab 😀é\u0301"), min_size=1, max_size=6)
LEAVES = st.builds(Text, WORDS) | st.just(Mention("Carol", CAROL))


def marked(inner: st.SearchStrategy[Inline]) -> st.SearchStrategy[Inline]:
    runs = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Strong, runs),
        st.builds(Emphasis, runs),
        st.builds(Strike, runs),
        st.builds(Spoiler, runs),
    )


INLINES = st.recursive(LEAVES, marked, max_leaves=6)
TEXTS = st.lists(INLINES, min_size=1, max_size=4).map(
    lambda run: Rich((Paragraph(tuple(run)),))
)


def there_and_back(text: Rich) -> Rich:
    written = write(text)
    styles, mentions = [], []
    for each in written.styles:
        start, length, style = each.split(":")
        styles.append({"start": int(start), "length": int(length), "style": style})
    for each in written.mentions:
        start, length, person = each.split(":", 2)
        mentions.append({"start": int(start), "length": int(length), "uuid": person})
    return read(
        written.text, styles, mentions, {str(who): name for who, name in NAMES.items()}
    )


def leaves(rich: Rich) -> list[tuple[str, frozenset[type]]]:
    """Return every character with its marks, which say what a person sees."""
    found: list[tuple[str, frozenset[type]]] = []

    def walk(inlines: tuple[Inline, ...], marks: frozenset[type]) -> None:
        for each in inlines:
            match each:
                case Text(text=text):
                    found.extend((char, marks) for char in text)
                case Code(text=text):
                    found.extend((char, marks | {Code}) for char in text)
                case Mention(uri=uri):
                    found.append((uri, marks))
                case _:
                    walk(each.children, marks | {type(each)})

    for block in rich.blocks:
        if isinstance(block, Paragraph):
            walk(block.children, frozenset())
    return found


@given(TEXTS)
def test_what_signal_can_express_comes_back_the_same(text: Rich) -> None:
    assert leaves(there_and_back(text)) == leaves(normalise(text))


@given(TEXTS)
def test_ranges_count_utf16_and_stay_inside(text: Rich) -> None:
    written = write(text)
    for each in (*written.styles, *written.mentions):
        start, length = map(int, each.split(":")[:2])
        assert 0 <= start < start + length <= units(written.text)


def test_code_is_monospace() -> None:
    text = Rich((Paragraph((Text("run "), Code("ls"))), CodeBlock("a\nb")))
    written = write(text)
    assert written.text == "run ls\na\nb"
    assert written.styles == ["4:2:MONOSPACE", "7:3:MONOSPACE"]
    assert there_and_back(text) == text


def test_what_has_no_form_is_lines_of_text() -> None:
    text = Rich(
        (
            Heading(1, (Text("Title"),)),
            ListBlock(((Paragraph((Text("one"),)),),)),
            Paragraph((Underline((Text("u"),)), Link((Text("x"),), "https://x.org"))),
            Paragraph((Spoiler((Text("s"),), "end"), Mention("Dan", "matrix:dan"))),
        )
    )
    written = write(text)
    assert written.text == "Title\n\n- one\n\nux (https://x.org)\n\n(end) s@Dan"
    assert written.styles == [f"{written.text.index('s@')}:1:SPOILER"]


def test_a_placeholder_that_a_person_typed_is_no_mention() -> None:
    written = write(Rich.plain("a\ufffcb"))
    assert (written.text, written.mentions) == ("ab", [])


JUNK = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "start": st.integers(-2, 12) | st.none(),
            "length": st.integers(-2, 12),
            "style": st.sampled_from(["BOLD", "MONOSPACE", "SPOILER", "NONE"]),
            "uuid": st.sampled_from([CAROL, "x", ""]),
        },
    )
    | st.none(),
    max_size=5,
)


@given(st.text(st.sampled_from("a\n😀\ufffc"), max_size=8), JUNK, JUNK)
def test_any_ranges_are_read(text: str, styles: object, mentions: object) -> None:
    found = read(text, styles, mentions, {})
    assert found == normalise(found)


def test_a_range_inside_of_a_surrogate_pair_takes_the_whole_character() -> None:
    found = read("a😀b", [{"start": 2, "length": 1, "style": "BOLD"}], None, {})
    assert found == Rich((Paragraph((Text("a"), Strong((Text("😀"),)), Text("b"))),))
