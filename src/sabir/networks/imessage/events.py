"""What BlueBubbles announces, by webhook or socket. Pure.

Events are hints: they wake the look into the database, which is the truth. Only what
is no content is taken from them: typing, reading, and the mark of a send.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sabir.networks.api import ChatId, NativeId
from sabir.networks.imessage import names, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """There is something new."""

    temp: str = ""
    """The mark of a send ..."""
    guid: NativeId | None = None
    """... and the message it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingHint:
    """The other person of a direct chat types, or stopped."""

    chat: ChatId
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHint:
    """The owner has read a chat on another device."""

    chat: ChatId


@dataclass(frozen=True, slots=True)
class Nothing:
    """It is of no use here."""


Event = Hint | TypingHint | ReadHint | Nothing

_NEWS = frozenset(
    {
        "new-message",
        "updated-message",
        "message-send-error",
        "group-name-change",
        "participant-added",
        "participant-removed",
        "participant-left",
        "group-icon-changed",
        "group-icon-removed",
        "hello-world",
    }
)


def read_event(kind: object, data: object) -> Event:
    """Return what an event is good for; whatever it is, nothing is raised."""
    body: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    if kind in ("typing-indicator", "chat-read-status-changed"):
        is_typing = kind == "typing-indicator"
        chat = body.get("guid" if is_typing else "chatGuid")
        if not isinstance(chat, str) or not names.CHAT.fullmatch(chat):
            return Nothing()
        if is_typing:
            return TypingHint(chat=ChatId(chat), active=body.get("display") is True)
        return ReadHint(chat=ChatId(chat)) if body.get("read") is True else Nothing()
    if not isinstance(kind, str) or kind not in _NEWS:
        return Nothing()
    temp = body.get("tempGuid")
    if isinstance(temp, str) and rows.is_own(body):
        return Hint(temp=temp[:64], guid=rows.guid(body))
    return Hint()
