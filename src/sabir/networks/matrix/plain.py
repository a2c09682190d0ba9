"""The `body` of a message: the same text for clients that show no HTML."""

from collections.abc import Sequence

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
from sabir.networks.matrix.html import normalise


def plain(rich: Rich) -> str:
    """Return the text with the marks people use in plain text."""
    return _blocks(normalise(rich).blocks)


def _blocks(blocks: Sequence[Block]) -> str:
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Paragraph(children) | Heading(_, children):
            return _inlines(children)
        case CodeBlock(text, language):
            return f"```{language}\n{text}\n```"
        case Quote(children):
            return "\n".join(f"> {line}" for line in _blocks(children).split("\n"))
        case ListBlock(items, ordered, start):
            return "\n".join(
                _item(item, f"{start + index}. " if ordered else "- ")
                for index, item in enumerate(items)
            )
        case Table(header, rows):
            shown = [header, *rows] if header else rows
            return "\n".join(" | ".join(_inlines(c) for c in row) for row in shown)
        case Rule():
            return "---"


def _item(blocks: Sequence[Block], mark: str) -> str:
    lines = "\n".join(_block(block) for block in blocks).split("\n")
    return mark + ("\n" + " " * len(mark)).join(lines)


def _inlines(inlines: Sequence[Inline]) -> str:
    return "".join(_inline(inline) for inline in inlines)


def _inline(inline: Inline) -> str:
    match inline:
        case Text(text):
            return text
        case Code(text):
            return f"`{text}`"
        case Mention(name, _):
            return name
        case Strong(children):
            return f"**{_inlines(children)}**"
        case Emphasis(children):
            return f"*{_inlines(children)}*"
        case Strike(children):
            return f"~~{_inlines(children)}~~"
        case Underline(children):
            return _inlines(children)
        case Spoiler(children, _):
            return f"||{_inlines(children)}||"
        case Link(children, url):
            text = _inlines(children)
            return (
                url if text in {url, url.removeprefix("mailto:")} else f"{text} ({url})"
            )
