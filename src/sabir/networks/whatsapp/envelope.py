"""A webhook's body, taken apart: native events, statuses, and the window's clock. Pure.

One body may hold many messages of many chats. Each becomes one native event whose
payload is JSON `{"kind": ..., "item": {...}, "name": "Ada"}`: `item` as Meta sent
it, `name` the profile name that came beside it (so that `decode` needs nothing else).
What lacks what every event must have (an id, a chat) cannot be stored; it is counted.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sabir.clock import Instant
from sabir.errors import PeerMisbehaved
from sabir.networks.api import ChatId, NativeEvent, NativeId
from sabir.networks.whatsapp.names import group_chat, is_group, person_id

Json = Mapping[str, Any]

PAYLOAD_OCTETS_MAX: Final = 512 * 1024
"""A message has at most 4,096 characters and a few ids; contacts may be many."""
ID_CHARACTERS_MAX: Final = 512
"""`wamid.` ids have about 60."""
SECONDS_MAX: Final = 4_102_444_800
"""The year 2100; a later timestamp is a mistake."""
NAME_CHARACTERS_MAX: Final = 200


class Kind(StrEnum):
    """What an item is."""

    MESSAGE = "message"
    FAILED = "failed"
    """A status: a message of ours was not delivered."""
    GROUP = "group"
    """A group changed."""
    MEMBER = "member"
    """Somebody came into a group, or left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of a message of ours."""

    chat: ChatId
    native_id: NativeId
    state: str
    """`sent`, `delivered`, `read`, `failed`, or a word we do not know."""
    person: str
    """wa_id of whose device it is about."""
    key: str = ""
    """`biz_opaque_callback_data`, empty if none came."""


@dataclass(slots=True)
class Delivery:
    """Everything one body holds for one number."""

    events: list[NativeEvent] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    inbound: dict[ChatId, Instant] = field(default_factory=dict)
    """When each person wrote last, by WhatsApp's clock."""
    newest: dict[ChatId, NativeId] = field(default_factory=dict)
    """The last message of each chat, in this body."""
    people: dict[str, str] = field(default_factory=dict)
    """wa_id to profile name."""
    errors: list[object] = field(default_factory=list)
    """Error objects about the account, not about a message."""
    unusable: int = 0
    """Items without an id or a chat."""
    foreign: int = 0
    """Changes of other numbers, or of fields we do not read."""


def open_body(octets: bytes) -> Json:
    """Read a webhook's body.

    Raises:
        ValueError: not a JSON object.
    """
    try:
        body = json.loads(octets)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(body, dict):
        raise ValueError("not an object")  # noqa: TRY004  one error for all bad bodies
    return body


def take_apart(body: Json, *, number: str, aliases: Mapping[str, ChatId]) -> Delivery:
    """Sort what came.

    Args:
        body: as `open_body` gives it.
        number: our phone number id; changes of others are left alone.
        aliases: wa_id to the chat that it is known by here, where they differ.
    """
    delivery = Delivery()
    for field_name, value in _changes(body):
        metadata = _object(value.get("metadata"))
        reader = _READERS.get(field_name)
        if metadata.get("phone_number_id") != number or reader is None:
            delivery.foreign += 1
            continue
        reader(value, _Sorter(delivery, aliases, _names(value)))
    return delivery


def _changes(body: Json) -> Iterator[tuple[str, Json]]:
    for entry in _list(body.get("entry")):
        for change in _list(_object(entry).get("changes")):
            found = _object(change)
            name = found.get("field")
            yield name if isinstance(name, str) else "", _object(found.get("value"))


def _names(value: Json) -> dict[str, str]:
    names = {}
    for contact in _list(value.get("contacts")):
        found = _object(contact)
        person = person_id(found.get("wa_id"))
        name = _object(found.get("profile")).get("name")
        if person is not None and isinstance(name, str):
            names[person] = name[:NAME_CHARACTERS_MAX]
    return names


@dataclass(frozen=True, slots=True)
class _Sorter:
    """Puts items of one change where they belong."""

    delivery: Delivery
    aliases: Mapping[str, ChatId]
    names: Mapping[str, str]

    def chat(self, wa_id: str) -> ChatId:
        return self.aliases.get(wa_id, ChatId(wa_id))

    def message(self, item: Json) -> None:
        sender, native_id = person_id(item.get("from")), _id(item.get("id"))
        if sender is None or native_id is None:
            self.delivery.unusable += 1
            return
        group = group_chat(item.get("group_id"))
        chat = group or self.chat(sender)
        name = self.names.get(sender, "")
        self.delivery.events.append(seal(Kind.MESSAGE, item, chat, native_id, name))
        self.delivery.newest[chat] = native_id
        if name:
            self.delivery.people[sender] = name
        at = instant(item.get("timestamp"))
        if item.get("type") != "system" and at > self.delivery.inbound.get(chat, 0):
            self.delivery.inbound[chat] = at

    def status(self, item: Json) -> None:
        native_id, recipient = _id(item.get("id")), item.get("recipient_id")
        if item.get("recipient_type") == "group":
            chat = group_chat(recipient)
            person = person_id(item.get("recipient_participant_id"))
        else:
            person = person_id(recipient)
            chat = None if person is None else self.chat(person)
        if native_id is None or chat is None:
            self.delivery.unusable += 1
            return
        state, key = item.get("status"), item.get("biz_opaque_callback_data")
        self.delivery.statuses.append(
            Status(
                chat=chat,
                native_id=native_id,
                state=state if isinstance(state, str) else "",
                person=person or "",
                key=key if isinstance(key, str) else "",
            )
        )
        if state == "failed":
            which = f":{person}" if is_group(chat) else ""
            failed = NativeId(f"{native_id}:failed{which}")
            self.delivery.events.append(seal(Kind.FAILED, item, chat, failed, ""))

    def group(self, item: Json) -> None:
        chat = group_chat(item.get("group_id"))
        if chat is None:
            self.delivery.unusable += 1
            return
        native_id = _digest(item)
        self.delivery.events.append(seal(Kind.GROUP, item, chat, native_id, ""))

    def members(self, item: Json) -> None:
        chat = group_chat(item.get("group_id"))
        if chat is None:
            self.delivery.unusable += 1
            return
        for came, name in (
            (True, "added_participants"),
            (False, "removed_participants"),
        ):
            for each in _list(item.get(name)):
                person = person_id(_object(each).get("wa_id"))
                if person is None:
                    self.delivery.unusable += 1
                    continue
                about = {"joined": came, "wa_id": person}
                about |= {n: item[n] for n in ("timestamp", "request_id") if n in item}
                self.delivery.events.append(
                    seal(Kind.MEMBER, about, chat, _digest(about), "")
                )


def _messages(value: Json, sorter: _Sorter) -> None:
    for item in _list(value.get("messages")):
        sorter.message(_object(item))
    for item in _list(value.get("statuses")):
        sorter.status(_object(item))
    sorter.delivery.errors.extend(_list(value.get("errors")))


def _group_settings(value: Json, sorter: _Sorter) -> None:
    for item in _list(value.get("groups")):
        sorter.group(_object(item))


def _group_members(value: Json, sorter: _Sorter) -> None:
    for item in _list(value.get("groups")):
        sorter.members(_object(item))


_READERS: Final = {
    "messages": _messages,
    "group_settings_update": _group_settings,
    "group_participants_update": _group_members,
}
"""By a change's `field`."""


# ---- the stored form


@dataclass(frozen=True, slots=True)
class Envelope:
    """One stored item."""

    kind: Kind
    item: Json
    name: str


def seal(
    kind: Kind, item: Json, chat: ChatId, native_id: NativeId, name: str
) -> NativeEvent:
    """Make the native event to store."""
    try:
        payload = _encoded(kind, item, name)
    except RecursionError:  # only that it was there is kept
        names = ("from", "id", "timestamp", "type")
        kept = {n: item[n] for n in names if isinstance(item.get(n), str)}
        payload = _encoded(kind, kept, name)
    return NativeEvent(chat=chat, native_id=native_id, payload=payload)


def _encoded(kind: Kind, item: Json, name: str) -> bytes:
    outer: dict[str, object] = {"kind": kind.value, "item": item}
    if name:
        outer["name"] = name
    # In ASCII: a lone surrogate, which UTF-8 cannot carry, stays what it was.
    return json.dumps(outer, separators=(",", ":")).encode()


def open_envelope(payload: bytes) -> Envelope:
    """Read a stored payload.

    Raises:
        PeerMisbehaved: WHATSAPP-001 not JSON of this form, WHATSAPP-002 too large.
    """
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise PeerMisbehaved("WHATSAPP-002", f"an event of {len(payload)} octets")
    try:
        outer = open_body(payload)
        kind = Kind(str(outer.get("kind")))
    except ValueError as error:
        raise PeerMisbehaved("WHATSAPP-001", "the payload is not an event") from error
    item, name = outer.get("item"), outer.get("name")
    if not isinstance(item, dict):
        raise PeerMisbehaved("WHATSAPP-001", "the payload has no item")
    return Envelope(kind, item, name if isinstance(name, str) else "")


def instant(value: object) -> Instant:
    """Return a timestamp of Meta's (seconds, as text) in ms, 0 if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        seconds = int(value) if len(value) <= 10 else SECONDS_MAX + 1
        return Instant(seconds * 1000 if seconds <= SECONDS_MAX else 0)
    return Instant(0)


def _id(value: object) -> NativeId | None:
    if isinstance(value, str) and 0 < len(value) <= ID_CHARACTERS_MAX:
        return NativeId(value) if value.isprintable() else None
    return None


def _digest(item: Json) -> NativeId:
    """Name what Meta gives no id: the same change again has the same name."""
    text = json.dumps(item, sort_keys=True, separators=(",", ":"))
    return NativeId("g-" + hashlib.sha256(text.encode()).hexdigest()[:32])


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
