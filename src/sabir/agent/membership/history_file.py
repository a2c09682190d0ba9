"""The history of one room as a file, for another device of the same user.

Entries with their places and who sent them; numbers are each device's own and are not
in it. The reader trusts the writer, who is the owner, with names and little else: an
entry whose id is not that of its content is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from sabir.clock import Instant
from sabir.content import codec, ids
from sabir.content.model import MessageId
from sabir.errors import PeerMisbehaved
from sabir.storage.membership import PlacedEntry, Provenance
from sabir.storage.records import EntryRecord, NewEntry, RoomId
from sabir.wire.errors import Malformed

ENTRIES_MAX: Final = 50_000
"""Of one room; the newest count."""
FILE_OCTETS_MAX: Final = 32 * 1024 * 1024
"""What both devices hold in memory at a time."""

_VERSION: Final = 1


class _Sent(msgspec.Struct, frozen=True, array_like=True):
    sender: str
    client: str
    topic: bytes
    verdict: str
    tag: bytes
    frank: bytes
    framing: bytes


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    entry: bytes
    kind: str
    author: str
    author_name: str
    content: bytes
    target: bytes | None
    emoji: str
    received_at: int
    sent_at: int
    accepted_at: int
    sent: _Sent | None


class _File(msgspec.Struct, frozen=True, array_like=True):
    version: int
    room: str
    entries: list[_Entry]


def write_history(
    room: RoomId,
    entries: Sequence[EntryRecord],
    origins: Mapping[MessageId, Provenance],
) -> bytes:
    """Write entries of a room; the oldest are left out where they are too many."""
    chosen: list[_Entry] = []
    octets = 0
    for entry in reversed(entries[-ENTRIES_MAX:]):
        octets += len(entry.content) + _OVERHEAD_OCTETS
        if octets > FILE_OCTETS_MAX:
            break
        chosen.append(_entry(entry, origins.get(entry.entry)))
    chosen.reverse()
    return msgspec.msgpack.encode(_File(_VERSION, room, chosen))


_OVERHEAD_OCTETS: Final = 2_048
"""Of an entry beside its content, at the most: names, a frank, a tag."""


def read_history(octets: bytes, room: RoomId) -> list[PlacedEntry]:
    """Read the history of a room.

    Raises:
        PeerMisbehaved: it is none, or another room's.
    """
    try:
        file = msgspec.msgpack.decode(octets, type=_File)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PeerMisbehaved("MIMI-394", "no history of a room") from error
    if file.version != _VERSION or file.room != room:
        raise PeerMisbehaved("MIMI-394", "a history of another room or version")
    return list(_placed(room, file.entries[-ENTRIES_MAX:]))


def _entry(entry: EntryRecord, origin: Provenance | None) -> _Entry:
    return _Entry(
        entry=entry.entry,
        kind=entry.kind,
        author=entry.author,
        author_name=entry.author_name,
        content=entry.content,
        target=entry.target,
        emoji=entry.emoji,
        received_at=entry.received_at,
        sent_at=entry.sent_at,
        accepted_at=entry.accepted_at,
        sent=None
        if origin is None
        else _Sent(
            sender=origin.sender,
            client=origin.client,
            topic=origin.topic,
            verdict=origin.verdict,
            tag=origin.tag,
            frank=origin.frank,
            framing=origin.framing,
        ),
    )


def _placed(room: RoomId, entries: Iterable[_Entry]) -> Iterable[PlacedEntry]:
    for each in entries:
        sender = each.author if each.sent is None else each.sent.sender
        if _is_own_id(each, sender, room):
            yield PlacedEntry(
                new=NewEntry(
                    entry=MessageId(each.entry),
                    submission=f"mimi:{each.entry.hex()}",
                    kind=each.kind,
                    author=each.author,
                    author_name=each.author_name,
                    content=each.content,
                    target=None if each.target is None else MessageId(each.target),
                    emoji=each.emoji,
                    received_at=Instant(each.received_at),
                    sent_at=Instant(each.sent_at),
                ),
                accepted_at=Instant(each.accepted_at),
                provenance=None
                if each.sent is None
                else Provenance(
                    sender=each.sent.sender,
                    client=each.sent.client,
                    topic=each.sent.topic,
                    verdict=each.sent.verdict,
                    tag=each.sent.tag,
                    frank=each.sent.frank,
                    framing=each.sent.framing,
                ),
            )


def _is_own_id(entry: _Entry, sender: str, room: RoomId) -> bool:
    try:
        content = codec.decode(entry.content)
    except Malformed:
        return False
    found = ids.message_id(sender, room, entry.content, content.salt)
    return found == entry.entry
