"""From a piece to a request of BlueBubbles. Pure.

What needs the helper falls back to words where it is gone: capabilities may have
shrunk since the piece was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.measuring import clusters
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.plain import to_plain
from sabir.networks.api import ChatId, NativeId, Outgoing
from sabir.networks.imessage import names, rows, tapbacks
from sabir.networks.imessage.capabilities import FILE_OCTETS_MAX
from sabir.networks.imessage.server import ServerInfo
from sabir.networks.imessage.text import one_line, units

TEXT_UNITS_MAX: Final = 20_000
"""Apple says no limit. Texts are cut at 5,000 before; what is still longer than four
of those is not sent on trust."""
EDITS_MAX: Final = 5
"""Messages lets a message be changed five times."""
FILENAME_CHARACTERS_MAX: Final = 120
EXCERPT_CLUSTERS_MAX: Final = 40
PRIVATE: Final = "private-api"
SCRIPT: Final = "apple-script"
VOICE_TYPES: Final = frozenset({"audio/mpeg", "audio/mp3", "audio/x-caf"})
"""BlueBubbles makes Apple's own form (CAF) of MP3, of nothing else."""

_VOICE: Final = "that it is a voice message"
_STICKER: Final = "that it is a sticker"
_ANSWER: Final = "what it answers: the helper on the Mac is not connected"
_LESSER: Final = (
    "not sent: this chat is {service}, not iMessage, so the carrier can read it. If"
    " everybody in the room knows that, set allow_sms = true for this account"
)


class Action(StrEnum):
    """What a request does."""

    TEXT = "text"
    FILE = "file"
    TAPBACK = "tapback"
    EDIT = "edit"
    UNSEND = "unsend"


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file that goes with a request."""

    filename: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call."""

    action: Action
    path: str
    body: Mapping[str, Any]
    mark: str
    """Of the row that it makes, or of the new text (see `rows.mark_of`)."""
    target: NativeId | None = None
    """The message that is changed."""
    file: FilePart | None = None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsendable:
    """It cannot go, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What may be used for a piece."""

    info: ServerInfo = field(default_factory=ServerInfo)
    edits_made: int = 0
    """So often the message was changed already."""
    allow_sms: bool = False

    @property
    def method(self) -> str:
        """The server's way to send."""
        return PRIVATE if self.info.helper else SCRIPT


def render(outgoing: Outgoing, means: Means) -> Request | Unsendable:
    """Return the request for a piece, or why there is none."""
    chat = outgoing.chat
    if names.is_lesser(chat):
        if not means.allow_sms:
            service = names.service(chat).upper()
            return Unsendable(_LESSER.format(service=service))
        means = replace(means, info=replace(means.info, helper=False))
    match outgoing.piece:
        case TextPiece(text=text, reply_to=reply_to, thread=thread, emote=emote):
            said = to_plain(text)
            if emote:
                said = f"* {one_line(outgoing.speaker.name)} {said}"
            return _text(chat, said, reply_to or thread, means)
        case MediaPiece() as piece:
            return _file(outgoing, piece, means)
        case EditPiece(target=target, text=text):
            return _edit(chat, target, to_plain(text), means)
        case DeletePiece(target=target):
            return _unsend(target, means)
        case ReactPiece(target=target, emoji=emoji):
            return _react(outgoing, target, emoji, means)
        case UnreactPiece() as piece:
            return _unreact(chat, piece, means)
        case _:
            return Unsendable("iMessage has no form for this, sent by one for all")


def path_of(*parts: str) -> str:
    """Return a path below the API's, each part quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


# ---- texts


def _text(
    chat: ChatId, said: str, answered: NativeRef | None, means: Means
) -> Request | Unsendable:
    if not said.strip():
        return Unsendable("not sent: there is no text in it")
    if units(said) > TEXT_UNITS_MAX:
        return Unsendable(
            f"not sent: the text has {units(said)} UTF-16 units and {TEXT_UNITS_MAX}"
            " are the most that Sabir sends by iMessage; shorten it"
        )
    body: dict[str, Any] = {"chatGuid": chat, "message": said, "method": means.method}
    target = names.guid(answered.native_id) if answered is not None else None
    lost: tuple[str, ...] = ()
    if target is not None and means.info.helper:
        body["selectedMessageGuid"] = target
    elif answered is not None:
        lost = (_ANSWER,)
    return Request(
        action=Action.TEXT,
        path="/message/text",
        body=body,
        mark=rows.text_mark(said),
        lost=lost,
    )


# ---- files


def _file(outgoing: Outgoing, piece: MediaPiece, means: Means) -> Request | Unsendable:
    size = outgoing.media.size if outgoing.media is not None else 0
    if not size:
        return Unsendable("not sent: the file is empty, or not here any more")
    if size > FILE_OCTETS_MAX:
        return Unsendable(
            f"not sent: the file has {size} octets and iMessage takes"
            f" {FILE_OCTETS_MAX}; send a smaller one, or a link"
        )
    part = FilePart(_filename(piece.attachment), _content_type(piece.attachment))
    body: dict[str, Any] = {
        "chatGuid": outgoing.chat,
        "name": part.filename,
        "method": means.method,
    }
    lost: tuple[str, ...] = ()
    if piece.attachment.kind is MediaKind.VOICE:
        if means.info.helper and part.content_type in VOICE_TYPES:
            body["isAudioMessage"] = "true"
        else:
            lost = (_VOICE,)
    elif piece.attachment.kind is MediaKind.STICKER:
        lost = (_STICKER,)
    answered = piece.reply_to or piece.thread
    target = names.guid(answered.native_id) if answered is not None else None
    if target is not None and means.info.helper:
        body["selectedMessageGuid"] = target
    elif answered is not None:
        lost = (*lost, _ANSWER)
    return Request(
        action=Action.FILE,
        path="/message/attachment",
        body=body,
        mark=rows.file_mark(part.filename),
        file=part,
        lost=lost,
    )


def _content_type(attachment: Attachment) -> str:
    bare = one_line(attachment.part.content_type.partition(";")[0]).lower()
    is_plain = bare.isascii() and bare.isprintable() and "/" in bare and '"' not in bare
    return bare if is_plain else "application/octet-stream"


def _filename(attachment: Attachment) -> str:
    known = one_line(attachment.part.filename).replace("/", "_").replace("\\", "_")
    if known.strip("."):
        return known[-FILENAME_CHARACTERS_MAX:]
    ending = _content_type(attachment).partition("/")[2].rpartition("-")[2]
    return f"{attachment.kind.value}.{ending if ending.isalnum() else 'bin'}"


# ---- changes


def _edit(
    chat: ChatId, ref: NativeRef, said: str, means: Means
) -> Request | Unsendable:
    target = names.guid(ref.native_id)
    if target is None or not means.info.edits or means.edits_made >= EDITS_MAX:
        return _correction(chat, ref, said, means)
    if not said.strip() or units(said) > TEXT_UNITS_MAX:
        return _text(chat, said, None, means)  # says why not
    return Request(
        action=Action.EDIT,
        path=path_of("message", target, "edit"),
        body={
            "editedMessage": said,
            "backwardsCompatibilityMessage": f"Edited to “{said}”",
            "partIndex": 0,
        },
        mark=rows.text_mark(said),
        target=target,
    )


def _correction(
    chat: ChatId, ref: NativeRef, said: str, means: Means
) -> Request | Unsendable:
    """Say the new text as a message (EDT-2)."""
    request = _text(chat, f"Correction: {said}", ref, means)
    if isinstance(request, Unsendable):
        return request
    why = "sent as a correction: the message can not be edited any more there"
    return replace(request, lost=(why,))


def _unsend(ref: NativeRef, means: Means) -> Request | Unsendable:
    target = names.guid(ref.native_id)
    if target is None or not means.info.edits:
        return Unsendable(
            "not taken back: that needs macOS 13 and the helper inside Messages, which"
            " is not connected; look at BlueBubbles on the Mac"
        )
    return Request(
        action=Action.UNSEND,
        path=path_of("message", target, "unsend"),
        body={"partIndex": 0},
        mark="",
        target=target,
    )


# ---- reactions


def _react(
    outgoing: Outgoing, ref: NativeRef, emoji: str, means: Means
) -> Request | Unsendable:
    word = tapbacks.word_for(emoji)
    if word is not None and means.info.helper:
        shown = tapbacks.SHOWN[word]
        lost = () if shown == emoji else (f"reaction shown as {shown}",)
        return _tapback(outgoing.chat, ref, word, lost)
    line = f"{one_line(outgoing.speaker.name)} reacted {emoji}"
    answered = ref if means.info.helper else None
    if answered is None and ref.excerpt:
        words = one_line(ref.excerpt)
        short = clusters(words, EXCERPT_CLUSTERS_MAX)
        line += f' to "{short}{"" if short == words else "…"}"'
    request = _text(outgoing.chat, line, answered, means)
    if isinstance(request, Unsendable):
        return request
    return replace(request, lost=("a reaction, sent as text",))


def _unreact(chat: ChatId, piece: UnreactPiece, means: Means) -> Request | Unsendable:
    word = tapbacks.word_for(piece.emoji)
    if word is not None and means.info.helper:
        return _tapback(chat, piece.target, f"-{word}", ())
    if piece.reaction is None:
        return Unsendable("the reaction was sent as text, and stays")
    return _unsend(piece.reaction, means)


def _tapback(
    chat: ChatId, ref: NativeRef, word: str, lost: tuple[str, ...]
) -> Request | Unsendable:
    target = names.guid(ref.native_id)
    if target is None:
        return Unsendable("iMessage lets nobody react to this")
    return Request(
        action=Action.TAPBACK,
        path="/message/react",
        body={
            "chatGuid": chat,
            "selectedMessageGuid": target,
            "reaction": word,
            "partIndex": 0,
        },
        mark=rows.tapback_mark(word, target),
        target=target,
        lost=lost,
    )
