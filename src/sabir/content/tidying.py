"""TXT-7: no control characters, no marks that turn the rest of a line around.

Names get a hull of their own, so that they cannot turn the text beside them.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.measuring import clusters
from sabir.content.normal import clean, normalise
from sabir.content.plain import to_plain
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Heading,
    Inline,
    ListBlock,
    Mention,
    Paragraph,
    Quote,
    Rich,
    Rule,
    Table,
    Text,
)

NAME_CLUSTERS_MAX: Final = 80
"""A longer name in front of a text hides the text (our choice)."""

TROUBLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_OPENERS: Final = {
    "\u202a": "\u202c",
    "\u202b": "\u202c",
    "\u202d": "\u202c",
    "\u202e": "\u202c",
    "\u2066": "\u2069",
    "\u2067": "\u2069",
    "\u2068": "\u2069",
}
_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))
_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def tidy(text: Rich) -> tuple[Rich, list[LossItem]]:
    """Return `text` in normal form and without what TXT-7 forbids."""
    plain = to_plain(text)
    if text.is_plain and TROUBLE.search(plain) is None:
        return (text if len(text.blocks) == 1 else Rich.plain(plain)), []
    cleaned = normalise(text)
    changed = _has_controls(plain)
    if not _balanced(plain):
        cleaned = normalise(_without_marks(cleaned))
        changed = True
    if text.is_plain:
        cleaned = Rich.plain(to_plain(cleaned))
    item = LossItem(
        rule="TXT-7",
        level=Level.FORM,
        back=WayBack.STORE,
        why=Why.NOT_ALLOWED_HERE,
        before="control characters",
    )
    return cleaned, [item] if changed else []


def tidy_name(name: str) -> str:
    """Return a person's name on one line, isolated if it is not left-to-right."""
    one_line = " ".join(_BIDI.sub("", clean(name)).split())
    short = clusters(one_line, NAME_CLUSTERS_MAX)
    if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in short):
        return f"{_ISOLATE}{short}{_POP_ISOLATE}"
    return short


def _has_controls(plain: str) -> bool:
    return clean(plain) != plain.replace("\r\n", "\n").replace("\r", "\n")


def _balanced(text: str) -> bool:
    """Tell whether every mark is closed on its own line."""
    for line in text.split("\n"):
        expected: list[str] = []
        for mark in _BIDI.findall(line):
            if mark in _OPENERS:
                expected.append(_OPENERS[mark])
            elif not expected or expected.pop() != mark:
                return False
        if expected:
            return False
    return True


def _without_marks(text: Rich) -> Rich:
    return Rich(tuple(_mapped(block, _strip) for block in text.blocks))


def _strip(text: str) -> str:
    return _BIDI.sub("", text)


def _mapped(block: Block, change: Callable[[str], str]) -> Block:
    match block:
        case Paragraph(children=children) | Heading(children=children):
            return replace(block, children=_mapped_run(children, change))
        case CodeBlock(text=text):
            return replace(block, text=change(text))
        case Quote(children=inner):
            return Quote(tuple(_mapped(each, change) for each in inner))
        case ListBlock(items=items):
            return replace(
                block,
                items=tuple(
                    tuple(_mapped(each, change) for each in item) for item in items
                ),
            )
        case Table(header=header, rows=rows):
            return Table(
                tuple(_mapped_run(cell, change) for cell in header),
                tuple(tuple(_mapped_run(cell, change) for cell in row) for row in rows),
            )
        case Rule():
            return block


def _mapped_run(
    children: tuple[Inline, ...], change: Callable[[str], str]
) -> tuple[Inline, ...]:
    return tuple(_mapped_inline(child, change) for child in children)


def _mapped_inline(child: Inline, change: Callable[[str], str]) -> Inline:
    match child:
        case Text(text=text):
            return Text(change(text))
        case Code(text=text):
            return Code(change(text))
        case Mention(name=name, uri=uri):
            return Mention(change(name), uri)
        case _:
            return replace(child, children=_mapped_run(child.children, change))
