"""HTML of others, read for its words: paragraphs, inline marks, links, mentions.

Only what a message usually holds. Everything else is its text; scripts and styles
are nothing. This is not a network's dialect: those have their own `decode`.
"""

import re
from html.parser import HTMLParser
from typing import Final

from sabir.content.normal import normalise
from sabir.content.rich import (
    Block,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Link,
    Paragraph,
    Rich,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)

_MARKS: Final[dict[str, type[Strong | Emphasis | Strike | Underline | Spoiler]]] = {
    "b": Strong,
    "strong": Strong,
    "i": Emphasis,
    "em": Emphasis,
    "s": Strike,
    "del": Strike,
    "strike": Strike,
    "u": Underline,
}
_INLINE: Final = frozenset({*_MARKS, "a", "code"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_SILENT: Final = frozenset({"script", "style", "head", "title", "template"})
_FLOWING: Final = frozenset({"span", "font", "small", "big", "sub", "sup", "img", "br"})
"""Tags inside a paragraph that leave no mark; any other tag ends the paragraph."""
_VOID: Final = frozenset({"br", "img", "hr", "input", "link", "meta", "wbr"})
_SPACES: Final = re.compile("[ \t\n\r\f]+")
OPEN_MAX: Final = 32
"""Marks open at once; deeper ones leave no mark (there are nine kinds)."""


def read_html(text: str) -> Rich:
    """Return the words of an HTML text, in normal form."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return normalise(Rich(tuple(reader.finish())))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[Block] = []
        self._open: list[tuple[str, str, list[Inline]]] = [("", "", [])]
        self._heading = 0
        self._silent = 0
        self._pre: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._add(Text("\n"))
        elif tag == "img":
            self._add(Text(dict(attrs).get("alt") or ""))
        elif tag in _INLINE and self._pre is None:
            if len(self._open) < OPEN_MAX:
                self._open.append((tag, dict(attrs).get("href") or "", []))
        elif tag not in _FLOWING:
            self._end_block()
            self._heading = _HEADINGS.get(tag, 0)
            if tag == "pre":
                self._pre = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in _INLINE:
            if any(name == tag for name, _, _ in self._open):
                while self._close() != tag:
                    pass
        elif tag not in _FLOWING and tag not in _VOID:
            self._end_block()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._pre is not None:
            self._pre.append(data)
        else:
            self._add(Text(_SPACES.sub(" ", data)))

    def finish(self) -> list[Block]:
        """Return all blocks."""
        self._end_block()
        return self._blocks

    def _add(self, inline: Inline) -> None:
        if self._pre is not None and isinstance(inline, Text):
            self._pre.append(inline.text)
        else:
            self._open[-1][2].append(inline)

    def _close(self) -> str:
        tag, href, inner = self._open.pop()
        children = tuple(inner)
        run = self._open[-1][2]
        if tag == "a":
            run.append(Link(children, href))
        elif tag == "code":
            run.append(Code("".join(c.text for c in children if isinstance(c, Text))))
        else:
            run.append(_MARKS[tag](children))
        return tag

    def _end_block(self) -> None:
        while len(self._open) > 1:
            self._close()
        children = _trimmed(self._open[0][2])
        self._open[0] = ("", "", [])
        if self._pre is not None:
            self._blocks.append(CodeBlock("".join(self._pre).strip("\n")))
            self._pre = None
        elif children:
            self._blocks.append(
                Heading(self._heading, children)
                if self._heading
                else Paragraph(children)
            )
        self._heading = 0


def _trimmed(children: list[Inline]) -> tuple[Inline, ...]:
    trimmed = list(children)
    if trimmed and isinstance(trimmed[0], Text):
        trimmed[0] = Text(trimmed[0].text.lstrip())
    if trimmed and isinstance(trimmed[-1], Text):
        trimmed[-1] = Text(trimmed[-1].text.rstrip())
    return tuple(child for child in trimmed if child != Text(""))
