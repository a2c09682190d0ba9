"""From a piece to a Matrix event: type and content. Pure.

Every event carries the idempotency key under `ENTRY`, so that its echo is known
as ours, and so that it can be found in the room's history after an outage.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.pieces import (
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
)
from sabir.content.rich import Mention, Rich
from sabir.networks.api import IdempotencyKey
from sabir.networks.matrix.html import is_user_id, normalise, write
from sabir.networks.matrix.plain import plain
from sabir.networks.matrix.text import clean, one_line

ENTRY: Final = "dev.sabir.entry"
"""Name of the idempotency key in an event's content."""
CONTENT_OCTETS_MAX: Final = 62_000
"""An event may have 65,536 octets; the rest is for ids, hashes and signatures."""

_MSGTYPES: Final = {
    MediaKind.IMAGE: "m.image",
    MediaKind.GIF: "m.image",
    MediaKind.STICKER: "m.image",
    MediaKind.VIDEO: "m.video",
    MediaKind.AUDIO: "m.audio",
    MediaKind.VOICE: "m.audio",
    MediaKind.FILE: "m.file",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An event to send."""

    event_type: str
    content: Mapping[str, Any]
    lost: tuple[str, ...] = ()
    """What had to be changed, as short phrases."""


def render_text(piece: TextPiece, *, key: IdempotencyKey) -> Rendered:
    """Render a message."""
    content = _text(piece.text, "m.emote" if piece.emote else "m.text")
    relation = _relation(piece.reply_to, piece.thread)
    content |= _mentions(piece.text, piece.reply_to) | relation | {ENTRY: key}
    return _fitted("m.room.message", content, piece.text)


def render_edit(piece: EditPiece, *, key: IdempotencyKey) -> Rendered:
    """Render a replacement; it names the original, never an earlier edit."""
    new = _text(piece.text, "m.text") | _mentions(piece.text, None)
    content = {
        "msgtype": "m.text",
        "body": "* " + new["body"],
        "m.mentions": {},  # nobody is notified a second time
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": piece.target.native_id},
        ENTRY: key,
    }
    if _octets(content) > CONTENT_OCTETS_MAX:
        content["body"] = "* (edited)"
    return _fitted("m.room.message", content, piece.text)


def render_reaction(piece: ReactPiece, *, key: IdempotencyKey) -> Rendered:
    """Render a reaction."""
    relation = {
        "rel_type": "m.annotation",
        "event_id": piece.target.native_id,
        "key": clean(piece.emoji),
    }
    return Rendered("m.reaction", {"m.relates_to": relation, ENTRY: key})


def render_media(
    piece: MediaPiece, *, mxc: str, size: int, key: IdempotencyKey
) -> Rendered:
    """Render a file that is at `mxc` now; `size` in octets."""
    attachment = piece.attachment
    filename = one_line(attachment.part.filename) or _filename(attachment)
    content: dict[str, Any] = {
        "msgtype": _MSGTYPES[attachment.kind],
        "body": filename,
        "filename": filename,
        "url": mxc,
        "info": media_info(attachment, size=size),
    }
    if attachment.kind is MediaKind.VOICE:
        content |= {
            "org.matrix.msc3245.voice": {},
            "org.matrix.msc1767.audio": {"duration": attachment.duration_ms or 0},
        }
    mentioned = Rich(())
    if piece.caption is not None and plain(piece.caption):
        mentioned = piece.caption
        caption = _text(piece.caption, "")
        content |= {n: v for n, v in caption.items() if n != "msgtype"}
        if content["body"] == filename:  # would read as no caption at all
            content["body"] += " "
    elif attachment.part.description:
        content["body"] = clean(attachment.part.description)
    content |= _mentions(mentioned, piece.reply_to)
    content |= _relation(piece.reply_to, piece.thread) | {ENTRY: key}
    return _fitted("m.room.message", content, mentioned)


def media_info(attachment: Attachment, *, size: int) -> dict[str, object]:
    """Return the `info` object of a file; only integers, as canonical JSON wants."""
    known = {
        "mimetype": one_line(attachment.part.content_type),
        "size": size,
        "w": attachment.width,
        "h": attachment.height,
        "duration": attachment.duration_ms,
    }
    return {name: value for name, value in known.items() if value is not None}


def _filename(attachment: Attachment) -> str:
    return f"{attachment.kind.value}.{attachment.part.content_type.partition('/')[2]}"


def _text(rich: Rich, msgtype: str) -> dict[str, Any]:
    content: dict[str, Any] = {"msgtype": msgtype, "body": plain(rich)}
    if not normalise(rich).is_plain or len(normalise(rich).blocks) > 1:
        content |= {"format": "org.matrix.custom.html", "formatted_body": write(rich)}
    return content


def _mentions(rich: Rich, reply_to: NativeRef | None) -> dict[str, Any]:
    """Return `m.mentions`: it alone decides who is notified; empty means nobody."""
    users = {m.uri for m in _mentioned(normalise(rich).blocks)}
    if reply_to is not None and is_user_id(reply_to.author):
        users.add(reply_to.author)
    return {"m.mentions": {"user_ids": sorted(users)} if users else {}}


def _mentioned(node: object) -> Iterator[Mention]:
    """Walk a tree of rich text; every node has its children in tuples."""
    if isinstance(node, Mention):
        yield node
    elif isinstance(node, tuple):
        for inner in node:
            yield from _mentioned(inner)
    else:
        for name in ("children", "items", "header", "rows"):
            yield from _mentioned(getattr(node, name, ()))


def _relation(reply_to: NativeRef | None, thread: NativeRef | None) -> dict[str, Any]:
    answered = {"m.in_reply_to": {"event_id": reply_to.native_id}} if reply_to else {}
    if thread is None:
        return {"m.relates_to": answered} if answered else {}
    relation: dict[str, Any] = {
        "rel_type": "m.thread",
        "event_id": thread.native_id,
        "is_falling_back": reply_to is None,
        "m.in_reply_to": {"event_id": thread.native_id},
    }
    return {"m.relates_to": relation | answered}


def _fitted(event_type: str, content: dict[str, Any], text: Rich) -> Rendered:
    """Drop the HTML of an event that would be too large with it.

    Nothing is lost with the HTML of plain paragraphs: the body has them too.
    """
    if _octets(content) <= CONTENT_OCTETS_MAX:
        return Rendered(event_type, content)
    inner = content.get("m.new_content", content)
    for name in ("format", "formatted_body"):
        inner.pop(name, None)
    if normalise(text).is_plain:
        return Rendered(event_type, content)
    return Rendered(event_type, content, ("formatting, because the text is too long",))


def _octets(content: Mapping[str, Any]) -> int:
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
