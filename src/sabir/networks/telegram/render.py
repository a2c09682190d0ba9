"""From a piece to a request of the Bot API: method and parameters. Pure.

`parse_mode` is never used: text goes with its entities, so that no character of it
can become formatting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.pieces import (
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Rich
from sabir.errors import PolicyRefused
from sabir.networks.telegram import entities, names, reactions
from sabir.networks.telegram.names import Place
from sabir.networks.telegram.text import one_line

TEXT_UNITS_MAX: Final = 4_096
CAPTION_UNITS_MAX: Final = 1_024
PHOTO_OCTETS_MAX: Final = 10 * 1024 * 1024
"""A larger picture goes as a file (ME-3)."""
UPLOAD_OCTETS_MAX: Final = 50 * 1000 * 1000
"""Bot API, "Sending files": 50 MB."""
FILENAME_CHARACTERS_MAX: Final = 60
"""Telegram cuts longer ones; the ending stays."""

_PHOTOS: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
_AUDIO: Final = frozenset({"audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/m4a"})
_VOICE: Final = _AUDIO | {"audio/ogg", "audio/opus"}
_VIDEO: Final = frozenset({"video/mp4"})
_STICKERS: Final = frozenset({"image/webp", "video/webm", "application/x-tgsticker"})


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file that goes with a request."""

    member: str
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the Bot API."""

    method: str
    params: Mapping[str, Any]
    file: FilePart | None = None
    lost: tuple[str, ...] = ()
    """What had to be changed, as short phrases."""


@dataclass(frozen=True, slots=True)
class Showing:
    """A file, and its words where they are too long to be its caption (ME-6)."""

    first: Request
    caption: Rich | None = None


def text(piece: TextPiece, where: Place) -> Request:
    """Return the request for a message.

    Raises:
        PolicyRefused: empty, or longer than a message may be.
    """
    written = entities.write(piece.text)
    _check(written, TEXT_UNITS_MAX)
    target, lost = _target(piece.reply_to, piece.thread, where)
    params = {"chat_id": where.number, "text": written.text, **target}
    if written.entities:
        params["entities"] = written.entities
    return Request("sendMessage", params, lost=(*lost, *written.lost))


def media(piece: MediaPiece, where: Place, *, size: int) -> Showing:
    """Return the request for a file; its octets go with it.

    Args:
        piece: what to show.
        where: the chat.
        size: of the file, in octets.

    Raises:
        PolicyRefused: larger than a bot may send.
    """
    if size > UPLOAD_OCTETS_MAX:
        raise PolicyRefused(
            f"the file has {size} octets and Telegram takes {UPLOAD_OCTETS_MAX} from "
            "a bot; send a smaller one, or a link"
        )
    method, member = _method(piece.attachment, size)
    target, lost = _target(piece.reply_to, piece.thread, where)
    params: dict[str, Any] = {"chat_id": where.number, **target}
    params |= _measures(piece.attachment, method)
    overflow: Rich | None = None
    if piece.caption is not None:
        written = entities.write(piece.caption)
        if written.size > CAPTION_UNITS_MAX or method == "sendSticker":
            overflow = piece.caption
        elif written.text.strip():
            params["caption"] = written.text
            lost = (*lost, *written.lost)
            if written.entities:
                params["caption_entities"] = written.entities
    part = FilePart(
        member, _filename(piece.attachment), _content_type(piece.attachment)
    )
    return Showing(Request(method, params, part, lost), overflow)


def edit(piece: EditPiece, where: Place, *, caption: bool = False) -> Request:
    """Return the request that replaces a message's text (or a file's caption).

    Raises:
        PolicyRefused: empty, too long, or the message cannot be reached any more.
    """
    written = entities.write(piece.text)
    _check(written, CAPTION_UNITS_MAX if caption else TEXT_UNITS_MAX)
    number = reachable(piece.target, where)
    params: dict[str, Any] = {"chat_id": where.number, "message_id": number}
    words, ranges = ("caption", "caption_entities") if caption else ("text", "entities")
    params[words] = written.text
    if written.entities:
        params[ranges] = written.entities
    method = "editMessageCaption" if caption else "editMessageText"
    return Request(method, params, lost=written.lost)


def delete(target: NativeRef, where: Place) -> Request:
    """Return the request that takes back a message and what goes with it.

    Raises:
        PolicyRefused: the message cannot be reached any more.
    """
    found = [reachable(target, where)]
    for alias in target.aliases:
        number = names.message_number(alias, where)
        if number is not None and number not in found:
            found.append(number)
    if len(found) == 1:
        params = {"chat_id": where.number, "message_id": found[0]}
        return Request("deleteMessage", params)
    return Request(
        "deleteMessages", {"chat_id": where.number, "message_ids": sorted(found)}
    )


def reaction(piece: ReactPiece | UnreactPiece, where: Place) -> Request:
    """Return the request that sets the bot's one reaction on a message.

    Raises:
        PolicyRefused: bots cannot react with this emoji, or the message cannot be
            reached any more.
    """
    number = reachable(piece.target, where)
    left = piece.all_emoji
    wanted = (
        piece.emoji if isinstance(piece, ReactPiece) else (left[-1] if left else "")
    )
    params: dict[str, Any] = {"chat_id": where.number, "message_id": number}
    if not wanted:
        return Request("setMessageReaction", {**params, "reaction": []})
    shown = reactions.nearest(wanted)
    if shown is None:
        raise PolicyRefused(
            f"Telegram lets bots react only with {len(reactions.ALLOWED)} emoji, and "
            f"{one_line(wanted)[:16]} is not one of them"
        )
    lost = () if reactions.is_same(wanted, shown) else (f"reaction shown as {shown}",)
    params["reaction"] = [{"type": "emoji", "emoji": shown}]
    return Request("setMessageReaction", params, lost=lost)


def typing(where: Place) -> Request:
    """Return the request that shows the bot typing for five seconds."""
    params: dict[str, Any] = {"chat_id": where.number, "action": "typing"}
    if where.topic is not None:
        params["message_thread_id"] = where.topic
    return Request("sendChatAction", params)


def reachable(target: NativeRef, where: Place) -> int:
    """Return a message's number in this chat.

    Raises:
        PolicyRefused: it is from before the group became a supergroup.
    """
    number = names.message_number(target.native_id, where)
    if number is None:
        raise PolicyRefused(
            "the message is from before the Telegram group became a supergroup (or is "
            "none); Telegram lets nobody change those"
        )
    return number


def _check(written: entities.Written, most: int) -> None:
    if not written.text.strip():
        raise PolicyRefused("Telegram takes no message without visible text")
    if written.size > most:
        raise PolicyRefused(
            f"the text has {written.size} UTF-16 units and Telegram takes {most}; "
            "shorten it"
        )


def _target(
    reply_to: NativeRef | None, thread: NativeRef | None, where: Place
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what a message answers and the topic it goes to."""
    params: dict[str, Any] = {}
    lost: tuple[str, ...] = ()
    topic = where.topic
    answered = reply_to
    if thread is not None and topic is None:
        topic = names.topic_of(thread.native_id)
        if topic is None:  # no topic of Telegram's: an answer to its first message
            answered = reply_to or thread
            lost = ("a thread, which is not a topic there",)
    if topic is not None:
        params["message_thread_id"] = topic
    if answered is not None:
        number = names.message_number(answered.native_id, where)
        if number is None:
            lost = (*lost, "an answer to a message that Telegram cannot reach any more")
        else:
            params["reply_parameters"] = {
                "message_id": number,
                "allow_sending_without_reply": True,
            }
    return params, lost


def _method(attachment: Attachment, size: int) -> tuple[str, str]:
    """Return the method that shows a file as what it is, and its file's member."""
    content_type = _content_type(attachment)
    match attachment.kind:
        case MediaKind.IMAGE if content_type in _PHOTOS and size <= PHOTO_OCTETS_MAX:
            return "sendPhoto", "photo"
        case MediaKind.GIF if content_type in _VIDEO | {"image/gif"}:
            return "sendAnimation", "animation"
        case MediaKind.VIDEO if content_type in _VIDEO:
            return "sendVideo", "video"
        case MediaKind.AUDIO if content_type in _AUDIO:
            return "sendAudio", "audio"
        case MediaKind.VOICE if content_type in _VOICE:
            return "sendVoice", "voice"
        case MediaKind.STICKER if content_type in _STICKERS:
            return "sendSticker", "sticker"
        case _:
            return "sendDocument", "document"


def _measures(attachment: Attachment, method: str) -> dict[str, Any]:
    if method == "sendDocument":
        # Exact octets: else Telegram may make a picture or an animation of them.
        return {"disable_content_type_detection": True}
    params: dict[str, Any] = {}
    if method in {"sendVideo", "sendAnimation"}:
        params |= {"width": attachment.width, "height": attachment.height}
    if method in {"sendVideo", "sendAnimation", "sendAudio", "sendVoice"}:
        length = attachment.duration_ms
        params["duration"] = None if length is None else max(round(length / 1000), 1)
    return {name: value for name, value in params.items() if value is not None}


def _content_type(attachment: Attachment) -> str:
    bare = one_line(attachment.part.content_type.partition(";")[0]).lower()
    is_plain = bare.isascii() and bare.isprintable() and "/" in bare and '"' not in bare
    return bare if is_plain else "application/octet-stream"


def _filename(attachment: Attachment) -> str:
    known = one_line(attachment.part.filename).replace("/", "_")
    if known:
        return known[-FILENAME_CHARACTERS_MAX:]
    ending = _content_type(attachment).partition("/")[2].rpartition("-")[2]
    return f"{attachment.kind.value}.{ending if ending.isalnum() else 'bin'}"
