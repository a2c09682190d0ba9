"""From a piece to the request that sends it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Rich
from sabir.networks.api import ChatId, Outgoing, PersonId
from sabir.networks.signal import names, ranges
from sabir.networks.signal.capabilities import TEXT_OCTETS_MAX
from sabir.networks.signal.text import one_line

VOICE_TYPES: Final = frozenset({"audio/aac", "audio/mp4", "audio/x-m4a", "audio/mpeg"})
"""What Signal's apps play as a voice message on every system."""
EXCERPT_CHARACTERS_MAX: Final = 80

_NOT_A_MESSAGE: Final = (
    "the message that this refers to has no name on Signal; it is from before the link"
)
_TOO_LONG: Final = (
    f"the text is longer than {TEXT_OCTETS_MAX} octets, which Signal's apps do not"
    " show; send it as a file"
)
_VOICE: Final = "a voice message, sent as an audio file"
_STICKER: Final = "a sticker, sent as a picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of the daemon, complete but for account, time and the file itself."""

    method: str
    params: Mapping[str, Any]
    file: Attachment | None = None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Signal will never take this."""

    reason: str


def render(outgoing: Outgoing, *, me: PersonId) -> Request | Unsendable:
    """Return the request that sends a piece.

    Args:
        outgoing: the piece and where it goes.
        me: our own account.

    Raises:
        PolicyRefused: the chat is none of ours.
    """
    where = target(outgoing.chat, me=me)
    match outgoing.piece:
        case TextPiece(text=text, reply_to=reply_to):
            return _message(text, reply_to, where)
        case MediaPiece(attachment=file, caption=caption, reply_to=reply_to):
            return _file(file, caption, reply_to, where)
        case EditPiece(target=edited, text=text):
            return _edit(edited, text, where)
        case DeletePiece(target=deleted):
            return _deletion(deleted, where, me)
        case ReactPiece(target=liked, emoji=emoji):
            return _reaction(liked, emoji, where, remove=False)
        case UnreactPiece(target=liked, emoji=emoji):
            return _reaction(liked, emoji, where, remove=True)
        case _:
            return Unsendable(
                "Signal has no form for this, sent by one account for all"
            )


def target(chat: ChatId, *, me: PersonId) -> Mapping[str, Any]:
    """Return the parameters that say where a message goes.

    Raises:
        PolicyRefused: the chat is none of ours.
    """
    where = names.place(chat)
    if where.group is not None:
        return {"groupId": where.group}
    return {"noteToSelf": True} if where.person == me else {"recipient": [where.person]}


def _message(
    text: Rich | None, reply_to: NativeRef | None, where: Mapping[str, Any]
) -> Request | Unsendable:
    words = _words(text)
    if isinstance(words, Unsendable):
        return words
    if not words.get("message"):
        return Unsendable("the text is empty, and Signal sends no empty message")
    return Request(method="send", params={**where, **words, **_quote(reply_to)})


def _words(text: Rich | None) -> dict[str, Any] | Unsendable:
    written = ranges.write(text or Rich(()))
    if len(written.text.encode(errors="replace")) > TEXT_OCTETS_MAX:
        return Unsendable(_TOO_LONG)
    params: dict[str, Any] = {"message": written.text}
    if written.styles:
        params["textStyle"] = written.styles
    if written.mentions:
        params["mention"] = written.mentions
    return params


def _quote(ref: NativeRef | None) -> dict[str, Any]:
    message = None if ref is None else names.message_of(ref.native_id)
    if ref is None or message is None:
        return {}
    author, sent_at = message
    excerpt = one_line(ref.excerpt)[:EXCERPT_CHARACTERS_MAX]
    return {"quoteTimestamp": sent_at, "quoteAuthor": author, "quoteMessage": excerpt}


def _file(
    file: Attachment,
    caption: Rich | None,
    reply_to: NativeRef | None,
    where: Mapping[str, Any],
) -> Request | Unsendable:
    words = _words(caption)
    if isinstance(words, Unsendable):
        return words
    params = {**where, **words, **_quote(reply_to)}
    lost: tuple[str, ...] = ()
    if file.kind is MediaKind.VOICE:
        is_playable = file.part.content_type.partition(";")[0] in VOICE_TYPES
        params |= {"voiceNote": True} if is_playable else {}
        lost = () if is_playable else (_VOICE,)
    elif file.kind is MediaKind.STICKER:
        lost = (_STICKER,)
    return Request(method="send", params=params, file=file, lost=lost)


def _edit(ref: NativeRef, text: Rich, where: Mapping[str, Any]) -> Request | Unsendable:
    message = names.message_of(ref.native_id)
    if message is None:
        return Unsendable(_NOT_A_MESSAGE)
    request = _message(text, None, where)
    if isinstance(request, Unsendable):
        return request
    params = {**request.params, "editTimestamp": message[1]}
    return Request(method="send", params=params)


def _deletion(
    ref: NativeRef, where: Mapping[str, Any], me: PersonId
) -> Request | Unsendable:
    message = names.message_of(ref.native_id)
    if message is None:
        return Unsendable(_NOT_A_MESSAGE)
    author, sent_at = message
    if author == me:
        params = {**where, "targetTimestamp": sent_at}
        return Request(method="remoteDelete", params=params)
    if "groupId" not in where:
        return Unsendable("on Signal only its author can delete a message in this chat")
    params = {**where, "targetAuthor": author, "targetTimestamp": sent_at}
    return Request(method="sendAdminDelete", params=params)


def _reaction(
    ref: NativeRef, emoji: str, where: Mapping[str, Any], *, remove: bool
) -> Request | Unsendable:
    message = names.message_of(ref.native_id)
    if message is None:
        return Unsendable(_NOT_A_MESSAGE)
    author, sent_at = message
    params = {
        **where,
        "emoji": emoji,
        "targetAuthor": author,
        "targetTimestamp": sent_at,
        "remove": remove,
    }
    return Request(method="sendReaction", params=params)
