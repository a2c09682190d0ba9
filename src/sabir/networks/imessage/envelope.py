"""What is stored of an event: the message as BlueBubbles gave it, and what it lacks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    PAYLOAD_OCTETS_MAX,
    ChatId,
    NativeEvent,
    NativeId,
    PersonId,
)
from sabir.networks.imessage import names

Json = Mapping[str, Any]


class Kind(StrEnum):
    """What an event tells."""

    MESSAGE = "message"
    EDIT = "edit"
    UNSEND = "unsend"
    FAILED = "failed"
    """A message of ours was not delivered after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One stored event."""

    kind: Kind
    message: Json
    me: PersonId
    """The owner's address; `handle` is empty in the owner's own messages."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of the people in it, from the Mac's contacts."""
    other: PersonId | None = None
    """Who was added to a group or removed: `otherHandle` is only a number."""
    is_lesser: bool = False
    """It came as SMS or RCS, whatever the chat is."""


def seal(
    chat: ChatId, native_id: NativeId, envelope: Envelope, *, late: bool
) -> NativeEvent:
    """Return an event to be stored."""
    stored = {
        "sabir": envelope.kind,
        "me": envelope.me,
        "names": dict(envelope.names),
        "other": envelope.other,
        "lesser": envelope.is_lesser,
        "message": envelope.message,
    }
    payload = json.dumps(stored, ensure_ascii=True).encode()
    return NativeEvent(
        chat=chat, native_id=native_id, payload=payload[:PAYLOAD_OCTETS_MAX], late=late
    )


def open_payload(payload: bytes) -> Envelope:
    """Read a stored event.

    Raises:
        PeerMisbehaved: IMESSAGE-001.
    """
    try:
        stored = json.loads(payload)
    except (ValueError, RecursionError):
        raise PeerMisbehaved("IMESSAGE-001", "an event that is no JSON") from None
    if not isinstance(stored, dict) or stored.get("sabir") not in set(Kind):
        raise PeerMisbehaved("IMESSAGE-001", "an event that is not our envelope")
    message, me = stored.get("message"), names.person(stored.get("me"))
    if not isinstance(message, dict) or me is None:
        raise PeerMisbehaved("IMESSAGE-001", "an event without a message or an owner")
    known = stored.get("names")
    return Envelope(
        kind=Kind(stored["sabir"]),
        message=message,
        me=me,
        names=known if isinstance(known, dict) else {},
        other=names.person(stored.get("other")),
        is_lesser=stored.get("lesser") is True,
    )
