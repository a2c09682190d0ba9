"""From an update of the Bot API to what it means. Pure.

The payload is the update as Telegram sent it, with `sabir_member` beside it where
one message tells of several people who joined ("Update", "Message" in the Bot API).

 * A topic's opening message is its thread's root; a message in a topic answers it
   only in form.
 * What Sabir cannot show becomes a message with a phrase in `lost`, never nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sabir.clock import Instant
from sabir.content.emoji import qualified
from sabir.content.normal import clean
from sabir.content.rich import Quote, Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    Action,
    ChatAvatarChanged,
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
)
from sabir.networks.telegram import entities, names, things
from sabir.networks.telegram.media_in import largest, media_of
from sabir.networks.telegram.text import name

Json = dict[str, Any]
Meaning = tuple[Action, tuple[str, ...]]

MEMBER: Final = "sabir_member"
"""Beside the update: which of `new_chat_members` this event is about."""
DATE_MAX: Final = 2**31
"""Seconds; the Bot API's dates are 32 bits."""
EMOJI_CHARACTERS_MAX: Final = 16
"""The longest emoji in use is a family of four with skin tones."""

_MESSAGES: Final = ("message", "channel_post")
_EDITS: Final = ("edited_message", "edited_channel_post")


def decode(event: NativeEvent) -> Incoming | None:
    """Say what a stored update means; None if it means nothing to people.

    Raises:
        PeerMisbehaved: TELEGRAM-001 not an update, TELEGRAM-002 a part that its
            kind needs is missing or of another type, TELEGRAM-003 a file
            without a usable id.
    """
    update = read_update(event.payload)
    for kind in _MESSAGES:
        if kind in update:
            in_topic = "/" in event.chat
            return _message(update[kind], update.get(MEMBER), in_topic=in_topic)
    for kind in _EDITS:
        if kind in update:
            return _edit(update[kind])
    if "message_reaction" in update:
        return _reaction(update["message_reaction"])
    return None


def read_update(payload: bytes) -> Json:
    """Return the update in a payload.

    Raises:
        PeerMisbehaved: TELEGRAM-001.
    """
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise PeerMisbehaved("TELEGRAM-001", f"{len(payload)} octets")
    try:
        update = json.loads(payload)
    except (ValueError, RecursionError):
        raise PeerMisbehaved("TELEGRAM-001", "an update that is no JSON") from None
    if not isinstance(update, dict):
        raise PeerMisbehaved("TELEGRAM-001", "an update that is no object")
    return update


# ---- who and when


def sender_of(message: Json) -> Person:
    """Return who wrote a message: a person, or a group or channel as such.

    Raises:
        PeerMisbehaved: TELEGRAM-002.
    """
    if isinstance(message.get("sender_chat"), dict):
        return _chat_person(message["sender_chat"], message.get("author_signature"))
    if isinstance(message.get("from"), dict):
        return user_person(message["from"])
    if isinstance(message.get("chat"), dict):  # a channel speaks for itself
        return _chat_person(message["chat"], message.get("author_signature"))
    raise PeerMisbehaved("TELEGRAM-002", "a message without a sender")


def user_person(user: Json) -> Person:
    """Return somebody by their `User`.

    Raises:
        PeerMisbehaved: TELEGRAM-002.
    """
    number = _integer(user, "id", "a person")
    both = (user.get("first_name"), user.get("last_name"))
    full = name(" ".join(part for part in both if isinstance(part, str)))
    username = user.get("username")
    if not full and isinstance(username, str):
        full = name(username)
    return Person(id=PersonId(str(number)), name=full or str(number))


def title_of(chat: Json) -> str:
    """Return a chat's name: a title, or a person's names."""
    parts = [chat.get(part) for part in ("title", "first_name", "last_name")]
    return name(" ".join(part for part in parts if isinstance(part, str)))


def _chat_person(chat: Json, signature: object) -> Person:
    number = _integer(chat, "id", "a chat")
    title = title_of(chat)
    if isinstance(signature, str) and name(signature):
        title = name(f"{name(signature)} ({title})" if title else signature)
    who = names.chat_id(number)
    return Person(id=PersonId(who), name=title or who)


def _instant(seconds: object) -> Instant:
    known = _positive(seconds)
    return Instant(known * 1000 if known is not None and known <= DATE_MAX else 0)


# ---- messages


def _message(message: object, member: object, *, in_topic: bool) -> Incoming | None:
    message = _object(message, "a message")
    service = _service(message, member, in_topic=in_topic)
    if service is not None:
        return service
    if things.is_silent(message):
        return None
    text, media, lost = _content(message)
    reply_to, thread = _relations(message, in_topic=in_topic)
    action = Posted(text=text, media=media, reply_to=reply_to, thread=thread)
    return Incoming(
        sender=sender_of(message),
        action=action,
        sent_at=_instant(message.get("date")),
        lost=(*lost, *_lost(message)),
    )


def _edit(message: object) -> Incoming:
    message = _object(message, "an edited message")
    text, media, lost = _content(message)
    target = names.message_id(_chat_number(message), _number(message))
    return Incoming(
        sender=sender_of(message),
        action=Corrected(target=target, text=text, media=media),
        sent_at=_instant(message.get("edit_date", message.get("date"))),
        lost=lost,
    )


def _content(
    message: Json,
) -> tuple[Rich | None, tuple[NativeMedia, ...], tuple[str, ...]]:
    media = media_of(message)
    source = "caption" if media is not None or "caption" in message else "text"
    words = message.get(source)
    text: Rich | None = None
    lost: tuple[str, ...] = ()
    if isinstance(words, str) and words:
        ranges = "caption_entities" if source == "caption" else "entities"
        text, lost = entities.read(words, message.get(ranges))
        text = text if text.blocks else None
    if text is None and media is None:
        text, lost = things.shown(message)
    text = _with_quote(message, text)
    return text, () if media is None else (media,), lost


def _with_quote(message: Json, text: Rich | None) -> Rich | None:
    """Put the words that a person chose to answer in front (RPL-4)."""
    quote = message.get("quote")
    if not isinstance(quote, dict) or quote.get("is_manual") is not True:
        return text
    words = quote.get("text")
    if not isinstance(words, str) or text is None:
        return text
    quoted, _ = entities.read(words, quote.get("entities"))
    return Rich((Quote(quoted.blocks), *text.blocks)) if quoted.blocks else text


def _relations(
    message: Json, *, in_topic: bool
) -> tuple[NativeId | None, NativeId | None]:
    """Return the answered message and the thread's root."""
    thread = topic_of(message)
    reply = message.get("reply_to_message")
    number = _positive(reply.get("message_id") if isinstance(reply, dict) else None)
    reply_to = None
    if number is not None and number != thread:
        reply_to = names.message_id(_chat_number(message), number)
    root = None if thread is None or in_topic else names.topic_id(thread)
    return reply_to, root


def topic_of(message: Mapping[str, Any]) -> int | None:
    """Return the topic a message is in; None outside of forums."""
    if message.get("is_topic_message") is not True:
        return None
    return _positive(message.get("message_thread_id"))


def _lost(message: Json) -> tuple[str, ...]:
    found = []
    if "forward_origin" in message:
        found.append("marked as forwarded")
    if "external_reply" in message or "reply_to_story" in message:
        found.append("an answer to something in another chat")
    if message.get("has_media_spoiler") is True:
        found.append("a picture that was hidden until tapped")
    return tuple(found)


# ---- what happens to a chat


def _service(message: Json, member: object, *, in_topic: bool) -> Incoming | None:
    at = _instant(message.get("date"))
    if "new_chat_members" in message:
        return Incoming(
            sender=_joined(message, member), action=PersonJoined(), sent_at=at
        )
    if "left_chat_member" in message:
        gone = user_person(_object(message["left_chat_member"], "who left"))
        removed = sender_of(message).id != gone.id
        return Incoming(sender=gone, action=PersonLeft(removed=removed), sent_at=at)
    meaning = _change(message, in_topic=in_topic)
    if meaning is None:
        return None
    action, lost = meaning
    return Incoming(sender=sender_of(message), action=action, sent_at=at, lost=lost)


def _joined(message: Json, member: object) -> Person:
    people = message["new_chat_members"]
    index = member if isinstance(member, int) else 0
    if not isinstance(people, list) or not 0 <= index < len(people):
        raise PeerMisbehaved("TELEGRAM-002", "nobody in new_chat_members")
    return user_person(_object(people[index], "who joined"))


def _change(message: Json, *, in_topic: bool) -> Meaning | None:
    title = message.get("new_chat_title")
    if isinstance(title, str):
        return ChatRenamed(name=name(title)), ()
    if "new_chat_photo" in message:
        picture = largest(message["new_chat_photo"])
        return ChatAvatarChanged(media=picture), ()
    if message.get("delete_chat_photo") is True:
        return ChatAvatarChanged(media=None), ()
    created, edited = (
        message.get(part) for part in ("forum_topic_created", "forum_topic_edited")
    )
    if isinstance(created, dict) and isinstance(created.get("name"), str):
        if in_topic:
            return ChatRenamed(name=name(created["name"])), ()
        return Posted(text=Rich.plain(clean(created["name"]))), ()
    if isinstance(edited, dict) and isinstance(edited.get("name"), str) and in_topic:
        return ChatRenamed(name=name(edited["name"])), ()
    timer = message.get("message_auto_delete_timer_changed")
    if isinstance(timer, dict):
        return Posted(), (things.timer(timer),)
    return None


def _reaction(update: object) -> Incoming:
    update = _object(update, "a reaction")
    target = names.message_id(_chat_number(update), _number(update))
    emoji, lost = [], []
    new = update.get("new_reaction")
    for reaction in new if isinstance(new, list) else ():
        kind = reaction.get("type") if isinstance(reaction, dict) else None
        shown = reaction.get("emoji") if kind == "emoji" else None
        if isinstance(shown, str) and 0 < len(shown) <= EMOJI_CHARACTERS_MAX:
            emoji.append(qualified(clean(shown)))
        else:
            lost.append("a reaction that is no ordinary emoji")
    if isinstance(update.get("user"), dict):
        who = user_person(update["user"])
    else:
        who = _chat_person(_object(update.get("actor_chat"), "who reacted"), None)
    return Incoming(
        sender=who,
        action=ReactionsReplaced(target=target, emoji=tuple(dict.fromkeys(emoji))),
        sent_at=_instant(update.get("date")),
        lost=tuple(dict.fromkeys(lost)),
    )


# ---- small readers


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise PeerMisbehaved("TELEGRAM-002", f"{what} is no object")
    return value


def _integer(value: Json, member: str, what: str) -> int:
    number = value.get(member)
    if not isinstance(number, int) or isinstance(number, bool) or not number:
        raise PeerMisbehaved("TELEGRAM-002", f"{what} without {member}")
    return number


def _positive(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    return None


def _chat_number(message: Json) -> int:
    return _integer(_object(message.get("chat"), "the chat"), "id", "a chat")


def _number(message: Json) -> int:
    number = _integer(message, "message_id", "a message")
    if number < 0:
        raise PeerMisbehaved("TELEGRAM-002", "a message_id below 0")
    return number
