"""A piece to the stanzas that say it. Pure: elements in, elements out.

Elements are written without the stanza's own namespace: they take it from the
stream (`jabber:client`, or `jabber:component:accept`), children name theirs.

 * `id` = `origin-id` = the idempotency key, the same on every attempt.
 * In a room, references use the room's `stanza-id`, corrections the `id` of the
   original; in a direct chat everything uses the `id`.
 * Every body carries what old clients need, marked as fallback.
"""

import base64
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.content.meaning import MediaKind
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.rich import Paragraph, Rich, Text
from sabir.networks.xmpp import names, styling
from sabir.networks.xmpp.text import clean

SECOND: Final = ".2"
"""Ending of the id of a caption that follows a file."""
_RETRACT_BODY: Final = (
    "/me retracted a previous message, but it's unsupported by your client."
)
_INLINE: Final = (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.GIF, MediaKind.STICKER)

Spoken = (
    TextPiece
    | MediaPiece
    | EditPiece
    | DeletePiece
    | ReactPiece
    | UnreactPiece
    | TopicPiece
)
"""Pieces that are said by messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """From whom, to whom, and how."""

    sender: str
    to: str
    group: bool
    prefix: str = ""
    """Name put before the text of somebody without a seat of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Where a file was put, and what it is."""

    url: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """Stanzas to write, in order; the first one's id is the key."""

    stanzas: tuple[Element, ...]
    lost: tuple[str, ...] = ()


def render(
    piece: Spoken, *, key: str, address: Address, upload: Upload | None = None
) -> Rendered:
    """Return the stanzas of a piece.

    Args:
        piece: what to say.
        key: idempotency key, used as id.
        address: sender, receiver and kind of chat.
        upload: the file of a `MediaPiece`.
    """
    match piece:
        case TextPiece():
            return _text(piece, key, address)
        case MediaPiece():
            assert upload is not None, "a file is put up before it is announced"
            return _media(piece, key, address, upload)
        case EditPiece():
            return _edit(piece, key, address)
        case DeletePiece():
            return Rendered((_retract(piece, key, address),))
        case ReactPiece(target=target, all_emoji=emoji, emoji=one):
            whole = emoji or (one,)
            return Rendered((_react(target, whole, key, address),))
        case UnreactPiece(target=target, all_emoji=emoji):
            return Rendered((_react(target, emoji, key, address),))
        case TopicPiece(topic=topic):
            stanza = _message(key, address)
            lost = _put(stanza, "subject", topic)
            return Rendered((stanza,), lost)


def reference(ref: NativeRef, *, group: bool) -> str:
    """Return the id by which replies, reactions and retractions name a message."""
    return ref.native_id if group else original(ref)


def original(ref: NativeRef) -> str:
    """Return the `id` attribute of a message, by which corrections name it."""
    return ref.aliases[0] if ref.aliases else ref.native_id


# ---- parts


def _message(key: str, address: Address) -> Element:
    stanza = Element(
        "message",
        {
            "from": address.sender,
            "to": address.to,
            "type": "groupchat" if address.group else "chat",
            "id": key,
        },
    )
    if not address.sender:
        del stanza.attrib["from"]
    SubElement(stanza, "origin-id", {"xmlns": names.SID, "id": key})
    return stanza


def _asks_receipts(stanza: Element, address: Address) -> None:
    SubElement(stanza, "markable", {"xmlns": names.MARKERS})
    if not address.group:
        SubElement(stanza, "request", {"xmlns": names.RECEIPTS})


def _put(stanza: Element, name: str, text: str) -> tuple[str, ...]:
    """Add a text child; return what XML did not allow in it."""
    cleaned, count = clean(text)
    SubElement(stanza, name).text = cleaned
    return (f"{count} characters that XML does not allow",) if count else ()


def _prefixed(text: Rich, prefix: str) -> Rich:
    if not prefix:
        return text
    first, *rest = text.blocks or (Paragraph(()),)
    if isinstance(first, Paragraph):
        return Rich((Paragraph((Text(prefix), *first.children)), *rest))
    return Rich((Paragraph((Text(prefix.rstrip()),)), first, *rest))


def _put_body(
    stanza: Element, text: Rich, *, before: str = "", emote: bool = False
) -> tuple[str, ...]:
    styled = styling.write(text)
    start = "/me " if emote else ""
    lost = _put(stanza, "body", before + start + styled.text)
    if styled.unstyled:
        SubElement(stanza, "unstyled", {"xmlns": names.STYLING})
    return styled.lost + lost


def _quote(ref: NativeRef) -> str:
    """Return the quoted lines before a reply, for clients without XEP-0461."""
    said = f"{ref.author_name}: {ref.excerpt}" if ref.author_name else ref.excerpt
    cleaned, _ = clean(said)
    return "".join(f"> {line}\n" for line in cleaned.split("\n")) if cleaned else ""


def _put_reply(stanza: Element, ref: NativeRef, address: Address, quote: str) -> None:
    reply = SubElement(
        stanza,
        "reply",
        {"xmlns": names.REPLY, "id": reference(ref, group=address.group)},
    )
    if not address.group:
        reply.set("to", address.to)
    elif ref.author.startswith(f"{address.to}/"):
        reply.set("to", ref.author)
    elif ref.author_name:
        reply.set("to", f"{address.to}/{clean(ref.author_name)[0]}")
    if quote:
        fallback = SubElement(
            stanza, "fallback", {"xmlns": names.FALLBACK, "for": names.REPLY}
        )
        SubElement(fallback, "body", {"start": "0", "end": str(len(quote))})


def _put_context(
    stanza: Element, piece: TextPiece | MediaPiece, address: Address, quote: str
) -> None:
    if piece.reply_to is not None:
        _put_reply(stanza, piece.reply_to, address, quote)
    if piece.thread is not None:
        thread = SubElement(stanza, "thread")
        thread.text = clean(piece.thread.native_id)[0]


# ---- pieces


def _text(piece: TextPiece, key: str, address: Address) -> Rendered:
    stanza = _message(key, address)
    quote = _quote(piece.reply_to) if piece.reply_to is not None else ""
    text = _prefixed(piece.text, address.prefix)
    lost = _put_body(stanza, text, before=quote, emote=piece.emote)
    _put_context(stanza, piece, address, quote)
    _asks_receipts(stanza, address)
    return Rendered((stanza,), lost)


def _edit(piece: EditPiece, key: str, address: Address) -> Rendered:
    stanza = _message(key, address)
    lost = _put_body(stanza, _prefixed(piece.text, address.prefix))
    SubElement(
        stanza, "replace", {"xmlns": names.CORRECT, "id": original(piece.target)}
    )
    _asks_receipts(stanza, address)
    return Rendered((stanza,), lost)


def _retract(piece: DeletePiece, key: str, address: Address) -> Element:
    stanza = _message(key, address)
    target = reference(piece.target, group=address.group)
    SubElement(stanza, "retract", {"xmlns": names.RETRACT, "id": target})
    fallback = {"xmlns": names.FALLBACK, "for": names.RETRACT}
    SubElement(stanza, "fallback", fallback)
    SubElement(stanza, "body").text = _RETRACT_BODY
    SubElement(stanza, "store", {"xmlns": names.HINTS})
    return stanza


def _react(
    target: NativeRef, emoji: tuple[str, ...], key: str, address: Address
) -> Element:
    stanza = _message(key, address)
    named = reference(target, group=address.group)
    found = SubElement(stanza, "reactions", {"xmlns": names.REACTIONS, "id": named})
    for one in emoji:
        SubElement(found, "reaction").text = clean(one)[0]
    SubElement(stanza, "store", {"xmlns": names.HINTS})
    return stanza


def _media(piece: MediaPiece, key: str, address: Address, upload: Upload) -> Rendered:
    stanza = _message(key, address)
    SubElement(stanza, "body").text = upload.url
    oob = SubElement(stanza, "x", {"xmlns": names.OOB})
    SubElement(oob, "url").text = upload.url
    _put_sharing(stanza, piece, upload)
    _put_context(stanza, piece, address, "")
    _asks_receipts(stanza, address)
    lost: tuple[str, ...] = ()
    if piece.attachment.kind is MediaKind.VOICE:
        lost = ("that it is a voice message",)
    if piece.caption is None and not address.prefix:
        return Rendered((stanza,), lost)
    caption = piece.caption or Rich.plain(piece.attachment.part.filename or "file")
    second = _message(key + SECOND, address)
    lost += _put_body(second, _prefixed(caption, address.prefix))
    _asks_receipts(second, address)
    return Rendered((stanza, second), lost)


def _put_sharing(stanza: Element, piece: MediaPiece, upload: Upload) -> None:
    """Add XEP-0447 with the metadata of XEP-0446."""
    attachment, part = piece.attachment, piece.attachment.part
    shown = "inline" if attachment.kind in _INLINE else "attachment"
    sharing = SubElement(
        stanza, "file-sharing", {"xmlns": names.SFS, "disposition": shown}
    )
    file = SubElement(sharing, "file", {"xmlns": names.FILE})
    facts = (
        ("media-type", part.content_type.partition(";")[0]),
        ("name", part.filename),
        ("size", str(upload.size)),
        ("width", str(attachment.width or "")),
        ("height", str(attachment.height or "")),
        ("length", str(attachment.duration_ms or "")),
        ("desc", part.description),
    )
    for name, value in facts:
        if value:
            SubElement(file, name).text = clean(value)[0]
    digest = base64.b64encode(upload.sha256).decode()
    SubElement(file, "hash", {"xmlns": names.HASHES, "algo": "sha-256"}).text = digest
    sources = SubElement(sharing, "sources")
    SubElement(sources, "url-data", {"xmlns": names.URL_DATA, "target": upload.url})
    fallback = SubElement(
        stanza, "fallback", {"xmlns": names.FALLBACK, "for": names.SFS}
    )
    SubElement(fallback, "body")
