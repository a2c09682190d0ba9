"""An author edits on a network that shows less: what did not change keeps its form.

The edit comes back as plain text. Blocks whose plain form is unchanged stay as they
were; in the others, words that are still there keep their marks (longest common
subsequence, by words). Everything else is plain (CONVERSION.md section 3).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Final

from sabir.content.normal import normalise
from sabir.content.plain import to_plain
from sabir.content.rich import (
    Block,
    Code,
    Heading,
    Inline,
    Mention,
    Paragraph,
    Rich,
    Text,
)

WORDS_MAX: Final = 2_000
"""Longer texts are compared by blocks only: the comparison is quadratic."""

_WORD: Final = re.compile(r"\s+|[^\W_]+|[\W_]")
_GAP: Final = re.compile(r"\n{2,}")


def restore(previous: Rich, edited_plain: Rich) -> Rich:
    """Return the edited text with the formatting of what is unchanged.

    Args:
        previous: the version before, as it is in the room.
        edited_plain: what came back.
    """
    if previous.is_plain or not edited_plain.is_plain:
        return edited_plain
    before = normalise(previous).blocks
    old = [to_plain(Rich((block,))) for block in before]
    new = _blocks_of(to_plain(edited_plain), old)
    blocks: list[Block] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            blocks += before[start:end]
        else:
            blocks += _changed(before[start:end], new[new_start:new_end])
    return normalise(Rich(tuple(blocks)))


def _blocks_of(text: str, old: Sequence[str]) -> list[str]:
    """Split at empty lines, but keep what was one block with empty lines in it."""
    parts = _GAP.split(text)
    joined: list[str] = []
    known = {block for block in old if _GAP.search(block)}
    index = 0
    while index < len(parts):
        for end in range(len(parts), index + 1, -1):
            whole = "\n\n".join(parts[index:end])
            if whole in known:
                joined.append(whole)
                index = end
                break
        else:
            joined.append(parts[index])
            index += 1
    return joined


def _changed(before: Sequence[Block], texts: Sequence[str]) -> Iterator[Block]:
    for index, text in enumerate(texts):
        match before[index] if index < len(before) else None:
            case (Paragraph() | Heading()) as block:
                yield replace(block, children=_words(block.children, text))
            case _:
                yield Paragraph((Text(text),))


def _words(children: Sequence[Inline], text: str) -> tuple[Inline, ...]:
    old = list(_pieces(children))
    # A mention and inline code are kept or lost as a whole.
    whole = sorted((w for w, i in old if not isinstance(_leaf(i), Text)), key=len)
    word = "|".join([*map(re.escape, reversed(whole)), _WORD.pattern])
    new = re.findall(word, text)
    if max(len(old), len(new)) > WORDS_MAX:
        return (Text(text),)
    words = [word for word, _ in old]
    matcher = SequenceMatcher(None, words, new, autojunk=False)
    run: list[Inline] = []
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            run += _bare_edges(old[start:end])
        else:
            run.append(Text("".join(new[new_start:new_end])))
    return tuple(run)


def _bare_edges(words: Sequence[tuple[str, Inline]]) -> list[Inline]:
    """Return unchanged words; white space at their edges keeps no marks."""
    run = [inline for _, inline in words]
    for edge in {0, len(words) - 1}:
        if words[edge][0].isspace():
            run[edge] = Text(words[edge][0])
    return run


def _pieces(children: Sequence[Inline]) -> Iterator[tuple[str, Inline]]:
    """Yield each word with its marks around it."""
    for child in children:
        match child:
            case Text(text=text):
                for word in _WORD.findall(text):
                    yield word, Text(word)
            case Code(text=text):
                yield text, child
            case Mention(name=name):
                yield f"@{name}", child
            case _:
                for word, inner in _pieces(child.children):
                    yield word, replace(child, children=(inner,))


def _leaf(inline: Inline) -> Inline:
    match inline:
        case Text() | Code() | Mention():
            return inline
        case _:
            return _leaf(inline.children[0])
