"""Small records for storage tests."""

import hashlib
from typing import Any

from sabir.clock import Instant
from sabir.content.model import MessageId
from sabir.storage.records import (
    NewEntry,
    NewEvent,
    NewPortal,
    PortalRecord,
    RoomId,
)
from sabir.storage.sqlite.store import SqliteStorage

ROOM = RoomId("mimi://local.invalid/r/one")
NOW = Instant(1_700_000_000_000)


def entry_id(name: str) -> MessageId:
    return MessageId(b"\x01" + hashlib.sha256(name.encode()).digest()[:31])


def new_entry(name: str, **more: Any) -> NewEntry:
    fields: dict[str, Any] = {
        "entry": entry_id(name),
        "submission": f"key-{name}",
        "kind": "said",
        "author": "xmpp:ada",
        "author_name": "Ada",
        "content": name.encode(),
        "received_at": NOW,
        "sent_at": NOW,
    }
    return NewEntry(**{**fields, **more})


def new_event(native_id: str, *, chat: str = "chat", revision: str = "") -> NewEvent:
    return NewEvent(
        chat=chat, native_id=native_id, revision=revision, payload=b"{}", late=False
    )


async def with_room(storage: SqliteStorage) -> None:
    await storage.link(ROOM, "One", [], now=NOW)


async def add_portal(
    storage: SqliteStorage, account: str, chat: str, name: str = ""
) -> PortalRecord:
    new = NewPortal(account=account, chat=chat, name=name)
    (portal,) = await storage.link(ROOM, "One", [new], now=NOW)
    return portal
