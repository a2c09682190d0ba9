"""What the connector stores: the event as it came, and what was known beside it.

`decode` is pure, so the name a person had when the event came must be in the
payload. Form: JSON `{"event": {...}, "name": "Ada", "avatar": "mxc://..."}`;
`name` and `avatar` are those of the event's subject (`subject_of`), absent
when not known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sabir.errors import PeerMisbehaved
from sabir.networks.api import ChatId, NativeEvent, NativeId

PAYLOAD_OCTETS_MAX: Final = 262_144
"""An event has at most 65,536 octets in canonical form; escapes and `unsigned` add."""

EVERY_EVENT_HAS: Final = ("event_id", "room_id", "type", "sender")
"""Each a text that is not empty."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """What a room's state says about somebody in it."""

    name: str = ""
    avatar: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event with the name of its subject."""

    event: Json
    member: Member


def is_event(event: object) -> bool:
    """Tell whether this has what every event has, so that it can be stored."""
    return isinstance(event, dict) and all(
        isinstance(event.get(name), str) and event[name] for name in EVERY_EVENT_HAS
    )


def subject_of(event: Json) -> str:
    """Return whom an event is about: whose membership it is, else the sender."""
    state_key = event.get("state_key")
    if event.get("type") == "m.room.member" and isinstance(state_key, str):
        return state_key
    return str(event["sender"])


def content_of(event: Json) -> Json:
    """Return the content of an event, empty when it has none of the right form."""
    content = event.get("content")
    return content if isinstance(content, dict) else {}


def member_of(content: Json) -> Member:
    """Return name and picture from the content of `m.room.member`."""
    name, avatar = content.get("displayname"), content.get("avatar_url")
    return Member(
        name if isinstance(name, str) else "", avatar if isinstance(avatar, str) else ""
    )


def seal(event: Json, member: Member | None, *, late: bool = False) -> NativeEvent:
    """Make the native event to store.

    Of an event nested too deeply to be stored, only that it was there is kept.
    """
    try:
        payload = _encode(event, member)
    except RecursionError:
        event = {name: event[name] for name in EVERY_EVENT_HAS}
        payload = _encode(event, member)
    if len(payload) > PAYLOAD_OCTETS_MAX:
        # Bundled relations can be of any size and are of no use to us.
        unsigned = event.get("unsigned")
        kept = unsigned if isinstance(unsigned, dict) else {}
        kept = {n: v for n, v in kept.items() if n == "prev_content"}
        payload = _encode({**event, "unsigned": kept}, member)
    return NativeEvent(
        chat=ChatId(event["room_id"]),
        native_id=NativeId(event["event_id"]),
        payload=payload,
        late=late,
    )


def _encode(event: Json, member: Member | None) -> bytes:
    outer: dict[str, object] = {"event": event}
    if member is not None:
        outer |= {"name": member.name, "avatar": member.avatar}
    text = json.dumps(outer, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate: keep it, escaped
        return json.dumps(outer, separators=(",", ":")).encode()


def open_envelope(payload: bytes) -> Envelope:
    """Read a stored payload.

    Raises:
        PeerMisbehaved: MATRIX-001 not JSON of this form, MATRIX-002 not an event,
            MATRIX-003 too large.
    """
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise PeerMisbehaved("MATRIX-003", f"an event of {len(payload)} octets")
    try:
        outer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise PeerMisbehaved("MATRIX-001", "the payload is not JSON") from error
    event = outer.get("event") if isinstance(outer, dict) else None
    if not isinstance(event, dict) or not is_event(event):
        raise PeerMisbehaved("MATRIX-002", "id, room, type or sender is missing")
    if not isinstance(event.get("content"), dict):
        raise PeerMisbehaved("MATRIX-002", "the content is not an object")
    name, avatar = outer.get("name"), outer.get("avatar")
    return Envelope(
        event,
        Member(
            name if isinstance(name, str) else "",
            avatar if isinstance(avatar, str) else "",
        ),
    )
