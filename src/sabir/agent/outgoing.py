"""From a timeline entry to the pieces one portal sends.

Everything an entry refers to is looked up first; the rendering itself is pure
(`content.convert`), so preparing an entry again after a crash gives the same
pieces under the same keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sabir.agent.mentions import PortalMentions
from sabir.agent.naming import delivery_key
from sabir.agent.portals import Portal
from sabir.agent.spool import OctetsFile, Spool
from sabir.clock import Clock, Instant
from sabir.content import codec
from sabir.content.capabilities import Capabilities
from sabir.content.convert import RenderContext, render
from sabir.content.inline_data import inline_octets
from sabir.content.loss import LossReport
from sabir.content.meaning import Deleted, Edited, Meaning, Reacted, Said
from sabir.content.model import ExternalPart, MessageId
from sabir.content.pieces import ChatAvatarPiece, MediaPiece, NativeRef, Piece
from sabir.content.plain import to_plain
from sabir.content.reading import read
from sabir.content.rich import Rich
from sabir.networks.api import ChatId, MediaReader, Outgoing, Speaker
from sabir.storage.ports import Refs, Timeline
from sabir.storage.records import EntryRecord, RefRecord, RoomId

EXCERPT_CHARS: Final = 80
"""RPL-2: so much of a message is quoted."""

_WITH_FILE: Final = (MediaPiece, ChatAvatarPiece)


class BringsFiles(Protocol):
    """Where files are that are not in the spool."""

    async def file(
        self, room: RoomId, entry: MessageId, part: ExternalPart
    ) -> MediaReader | None:
        """Bring a file of an entry here; None where that cannot be."""
        ...


class OutgoingStorage(Refs, Timeline, Protocol):
    """What preparing an entry needs to look up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An entry, ready for one portal."""

    entry: EntryRecord
    outgoing: tuple[Outgoing, ...]
    """Empty: nothing goes out on this portal (its own entry, or withheld)."""
    loss: LossReport
    missing: frozenset[int] = frozenset()
    """Parts whose file is not here any more: they cannot be sent."""
    is_own: bool = False
    """It came from this very portal."""

    @property
    def is_withheld(self) -> bool:
        """Tell whether people on this portal do not get it."""
        return not self.outgoing and bool(self.loss.items)


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
        self,
        portal: Portal,
        network: str,
        *,
        storage: OutgoingStorage,
        spool: Spool,
        rooms: BringsFiles,
        clock: Clock,
    ) -> None:
        self._mentions = PortalMentions(portal, network, storage)
        self._portal = portal
        self._storage = storage
        self._spool = spool
        self._rooms = rooms
        self._clock = clock

    async def prepare(
        self, entry: EntryRecord, meaning: Meaning, capabilities: Capabilities
    ) -> Prepared:
        """Render an entry for this portal.

        Args:
            entry: from the room's timeline.
            meaning: what `meaning_of` read from it.
            capabilities: of the portal's chat, now.

        Raises:
            Unavailable: a file cannot be fetched now.
        """
        context = await self._context(entry, meaning, capabilities)
        pieces, loss = render(meaning, capabilities, context)
        speaker = Speaker(
            uri=entry.author,
            name=entry.author_name,
            network=entry.author.partition(":")[0],
        )
        outgoing = tuple(
            [
                Outgoing(
                    chat=ChatId(self._portal.chat),
                    key=delivery_key(
                        self._portal.room,
                        self._portal.account,
                        self._portal.chat,
                        entry.entry,
                        part,
                    ),
                    speaker=speaker,
                    piece=piece,
                    sent_at=entry.sent_at,
                    media=await self._file(entry, piece),
                )
                for part, piece in enumerate(pieces)
            ]
        )
        missing = frozenset(
            part
            for part, each in enumerate(outgoing)
            if each.media is None and isinstance(each.piece, _WITH_FILE)
        )
        return Prepared(entry=entry, outgoing=outgoing, loss=loss, missing=missing)

    async def _file(self, entry: EntryRecord, piece: Piece) -> MediaReader | None:
        if not isinstance(piece, _WITH_FILE):
            return None
        part = piece.attachment.part
        octets = inline_octets(part)
        if octets is not None:
            return OctetsFile(octets)
        there = self._spool.find(part.url)
        if there is not None:
            return there
        return await self._rooms.file(self._portal.room, entry.entry, part)

    # ---- what it refers to

    async def _context(
        self, entry: EntryRecord, meaning: Meaning, capabilities: Capabilities
    ) -> RenderContext:
        plain = RenderContext(
            author_name=entry.author_name,
            relay=not capabilities.ghosts,
            now=self._clock.now(),
            sent_at=entry.sent_at,
            mentions=await self._mentioned(meaning),
        )
        ids = references(meaning)
        if not ids:
            return plain
        known = _Known(
            refs=await self._storage.refs_of(self._portal.id, ids),
            records=await self._storage.entries(ids),
        )
        match meaning:
            case Said(in_reply_to=reply_to, topic=topic):
                return replace(
                    plain,
                    target=known.first(reply_to),
                    thread=known.first(MessageId(topic)) if topic else None,
                    original_author=known.author(reply_to),
                    original_excerpt=known.excerpt(reply_to),
                )
            case Edited(target=target):
                last = await self._storage.last_said(
                    self._portal.room,
                    None if plain.relay else entry.author,
                    before=entry.seq,
                    not_from=self._portal.id if plain.relay else None,
                )
                parts = known.all(target, is_last=last == target)
                return replace(
                    plain,
                    target=_first(parts),
                    target_parts=parts,
                    previous=await self._previous(known, target, entry),
                    reply_target=await self._answered(known, target),
                )
            case Reacted(target=target):
                return replace(
                    plain,
                    target=known.first(target),
                    emoji_before=await self._emoji_before(
                        target, entry, relay=plain.relay
                    ),
                )
            case Deleted(target=target):
                record = known.records.get(target)
                if record is not None and record.kind == "reacted":
                    return await self._taken_back(plain, entry, record, known)
                parts = known.all(target)
                return replace(plain, target=_first(parts), target_parts=parts)
            case _:
                raise AssertionError(type(meaning))

    async def _mentioned(self, meaning: Meaning) -> Mapping[str, str]:
        match meaning:
            case Said(text=Rich() as text) | Edited(text=Rich() as text):
                return await self._mentions.to_native(text)
            case _:
                return {}

    async def _answered(self, known: "_Known", target: MessageId) -> NativeRef | None:
        """Return what the edited message answers, as this chat knows it."""
        record = known.records.get(target)
        meaning = None if record is None else meaning_of(record)
        if not isinstance(meaning, Said) or meaning.in_reply_to is None:
            return None
        ids = [meaning.in_reply_to]
        answered = _Known(
            refs=await self._storage.refs_of(self._portal.id, ids),
            records=await self._storage.entries(ids),
        )
        return answered.first(meaning.in_reply_to)

    async def _previous(
        self, known: "_Known", target: MessageId, entry: EntryRecord
    ) -> Meaning | None:
        """Return the version of a message that an edit replaces."""
        last = await self._storage.last_version(target, before=entry.seq)
        last = last or known.records.get(target)
        return None if last is None else meaning_of(last)

    async def _taken_back(
        self,
        plain: RenderContext,
        entry: EntryRecord,
        reaction: EntryRecord,
        known: "_Known",
    ) -> RenderContext:
        """Add what taking back a reaction needs."""
        target = reaction.target
        assert target is not None
        message = _Known(
            refs=await self._storage.refs_of(self._portal.id, [target]),
            records=await self._storage.entries([target]),
        )
        return replace(
            plain,
            target=message.first(target),
            reaction=known.first(reaction.entry),
            reaction_emoji=reaction.emoji,
            emoji_before=await self._emoji_before(target, entry, relay=plain.relay),
        )

    async def _emoji_before(
        self, target: MessageId, entry: EntryRecord, *, relay: bool
    ) -> tuple[str, ...]:
        """Return the reactions on a message as they stood before an entry.

        Those of the entry's author; with one account for all, those of all that
        it speaks for (RXN-7).
        """
        in_force = await self._storage.reactions(
            target,
            None if relay else entry.author,
            until=entry.seq - 1,
            not_from=self._portal.id if relay else None,
        )
        return tuple(reaction.emoji for reaction in in_force)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was looked up about the entries that one refers to."""

    refs: Mapping[MessageId, Sequence[RefRecord]]
    records: Mapping[MessageId, EntryRecord]

    def all(self, entry: MessageId, *, is_last: bool = False) -> tuple[NativeRef, ...]:
        """Return every native message of an entry, by part."""
        record = self.records.get(entry)
        return tuple(
            NativeRef(
                native_id=ref.native_id,
                aliases=ref.aliases,
                author=ref.author,
                author_name="" if record is None else record.author_name,
                excerpt=self.excerpt(entry),
                sent_at=Instant(0) if record is None else record.accepted_at,
                is_last=is_last,
            )
            for ref in self.refs.get(entry, ())
        )

    def first(self, entry: MessageId | None) -> NativeRef | None:
        """Return the first native message of an entry."""
        return None if entry is None else _first(self.all(entry))

    def author(self, entry: MessageId | None) -> str:
        """Return the name of an entry's author."""
        record = None if entry is None else self.records.get(entry)
        return "" if record is None else record.author_name

    def excerpt(self, entry: MessageId | None) -> str:
        """Return the first words of an entry, on one line (RPL-2)."""
        record = None if entry is None else self.records.get(entry)
        if record is None:
            return ""
        match meaning_of(record):
            case (
                Said(text=text, attachments=files)
                | Edited(text=text, attachments=files)
            ):
                words = " ".join(to_plain(text).split()) if text is not None else ""
                if not words and files:
                    words = files[0].part.filename or str(files[0].kind)
                cut = words[:EXCERPT_CHARS]
                return cut + "…" if len(words) > EXCERPT_CHARS else cut
            case _:
                return ""


def _first(parts: Sequence[NativeRef]) -> NativeRef | None:
    return parts[0] if parts else None


def meaning_of(entry: EntryRecord) -> Meaning:
    """Read an entry's content."""
    return read(codec.decode(entry.content))
