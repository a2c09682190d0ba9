"""From a timeline entry to the pieces one portal sends.

Everything an entry refers to is looked up first; the rendering itself is pure
(`content.convert`), so preparing an entry again after a crash gives the same
pieces under the same keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sabir.agent.naming import delivery_key
from sabir.agent.portals import Portal
from sabir.agent.spool import OctetsFile, Spool
from sabir.clock import Clock
from sabir.content.capabilities import Capabilities
from sabir.content.convert import RenderContext, render
from sabir.content.loss import LossReport
from sabir.content.meaning import Deleted, Edited, Meaning, Reacted, Said
from sabir.content.model import MessageId
from sabir.content.pieces import MediaPiece, Piece
from sabir.networks.api import ChatId, MediaReader, Outgoing, Speaker
from sabir.storage.ports import Refs, Timeline
from sabir.storage.records import EntryRecord


class OutgoingStorage(Refs, Timeline, Protocol):
    """What preparing an entry needs to look up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An entry, ready for one portal."""

    entry: EntryRecord
    outgoing: tuple[Outgoing, ...]
    """Empty: nothing goes out on this portal (its own entry, or withheld)."""
    loss: LossReport
    own: bool = False
    """It came from this very portal."""


def references(meaning: Meaning) -> Sequence[MessageId]:
    """Return the entries a meaning refers to."""
    match meaning:
        case Said(in_reply_to=reply_to, topic=topic):
            ids = [reply_to] if reply_to else []
            return [*ids, MessageId(topic)] if topic else ids
        case Edited(target=target) | Deleted(target=target) | Reacted(target=target):
            return [target]
        case _:
            return ()


class Preparer:
    """Prepares entries of one portal."""

    def __init__(
        self, portal: Portal, *, storage: OutgoingStorage, spool: Spool, clock: Clock
    ) -> None:
        self._portal = portal
        self._storage = storage
        self._spool = spool
        self._clock = clock

    async def prepare(
        self, entry: EntryRecord, meaning: Meaning, capabilities: Capabilities
    ) -> Prepared:
        """Render an entry for this portal.

        Args:
            entry: from the room's timeline.
            meaning: what `meaning_of` read from it.
            capabilities: of the portal's chat, now.
        """
        context = await self._context(entry, meaning, capabilities)
        pieces, loss = render(meaning, capabilities, context)
        speaker = Speaker(
            uri=entry.author,
            name=entry.author_name,
            network=entry.author.partition(":")[0],
        )
        outgoing = tuple(
            Outgoing(
                chat=ChatId(self._portal.chat),
                key=delivery_key(
                    self._portal.room, self._portal.chat, entry.entry, part
                ),
                speaker=speaker,
                piece=piece,
                sent_at=entry.sent_at,
                media=self._file(piece),
            )
            for part, piece in enumerate(pieces)
        )
        return Prepared(entry=entry, outgoing=outgoing, loss=loss)

    def _file(self, piece: Piece) -> MediaReader | None:
        if not isinstance(piece, MediaPiece):
            return None
        if piece.inline_octets is not None:
            return OctetsFile(piece.inline_octets)
        return self._spool.find(piece.attachment.part.url)

    # ---- what it refers to

    async def _context(
        self, entry: EntryRecord, meaning: Meaning, capabilities: Capabilities
    ) -> RenderContext:
        relay = not capabilities.ghosts
        now = self._clock.now()
        ids = references(meaning)
        if not ids:
            return RenderContext(author_name=entry.author_name, relay=relay, now=now)
        refs = await self._storage.refs_of(self._portal.id, ids)
        records = await self._storage.entries(ids)
        match meaning:
            case Said(in_reply_to=reply_to, topic=topic):
                return RenderContext(
                    author_name=entry.author_name,
                    relay=relay,
                    now=now,
                    target=_ref(refs, records, reply_to),
                    thread=_ref(refs, records, MessageId(topic)) if topic else None,
                    quoted_author=_author(records, reply_to),
                    quoted_text=_excerpt(records, reply_to),
                )
            case Edited(target=target):
                last = await self._storage.last_said(self._portal.room, entry.author)
                parts = _refs(refs, records, target, is_last=last == target)
                return RenderContext(
                    author_name=entry.author_name,
                    relay=relay,
                    now=now,
                    target=parts[0] if parts else None,
                    target_parts=parts,
                    previous=await self._previous(target, entry.seq),
                )
            case Reacted(target=target):
                return await self._reaction_context(entry, target, target, None, relay)
            case Deleted(target=target):
                record = records.get(target)
                if record is not None and record.kind == "reacted":
                    assert record.target is not None
                    return await self._reaction_context(
                        entry, record.target, target, record.emoji, relay
                    )
                parts = _refs(refs, records, target)
                return RenderContext(
                    author_name=entry.author_name,
                    relay=relay,
                    now=now,
                    target=parts[0] if parts else None,
                    target_parts=parts,
                )
            case _:
                raise AssertionError
