"""From what the daemon received to what it means. Pure.

* An edit, a reply, a reaction or a deletion names its message by author and time, of
  any version of it; the room finds the first one.
* The words that a quote brings along are a copy made by its sender: they are not
  trusted, and the room shows its own.
* What Sabir cannot show becomes a message with a phrase in `lost`, never nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from sabir.clock import Instant
from sabir.content.emoji import qualified
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    Action,
    ChatRenamed,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    NativeMedia,
    Person,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    Retracted,
    TopicChanged,
)
from sabir.networks.signal import names, ranges, things
from sabir.networks.signal.envelope import (
    Json,
    Said,
    Seen,
    display_name,
    inner,
    said,
    unseal,
)
from sabir.networks.signal.media_in import files_of
from sabir.networks.signal.text import clean, one_line

EMOJI_CHARACTERS_MAX: Final = 16
"""The longest emoji in use is a family of four with skin tones."""

KEY_CHANGED: Final = (
    "the safety number has changed (a new phone, or somebody in between): what this"
    " person writes is held back and nothing is sent to them until you have compared it"
    " with them; then run `sabir account add` for this Signal account again and choose"
    " to review safety numbers"
)
_TRUSTED: Final = {
    "TRUSTED_VERIFIED": "the new safety number was compared and is right",
    "TRUSTED_UNVERIFIED": "the new safety number was accepted without comparing it",
}


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored event means; None if it means nothing to people.

    Raises:
        PeerMisbehaved: SIGNAL-001 not our envelope, SIGNAL-002 a part that its kind
            needs is missing or of another type, SIGNAL-003 a file without a usable id.
    """
    outer = unseal(event.payload)
    if (thing := inner(outer, "seen")) is not None:
        return _seen(outer, thing)
    me = names.person_id(outer.get("me"))
    envelope = inner(outer, "envelope")
    if me is None or envelope is None:
        raise PeerMisbehaved("SIGNAL-001", "the envelope is missing")
    message = said(envelope, me)
    if message is None:
        raise PeerMisbehaved("SIGNAL-002", "no author, no chat or no time")
    known = inner(outer, "names") or {}
    meaning = _meaning(message, known)
    if meaning is None:
        return None
    action, lost = meaning
    return Incoming(
        sender=_person(message.author, known.get(message.author)),
        action=action,
        sent_at=Instant(message.sent_at),
        lost=lost,
    )


def _person(person: PersonId, known: object) -> Person:
    return Person(id=person, name=display_name(known, person))


# ---- messages

_Meaning = tuple[Action, tuple[str, ...]] | None


def _meaning(message: Said, known: Json) -> _Meaning:
    body = message.body
    if message.edits is not None:
        return _edit(message, message.edits, known)
    if (reaction := body.get("reaction")) is not None:
        return _reaction(reaction), ()
    if (deletion := body.get("remoteDelete")) is not None:
        return _deletion(deletion, message.author), ()
    if (deletion := body.get("adminDelete")) is not None:
        return _admin_deletion(deletion), ()
    if body.get("isExpirationUpdate") is True:
        return Posted(), (things.timer(body.get("expiresInSeconds")),)
    if body.get("viewOnce") is True:
        return Posted(reply_to=_quoted(body)), (things.VIEW_ONCE,)
    text, media, lost = _content(message, known)
    if text is None and not media and not lost:
        return None  # a group's change of state, say
    lost = (*lost, *things.disappearing(body))
    return Posted(text=text, media=media, reply_to=_quoted(body)), lost


def _edit(message: Said, target: int, known: Json) -> _Meaning:
    if message.body.get("viewOnce") is True:
        raise PeerMisbehaved("SIGNAL-002", "an edit of what is viewed once")
    text, media, lost = _content(message, known)
    if text is None and not media:
        raise PeerMisbehaved("SIGNAL-002", "an edit without content")
    native_id = names.message_id(message.author, target)
    return Corrected(target=native_id, text=text, media=media), lost


def _content(
    message: Said, known: Json
) -> tuple[Rich | None, tuple[NativeMedia, ...], tuple[str, ...]]:
    body = message.body
    words = clean(body.get("message"))
    text, lost = None, things.left_behind(body)
    if words:
        text = ranges.read(
            words, body.get("textStyles"), body.get("mentions"), _names(known)
        )
        text = text if text.blocks else None
    if text is None:
        text, more = things.shown(body)
        lost = (*lost, *more)
    return text, files_of(body, message.chat), lost


def _names(known: Json) -> Mapping[str, str]:
    return {person: display_name(name, person) for person, name in known.items()}


def _quoted(body: Json) -> NativeId | None:
    quote = inner(body, "quote")
    if quote is None:
        return None
    author = names.person_id(quote.get("authorUuid"))
    author = author or names.person_id(quote.get("author"))
    sent_at = names.timestamp(quote.get("id"))
    if author is None or sent_at is None:
        return None  # of a message that Signal itself cannot name
    return names.message_id(author, sent_at)


def _reaction(reaction: object) -> ReactionsReplaced:
    emoji = one_line(reaction.get("emoji")) if isinstance(reaction, dict) else ""
    if not isinstance(reaction, dict) or not 0 < len(emoji) <= EMOJI_CHARACTERS_MAX:
        raise PeerMisbehaved("SIGNAL-002", "a reaction without an emoji")
    target = _target(reaction, "targetAuthorUuid", "targetSentTimestamp")
    gone = reaction.get("isRemove") is True
    return ReactionsReplaced(target=target, emoji=() if gone else (qualified(emoji),))


def _deletion(deletion: object, author: PersonId) -> Retracted:
    sent_at = deletion.get("timestamp") if isinstance(deletion, dict) else None
    number = names.timestamp(sent_at)
    if number is None:
        raise PeerMisbehaved("SIGNAL-002", "a deletion that names no message")
    return Retracted(target=names.message_id(author, number), any_version=True)


def _admin_deletion(deletion: object) -> Retracted:
    if not isinstance(deletion, dict):
        raise PeerMisbehaved("SIGNAL-002", "a deletion that names no message")
    target = _target(deletion, "targetAuthorUuid", "targetSentTimestamp")
    return Retracted(target=target, by_moderator=True, any_version=True)


def _target(thing: Mapping[str, Any], author: str, sent_at: str) -> NativeId:
    person, number = (
        names.person_id(thing.get(author)),
        names.timestamp(thing.get(sent_at)),
    )
    if person is None or number is None:
        raise PeerMisbehaved("SIGNAL-002", "a message without author or time is meant")
    return names.message_id(person, number)


# ---- what we saw ourselves


def _seen(outer: Json, thing: Json) -> Incoming:
    person, at = names.person_id(outer.get("person")), names.timestamp(outer.get("at"))
    if person is None or at is None:
        raise PeerMisbehaved("SIGNAL-001", "nobody is named, or no time")
    value = thing.get("value")
    action, lost = _seen_action(thing.get("kind"), value)
    return Incoming(
        sender=_person(person, outer.get("name")),
        action=action,
        sent_at=Instant(at),
        lost=lost,
    )


def _seen_action(kind: object, value: object) -> tuple[Action, tuple[str, ...]]:
    match kind:
        case Seen.JOINED:
            return PersonJoined(), ()
        case Seen.LEFT:
            return PersonLeft(), ()
        case Seen.RENAMED:
            return ChatRenamed(name=one_line(value)), ()
        case Seen.TOPIC:
            return TopicChanged(topic=clean(value)), ()
        case Seen.ROLE:
            role = "an administrator" if value == "admin" else "an ordinary member"
            return Posted(), (f"is now {role} of the Signal group",)
        case Seen.TIMER:
            return Posted(), (things.timer(value),)
        case Seen.KEY_CHANGED:
            return Posted(), (KEY_CHANGED,)
        case Seen.KEY_TRUSTED:
            return Posted(), (_TRUSTED.get(str(value), _TRUSTED["TRUSTED_UNVERIFIED"]),)
        case _:
            raise PeerMisbehaved("SIGNAL-001", "something of an unknown kind was seen")
