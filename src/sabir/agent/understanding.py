"""From a decoded native event to what it means in the room.

Pure: facts about referred entries come in as `Known`; what comes out is a list
of meanings, or a refusal with its reason. The rules:

 * An edit or deletion counts only from the author of the original, unless the
   network itself vouches for it (`Retracted.by_moderator`).
 * References lead to the first version of a message (content-09, `replaces`).
 * What refers to a message that is not here (older than the portal) is kept as
   far as it makes sense alone, and says what it lost.
 * A reaction that is in force already, or one that is not, changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sabir.content.meaning import (
    Attachment,
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import MessageId
from sabir.content.rich import Rich
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    ChatRenamed,
    Corrected,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionAdded,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """What must be known of an entry that is referred to."""

    entry: MessageId
    kind: str
    author: str
    target: MessageId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an event refers to, looked up beforehand."""

    author: str
    """External URI of the event's sender."""
    entries: Mapping[str, KnownEntry] = field(default_factory=dict)
    """Entries by the native ids the event names."""
    reactions: Mapping[str, MessageId] = field(default_factory=dict)
    """The sender's reactions in force on the target: emoji to entry."""
    attachments: tuple[Attachment, ...] = ()
    """The event's files, fetched."""
    lost: tuple[str, ...] = ()
    """What could not be decoded or fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What becomes of an event."""

    meanings: tuple[Meaning, ...] = ()
    lost: tuple[str, ...] = ()
    rejected: str = ""
    """Why it becomes no entry although somebody meant something by it."""


NOTHING = Understood()


def native_ids_of(action: Action) -> Sequence[str]:
    """Return the native ids an action refers to."""
    match action:
        case Posted(reply_to=reply_to, thread=thread):
            return [native_id for native_id in (reply_to, thread) if native_id]
        case (
            Corrected(target=target)
            | Retracted(target=target)
            | ReactionAdded(target=target)
            | ReactionsReplaced(target=target)
        ):
            return [target]
        case _:
            return ()


def understand(action: Action, facts: Facts) -> Understood:
    """Say what an action means in the room."""
    match action:
        case Posted():
            return _posted(action, facts)
        case Corrected():
            return _corrected(action, facts)
        case Retracted():
            return _retracted(action, facts)
        case ReactionAdded():
            return _reaction_added(action, facts)
        case ReactionsReplaced():
            return _reactions_replaced(action, facts)
        case _:
            return _room_event(action, facts)


def _first_version(known: KnownEntry) -> MessageId:
    if known.kind == "edited" and known.target is not None:
        return known.target
    return known.entry


def _posted(action: Posted, facts: Facts) -> Understood:
    lost = []
    reply_to = topic = None
    if action.reply_to:
        reply_to = facts.entries.get(action.reply_to)
        if reply_to is None:
            lost.append("a reply to a message that is not here")
    if action.thread:
        topic = facts.entries.get(action.thread)
        if topic is None:
            lost.append("a thread whose first message is not here")
    said = Said(
        text=action.text or _placeholder(facts),
        attachments=facts.attachments,
        in_reply_to=None if reply_to is None else _first_version(reply_to),
        topic=b"" if topic is None else _first_version(topic),
        emote=action.emote,
    )
    if said.text is None and not said.attachments:
        return Understood(rejected="it has neither text nor a file", lost=tuple(lost))
    return Understood(meanings=(said,), lost=tuple(lost))


def _placeholder(facts: Facts) -> Rich | None:
    """Nothing readable is left: people are told what was there."""
    if facts.attachments or not facts.lost:
        return None
    return Rich.plain("[" + "; ".join(facts.lost) + "]")


def _corrected(action: Corrected, facts: Facts) -> Understood:
    known = facts.entries.get(action.target)
    if known is None:
        said = Said(text=action.text, attachments=facts.attachments)
        return Understood(
            meanings=(said,), lost=("an edit of a message that is not here",)
        )
    if known.author != facts.author:
        return Understood(rejected="an edit of somebody else's message")
    if known.kind not in {"said", "edited"}:
        return Understood(rejected="an edit of something that is not a message")
    edited = Edited(
        target=_first_version(known), text=action.text, attachments=facts.attachments
    )
    return Understood(meanings=(edited,))


def _retracted(action: Retracted, facts: Facts) -> Understood:
    known = facts.entries.get(action.target)
    if known is None:
        return Understood(rejected="a deletion of a message that is not here")
    foreign = known.author != facts.author
    if foreign and not action.by_moderator:
        return Understood(rejected="a deletion of somebody else's message")
    # Taking back an edit returns to the earlier text on its own network; the
    # room keeps the first version's fate (content-09: only `replaces` of it).
    if known.kind == "edited" and not action.any_version:
        return Understood(rejected="a deletion of an edit, which rooms cannot express")
    target = _first_version(known)
    return Understood(meanings=(Deleted(target=target, by_moderator=foreign),))


def _reaction_added(action: ReactionAdded, facts: Facts) -> Understood:
    known = facts.entries.get(action.target)
    if known is None:
        return Understood(rejected="a reaction to a message that is not here")
    if action.emoji in facts.reactions:
        return NOTHING
    return Understood(
        meanings=(Reacted(target=_first_version(known), emoji=action.emoji),)
    )


def _reactions_replaced(action: ReactionsReplaced, facts: Facts) -> Understood:
    known = facts.entries.get(action.target)
    if known is None:
        return Understood(rejected="a reaction to a message that is not here")
    target = _first_version(known)
    wanted = dict.fromkeys(action.emoji)
    gone: list[Meaning] = [
        Deleted(target=entry)
        for emoji, entry in facts.reactions.items()
        if emoji not in wanted
    ]
    new: list[Meaning] = [
        Reacted(target=target, emoji=emoji)
        for emoji in wanted
        if emoji not in facts.reactions
    ]
    return Understood(meanings=(*gone, *new))


def _room_event(action: Action, facts: Facts) -> Understood:
    picture = facts.attachments[0] if facts.attachments else None
    match action:
        case PersonJoined():
            event = RoomEvent(kind=RoomEventKind.JOINED)
        case PersonLeft(removed=True, reason=reason):
            event = RoomEvent(kind=RoomEventKind.REMOVED, value=reason)
        case PersonLeft(reason=reason):
            event = RoomEvent(kind=RoomEventKind.LEFT, value=reason)
        case ProfileChanged():
            event = RoomEvent(kind=RoomEventKind.PROFILE, attachment=picture)
        case ChatRenamed(name=name):
            event = RoomEvent(kind=RoomEventKind.NAME, value=name)
        case TopicChanged(topic=topic):
            event = RoomEvent(kind=RoomEventKind.TOPIC, value=topic)
        case ChatAvatarChanged():
            event = RoomEvent(kind=RoomEventKind.AVATAR, attachment=picture)
        case _:
            return NOTHING
    return Understood(meanings=(event,))
