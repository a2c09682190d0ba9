"""The HTML subset of Matrix messages, from and to `Rich` (client-server API 11.3.1).

* Unknown tags are dropped, their text is kept; `script` and `style` go whole.
* Nesting deeper than `DEPTH_MAX` is flattened, never refused.
* `parse(write(rich)) == normalise(rich)`: what Matrix HTML can hold, survives.
* White space follows HTML where it contains a newline; other runs are kept.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, unquote

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
from sabir.networks.matrix.text import clean, one_line

DEPTH_MAX: Final = 100
"""Nested tags; the number the specification names."""
LIST_START_MAX: Final = 999_999_999
"""Nine digits, as in Markdown; larger numbers are nobody's list."""
MATRIX_TO: Final = "https://matrix.to/#/"
SCHEMES: Final = ("https://", "http://", "ftp://", "mailto:", "magnet:")
"""Link targets the specification allows."""

_USER_ID: Final = re.compile(r"@[!-9;-~]{1,200}:[A-Za-z0-9.\-\[\]:]{1,230}")
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_FOLD: Final = re.compile(r"[ \t]*\n[ \t\n]*")
_SPACE: Final = " \t\n"

Style = type[Strong] | type[Emphasis] | type[Strike] | type[Underline]
_STYLES: Final[dict[str, Style]] = {
    "strong": Strong,
    "b": Strong,
    "em": Emphasis,
    "i": Emphasis,
    "del": Strike,
    "s": Strike,
    "strike": Strike,
    "u": Underline,
}
_STYLE_TAGS: Final[dict[type, str]] = {
    Strong: "strong",
    Emphasis: "em",
    Strike: "del",
    Underline: "u",
}
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_TABLES: Final = ("table", "thead", "tbody", "tr", "td", "th", "caption")
_CONTAINERS: Final = ("p", "div", "blockquote", "pre", "ul", "ol", "li")
_BLOCKS: Final = frozenset((*_HEADINGS, *_TABLES, *_CONTAINERS, "details", "summary"))
_INLINES: Final = frozenset((*_STYLES, "a", "span", "code"))
_SILENT: Final = frozenset(("script", "style", "head", "title"))
_CLOSES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # A start tag closes these open ones, not looking past those (HTML 13.1.2.4).
    "li": (frozenset(("li",)), frozenset(("ul", "ol"))),
    "tr": (frozenset(("tr", "td", "th")), frozenset(("table",))),
    "td": (frozenset(("td", "th")), frozenset(("tr", "table"))),
    "th": (frozenset(("td", "th")), frozenset(("tr", "table"))),
}


def is_user_id(text: str) -> bool:
    """Tell whether `text` is a user id (Appendices 4.2.1, historical grammar)."""
    return len(text.encode()) <= 255 and _USER_ID.fullmatch(text) is not None


# ---- normal form


def normalise(rich: Rich) -> Rich:
    """Return the nearest text that Matrix HTML can hold."""
    return Rich(_blocks(rich.blocks, 0))


def _blocks(blocks: Iterable[Block], depth: int) -> tuple[Block, ...]:
    return tuple(kept for block in blocks for kept in _block(block, depth + 1))


def _block(block: Block, depth: int) -> tuple[Block, ...]:
    match block:
        case Paragraph(children):
            inlines = _inlines(children, depth)
            return () if _is_blank(inlines) else (Paragraph(inlines),)
        case Heading(level, children):
            inlines = _inlines(children, depth)
            if _is_blank(inlines):
                return ()
            return (Heading(min(max(level, 1), 6), inlines),)
        case CodeBlock(text, language):
            language = language if _LANGUAGE.fullmatch(language) else ""
            text = clean(text)
            return (CodeBlock(text, language),) if text else ()
        case Quote(children):
            inner = _blocks(children, depth)
            return inner if depth >= DEPTH_MAX else ((Quote(inner),) if inner else ())
        case ListBlock(items, ordered, start):
            cleaned = tuple(_blocks(item, depth + 1) for item in items)
            if depth + 1 >= DEPTH_MAX:
                return tuple(inner for item in cleaned for inner in item)
            start = min(max(start, 0), LIST_START_MAX) if ordered else 1
            return (ListBlock(cleaned, ordered, start),) if cleaned else ()
        case Table(header, rows):
            head = tuple(_inlines(cell, depth + 3) for cell in header)
            body = tuple(
                tuple(_inlines(cell, depth + 3) for cell in row) for row in rows if row
            )
            return (Table(head, body),) if head or body else ()
        case Rule():
            return (block,)


def _inlines(
    inlines: Iterable[Inline], depth: int, *, in_link: bool = False
) -> tuple[Inline, ...]:
    out: list[Inline] = []
    for inline in inlines:
        for kept in _inline(inline, depth + 1, in_link=in_link):
            last = out[-1] if out else None
            if isinstance(kept, Text) and isinstance(last, Text):
                out[-1] = Text(last.text + kept.text)
            else:
                out.append(kept)
    return tuple(out)


def _inline(inline: Inline, depth: int, *, in_link: bool) -> tuple[Inline, ...]:
    match inline:
        case Text(text):
            text = clean(text)
            return (Text(text),) if text else ()
        case Code(text):
            text = clean(text)
            return (Code(text),) if text else ()
        case Mention(name, uri):
            name = one_line(name) or clean(uri)
            if in_link or not is_user_id(uri):
                return (Text(name),) if name else ()
            return (Mention(name, uri),)
        case Link(children, url):
            return _link(children, clean(url), depth, in_link=in_link)
        case Spoiler(children, reason):
            inner = _inlines(children, depth, in_link=in_link)
            if not inner or depth >= DEPTH_MAX:
                return inner
            return (Spoiler(inner, one_line(reason)),)
        case Strong() | Emphasis() | Strike() | Underline():
            inner = _inlines(inline.children, depth, in_link=in_link)
            return inner if not inner or depth >= DEPTH_MAX else (type(inline)(inner),)


def _link(
    children: tuple[Inline, ...], url: str, depth: int, *, in_link: bool
) -> tuple[Inline, ...]:
    user = None if in_link else _mentioned(url)
    if user is not None:
        return (Mention(one_line(words(children)) or user, user),)
    inner = _inlines(children, depth, in_link=True)
    usable = url.lower().startswith(SCHEMES) and not in_link and depth < DEPTH_MAX
    return (Link(inner, url),) if inner and usable else inner


def _mentioned(url: str) -> str | None:
    """Return the user a matrix.to link or `matrix:u/` URI (MSC2312) is about."""
    if url.startswith(MATRIX_TO):
        user = unquote(url[len(MATRIX_TO) :].split("?", 1)[0])
    elif url.startswith("matrix:u/"):
        user = "@" + unquote(url[len("matrix:u/") :].split("?", 1)[0])
    else:
        return None
    return user if is_user_id(user) else None


def _is_blank(inlines: Sequence[Inline]) -> bool:
    return all(isinstance(i, Text) and not i.text.strip(_SPACE) for i in inlines)


def words(inlines: Iterable[Inline]) -> str:
    """Return the characters of a run of inlines, without any formatting."""
    out = []
    for inline in inlines:
        match inline:
            case Text(text) | Code(text):
                out.append(text)
            case Mention(name, _):
                out.append(name)
            case _:
                out.append(words(inline.children))
    return "".join(out)


# ---- writing


def write(rich: Rich) -> str:
    """Return the text as Matrix HTML, without newlines outside of code."""
    return _write_blocks(normalise(rich).blocks)


def _write_blocks(blocks: Sequence[Block]) -> str:
    """Write blocks; a paragraph that stands alone needs no `p` of its own."""
    if len(blocks) == 1 and isinstance(blocks[0], Paragraph):
        return _write_inlines(blocks[0].children)
    return "".join(_write_block(block) for block in blocks)


def _write_block(block: Block) -> str:
    match block:
        case Paragraph(children):
            return f"<p>{_write_inlines(children)}</p>"
        case Heading(level, children):
            return f"<h{level}>{_write_inlines(children)}</h{level}>"
        case CodeBlock(text, language):
            kind = f' class="language-{escape(language)}"' if language else ""
            return f"<pre><code{kind}>{escape(text, quote=False)}\n</code></pre>"
        case Quote(children):
            return f"<blockquote>{_write_blocks(children)}</blockquote>"
        case ListBlock(items, ordered, start):
            tag = "ol" if ordered else "ul"
            first = f' start="{start}"' if start != 1 else ""
            inner = "".join(f"<li>{_write_blocks(item)}</li>" for item in items)
            return f"<{tag}{first}>{inner}</{tag}>"
        case Table(header, rows):
            head = f"<thead>{_write_row(header, 'th')}</thead>" if header else ""
            body = "".join(_write_row(row, "td") for row in rows)
            body = f"<tbody>{body}</tbody>" if rows else ""
            return f"<table>{head}{body}</table>"
        case Rule():
            return "<hr>"


def _write_row(cells: Sequence[tuple[Inline, ...]], tag: str) -> str:
    inner = "".join(f"<{tag}>{_write_inlines(cell)}</{tag}>" for cell in cells)
    return f"<tr>{inner}</tr>"


def _write_inlines(inlines: Iterable[Inline]) -> str:
    return "".join(_write_inline(inline) for inline in inlines)


def _write_inline(inline: Inline) -> str:
    match inline:
        case Text(text):
            return escape(text, quote=False).replace("\n", "<br>")
        case Code(text):
            return f"<code>{escape(text, quote=False)}</code>"
        case Mention(name, uri):
            href = MATRIX_TO + quote(uri, safe="@:")
            return f'<a href="{escape(href)}">{escape(name, quote=False)}</a>'
        case Link(children, url):
            return f'<a href="{escape(url)}">{_write_inlines(children)}</a>'
        case Spoiler(children, reason):
            why = f'="{escape(reason)}"' if reason else ""
            return f"<span data-mx-spoiler{why}>{_write_inlines(children)}</span>"
        case Strong() | Emphasis() | Strike() | Underline():
            tag = _STYLE_TAGS[type(inline)]
            return f"<{tag}>{_write_inlines(inline.children)}</{tag}>"


# ---- parsing


@dataclass(frozen=True, slots=True)
class _Item:
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    inlines: tuple[Inline, ...]
    is_head: bool


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[_Cell, ...]


_Node = Inline | Block | _Item | _Cell | _Row
_INLINE_TYPES: Final = (
    Text,
    Strong,
    Emphasis,
    Strike,
    Underline,
    Spoiler,
    Code,
    Link,
    Mention,
)


@dataclass(slots=True)
class _Frame:
    """One open tag with what it contains so far."""

    tag: str
    value: str | None = None
    """The one attribute that matters for this tag."""
    nodes: list[_Node] = field(default_factory=list)


def parse(html: str, *, drop_reply: bool = False) -> Rich:
    """Read Matrix HTML.

    Args:
        html: a `formatted_body`.
        drop_reply: leave out `mx-reply`, the copy of the answered message; right
            only when the event has the relation as well.
    """
    parser = _Parser(drop_reply=drop_reply)
    parser.feed(clean(html))
    parser.close()
    return normalise(parser.finish())


class _Parser(HTMLParser):
    def __init__(self, *, drop_reply: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._silent = _SILENT | {"mx-reply"} if drop_reply else _SILENT
        self._stack = [_Frame("")]
        self._too_deep: list[str] = []
        self._muted: list[str] = []
        self._tail = ""  # last character of the running paragraph
        self._space_due = False  # a folded newline that waits for more words

    def finish(self) -> Rich:
        while len(self._stack) > 1:
            self._close_top()
        return Rich(_grouped(self._stack[0].nodes))

    # what the tokenizer calls

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._muted or tag in self._silent:
            if tag in self._silent:
                self._muted.append(tag)
            return
        if tag in _BLOCKS:
            self._open_block(tag, dict(attrs))
        elif tag in _INLINES:
            self._flush_space()
            self._push(_Frame(tag, _attribute(tag, dict(attrs))))
        elif tag == "br":
            self._break()
        elif tag == "hr":
            self._end_paragraph()
            self._stack[-1].nodes.append(Rule())
        elif tag == "img":
            values = dict(attrs)
            self._text(values.get("alt") or values.get("title") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in {"br", "hr", "img"}:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._muted:
            if tag == self._muted[-1]:
                self._muted.pop()
            return
        if self._too_deep and self._too_deep[-1] == tag:
            self._too_deep.pop()
            return
        if not any(frame.tag == tag for frame in self._stack[1:]):
            return
        if tag in _BLOCKS:
            self._end_paragraph()
        while True:
            closed = self._stack[-1].tag
            self._close_top()
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._muted:
            self._text(data)

    # building

    def _open_block(self, tag: str, attrs: dict[str, str | None]) -> None:
        self._end_paragraph()
        if tag in _CLOSES:
            closes, walls = _CLOSES[tag]
            self._close_open(closes, walls)
        elif self._stack[-1].tag == "p":
            self._close_top()
        self._push(_Frame(tag, _attribute(tag, attrs)))

    def _close_open(self, closes: frozenset[str], walls: frozenset[str]) -> None:
        """Close up to the outermost open tag of `closes` inside the nearest wall."""
        keep = len(self._stack)
        for index in range(len(self._stack) - 1, 0, -1):
            if self._stack[index].tag in walls:
                break
            if self._stack[index].tag in closes:
                keep = index
        while len(self._stack) > keep:
            self._close_top()

    def _push(self, frame: _Frame) -> None:
        if len(self._stack) > DEPTH_MAX:
            self._too_deep.append(frame.tag)
        else:
            self._stack.append(frame)

    def _text(self, data: str) -> None:
        # Character references can bring back what `clean` took out of the markup.
        data = clean(data)
        if not data:
            return
        if any(frame.tag in {"code", "pre"} for frame in self._stack):
            self._stack[-1].nodes.append(Text(data))
            self._tail = data[-1]
            return
        data = _FOLD.sub("\n", data)
        if data[0] == "\n" and self._tail in {"", "\n"}:
            data = data[1:]
        if not data:
            return
        is_due, data = data[-1] == "\n", data.removesuffix("\n").replace("\n", " ")
        if data:
            self._flush_space()
            self._stack[-1].nodes.append(Text(data))
            self._tail = data[-1]
        self._space_due = is_due

    def _flush_space(self) -> None:
        if self._space_due:
            self._stack[-1].nodes.append(Text(" "))
            self._tail = " "
        self._space_due = False

    def _break(self) -> None:
        self._space_due = False
        self._stack[-1].nodes.append(Text("\n"))
        self._tail = "\n"

    def _end_paragraph(self) -> None:
        self._space_due = False
        self._tail = ""

    def _close_top(self) -> None:
        frame = self._stack.pop()
        if frame.tag == "code" and self._stack[-1].tag != "pre":
            frame.value = None  # a language makes sense for a block only
        self._stack[-1].nodes.extend(_built(frame))


def _attribute(tag: str, attrs: dict[str, str | None]) -> str | None:
    """Return the attribute of a tag that has a meaning here."""
    if tag == "a":
        return clean(attrs.get("href") or "")
    if tag == "span" and "data-mx-spoiler" in attrs:
        return attrs["data-mx-spoiler"] or ""
    if tag == "ol":
        return attrs.get("start")
    if tag == "code":
        names = (attrs.get("class") or "").split()
        languages = [n[9:] for n in names if n.startswith("language-")]
        return languages[0] if languages else None
    return None


def _built(frame: _Frame) -> list[_Node]:
    """Turn a closed tag into nodes of its parent."""
    nodes = frame.nodes
    match frame.tag:
        case "li":
            return [_Item(_grouped(nodes))]
        case "ul" | "ol":
            return [_list(frame)]
        case "td" | "th":
            return [_Cell(_flattened(nodes), frame.tag == "th")]
        case "tr":
            return [_Row(tuple(node for node in nodes if isinstance(node, _Cell)))]
        case "thead" | "tbody":
            return nodes
        case "table":
            return _table(nodes)
        case "blockquote":
            return [Quote(_grouped(nodes))]
        case "pre":
            return [_code_block(nodes)]
        case "code":
            text = words(_flattened(nodes))
            # Inside `pre` the language travels in a CodeBlock until `pre` closes.
            return [CodeBlock(text, frame.value)] if frame.value else [Code(text)]
        case heading if heading in _HEADINGS:
            return [Heading(int(frame.tag[1]), _flattened(nodes))]
        case "a":
            return [Link(_flattened(nodes), frame.value or "")]
        case "span" if frame.value is not None:
            return [Spoiler(_flattened(nodes), frame.value)]
        case style if style in _STYLES:
            return [_STYLES[style](_flattened(nodes))]
        case "span":
            return nodes
        case _:
            return list(_grouped(nodes))


def _list(frame: _Frame) -> ListBlock:
    items = []
    for node in frame.nodes:
        if isinstance(node, _Item):
            items.append(node.blocks)
        elif not (isinstance(node, Text) and not node.text.strip(_SPACE)):
            items.append(_grouped([node]))
    start = frame.value or "1"
    number = int(start[:9]) if start.isascii() and start.isdigit() else 1
    return ListBlock(tuple(items), frame.tag == "ol", number)


def _table(nodes: Sequence[_Node]) -> list[_Node]:
    """Build a table; what stands in it outside of cells is kept in front of it."""
    rows = [node for node in nodes if isinstance(node, _Row) and node.cells]
    head: tuple[tuple[Inline, ...], ...] = ()
    if rows and all(cell.is_head for cell in rows[0].cells):
        head = tuple(cell.inlines for cell in rows.pop(0).cells)
    body = tuple(tuple(cell.inlines for cell in row.cells) for row in rows)
    stray = [node for node in nodes if not isinstance(node, _Row)]
    return [*_grouped(stray), Table(head, body)]


def _code_block(nodes: Sequence[_Node]) -> CodeBlock:
    language = next((n.language for n in nodes if isinstance(n, CodeBlock)), "")
    text = words(_flattened(nodes, joint="")).removesuffix("\n")
    if nodes and isinstance(nodes[0], Text):
        text = text.removeprefix("\n")  # HTML 13.1.2.5: the newline after <pre>
    return CodeBlock(text, language)


def _grouped(nodes: Iterable[_Node]) -> tuple[Block, ...]:
    """Return nodes as blocks; each run of inlines becomes one paragraph."""
    out: list[Block] = []
    run: list[Inline] = []
    for node in nodes:
        if isinstance(node, _INLINE_TYPES):
            run.append(node)
            continue
        if run:
            out.append(Paragraph(tuple(run)))
            run = []
        out.extend(_as_blocks(node))
    if run:
        out.append(Paragraph(tuple(run)))
    return tuple(out)


def _as_blocks(node: Block | _Item | _Cell | _Row) -> tuple[Block, ...]:
    match node:
        case _Item(blocks):
            return blocks
        case _Cell(inlines):
            return (Paragraph(inlines),)
        case _Row(cells):
            return tuple(Paragraph(cell.inlines) for cell in cells)
        case _:
            return (node,)


def _flattened(nodes: Iterable[_Node], *, joint: str = "\n") -> tuple[Inline, ...]:
    """Return nodes as inlines, for tags that hold no blocks."""
    out: list[Inline] = []
    for node in nodes:
        if isinstance(node, _INLINE_TYPES):
            out.append(node)
            continue
        for block in _as_blocks(node):
            inner = _block_inlines(block)
            if out and inner and joint:
                out.append(Text(joint))
            out.extend(inner)
    return tuple(out)


def _block_inlines(block: Block) -> tuple[Inline, ...]:
    match block:
        case Paragraph(children) | Heading(_, children):
            return children
        case CodeBlock(text):
            return (Code(text),)
        case Quote(children):
            return _flattened(children)
        case ListBlock(items):
            return _flattened([inner for item in items for inner in item])
        case Table(header, rows):
            cells = [cell for row in (header, *rows) for cell in row]
            return _flattened([Paragraph(cell) for cell in cells])
        case Rule():
            return ()
