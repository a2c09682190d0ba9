"""From a content to what it means (the inverse of `composing`).

Also reads what others compose: of alternatives the best we can show is chosen,
unknown types become attachments, never nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sabir.content import gfm
from sabir.content.composing import (
    AUTHOR,
    EMOTE_PARAMETER,
    LOSS,
    MODERATED,
    ORIGIN,
    PARAMETER,
    ROOM_EVENT_TYPE,
)
from sabir.content.html_text import read_html
from sabir.content.inline_data import inline_part
from sabir.content.loss_codec import item_of
from sabir.content.meaning import (
    Attachment,
    Author,
    Deleted,
    Edited,
    Meaning,
    MediaKind,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import (
    MESSAGE_ID_OCTETS,
    PLAIN_TEXT,
    Content,
    Disposition,
    ExtensionKey,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.content.origin import Origin
from sabir.content.rich import Link, Paragraph, Rich, Text
from sabir.wire import cbor
from sabir.wire.errors import Malformed

_KINDS: Final[Mapping[str, MediaKind]] = {kind.value: kind for kind in MediaKind}
_BY_TOP_TYPE: Final[Mapping[str, MediaKind]] = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
}
_DIGITS: Final = re.compile("[0-9]{1,10}")
"""A peer's number; more digits are not a size of anything."""
_EVENTS: Final[Mapping[str, RoomEventKind]] = {
    kind.value: kind for kind in RoomEventKind
}
_RANKS: Final[Mapping[str, int]] = {
    ROOM_EVENT_TYPE: 6,
    "text/markdown": 5,
    "text/plain": 4,
    "text/html": 3,
}
"""Which alternative shows most; media 2, unknown types 1, nothing 0."""


def read(content: Content) -> Meaning:
    """Say what a content means."""
    body = content.body
    if (
        content.replaces is None
        and type(body) is SinglePart
        and body.content_type == PLAIN_TEXT
        and body.disposition != Disposition.REACTION
    ):
        text = body.content.decode(errors="replace")
        return Said(
            text=Rich.plain(text) if text else None,
            in_reply_to=content.in_reply_to,
            topic=content.topic_id,
        )
    return _read(content)


def _read(content: Content) -> Meaning:
    body = content.body
    if content.replaces is not None and isinstance(body, NullPart):
        return Deleted(
            target=content.replaces,
            by_moderator=content.extensions.get(MODERATED) is True,
        )
    found = _Found()
    _walk(body, found)
    if found.event is not None:
        picture = found.attachments[0] if found.attachments else None
        return replace(found.event, attachment=picture)
    if content.replaces is not None:
        return Edited(
            target=content.replaces,
            text=found.text(),
            attachments=tuple(found.attachments),
        )
    if content.in_reply_to is not None and len(found.reactions) == 1:
        return Reacted(target=content.in_reply_to, emoji=found.reactions[0])
    return Said(
        text=found.text(),
        attachments=tuple(found.attachments),
        in_reply_to=content.in_reply_to,
        topic=content.topic_id,
        emote=found.emote,
    )


def author_of(content: Content) -> Author | None:
    """Return who wrote it on a foreign network, None if the sender did."""
    match content.extensions.get(AUTHOR):
        case Mapping() as author:
            name, uri = author.get(1), author.get(2)
            if isinstance(name, str):
                return Author(uri=uri if isinstance(uri, str) else "", name=name)
        case _:
            pass
    return None


def origin_of(content: Content) -> Origin | None:
    """Return where a bridged entry came from, None if it was written in the room."""
    match content.extensions.get(ORIGIN):
        case Mapping() as value:
            network, portal = value.get(1), value.get(2)
            if isinstance(network, str) and isinstance(portal, bytes):
                return _with_native_id(
                    content, _origin(value, network=network, portal=portal)
                )
        case _:
            pass
    return None


def _origin(
    value: Mapping[cbor.Key, cbor.Value], *, network: str, portal: bytes
) -> Origin:
    profile, gateway = value.get(3), value.get(4)
    in_tag, original, account = value.get(5), value.get(6), value.get(7)
    is_id = isinstance(original, bytes) and len(original) == MESSAGE_ID_OCTETS
    return Origin(
        network=network,
        portal=portal,
        native_id="",
        profile=profile if isinstance(profile, str) else "",
        gateway=gateway if isinstance(gateway, int) else 0,
        in_tag=in_tag if isinstance(in_tag, bytes) else None,
        original=MessageId(original) if is_id and isinstance(original, bytes) else None,
        account=account if isinstance(account, str) else "",
    )


def _with_native_id(content: Content, origin: Origin) -> Origin:
    match content.extensions.get(int(ExtensionKey.EXTERNAL_MESSAGE_ID)):
        case (bytes() as native_id, str() as scope):
            return replace(
                origin,
                native_id=native_id.decode(errors="replace"),
                scope="" if scope == origin.network else scope,
            )
        case _:
            return origin


def lost_of(content: Content) -> Sequence[str]:
    """Return what the way in could not carry, as short phrases."""
    match content.extensions.get(LOSS):
        case tuple() as lost:
            items = (item_of(each) for each in lost)
            return tuple(item.before for item in items if item is not None)
        case _:
            return ()


# ---- parts


@dataclass(slots=True)
class _Found:
    """What a walk over the parts collects."""

    texts: list[Rich] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    emote: bool = False
    event: RoomEvent | None = None

    def text(self) -> Rich | None:
        """Return all texts as one; reactions that are not one reaction are text."""
        texts = self.texts
        if self.reactions:
            texts = [*texts, Rich.plain(" ".join(self.reactions))]
        blocks = tuple(block for text in texts for block in text.blocks)
        return Rich(blocks) if blocks else None


def _walk(part: Part, found: _Found) -> None:
    match part:
        case NullPart():
            return
        case SinglePart():
            _single(part, found)
        case ExternalPart(disposition=Disposition.SESSION):
            found.texts.append(_call(part))
        case ExternalPart():
            found.attachments.append(_attachment(part))
        case MultiPart(semantics=PartSemantics.CHOOSE_ONE, parts=parts):
            _walk(max(parts, key=_rank), found)
        case MultiPart(parts=parts):
            for each in parts:
                _walk(each, found)


def _rank(part: Part) -> int:
    """Rank alternatives; `max` takes the first of equals."""
    match part:
        case NullPart():
            return 0
        case SinglePart(content_type=content_type):
            base = _base(content_type)
            if base == ROOM_EVENT_TYPE and _event(part.content) is None:
                return 0
            return _RANKS.get(base, _media_rank(base))
        case ExternalPart(content_type=content_type):
            return _media_rank(_base(content_type))
        case MultiPart(semantics=PartSemantics.SINGLE_UNIT, parts=parts):
            return min(_rank(each) for each in parts)
        case MultiPart(parts=parts):
            return max(_rank(each) for each in parts)


def _media_rank(base: str) -> int:
    return 2 if base.partition("/")[0] in _BY_TOP_TYPE else 1


def _single(part: SinglePart, found: _Found) -> None:
    base = _base(part.content_type)
    text = part.content.decode(errors="replace")
    if part.disposition == Disposition.REACTION:
        found.reactions.append(text)
        return
    match base:
        case "text/plain" | "":
            found.texts.append(Rich.plain(text))
        case "text/markdown":
            found.texts.append(gfm.read(text))
        case "text/html":
            found.texts.append(read_html(text))
        case _ if base == ROOM_EVENT_TYPE and (event := _event(part.content)):
            found.event = event
        case _:
            inline = inline_part(
                part.content, content_type=part.content_type, language=part.language
            )
            found.attachments.append(_attachment(inline))
    found.emote |= part.content_type.endswith(EMOTE_PARAMETER)


def _base(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _event(octets: bytes) -> RoomEvent | None:
    try:
        value = cbor.decode(octets)
    except Malformed:
        return None
    if not isinstance(value, Mapping):
        return None
    name, text = value.get(2), value.get(3)
    kind = _EVENTS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(text, str):
        return None
    return RoomEvent(kind=kind, value=text)


def _call(part: ExternalPart) -> Rich:
    label = part.description or part.url
    return Rich((Paragraph((Link((Text(label),), part.url),)),))


def _attachment(part: ExternalPart) -> Attachment:
    base, *ours = part.content_type.split(PARAMETER)
    parameters = dict(each.partition("=")[::2] for each in ours)
    kind = _KINDS.get(parameters.get("kind", ""))
    if kind is None:
        kind = _BY_TOP_TYPE.get(base.partition("/")[0].lower(), MediaKind.FILE)
    return Attachment(
        part=replace(part, content_type=base),
        kind=kind,
        width=_number(parameters.get("width")),
        height=_number(parameters.get("height")),
        duration_ms=_number(parameters.get("duration")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and _DIGITS.fullmatch(text) else None
