"""From a message of BlueBubbles to what it means. Pure.

* A tapback replaces the person's earlier one: Messages has one per person.
* A change of a message is an event of its own, named after the message and the
  change. What cannot be shown becomes a message with a phrase in `lost`.
"""

from collections.abc import Mapping
from typing import Any, Final

from sabir.clock import Instant
from sabir.content.rich import Block, Paragraph, Rich, Spoiler, Strong, Text
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    Retracted,
)
from sabir.networks.imessage import effects, names, rows, tapbacks
from sabir.networks.imessage.envelope import Envelope, Kind, open_payload
from sabir.networks.imessage.media_in import media_of
from sabir.networks.imessage.text import name, one_line, words

Json = Mapping[str, Any]
Meaning = tuple[Action, tuple[str, ...]]

DATE_MS_MAX: Final = 2**45
SYSTEM: Final = Person(id=PersonId("imessage"), name="iMessage")
NOT_DELIVERED: Final = (
    "Not delivered by iMessage: {reason}. It was accepted at first and failed later;"
    " send it again, or ask on another way"
)
_ERRORS: Final = {22: "the address is not on iMessage"}
_LESSER: Final = "it came as SMS or RCS, not as iMessage: the carrier can read it"
_SOME_UNSENT: Final = "a part of it was taken back"


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored event means.

    Raises:
        PeerMisbehaved: IMESSAGE-001 not our envelope, IMESSAGE-002 a message without
            guid, sender or what its kind needs, IMESSAGE-003 a file without a guid.
    """
    envelope = open_payload(event.payload)
    message = envelope.message
    target = rows.guid(message)
    if target is None:
        raise PeerMisbehaved("IMESSAGE-002", "a message without a guid")
    match envelope.kind:
        case Kind.MESSAGE:
            return _message(envelope)
        case Kind.FAILED:
            return _failed(message, target)
        case Kind.EDIT | Kind.UNSEND as kind:
            return _change(envelope, kind, target)


def _change(envelope: Envelope, kind: Kind, target: NativeId) -> Incoming:
    message = envelope.message
    action: Action = Retracted(target=target, any_version=True)
    lost: tuple[str, ...] = ()
    if kind is Kind.EDIT:
        action, lost = _edit(message, target)
    member = "dateEdited" if rows.number(message, "dateEdited") else "dateRetracted"
    return Incoming(
        sender=_sender(envelope),
        action=action,
        sent_at=_instant(message, member),
        lost=lost,
    )


def _failed(message: Json, target: NativeId) -> Incoming:
    error = rows.number(message, "error")
    reason = _ERRORS.get(error, f"error {error} of Messages")
    text = Rich.plain(NOT_DELIVERED.format(reason=reason))
    action = Posted(text=text, reply_to=target)
    return Incoming(sender=SYSTEM, action=action, sent_at=Instant(0))


def _edit(message: Json, target: NativeId) -> Meaning:
    text, lost = _text(message)
    if rows.retracted_parts(message):
        lost = (*lost, _SOME_UNSENT)
    return Corrected(target=target, text=text, media=media_of(message)), lost


# ---- who and when


def _sender(envelope: Envelope) -> Person:
    if rows.is_own(envelope.message):
        return _person(envelope, envelope.me)
    handle = envelope.message.get("handle")
    found = names.person(handle.get("address") if isinstance(handle, dict) else None)
    if found is None:
        raise PeerMisbehaved("IMESSAGE-002", "a message without a sender")
    return _person(envelope, found)


def _person(envelope: Envelope, person: PersonId) -> Person:
    called = name(envelope.names.get(person)) or name(names.shown(person))
    return Person(id=person, name=called)


def _instant(message: Json, member: str) -> Instant:
    at = rows.number(message, member)
    return Instant(at if at <= DATE_MS_MAX else 0)


# ---- messages


def _message(envelope: Envelope) -> Incoming:
    message = envelope.message
    if rows.number(message, "itemType"):
        return _group_change(envelope)
    action, lost = _posted_or_tapback(message)
    handle = message.get("handle")
    came_by = handle.get("service") if isinstance(handle, dict) else None
    by_handle = isinstance(came_by, str) and came_by.lower() in {"sms", "rcs"}
    if envelope.is_lesser or by_handle:
        lost = (*lost, _LESSER)
    return Incoming(
        sender=_sender(envelope),
        action=action,
        sent_at=_instant(message, "dateCreated"),
        lost=lost,
    )


def _posted_or_tapback(message: Json) -> Meaning:
    kind = message.get("associatedMessageType")
    if kind is None or not message.get("associatedMessageGuid"):
        return _posted(message)
    target = names.target(message.get("associatedMessageGuid"))
    if target is None:
        raise PeerMisbehaved("IMESSAGE-002", "a tapback without its message")
    tapback = tapbacks.read(kind, message.get("text"))
    if tapback is not None:
        emoji = () if tapback.removed or not tapback.emoji else (tapback.emoji,)
        lost = () if tapback.emoji or tapback.removed else ("a reaction's emoji",)
        return ReactionsReplaced(target=target, emoji=emoji), lost
    if str(kind) in tapbacks.STICKERS:
        media = media_of(message)
        lost = ("a sticker that was put on a message, shown as an answer",)
        return Posted(media=media, reply_to=target), lost
    return _posted(message)


def _posted(message: Json) -> Meaning:
    text, lost = _text(message)
    media = media_of(message)
    if text is None and not media:
        what = one_line(message.get("balloonBundleId")).rpartition(".")[2][:60]
        what = what or "of an unknown kind"
        lost = (*lost, f"an iMessage that cannot be shown here ({what})")
    reply_to = names.guid(message.get("threadOriginatorGuid"))
    return Posted(text=text, media=media, reply_to=reply_to), lost


def _text(message: Json) -> tuple[Rich | None, tuple[str, ...]]:
    """Return the words of a message, with its subject and its effect."""
    blocks: list[Block] = []
    if subject := one_line(message.get("subject")):
        blocks.append(Paragraph((Strong((Text(subject),)),)))
    said = words(message.get("text"))
    effect = message.get("expressiveSendStyleId")
    if said:
        body = Text(said)
        is_hidden = effect == effects.INVISIBLE_INK
        blocks.append(Paragraph((Spoiler((body,)),) if is_hidden else (body,)))
    shown = effects.name_of(effect)
    if not shown or effect == effects.INVISIBLE_INK:
        return (Rich(tuple(blocks)) if blocks else None), ()
    blocks.append(Paragraph((Text(f"(sent with {shown})"),)))
    return Rich(tuple(blocks)), (f"the effect {shown}, shown as words",)


# ---- what happens to a group


def _group_change(envelope: Envelope) -> Incoming:
    message = envelope.message
    handle = message.get("handle")
    by = names.person(handle.get("address") if isinstance(handle, dict) else None)
    if rows.is_own(message):
        by = envelope.me
    who = SYSTEM if by is None else _person(envelope, by)
    other = who if envelope.other is None else _person(envelope, envelope.other)
    kind = rows.number(message, "itemType"), rows.number(message, "groupActionType")
    action: Action
    lost: tuple[str, ...] = ()
    match kind:
        case (1, 0):
            who, action = other, PersonJoined()
        case (1, _):
            who, action = other, PersonLeft(removed=other.id != who.id)
        case (2, _):
            action = ChatRenamed(name=name(message.get("groupTitle")))
        case (3, 0):
            action = PersonLeft()
        case (3, 2):
            action = ChatAvatarChanged(media=None)
        case (3, _):
            action, lost = Posted(), ("the group has a new picture",)
        case _:
            action, lost = Posted(), (f"a change of the group of kind {kind[0]}",)
    return Incoming(
        sender=who,
        action=action,
        sent_at=_instant(message, "dateCreated"),
        lost=lost,
    )
