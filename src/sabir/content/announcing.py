"""Rules GRP: what happened to the room, natively or as one line."""

from sabir.content.capabilities import Capabilities
from sabir.content.composing import system_line
from sabir.content.context import RenderContext
from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.meaning import RoomEvent, RoomEventKind
from sabir.content.measuring import clusters
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    JoinPiece,
    LeavePiece,
    Piece,
    ProfilePiece,
    TextPiece,
    TopicPiece,
)
from sabir.content.rich import Rich
from sabir.content.saying import Speech
from sabir.content.tidying import tidy_name


def announce(
    event: RoomEvent, capabilities: Capabilities, context: RenderContext
) -> Speech:
    """Return an event as its native piece (GRP-1) or as a line (GRP-2, GRP-5)."""
    if capabilities.room_events:
        name = _fitting(event.value, capabilities.room_name_max)
        native = _native(event, name, context)
        if native is not None:
            cut = event.kind is RoomEventKind.NAME and name != event.value
            after = f"{len(name)} characters"
            return Speech(
                [native],
                [_item("GRP-1", Why.TEXT_LIMIT, "the name", after)] if cut else [],
            )
    return _as_line(event, context)


def _native(event: RoomEvent, name: str, context: RenderContext) -> Piece | None:
    match event.kind:
        case RoomEventKind.JOINED:
            return JoinPiece()
        case RoomEventKind.LEFT | RoomEventKind.REMOVED:
            return LeavePiece(reason=event.value)
        case RoomEventKind.PROFILE:
            shown = event.value or context.author_name
            return ProfilePiece(name=shown, avatar=event.attachment)
        case RoomEventKind.NAME:
            return ChatNamePiece(name=name)
        case RoomEventKind.TOPIC:
            return TopicPiece(topic=event.value)
        case RoomEventKind.AVATAR if event.attachment is not None:
            return ChatAvatarPiece(attachment=event.attachment)
        case RoomEventKind.AVATAR | RoomEventKind.NOTICE:
            return None


def _as_line(event: RoomEvent, context: RenderContext) -> Speech:
    line = system_line(event, tidy_name(context.author_name))
    if not line:
        return Speech()
    piece = TextPiece(text=Rich.plain(line))
    if event.kind is RoomEventKind.NOTICE:
        return Speech([piece])
    if event.kind in (RoomEventKind.TOPIC, RoomEventKind.AVATAR):
        what = "the topic" if event.kind is RoomEventKind.TOPIC else "the picture"
        return Speech([piece], [_item("GRP-2", Why.FEATURE_MISSING, what)])
    items = [_item("GRP-5", Why.FEATURE_MISSING, event.kind.value, "a line")]
    if event.attachment is not None:
        items.append(_item("GRP-2", Why.FEATURE_MISSING, "the picture"))
    return Speech([piece], items)


def _fitting(name: str, most: int | None) -> str:
    if most is None or len(name) <= most:
        return name
    count = most - 1
    short = clusters(name, count)
    while len(short) > most - 1:
        count -= 1
        short = clusters(name, count)
    return f"{short}…"


def _item(rule: str, why: Why, before: str, after: str = "") -> LossItem:
    return LossItem(
        rule=rule,
        level=Level.FORM,
        back=WayBack.STORE,
        why=why,
        before=before,
        after=after,
    )
