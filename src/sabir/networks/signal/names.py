"""Ids of people, chats and messages on Signal. Pure.

A person is an account id (ACI, a UUID), or `PNI:` and a UUID while only their number
is known; the number itself is never an id here, for it may change and is private. A
message is its author and the time they sent it: there is no other id.
"""

import re
from dataclasses import dataclass
from typing import Final

from sabir.errors import PolicyRefused
from sabir.networks.api import ChatId, NativeId, PersonId

TIMESTAMP_MS_MAX: Final = 2**53 - 1
"""The largest whole number that JSON carries exactly everywhere."""

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PERSON: Final = re.compile(rf"(?:PNI:)?{_UUID}")
_GROUP: Final = re.compile(r"[A-Za-z0-9+/]{22,64}={0,2}")
_MESSAGE: Final = re.compile(rf"((?:PNI:)?{_UUID})\|([1-9]\d{{0,15}})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes; one of the two is set."""

    person: PersonId | None = None
    group: str | None = None


def person_id(value: object) -> PersonId | None:
    """Return who this is, None if it is no account id."""
    if not isinstance(value, str):
        return None
    bare = value.removeprefix("PNI:")
    name = value[: len(value) - len(bare)] + bare.lower()
    return PersonId(name) if _PERSON.fullmatch(name) else None


def direct(person: PersonId) -> ChatId:
    """Return the chat with one person; with oneself it is "Note to Self"."""
    return ChatId(f"dm:{person}")


def group_chat(group: object) -> ChatId | None:
    """Return the chat of a group, None if this is no group's id (base64)."""
    is_id = isinstance(group, str) and _GROUP.fullmatch(group) is not None
    return ChatId(f"group:{group}") if is_id else None


def place(chat: ChatId) -> Place:
    """Return where a chat is.

    Raises:
        PolicyRefused: it is no chat of ours; names the forms.
    """
    kind, _, name = chat.partition(":")
    if kind == "dm" and (person := person_id(name)) is not None:
        return Place(person=person)
    if kind == "group" and group_chat(name) is not None:
        return Place(group=name)
    raise PolicyRefused(
        "this names no Signal chat; write dm: and an account id (a UUID), or group: and"
        " a group's id; `sabir chats` lists them with their names"
    )


def timestamp(value: object) -> int | None:
    """Return a time in ms since 1970, by which messages are named, None if none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 < value <= TIMESTAMP_MS_MAX else None
    return None


def message_id(author: PersonId, sent_at: int) -> NativeId:
    """Return the name of a message."""
    return NativeId(f"{author}|{sent_at}")


def message_of(native_id: str) -> tuple[PersonId, int] | None:
    """Return author and time of a message, None if this names none."""
    found = _MESSAGE.fullmatch(native_id)
    return None if found is None else (PersonId(found[1]), int(found[2]))
