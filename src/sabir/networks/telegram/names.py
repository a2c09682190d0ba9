"""How Telegram's chats, messages and people are named here. Pure.

A chat is typed: `user:5`, `chat:77` (basic group), `channel:1234` (supergroup or
channel), `channel:1234/17` (a topic of a forum). The Bot API has one number for
all of them; it is made at the edge.

A message is its number. A basic group that becomes a supergroup starts to count
again, so a basic group's numbers have a `b` in front: one portal holds both ranges.
"""

import re
from dataclasses import dataclass
from typing import Final

from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId, NativeId

CHANNEL_BASE: Final = 10**12
"""Bot API: a supergroup or channel n is -(10^12 + n), a basic group n is -n."""

_TYPED: Final = re.compile(r"(user|chat|channel):([1-9]\d{0,18})(?:/([1-9]\d{0,9}))?")
_NUMBER: Final = re.compile(r"(-?[1-9]\d{0,18})(?:/([1-9]\d{0,9}))?")
_USERNAME: Final = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}")
_MESSAGE: Final = re.compile(r"([bt]?)([1-9]\d{0,9})(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes, as the Bot API names it."""

    number: int
    topic: int | None = None


def chat_id(number: int, topic: int | None = None) -> ChatId:
    """Return the typed name of a chat."""
    if number > 0:
        name = f"user:{number}"
    elif number > -CHANNEL_BASE:
        name = f"chat:{-number}"
    else:
        name = f"channel:{-number - CHANNEL_BASE}"
    return ChatId(f"{name}/{topic}" if topic is not None else name)


def place(chat: ChatId) -> Place:
    """Return where a chat is, from its typed name or from the Bot API's number.

    Raises:
        PolicyRefused: it is neither; names the forms.
    """
    typed = _TYPED.fullmatch(chat)
    if typed is not None:
        kind, digits, topic = typed.groups()
        number = int(digits)
        if kind == "chat":
            number = -number
        elif kind == "channel":
            number = -CHANNEL_BASE - number
        return Place(number, int(topic) if topic else None)
    plain = _NUMBER.fullmatch(chat)
    if plain is not None:
        return Place(int(plain[1]), int(plain[2]) if plain[2] else None)
    raise PolicyRefused(
        f"{chat!r} names no Telegram chat; write user:5, chat:77, channel:1234, "
        "channel:1234/17 for a topic, or @name of a public group; `sabir chats` lists "
        "where the bot has been spoken to"
    )


def is_username(chat: str) -> bool:
    """Tell whether this is the public name of a group or channel."""
    return _USERNAME.fullmatch(chat) is not None


def without_topic(chat: ChatId) -> ChatId:
    """Return the chat that a topic belongs to."""
    return ChatId(chat.partition("/")[0])


def message_id(number: int, message: int) -> NativeId:
    """Return the name of a message in the chat of this Bot API number."""
    is_basic = -CHANNEL_BASE < number < 0
    return NativeId(f"b{message}" if is_basic else str(message))


def topic_id(topic: int) -> NativeId:
    """Return the name of the message that opened a topic; it is the thread's root."""
    return NativeId(f"t{topic}")


def topic_of(native_id: str) -> int | None:
    """Return the topic that a message opened, None if it opened none."""
    found = _MESSAGE.fullmatch(native_id)
    return int(found[2]) if found is not None and found[1] == "t" else None


def message_number(native_id: str, where: Place) -> int | None:
    """Return a message's number in this chat.

    Returns:
        None for what is no message, and for messages from before a basic group
        became the supergroup that it is now: nothing there can be reached.
    """
    found = _MESSAGE.fullmatch(native_id)
    if found is None:
        return None
    is_basic = -CHANNEL_BASE < where.number < 0
    if (found[1] == "b") != is_basic:
        return None
    return int(found[2])
