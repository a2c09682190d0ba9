"""Formatted text as a tree: the one form between every network's own dialect.

Networks translate their dialect (Matrix HTML, XMPP styling, ranges) from and to
this tree in their own `decode` and `render`; `gfm` translates it from and to
GFM-MIMI, the form kept in the room. A tree holds text exactly as a person would
read it: no escapes, no markers.
"""

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True, slots=True)
class Text:
    """Literal characters; may contain newlines (soft or hard breaks alike)."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Bold."""

    children: tuple["Inline", ...]


@dataclass(frozen=True, slots=True)
class Emphasis:
    """Italic."""

    children: tuple["Inline", ...]


@dataclass(frozen=True, slots=True)
class Strike:
    """Struck through: it changes the meaning, so it is never silently lost."""

    children: tuple["Inline", ...]


@dataclass(frozen=True, slots=True)
class Underline:
    """Underlined."""

    children: tuple["Inline", ...]


@dataclass(frozen=True, slots=True)
class Spoiler:
    """Hidden until asked for."""

    children: tuple["Inline", ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Inline code, verbatim."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose text may differ from its target."""

    children: tuple["Inline", ...]
    url: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A person, named; `uri` is a native id in a connector, a room URI in the log."""

    name: str
    uri: str


Inline = Union[Text, Strong, Emphasis, Strike, Underline, Spoiler, Code, Link, Mention]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A run of inlines."""

    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Preformatted text, without the final newline."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Somebody's words."""

    children: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class ListBlock:
    """A bullet or numbered list; every item is a sequence of blocks."""

    items: tuple[tuple["Block", ...], ...]
    ordered: bool = False
    start: int = 1


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, level 1 to 6."""

    level: int
    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Header cells and rows of cells; every cell is a run of inlines."""

    header: tuple[tuple[Inline, ...], ...]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal line."""


Block = Union[Paragraph, CodeBlock, Quote, ListBlock, Heading, Table, Rule]


@dataclass(frozen=True, slots=True)
class Rich:
    """A whole text. `Rich.plain("...")` makes one without any formatting."""

    blocks: tuple[Block, ...]

    @classmethod
    def plain(cls, text: str) -> "Rich":
        """Return unformatted text (one paragraph, newlines kept)."""
        return cls((Paragraph((Text(text),)),)) if text else cls(())

    @property
    def is_plain(self) -> bool:
        """Tell whether there is no formatting at all."""
        return all(
            isinstance(block, Paragraph)
            and all(isinstance(inline, Text) for inline in block.children)
            for block in self.blocks
        )
