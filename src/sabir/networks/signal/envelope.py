"""What a daemon's `receive` says, and what of it is stored. Pure.

Stored are two forms, both JSON:

* what came: `{"envelope": {...}, "me": ACI, "names": {ACI: name}}`, with `exception`
  where the daemon could not open it. `names` are those known when it came.
* what we saw ourselves (a group's state that changed, a safety number that did):
  `{"seen": {"kind": ...}, "person": ACI, "name": "Ada", "at": ms}`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    ChatId,
    NativeEvent,
    NativeId,
    PersonId,
)
from sabir.networks.signal import names
from sabir.networks.signal.text import one_line

Json = Mapping[str, Any]

UNTRUSTED: Final = "UntrustedIdentityException"
"""The daemon holds a message back because its sender's key has changed."""


class Seen(StrEnum):
    """What we saw ourselves."""

    JOINED = "joined"
    LEFT = "left"
    RENAMED = "renamed"
    TOPIC = "topic"
    ROLE = "role"
    TIMER = "timer"
    KEY_CHANGED = "key_changed"
    KEY_TRUSTED = "key_trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message, wherever in the envelope it stands."""

    author: PersonId
    chat: ChatId
    sent_at: int
    body: Json
    """The `dataMessage`."""
    edits: int | None = None
    """Time of the message that this one replaces."""
    is_own: bool = False
    """The owner wrote it on another device."""

    @property
    def native_id(self) -> NativeId:
        """Return the message's name."""
        return names.message_id(self.author, self.sent_at)


def inner(value: object, name: str) -> Json | None:
    """Return an object's member if it is an object."""
    member = value.get(name) if isinstance(value, Mapping) else None
    return member if isinstance(member, Mapping) else None


def source(envelope: Json) -> PersonId | None:
    """Return who sent an envelope."""
    found = names.person_id(envelope.get("sourceUuid"))
    return found or names.person_id(envelope.get("source"))


def said(envelope: Json, me: PersonId) -> Said | None:
    """Return the message in an envelope, None if there is none that has a place."""
    author = source(envelope)
    if author is None:
        return None
    if (edit := inner(envelope, "editMessage")) is not None:
        return _said(author, inner(edit, "dataMessage"), edit, me)
    if (body := inner(envelope, "dataMessage")) is not None:
        return _said(author, body, None, me)
    sent = inner(inner(envelope, "syncMessage"), "sentMessage")
    if sent is None or author != me:
        return None
    to = names.person_id(sent.get("destinationUuid"))
    edit = inner(sent, "editMessage")
    body = sent if edit is None else inner(edit, "dataMessage")
    return _said(author, body, edit, me, to=to)


def _said(
    author: PersonId,
    body: Json | None,
    edit: Json | None,
    me: PersonId,
    *,
    to: PersonId | None = None,
) -> Said | None:
    if body is None:
        return None
    sent_at = names.timestamp(body.get("timestamp"))
    edits = None if edit is None else names.timestamp(edit.get("targetSentTimestamp"))
    group = inner(body, "groupInfo")
    chat = None if group is None else names.group_chat(group.get("groupId"))
    if group is None:
        other = to if author == me else author
        # What we send to ourselves has no destination: it is a note to self.
        chat = names.direct(other or me)
    if sent_at is None or chat is None or (edit is not None and edits is None):
        return None
    return Said(
        author=author,
        chat=chat,
        sent_at=sent_at,
        body=body,
        edits=edits,
        is_own=author == me,
    )


def people_in(message: Said) -> Iterator[PersonId]:
    """Yield everybody whose name it takes to read a message."""
    yield message.author
    mentions = message.body.get("mentions")
    for mention in mentions if isinstance(mentions, list) else ():
        person = names.person_id(
            mention.get("uuid") if isinstance(mention, dict) else None
        )
        if person is not None:
            yield person


def display_name(known: object, person: str) -> str:
    """Return a name for people; a phone number is none: it is private."""
    name = one_line(known)
    bare = name.removeprefix("+").replace(" ", "").replace("-", "")
    if not name or names.person_id(name) is not None or bare.isdecimal():
        return f"Signal user {person.removeprefix('PNI:')[:4]}"
    return name


# ---- storing


def seal(
    message: Said, envelope: Json, me: PersonId, known: Mapping[PersonId, str]
) -> NativeEvent:
    """Make the event to store of a message."""
    outer = {"envelope": envelope, "me": me, "names": dict(known)}
    return NativeEvent(
        chat=message.chat, native_id=message.native_id, payload=_octets(outer)
    )


def seen(
    chat: ChatId,
    kind: Seen,
    *,
    person: PersonId,
    name: str,
    at: int,
    number: str,
    value: str | int = "",
) -> NativeEvent:
    """Make the event to store of something that we saw.

    Args:
        chat: where it happened.
        kind: what happened.
        person: to whom, or who did it.
        name: theirs.
        at: when, in ms since 1970.
        number: names it among everything seen in this chat; the same for the same.
        value: the new name, topic, role or timer.
    """
    outer = {
        "seen": {"kind": kind, "value": value},
        "person": person,
        "name": name,
        "at": at,
    }
    return NativeEvent(
        chat=chat,
        native_id=NativeId(f"seen.{number}.{kind}.{person}"),
        payload=_octets(outer),
    )


def _octets(outer: Mapping[str, object]) -> bytes:
    text = json.dumps(outer, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate: keep it, escaped
        return json.dumps(outer, separators=(",", ":")).encode()


def unseal(payload: bytes) -> Json:
    """Read a stored payload.

    Raises:
        PeerMisbehaved: SIGNAL-001.
    """
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise PeerMisbehaved("SIGNAL-001", f"{len(payload)} octets")
    try:
        outer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise PeerMisbehaved("SIGNAL-001", "the payload is not JSON") from error
    if not isinstance(outer, dict):
        raise PeerMisbehaved("SIGNAL-001", "the payload is not an object")
    return outer
