"""From the inbox into the room: one worker per portal.

The inbox is the queue: the worker reads what waits, decodes it, submits it, and
the submission marks it done. Dying anywhere in between repeats work and nothing
else, because a submission carries a key made from the native id (I2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from sabir.agent.attachments import Attachments
from sabir.agent.limits import INGEST_BATCH_MAX, NAME_CHARS_MAX
from sabir.agent.mentions import PortalMentions
from sabir.agent.naming import author_uri, submission_key
from sabir.agent.portals import Portal
from sabir.agent.rooms import NotTaken, RoomPort
from sabir.agent.understanding import (
    Facts,
    KnownEntry,
    Understood,
    native_ids_of,
    understand,
)
from sabir.clock import Clock
from sabir.content import codec, ids
from sabir.content.composing import compose
from sabir.content.meaning import (
    Author,
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import SALT_OCTETS, MessageId
from sabir.content.origin import Origin, portal_tag
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved
from sabir.networks.api import (
    ChatId,
    Connector,
    Corrected,
    Incoming,
    NativeEvent,
    NativeId,
    Posted,
    ReactionAdded,
    ReactionsReplaced,
    Rng,
)
from sabir.storage.ports import Inbox, Refs, Timeline
from sabir.storage.records import (
    EntryRecord,
    InboxRecord,
    InboxState,
    InboxVerdict,
    NewEntry,
)
from sabir.wire.errors import NotEncodable

_log = structlog.get_logger()


class IngestStorage(Inbox, Refs, Timeline, Protocol):
    """What this worker needs remembered."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    record: InboxRecord
    incoming: Incoming


class Ingest:
    """Turns the native events of one portal into entries of its room."""

    def __init__(
        self,
        portal: Portal,
        network: str,
        connector: Connector,
        *,
        storage: IngestStorage,
        rooms: RoomPort,
        attachments: Attachments,
        owner_uri: str,
        clock: Clock,
        rng: Rng,
    ) -> None:
        self._portal = portal
        self._network = network
        self._connector = connector
        self._storage = storage
        self._rooms = rooms
        self._attachments = attachments
        self._owner_uri = owner_uri
        self._clock = clock
        self._rng = rng
        self._mentions = PortalMentions(portal, network, storage)
        self._batch: list[NewEntry] = []
        self._known: dict[str, KnownEntry] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._portal.arrived.clear()
            if not await self.work():
                await self._portal.arrived.wait()

    async def work(self) -> bool:
        """Take the next events in; False if none waits.

        Raises:
            StorageFailed: nothing was taken in; try again.
            Unavailable: a file cannot be fetched now; what stands before it is in.
        """
        records = await self._storage.pending(
            self._portal.account, self._portal.chat, count_max=INGEST_BATCH_MAX
        )
        if not records:
            return False
        self._batch, self._known = [], {}
        decoded, verdicts = self._decode(records)
        if verdicts:
            await self._storage.dismiss(verdicts)
        await self._look_up(decoded)
        for each in decoded:
            await self._take_in(each)
        await self._submit()
        return True

    # ---- decoding

    def _decode(
        self, records: Sequence[InboxRecord]
    ) -> tuple[list[_Decoded], list[InboxVerdict]]:
        decoded, verdicts = [], []
        for record in records:
            try:
                incoming = self._connector.decode(_native(record))
            except PeerMisbehaved as error:
                _log.warning(
                    "event_rejected",
                    portal=self._portal.id,
                    inbox=record.seq,
                    rule=error.rule,
                    detail=error.detail,
                )
                verdicts.append(_verdict(record, InboxState.REJECTED, str(error)))
                continue
            if incoming is None:
                verdicts.append(_verdict(record, InboxState.IGNORED))
            else:
                decoded.append(_Decoded(record, incoming))
        return decoded, verdicts

    async def _look_up(self, decoded: Sequence[_Decoded]) -> None:
        wanted = {n for each in decoded for n in native_ids_of(each.incoming.action)}
        if not wanted:
            return
        found = await self._storage.entries_of(self._portal.id, wanted)
        entries = await self._storage.entries(found.values())
        for native_id, entry in found.items():
            record = entries.get(entry)
            if record is not None:
                self._known[native_id] = KnownEntry(
                    entry=entry,
                    kind=record.kind,
                    author=record.author,
                    target=record.target,
                )

    # ---- one event

    async def _take_in(self, decoded: _Decoded) -> None:
        incoming = await self._with_mentions(decoded.incoming)
        author = author_uri(self._network, incoming.sender.id)
        facts = Facts(
            author=author,
            entries=self._known,
            reactions=await self._reactions(incoming, author),
        )
        if self._attachments.wanted(incoming.action):
            await self._submit()  # what stands before a file does not wait for it
            fetched, lost = await self._attachments.fetch(
                self._portal.account, self._connector, incoming.action
            )
            facts = replace(facts, attachments=fetched)
            incoming = replace(incoming, lost=(*incoming.lost, *lost))
        facts = replace(facts, lost=incoming.lost)
        understood = understand(incoming.action, facts)
        if not understood.meanings:
            await self._dismiss(decoded.record, understood)
        try:
            for number, meaning in enumerate(understood.meanings):
                self._append(decoded.record, incoming, meaning, understood.lost, number)
        except NotEncodable as error:
            await self._dismiss(
                decoded.record,
                Understood(rejected=f"rooms cannot carry it: rule {error.rule}"),
            )

    async def _with_mentions(self, incoming: Incoming) -> Incoming:
        """Let mentions name people as the room knows them."""
        match incoming.action:
            case Posted(text=Rich() as text) | Corrected(text=Rich() as text):
                named = await self._mentions.to_room(text)
                if named is not text:
                    action = replace(incoming.action, text=named)
                    return replace(incoming, action=action)
            case _:
                pass
        return incoming

    async def _reactions(
        self, incoming: Incoming, author: str
    ) -> Mapping[str, MessageId]:
        if not isinstance(incoming.action, ReactionAdded | ReactionsReplaced):
            return {}
        known = self._known.get(incoming.action.target)
        if known is None:
            return {}
        await self._submit()  # reactions of this batch count too
        target = known.target if known.kind == "edited" else known.entry
        assert target is not None
        in_force = await self._storage.reactions(target, author)
        return {reaction.emoji: reaction.entry for reaction in in_force}

    async def _dismiss(self, record: InboxRecord, understood: Understood) -> None:
        state = InboxState.REJECTED if understood.rejected else InboxState.IGNORED
        if understood.rejected:
            _log.info(
                "event_rejected",
                portal=self._portal.id,
                inbox=record.seq,
                detail=understood.rejected,
            )
        await self._storage.dismiss([_verdict(record, state, understood.rejected)])

    def _append(
        self,
        record: InboxRecord,
        incoming: Incoming,
        meaning: Meaning,
        lost: tuple[str, ...],
        number: int,
    ) -> None:
        """Compose one entry; a set of reactions may give several per event."""
        author = Author(
            uri=author_uri(self._network, incoming.sender.id),
            name=_name(incoming.sender.name),
        )
        meaning = _with_profile_name(meaning, author)
        content = compose(
            meaning,
            salt=self._rng(SALT_OCTETS),
            sender_uri=self._owner_uri,
            room_uri=self._portal.room,
            author=author,
            origin=Origin(
                network=self._network,
                portal=portal_tag(self._network, self._portal.chat),
                native_id=record.native_id,
                scope=self._network,
                account=self._portal.account,
            ),
            sent_at=incoming.sent_at or record.received_at,
            lost=(*incoming.lost, *lost),
        )
        raw = codec.encode(content)
        entry = ids.message_id(self._owner_uri, self._portal.room, raw, content.salt)
        native_ids = (record.native_id, *incoming.aliases) if number == 0 else ()
        kind = _KINDS[type(meaning)]
        target = _target(meaning)
        self._batch.append(
            NewEntry(
                entry=entry,
                submission=submission_key(
                    self._portal.account,
                    self._portal.chat,
                    record.native_id,
                    record.revision,
                    number,
                ),
                kind=kind,
                author=author.uri,
                author_name=author.name,
                content=raw,
                target=target,
                emoji=meaning.emoji if isinstance(meaning, Reacted) else "",
                origin=self._portal.id,
                inbox_seq=record.seq,
                native_ids=native_ids,
                native_author=incoming.sender.id,
                received_at=record.received_at,
                sent_at=incoming.sent_at or record.received_at,
            )
        )
        known = KnownEntry(entry=entry, kind=kind, author=author.uri, target=target)
        self._known.update(dict.fromkeys(native_ids, known))

    async def _submit(self) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        placed: Sequence[EntryRecord | None]
        try:
            placed = await self._rooms.submit(self._portal.room, batch)
        except NotTaken as refusal:
            _log.info("event_rejected", portal=self._portal.id, detail=str(refusal))
            placed = refusal.placed
        for new, record in zip(batch, placed, strict=True):
            if record is None:
                self._forget(new.entry)
            elif record.entry != new.entry:  # accepted before a crash, under this key
                self._rename(new.entry, record.entry)

    def _forget(self, entry: MessageId) -> None:
        for native_id in [n for n, k in self._known.items() if k.entry == entry]:
            del self._known[native_id]

    def _rename(self, old: MessageId, new: MessageId) -> None:
        for native_id, known in self._known.items():
            if known.entry == old:
                self._known[native_id] = replace(known, entry=new)


_KINDS: Final[Mapping[type[Meaning], str]] = {
    Said: "said",
    Edited: "edited",
    Deleted: "deleted",
    Reacted: "reacted",
    RoomEvent: "event",
}


def _native(record: InboxRecord) -> NativeEvent:
    return NativeEvent(
        chat=ChatId(record.chat),
        native_id=NativeId(record.native_id),
        payload=record.payload,
        revision=record.revision,
        late=record.late,
    )


def _verdict(record: InboxRecord, state: InboxState, detail: str = "") -> InboxVerdict:
    return InboxVerdict(seq=record.seq, state=state, detail=detail)


def _name(name: str) -> str:
    """Cut a display name, and drop half surrogates, which no encoding carries."""
    return name[:NAME_CHARS_MAX].encode(errors="replace").decode()


def _target(meaning: Meaning) -> MessageId | None:
    match meaning:
        case Edited(target=target) | Deleted(target=target) | Reacted(target=target):
            return target
        case _:
            return None


def _with_profile_name(meaning: Meaning, author: Author) -> Meaning:
    if isinstance(meaning, RoomEvent) and meaning.kind is RoomEventKind.PROFILE:
        return replace(meaning, value=author.name)
    return meaning
