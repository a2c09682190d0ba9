"""Mentions between chats: a native id here is a room URI in the log (MEN-1, MEN-4).

A person who is really on this network is `network:native id`. A ghost of ours
stands for somebody else: whom, the messages it sent tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sabir.agent.naming import author_uri
from sabir.agent.portals import Portal
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
from sabir.storage.ports import Refs


class PortalMentions:
    """Mentions in the chat of one portal."""

    def __init__(self, portal: Portal, network: str, refs: Refs) -> None:
        self._portal = portal
        self._network = network
        self._refs = refs

    async def to_room(self, text: Rich) -> Rich:
        """Replace native ids by room URIs."""
        uris = {}
        for mention in mentions_of(text):
            ghost_of = await self._refs.author_of_native(self._portal.id, mention.uri)
            uris[mention.uri] = ghost_of or author_uri(self._network, mention.uri)
        return renamed(text, uris) if uris else text

    async def to_native(self, text: Rich) -> Mapping[str, str]:
        """Return the native id of everybody mentioned who has one here."""
        natives = {}
        for mention in mentions_of(text):
            native = await self._refs.native_of_author(
                self._portal.id, self._portal.room, mention.uri
            )
            if native is None:
                network, _, person = mention.uri.partition(":")
                native = person if network == self._network else None
            if native is not None:
                natives[mention.uri] = native
        return natives


def mentions_of(text: Rich) -> Sequence[Mention]:
    """Return the mentions in a text, in reading order."""
    if text.is_plain:
        return ()
    return [each for each in _inlines(text.blocks) if isinstance(each, Mention)]


def _inlines(blocks: Sequence[Block]) -> Iterator[Inline]:
    for block in blocks:
        match block:
            case Paragraph(children=children) | Heading(children=children):
                yield from _deep(children)
            case Quote(children=inner):
                yield from _inlines(inner)
            case ListBlock(items=items):
                for item in items:
                    yield from _inlines(item)
            case Table(header=header, rows=rows):
                for row in (header, *rows):
                    for cell in row:
                        yield from _deep(cell)
            case CodeBlock() | Rule():
                continue


def _deep(inlines: Sequence[Inline]) -> Iterator[Inline]:
    for inline in inlines:
        yield inline
        if not isinstance(inline, Text | Code | Mention):
            yield from _deep(inline.children)


def renamed(text: Rich, uris: Mapping[str, str]) -> Rich:
    """Return the text with the URIs of its mentions replaced."""
    return Rich(tuple(_block(block, uris) for block in text.blocks))


def _block(block: Block, uris: Mapping[str, str]) -> Block:
    match block:
        case Paragraph() | Heading():
            return replace(block, children=_run(block.children, uris))
        case Quote(children=inner):
            return Quote(tuple(_block(each, uris) for each in inner))
        case ListBlock(items=items):
            renamed_items = tuple(
                tuple(_block(each, uris) for each in item) for item in items
            )
            return replace(block, items=renamed_items)
        case Table(header=header, rows=rows):
            return Table(
                tuple(_run(cell, uris) for cell in header),
                tuple(tuple(_run(cell, uris) for cell in row) for row in rows),
            )
        case CodeBlock() | Rule():
            return block


def _run(inlines: Sequence[Inline], uris: Mapping[str, str]) -> tuple[Inline, ...]:
    return tuple(_inline(each, uris) for each in inlines)


def _inline(inline: Inline, uris: Mapping[str, str]) -> Inline:
    if isinstance(inline, Mention):
        return replace(inline, uri=uris.get(inline.uri, inline.uri))
    if isinstance(inline, Text | Code):
        return inline
    return replace(inline, children=_run(inline.children, uris))
