"""How WhatsApp's people, groups and messages are named here. Pure."""

import re
from typing import Final

from sabir.content.normal import clean
from sabir.networks.api import ChatId, PersonId

GROUP: Final = "group:"
"""Start of a group's `ChatId`; the rest is Meta's id."""
OURS: Final = PersonId("us")
"""The number itself, as author of what it sent."""
SERVICE: Final = PersonId("service")
"""Who tells about messages that did not arrive."""

_WA_ID: Final = re.compile(r"[1-9][0-9]{4,16}")
"""A phone number as digits; WhatsApp's own ids may be a little longer than E.164."""
_GROUP_ID: Final = re.compile(r"[A-Za-z0-9_=-]{8,256}")
_LOOSE: Final = re.compile(r"[\s()./-]+")


def chat_of(text: str) -> ChatId | None:
    """Return a chat as we name it, from what a person may type; None if it is none."""
    if text.startswith(GROUP):
        group = text.removeprefix(GROUP)
        return ChatId(GROUP + group) if _GROUP_ID.fullmatch(group) else None
    digits = _LOOSE.sub("", text).removeprefix("+")
    return ChatId(digits) if _WA_ID.fullmatch(digits) else None


def is_group(chat: str) -> bool:
    """Tell whether a chat is a group."""
    return chat.startswith(GROUP)


def person_id(value: object) -> str | None:
    """Return a wa_id, None if this is none."""
    return value if isinstance(value, str) and _WA_ID.fullmatch(value) else None


def group_chat(value: object) -> ChatId | None:
    """Return the chat of a group id, None if this is none."""
    if isinstance(value, str) and _GROUP_ID.fullmatch(value):
        return ChatId(GROUP + value)
    return None


def one_line(text: str) -> str:
    """Return a text cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split())


def phone(wa_id: str) -> str:
    """Return a number as people read it."""
    return f"+{wa_id}"
