"""From a meaning to a content (the inverse of `reading`).

Plain text stays text/plain; only formatted text becomes GFM-MIMI. Extensions
`sabir.author`, `sabir.origin` and `sabir.loss` are those of CONVERSION.md
section 10. Law: `read(compose(meaning)) == canonical(meaning)`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sabir.clock import Instant
from sabir.content import gfm
from sabir.content.emoji import qualified
from sabir.content.loss import inbound_item
from sabir.content.loss_codec import item_value
from sabir.content.meaning import (
    Attachment,
    Author,
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import (
    GFM_MIMI,
    PLAIN_TEXT,
    Content,
    Disposition,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.content.normal import normalise
from sabir.content.origin import Origin
from sabir.content.plain import to_plain
from sabir.content.rich import Rich
from sabir.wire import cbor
from sabir.wire.cbor import Value

AUTHOR: Final = "sabir.author"
ORIGIN: Final = "sabir.origin"
LOSS: Final = "sabir.loss"
MODERATED: Final = "sabir.moderated"
"""Extension of a deletion: true if a moderator deleted it, absent if its author did."""
ROOM_EVENT_TYPE: Final = "application/vnd.sabir.room-event+cbor"
EMOTE_PARAMETER: Final = ";x-sabir-kind=emote"
PARAMETER: Final = ";x-sabir-"
"""Start of our own content-type parameters; they stand last."""
ASSERTED_BY_SERVICE: Final = 2
"""`sabir.author` key 3: the network's service says who it was."""
MILLISECONDS: Final = -3
"""content-09, extension 3: the exponent of a timestamp's fraction."""
EVENT_VERSION: Final = 1

# Registered extension keys, as plain integers: an enum lookup per key would cost
# a tenth of composing a message.
_SENDER, _ROOM, _TIMESTAMP, _EXTERNAL_ID = 1, 2, 3, 4


def compose(
    meaning: Meaning,
    *,
    salt: bytes,
    sender_uri: str,
    room_uri: str,
    author: Author | None,
    origin: Origin | None,
    sent_at: Instant,
    lost: Sequence[str] = (),
) -> Content:
    """Build the content that says this.

    Args:
        meaning: what it says.
        salt: 16 fresh random octets.
        sender_uri: user URI of whoever submits it.
        room_uri: the room's URI.
        author: who wrote it, if not the submitter.
        origin: where it came from, if bridged.
        sent_at: when it was written.
        lost: what the way in could not carry, as short phrases.
    """
    seconds, milliseconds = divmod(sent_at, 1000)
    extensions: dict[int | str, Value] = {
        _SENDER: sender_uri,
        _ROOM: room_uri,
        _TIMESTAMP: {1: seconds, MILLISECONDS: milliseconds}
        if milliseconds
        else {1: seconds},
    }
    if author is not None:
        extensions[AUTHOR] = {
            1: author.name,
            2: author.uri or None,
            3: ASSERTED_BY_SERVICE,
        }
    if origin is not None:
        if origin.native_id:
            scope = origin.scope or origin.network
            native_id = origin.native_id.encode(errors="replace")
            extensions[_EXTERNAL_ID] = (native_id, scope)
        extensions[ORIGIN] = _origin_value(origin)
    if lost:
        extensions[LOSS] = tuple(item_value(inbound_item(each)) for each in lost)
    match meaning:
        case Said():
            return Content(
                salt=salt,
                body=_said(meaning.text, meaning.attachments, emote=meaning.emote),
                in_reply_to=meaning.in_reply_to,
                topic_id=meaning.topic,
                extensions=extensions,
            )
        case Edited():
            return Content(
                salt=salt,
                body=_said(meaning.text, meaning.attachments, emote=False),
                replaces=meaning.target,
                extensions=extensions,
            )
        case Deleted():
            if meaning.by_moderator:
                extensions[MODERATED] = True
            return Content(
                salt=salt,
                body=NullPart(),
                replaces=meaning.target,
                extensions=extensions,
            )
        case Reacted():
            body = SinglePart(
                disposition=Disposition.REACTION,
                content_type=PLAIN_TEXT,
                content=_octets(qualified(meaning.emoji)),
            )
            return Content(
                salt=salt,
                body=body,
                in_reply_to=meaning.target,
                extensions=extensions,
            )
        case RoomEvent():
            name = author.name if author is not None else ""
            return Content(salt=salt, body=_event(meaning, name), extensions=extensions)


def canonical(meaning: Meaning) -> Meaning:
    """Return what `meaning` is once it has been in the room.

    Text in its normal form (nothing at all becomes None), emoji fully qualified.
    """
    match meaning:
        case Said(text=text) | Edited(text=text):
            return replace(meaning, text=_canonical_text(text))
        case Reacted(emoji=emoji):
            return replace(meaning, emoji=qualified(emoji))
        case _:
            return meaning


def _canonical_text(text: Rich | None) -> Rich | None:
    if text is None:
        return None
    if not text.is_plain:
        text = normalise(text)
    if text.is_plain:
        text = Rich.plain(to_plain(text))
    return text if text.blocks else None


def _origin_value(origin: Origin) -> dict[int | str | bytes, Value]:
    value: dict[int | str | bytes, Value] = {
        1: origin.network,
        2: origin.portal,
        3: origin.profile,
        4: origin.gateway,
    }
    if origin.in_tag is not None:
        value[5] = origin.in_tag
    if origin.original is not None:
        value[6] = origin.original
    if origin.account:
        value[7] = origin.account
    return value


# ---- bodies


def _said(text: Rich | None, attachments: Sequence[Attachment], *, emote: bool) -> Part:
    if not attachments:
        return _text(text, emote=emote)
    parts: list[Part] = [_file(each) for each in attachments]
    text = _canonical_text(text)
    if text is not None or emote:
        parts.insert(0, _text(text, emote=emote))
    if len(parts) == 1:
        return parts[0]
    return MultiPart(semantics=PartSemantics.PROCESS_ALL, parts=tuple(parts))


def _text(text: Rich | None, *, emote: bool) -> SinglePart:
    suffix = EMOTE_PARAMETER if emote else ""
    if text is not None and not text.is_plain:
        text = normalise(text)
    if text is None or text.is_plain:
        plain = to_plain(text) if text is not None else ""
        return SinglePart(content_type=PLAIN_TEXT + suffix, content=_octets(plain))
    return SinglePart(content_type=GFM_MIMI + suffix, content=_octets(gfm.write(text)))


def _octets(text: str) -> bytes:
    """Encode as UTF-8; a lone surrogate (JSON can hold one) becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return (
            text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
        )


def _file(attachment: Attachment) -> ExternalPart:
    parameters = f"{PARAMETER}kind={attachment.kind.value}"
    for name, value in (
        ("width", attachment.width),
        ("height", attachment.height),
        ("duration", attachment.duration_ms),
    ):
        if value is not None:
            parameters += f"{PARAMETER}{name}={value}"
    part = attachment.part
    return replace(part, content_type=part.content_type + parameters)


def _event(event: RoomEvent, name: str) -> MultiPart:
    value: dict[int | str | bytes, Value] = {
        1: EVENT_VERSION,
        2: event.kind.value,
        3: event.value,
    }
    machine = SinglePart(content_type=ROOM_EVENT_TYPE, content=cbor.encode(value))
    line = SinglePart(
        content_type=PLAIN_TEXT, content=_octets(system_line(event, name))
    )
    choice = MultiPart(semantics=PartSemantics.CHOOSE_ONE, parts=(machine, line))
    if event.attachment is None:
        return choice
    return MultiPart(
        semantics=PartSemantics.PROCESS_ALL, parts=(choice, _file(event.attachment))
    )


def system_line(event: RoomEvent, name: str = "") -> str:
    """Say an event in one plain line.

    Args:
        event: what happened.
        name: whom it happened to, or who did it.
    """
    who = name or "Somebody"
    value = event.value
    match event.kind:
        case RoomEventKind.JOINED:
            return f"{who} joined"
        case RoomEventKind.LEFT:
            return f"{who} left" + (f": {value}" if value else "")
        case RoomEventKind.REMOVED:
            return f"{who} was removed" + (f": {value}" if value else "")
        case RoomEventKind.PROFILE if value and value != name:
            return f"{who} is now called {value}"
        case RoomEventKind.PROFILE:
            return f"{who} has a new profile"
        case RoomEventKind.NAME:
            return f"{who} named the conversation {value}"
        case RoomEventKind.TOPIC if value:
            return f"{who} set the topic: {value}"
        case RoomEventKind.TOPIC:
            return f"{who} removed the topic"
        case RoomEventKind.AVATAR if event.attachment is None:
            return f"{who} removed the picture of the conversation"
        case RoomEventKind.AVATAR:
            return f"{who} changed the picture of the conversation"
        case RoomEventKind.NOTICE:
            return value
