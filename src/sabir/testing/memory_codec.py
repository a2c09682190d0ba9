"""The memory network's own dialect: JSON objects, decoded and rendered. Pure.

An event is one object: `type`, `sender` (`id`, `name`, perhaps `avatar`), `at`
(milliseconds), perhaps `aliases`, and what its type needs. Text without
formatting is `text`, formatted text is `rich`, a tree of lists:
`["strong", [...]]`; a bare string is literal text.

Rule of this dialect: MEM-001, an event has the shape above.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sabir.clock import Instant
from sabir.content import rich as r
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    NativeRef,
    Piece,
    ProfilePiece,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    NativeMedia,
    Outgoing,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionAdded,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)

Document = dict[str, Any]
"""A JSON object: of foreign origin when decoded, ours when rendered."""

DEPTH_MAX: Final = 32
"""Levels of formatting; deeper nesting is nobody's text."""

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def to_octets(document: Document) -> bytes:
    """Return the compact JSON of an event."""
    return _encoder.encode(document).encode()


# ---- decoding


def decode(event: NativeEvent) -> Incoming | None:
    """Say what an event means; None for a type that means nothing to people.

    Raises:
        PeerMisbehaved: MEM-001.
    """
    document = _document(event.payload)
    action = _ACTIONS.get(_text(document, "type"))
    if action is None:
        return None
    return Incoming(
        sender=_person(document),
        action=action(document),
        sent_at=Instant(_number(document, "at")),
        aliases=tuple(NativeId(alias) for alias in _texts(document, "aliases")),
        lost=_texts(document, "lost"),
    )


def _wrong(detail: str) -> PeerMisbehaved:
    return PeerMisbehaved("MEM-001", detail)


def _document(payload: bytes) -> Document:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        raise _wrong("not JSON") from None
    if not isinstance(document, dict):
        raise _wrong("not an object")
    return document


def _checked(value: object, name: str) -> str:
    """Return a text that can be written as UTF-8 (JSON may hold half surrogates)."""
    if not isinstance(value, str):
        raise _wrong(f"{name} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(f"{name} has half a surrogate pair") from None
    return value


def _text(document: Document, name: str) -> str:
    return _checked(document.get(name), name)


def _text_or(document: Document, name: str, default: str = "") -> str:
    return _checked(document.get(name, default), name)


def _texts(document: Document, name: str) -> tuple[str, ...]:
    values = document.get(name, [])
    if not isinstance(values, list):
        raise _wrong(f"{name} is not a list")
    return tuple(_checked(value, name) for value in values)


def _number(document: Document, name: str) -> int:
    value = document.get(name, 0)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise _wrong(f"{name} is not a number")
    return value


def _number_or_none(document: Document, name: str) -> int | None:
    return _number(document, name) if document.get(name) is not None else None


def _id_or_none(document: Document, name: str) -> NativeId | None:
    return NativeId(_text(document, name)) if name in document else None


def _person(document: Document) -> Person:
    sender = document.get("sender")
    if not isinstance(sender, dict):
        raise _wrong("no sender")
    return Person(
        id=PersonId(_text(sender, "id")),
        name=_text(sender, "name"),
        avatar=_text(sender, "avatar") if "avatar" in sender else None,
    )


def _body(document: Document) -> Rich | None:
    if "text" in document:
        return Rich.plain(_text(document, "text"))
    if "rich" in document:
        return rich_from_json(document["rich"])
    return None


def _one_media(document: object) -> NativeMedia:
    if not isinstance(document, dict):
        raise _wrong("media is not an object")
    try:
        kind = MediaKind(_text_or(document, "kind", "file"))
    except ValueError:
        raise _wrong("media of unknown kind") from None
    return NativeMedia(
        handle=_text(document, "handle"),
        content_type=_text(document, "content_type"),
        filename=_text_or(document, "filename"),
        size=_number_or_none(document, "size"),
        kind=kind,
        description=_text_or(document, "description"),
        width=_number_or_none(document, "width"),
        height=_number_or_none(document, "height"),
        duration_ms=_number_or_none(document, "duration_ms"),
    )


def _media(document: Document) -> tuple[NativeMedia, ...]:
    values = document.get("media", [])
    if not isinstance(values, list):
        raise _wrong("media is not a list")
    return tuple(_one_media(value) for value in values)


def _target(document: Document) -> NativeId:
    return NativeId(_text(document, "target"))


def _posted(document: Document) -> Posted:
    return Posted(
        text=_body(document),
        media=_media(document),
        reply_to=_id_or_none(document, "reply_to"),
        thread=_id_or_none(document, "thread"),
        emote=document.get("emote") is True,
    )


def _corrected(document: Document) -> Corrected:
    return Corrected(
        target=_target(document), text=_body(document), media=_media(document)
    )


def _retracted(document: Document) -> Retracted:
    return Retracted(
        target=_target(document), by_moderator=document.get("by_moderator") is True
    )


def _reaction_added(document: Document) -> ReactionAdded:
    return ReactionAdded(target=_target(document), emoji=_text(document, "emoji"))


def _reactions_replaced(document: Document) -> ReactionsReplaced:
    return ReactionsReplaced(target=_target(document), emoji=_texts(document, "emoji"))


def _left(document: Document) -> PersonLeft:
    return PersonLeft(
        reason=_text_or(document, "reason"), removed=document.get("removed") is True
    )


def _avatar_changed(document: Document) -> ChatAvatarChanged:
    media = _media(document)
    return ChatAvatarChanged(media=media[0] if media else None)


_ACTIONS: Final[Mapping[str, Callable[[Document], Action]]] = {
    "message": _posted,
    "edit": _corrected,
    "delete": _retracted,
    "react": _reaction_added,
    "reactions": _reactions_replaced,
    "join": lambda _document: PersonJoined(),
    "leave": _left,
    "profile": lambda document: ProfileChanged(old_name=_text_or(document, "old")),
    "name": lambda document: ChatRenamed(name=_text(document, "name")),
    "topic": lambda document: TopicChanged(topic=_text(document, "topic")),
    "avatar": _avatar_changed,
}


# ---- rendering


def sender_of(outgoing: Outgoing, user: str, *, ghosts: bool) -> dict[str, str]:
    """Return who speaks: the participant's ghost, or the account itself."""
    if not ghosts:
        return {"id": user, "name": user}
    return {"id": f"ghost:{outgoing.speaker.uri}", "name": outgoing.speaker.name}


def render(
    outgoing: Outgoing, user: str, *, ghosts: bool, handle: str = ""
) -> Document:
    """Return what to send for one piece; the server adds `at`.

    Args:
        outgoing: the piece and its speaker.
        user: the account that sends.
        ghosts: whether every speaker has a name of their own there.
        handle: of the uploaded file, if the piece has one.
    """
    document: Document = {
        "type": "",
        "sender": sender_of(outgoing, user, ghosts=ghosts),
    }
    _render_piece(outgoing.piece, document, handle)
    return document


def _render_piece(piece: Piece, document: Document, handle: str) -> None:
    match piece:
        case TextPiece():
            document["type"] = "message"
            put_text(document, piece.text)
            _put_place(document, piece.reply_to, piece.thread)
            if piece.emote:
                document["emote"] = True
        case MediaPiece():
            document["type"] = "message"
            document["media"] = [media_to_json(piece.attachment, handle)]
            if piece.caption is not None:
                put_text(document, piece.caption)
            _put_place(document, piece.reply_to, piece.thread)
        case EditPiece():
            document["type"] = "edit"
            document["target"] = piece.target.native_id
            put_text(document, piece.text)
        case DeletePiece():
            document.update(type="delete", target=piece.target.native_id)
        case ReactPiece() | UnreactPiece():
            _put_reaction(document, piece)
        case JoinPiece():
            document["type"] = "join"
        case LeavePiece():
            document.update(type="leave", reason=piece.reason)
        case ProfilePiece():
            document["type"] = "profile"
            document["sender"]["name"] = piece.name
        case ChatNamePiece():
            document.update(type="name", name=piece.name)
        case TopicPiece():
            document.update(type="topic", topic=piece.topic)
        case ChatAvatarPiece():
            media = [media_to_json(piece.attachment, handle)]
            document.update(type="avatar", media=media)


def put_text(document: Document, text: Rich) -> None:
    """Write a text as `text` if it has no formatting, else as `rich`."""
    if text.is_plain and len(text.blocks) <= 1:
        document["text"] = to_plain(text)
    else:
        document["rich"] = rich_to_json(text)


def _put_place(
    document: Document, reply_to: NativeRef | None, thread: NativeRef | None
) -> None:
    if reply_to is not None:
        document["reply_to"] = reply_to.native_id
    if thread is not None:
        document["thread"] = thread.native_id


def _put_reaction(document: Document, piece: ReactPiece | UnreactPiece) -> None:
    """Write one reaction, its removal, or the whole set where it has no id."""
    if isinstance(piece, ReactPiece):
        document.update(type="react", target=piece.target.native_id, emoji=piece.emoji)
    elif piece.reaction is not None:
        document.update(type="delete", target=piece.reaction.native_id)
    else:
        document.update(
            type="reactions",
            target=piece.target.native_id,
            emoji=list(piece.all_emoji),
        )


def media_to_json(attachment: Attachment, handle: str) -> Document:
    """Return the description of a file under `handle`."""
    part = attachment.part
    document: Document = {
        "handle": handle,
        "content_type": part.content_type,
        "filename": part.filename,
        "kind": attachment.kind.value,
        "description": part.description,
    }
    for name in ("width", "height", "duration_ms"):
        value = getattr(attachment, name)
        if value is not None:
            document[name] = value
    return document


# ---- formatted text

_NESTING: Final[Mapping[str, Callable[[tuple[r.Inline, ...]], r.Inline]]] = {
    "strong": r.Strong,
    "emphasis": r.Emphasis,
    "strike": r.Strike,
    "underline": r.Underline,
}
_NAMES: Final[Mapping[type[r.Inline], str]] = {
    r.Strong: "strong",
    r.Emphasis: "emphasis",
    r.Strike: "strike",
    r.Underline: "underline",
}


def rich_to_json(rich: Rich) -> list[Any]:
    """Return the tree as nested lists."""
    return [_block_to_json(block) for block in rich.blocks]


def _inlines_to_json(inlines: tuple[r.Inline, ...]) -> list[Any]:
    return [_inline_to_json(inline) for inline in inlines]


def _inline_to_json(inline: r.Inline) -> Any:
    match inline:
        case r.Text():
            return inline.text
        case r.Code():
            return ["code", inline.text]
        case r.Mention():
            return ["mention", inline.name, inline.uri]
        case r.Link():
            return ["link", _inlines_to_json(inline.children), inline.url]
        case r.Spoiler():
            return ["spoiler", _inlines_to_json(inline.children), inline.reason]
        case _:
            return [_NAMES[type(inline)], _inlines_to_json(inline.children)]


def _block_to_json(block: r.Block) -> list[Any]:
    match block:
        case r.Paragraph():
            return ["p", _inlines_to_json(block.children)]
        case r.Heading():
            return ["h", _inlines_to_json(block.children), block.level]
        case r.CodeBlock():
            return ["pre", block.text, block.language]
        case r.Quote():
            return ["quote", [_block_to_json(child) for child in block.children]]
        case r.ListBlock():
            items = [[_block_to_json(child) for child in item] for item in block.items]
            return ["list", items, block.ordered, block.start]
        case r.Table():
            rows = (block.header, *block.rows)
            return ["table", [[_inlines_to_json(cell) for cell in row] for row in rows]]
        case r.Rule():
            return ["rule"]


def rich_from_json(tree: object) -> Rich:
    """Read the tree back.

    Raises:
        PeerMisbehaved: MEM-001.
    """
    return Rich(_blocks(tree, 0))


def _list(value: object, depth: int = 0) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong("the text is no tree of lists")
    if depth > DEPTH_MAX:
        raise _wrong("the text is nested too deeply")
    return value


def _blocks(tree: object, depth: int) -> tuple[r.Block, ...]:
    return tuple(_block(node, depth + 1) for node in _list(tree, depth))


def _inlines(tree: object, depth: int) -> tuple[r.Inline, ...]:
    return tuple(_inline(node, depth + 1) for node in _list(tree, depth))


def _block(node: object, depth: int) -> r.Block:
    match _list(node, depth):
        case ["p", children]:
            return r.Paragraph(_inlines(children, depth))
        case ["h", children, int(level)] if 1 <= level <= 6:
            return r.Heading(level, _inlines(children, depth))
        case ["pre", text, language]:
            return r.CodeBlock(_checked(text, "code"), _checked(language, "language"))
        case ["quote", children]:
            return r.Quote(_blocks(children, depth))
        case ["list", items, bool(ordered), int(start)]:
            parts = tuple(_blocks(item, depth + 1) for item in _list(items))
            return r.ListBlock(parts, ordered=ordered, start=start)
        case ["table", [header, *rows]]:
            return r.Table(_cells(header, depth), tuple(_cells(x, depth) for x in rows))
        case ["rule"]:
            return r.Rule()
        case _:
            raise _wrong("unknown block")


def _cells(row: object, depth: int) -> tuple[tuple[r.Inline, ...], ...]:
    return tuple(_inlines(cell, depth + 1) for cell in _list(row))


def _inline(node: object, depth: int) -> r.Inline:
    if isinstance(node, str):
        return r.Text(_checked(node, "text"))
    match _list(node, depth):
        case ["code", text]:
            return r.Code(_checked(text, "code"))
        case ["mention", name, uri]:
            return r.Mention(_checked(name, "mention"), _checked(uri, "mention"))
        case ["link", children, url]:
            return r.Link(_inlines(children, depth), _checked(url, "link"))
        case ["spoiler", children, reason]:
            return r.Spoiler(_inlines(children, depth), _checked(reason, "spoiler"))
        case [str(name), children] if name in _NESTING:
            return _NESTING[name](_inlines(children, depth))
        case _:
            raise _wrong("unknown formatting")
