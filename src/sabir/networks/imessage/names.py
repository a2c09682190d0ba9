"""How chats, people and messages are named. Pure.

A chat's name is BlueBubbles' `guid`, opaque but for the service in front of its first
semicolon and the sign that tells groups (`+`) from direct chats (`-`).
"""

import base64
import hashlib
import re
from typing import Final

from sabir.networks.api import ChatId, IdempotencyKey, NativeId, PersonId

TEMP_CHARACTERS: Final = 24
GUID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Apple writes UUIDs in capitals; older messages have other forms."""
CHAT: Final = re.compile(r"[A-Za-z]{1,20};[+-];[^\x00-\x20;/\\]{1,200}")
ATTACHMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,159}")
ADDRESS: Final = re.compile(r"\+[1-9]\d{5,14}|[^\s@;/]{1,64}@[^\s@;/]{1,190}")
"""E.164, or an address of an Apple Account."""

_TARGET: Final = re.compile(rf"(?:p:\d{{1,4}}/|bp:)?({GUID.pattern})")
_LESSER: Final = frozenset({"sms", "rcs"})


def service(chat: ChatId) -> str:
    """Return the service of a chat in small letters: `imessage`, `sms`, `rcs`."""
    return chat.partition(";")[0].lower()


def is_lesser(chat: ChatId) -> bool:
    """Tell whether a chat is SMS or RCS, which the Mac forwards for an iPhone."""
    return service(chat) in _LESSER


def is_group(chat: ChatId) -> bool:
    """Tell whether a chat is a group."""
    return ";+;" in chat


def address(value: object) -> PersonId | None:
    """Return a person's address in its one form, None if it is none."""
    if not isinstance(value, str):
        return None
    found = value.strip()
    found = found.lower() if "@" in found else re.sub(r"[ ()./-]", "", found)
    return PersonId(found) if ADDRESS.fullmatch(found) else None


def person(value: object) -> PersonId | None:
    """Return the id of whoever wrote: an address, a short code or a sender's name."""
    known = address(value)
    if known is not None:
        return known
    if isinstance(value, str) and 0 < len(value.strip()) <= 100:
        return PersonId(value.strip())
    return None


def guid(value: object) -> NativeId | None:
    """Return a message's guid, None if it is none."""
    if isinstance(value, str) and GUID.fullmatch(value):
        return NativeId(value)
    return None


def target(value: object) -> NativeId | None:
    """Return the message in an `associatedMessageGuid` (`p:0/...`, `bp:...`)."""
    found = _TARGET.fullmatch(value) if isinstance(value, str) else None
    return NativeId(found[1]) if found else None


def temp_guid(chat: ChatId, key: IdempotencyKey, tries: int) -> str:
    """Return the mark of one attempt, by which its echo is known."""
    digest = hashlib.sha256(f"{chat}\0{key}\0{tries}".encode()).digest()
    return "sb" + base64.b32encode(digest).decode().lower()[:TEMP_CHARACTERS]


def edit_id(message: NativeId, revision: str) -> NativeId:
    """Return the id of one change of a message."""
    return NativeId(f"{message}:{revision}")


def failed_id(message: NativeId) -> NativeId:
    """Return the id of the news that a message was not delivered."""
    return NativeId(f"{message}:failed")


def shown(person: PersonId) -> str:
    """Return what people see of somebody without a name: never a whole number."""
    if "@" in person:
        return person.partition("@")[0]
    return f"iMessage user …{person[-4:]}" if person.startswith("+") else person
