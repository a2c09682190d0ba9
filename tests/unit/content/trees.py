"""Strategies for formatted texts, with everything that may confuse Markdown."""

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

TRICKY = (
    "*not bold*",
    "# x",
    "1. x",
    "2) y",
    "a_b_c",
    "  lead",
    "\\",
    "\\*",
    "- x",
    "+ x",
    "> q",
    "```",
    "~~~",
    "~~x~~",
    "||x||",
    "++x++",
    "|",
    "| a | b |",
    "---",
    "===",
    "<b>",
    "</i>",
    "<!-- c -->",
    "<https://x.example>",
    "&amp;",
    "&#35;",
    "&",
    "!",
    "[a](b)",
    "[x]: y",
    "![i](j)",
    "https://x.example/a_b_c?d=1&e=2",
    "C++",
    "i++;",
    "a || b",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "a",
    "b",
    "é",
    "“q”",
    "👩‍👩‍👧‍👦",
    "שלום",
    "x\n# y",
    "x\n- y",
    "x\n===",
    "x\n1. y",
    "x\n    code",
    "\u00a0",
    "\u2028",
    "_",
    "__",
    "*",
    "**",
    "~",
    ":-",
    "x\n:-",
    "$",
    "@ada",
    "(",
    ")",
    "`",
    "``",
    "a `b` c",
    "#",
    " #",
    "0",
    "\x00",
    "\r\n",
    "\x85",
)

texts = st.lists(
    st.one_of(st.sampled_from(TRICKY), st.text(max_size=4)), max_size=4
).map("".join)
urls = st.one_of(
    st.sampled_from(
        (
            "https://x.example/a_b_(c)?d=*1*&amp;e",
            "mailto:a@x.example",
            "mimi://x.example/u/ada",
            "matrix:u/ada:x.example",
            "",
            "a b",
            "<>\\",
            "javascript:x",
            "https://x.example/é",
            "&#35;",
        )
    ),
    st.text(max_size=6),
)


def _wrap(inner: st.SearchStrategy[Inline]) -> st.SearchStrategy[Inline]:
    runs = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Strong, runs),
        st.builds(Emphasis, runs),
        st.builds(Strike, runs),
        st.builds(Underline, runs),
        st.builds(Spoiler, runs, st.one_of(st.just(""), texts)),
        st.builds(Link, runs, urls),
    )


inlines: st.SearchStrategy[Inline] = st.recursive(
    st.one_of(
        st.builds(Text, texts),
        st.builds(Code, texts),
        st.builds(Mention, texts, urls),
    ),
    _wrap,
    max_leaves=6,
)
runs = st.lists(inlines, max_size=4).map(tuple)
rows = st.lists(runs, max_size=3).map(tuple)


def _frame(inner: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    blocks = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Quote, blocks),
        st.builds(
            ListBlock,
            st.lists(blocks, max_size=3).map(tuple),
            st.booleans(),
            st.integers(-1, 12),
        ),
    )


# White space at a line's start inside code may be a tab only outside of frames
# (CommonMark expands it there), so generated code has none.
codes = texts.map(lambda text: text.replace("\t", " "))
leaves: st.SearchStrategy[Block] = st.one_of(
    st.builds(Paragraph, runs),
    st.builds(CodeBlock, codes, st.sampled_from(("", "py", "a b"))),
    st.builds(Heading, st.integers(0, 7), runs),
    st.builds(Table, rows, st.lists(rows, max_size=3).map(tuple)),
    st.just(Rule()),
)
blocks: st.SearchStrategy[Block] = st.recursive(leaves, _frame, max_leaves=6)
riches = st.lists(blocks, max_size=4).map(lambda items: Rich(tuple(items)))
