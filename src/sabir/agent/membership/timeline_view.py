"""A room's timeline as people read it: rows of plain text."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sabir.agent.membership.ledger import RoomsStorage
from sabir.agent.membership.vouching import vouched
from sabir.content import codec
from sabir.content.composing import system_line
from sabir.content.meaning import (
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    Said,
)
from sabir.content.model import Content, MessageId
from sabir.content.plain import to_plain
from sabir.content.reading import read
from sabir.errors import PolicyRefused
from sabir.storage.membership import Provenance
from sabir.storage.records import EntryRecord, RoomId

ROWS_MAX: Final = 500
"""At once; some screens."""


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """The way from another network.

    Attributes:
        network: id.
        account: of the gateway, by its own name for it; empty: not said.
        native: id on the network of who wrote it.
        gateway: URI of the user whose word all that is.
    """

    network: str
    account: str
    native: str
    gateway: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry.

    Attributes:
        seq: its number in this agent's timeline of the room.
        id: hex of its message id, the same for everybody.
        at: when the hub took it, ms since 1970.
        author: URI of who vouches for it, from the group; empty: this agent's note.
        name: of the author, for people.
        kind: said, edited, deleted, reacted or event.
        text: plain.
        about: number of the entry that it answers or changes; 0: none, or not here.
        files: names of what is attached.
        verdict: what the hub's frank is worth; empty: this agent's note.
        via: the way it came, if its author is on another network.
    """

    seq: int
    id: str
    at: int
    author: str
    name: str
    kind: str
    text: str
    about: int
    files: tuple[str, ...]
    verdict: str
    via: Via | None


async def rows_after(
    storage: RoomsStorage, room: RoomId, seq: int, *, count_max: int = ROWS_MAX
) -> Sequence[Row]:
    """Return the rows behind a number, in the room's order.

    Raises:
        StorageFailed: the database cannot be read.
    """
    entries = await storage.after(room, seq, count_max=min(count_max, ROWS_MAX))
    return await _rows(storage, entries)


async def entry_at(storage: RoomsStorage, room: RoomId, seq: int) -> EntryRecord:
    """Return the entry with a number.

    Raises:
        PolicyRefused: there is none.
    """
    for entry in await storage.after(room, seq - 1, count_max=1):
        if entry.seq == seq:
            return entry
    raise PolicyRefused(f"there is no message {seq} in this room")


async def _rows(storage: RoomsStorage, entries: Sequence[EntryRecord]) -> Sequence[Row]:
    contents = {each.entry: codec.decode(each.content) for each in entries}
    meanings = {entry: read(content) for entry, content in contents.items()}
    targets = {target for meaning in meanings.values() if (target := _about(meaning))}
    known = await storage.entries(targets)
    places = {entry: record.seq for entry, record in known.items()}
    origins = await storage.provenance(meanings)
    return [
        _row(
            each,
            meanings[each.entry],
            places,
            origins.get(each.entry),
            _via(contents[each.entry], origins.get(each.entry)),
        )
        for each in entries
    ]


def _via(content: Content, origin: Provenance | None) -> Via | None:
    found = None if origin is None else vouched(content, origin.sender)
    if found is None:
        return None
    return Via(
        network=found.network,
        account=found.account,
        native=found.native,
        gateway=found.gateway,
    )


def _row(
    entry: EntryRecord,
    meaning: Meaning,
    places: Mapping[MessageId, int],
    origin: Provenance | None,
    via: Via | None,
) -> Row:
    target = _about(meaning)
    return Row(
        seq=entry.seq,
        id=entry.entry.hex(),
        at=entry.accepted_at,
        author="" if origin is None else origin.sender,
        name=entry.author_name,
        kind=entry.kind,
        text=_text(meaning, entry.author_name),
        about=0 if target is None else places.get(target, 0),
        files=_files(meaning),
        verdict="" if origin is None else origin.verdict,
        via=via,
    )


def _about(meaning: Meaning) -> MessageId | None:
    match meaning:
        case Said(in_reply_to=target):
            return target
        case Edited(target=target) | Deleted(target=target) | Reacted(target=target):
            return target
        case RoomEvent():
            return None


def _text(meaning: Meaning, name: str) -> str:
    match meaning:
        case Said(text=text) | Edited(text=text):
            return "" if text is None else to_plain(text)
        case Reacted(emoji=emoji):
            return emoji
        case Deleted():
            return ""
        case RoomEvent():
            return system_line(meaning, name)


def _files(meaning: Meaning) -> tuple[str, ...]:
    match meaning:
        case Said(attachments=attachments) | Edited(attachments=attachments):
            return tuple(
                each.part.filename or each.part.content_type for each in attachments
            )
        case _:
            return ()
