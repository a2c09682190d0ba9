"""What we sent and what became of it, as it is on disk. Pure.

Each piece has a record in one of a fixed number of slots, so that what is remembered
has a bound. A part is *waiting* (certainly not at the SMSC), *sending* (written down
before it was written out) or *accepted* (the SMSC gave it an id). A part that is
sending and has no request under way is in doubt; a receipt may still settle it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from sabir.clock import Instant
from sabir.networks.api import ChatId, IdempotencyKey
from sabir.networks.sms.memory import CHARS_MAX
from sabir.networks.sms.receipts import (
    TEXT_START_CHARS,
    Fate,
    Receipt,
    other_bases,
    plain_id,
)
from sabir.networks.sms.records import (
    Change,
    Part,
    PartState,
    Record,
    Unclaimed,
    alike,
    dump,
    keeping,
    load,
)

SLOTS_MAX: Final = 1_024
"""Pieces remembered: receipts come within days, a person sends less in them."""
UNCLAIMED_MAX: Final = 256
"""Receipts that wait for the id they are of."""
UNCLAIMED_MS: Final = 24 * 3_600_000
NUMBER_MODULUS: Final = 0x10000


@dataclass(slots=True)
class _Index:
    by_key: dict[IdempotencyKey, Record] = field(default_factory=dict)
    by_id: dict[tuple[str, str], tuple[Record, int]] = field(default_factory=dict)
    by_number: dict[tuple[str, int], tuple[Record, int]] = field(default_factory=dict)


class Outbox:
    """All records, and which of them are not on disk as they are here."""

    def __init__(self) -> None:
        self._slots: dict[int, Record] = {}
        self._index = _Index()
        self._unclaimed: list[Unclaimed] = []
        self._order = 0
        self._forgotten_at = 0
        self._dirty: set[str] = set()
        self.live: set[tuple[IdempotencyKey, int]] = set()
        """Parts whose request is under way now."""

    # ---- sending

    def find(self, key: IdempotencyKey) -> Record | None:
        """Return the record of a piece."""
        return self._index.by_key.get(key)

    def forgot(self, at: Instant) -> bool:
        """Tell whether a piece of that time may have been here once."""
        return at <= self._forgotten_at

    def open(
        self,
        key: IdempotencyKey,
        chat: ChatId,
        text: str,
        parts: Sequence[str],
        *,
        first_reference: int,
        now: Instant,
    ) -> Record:
        """Return the record of a piece, new or as it was left.

        Args:
            key: of the piece.
            chat: where it goes.
            text: what it says.
            parts: the text of each part.
            first_reference: used for the first piece of a chat; then they count on.
            now: the present.
        """
        known = self.find(key)
        if known is not None:
            return known
        last = max(
            (each for each in self._slots.values() if each.chat == chat),
            key=lambda each: each.order,
            default=None,
        )
        reference = first_reference if last is None else last.reference + 1
        record = Record(
            slot=self._free_slot(),
            order=self._order,
            key=key,
            chat=chat,
            at=now,
            reference=reference & 0xFF,
            text=" ".join(text.split())[: CHARS_MAX + 1],
            parts=[
                Part(
                    number=(self._order + at) % NUMBER_MODULUS,
                    start=part[:TEXT_START_CHARS],
                )
                for at, part in enumerate(parts)
            ],
        )
        self._order += len(parts)
        self._put(record)
        self._touch(record)
        return record

    def sending(self, record: Record, at: int, now: Instant) -> None:
        """Note, before it happens, that a part is written out."""
        part = record.parts[at]
        part.state, part.attempted_at = PartState.SENDING, now
        self._touch(record)

    def refused(self, record: Record, at: int) -> None:
        """Note that the SMSC certainly does not have a part."""
        record.parts[at].state = PartState.WAITING
        self._touch(record)

    def accepted(self, record: Record, at: int, message_id: str) -> list[Change]:
        """Note that the SMSC has a part, and apply the receipt that came before."""
        if record.parts[at].state is not PartState.ACCEPTED:
            self._accept(record, at, message_id)
        for each in self._unclaimed:
            found = self._by_id(each.chat, each.receipt)
            if found is not None and found[0] is record and found[1] == at:
                self._unclaimed.remove(each)
                self._dirty.add("unclaimed")
                return self._apply(record, at, each.receipt)
        return []

    def doubtful(self, record: Record) -> list[int]:
        """Return which parts may or may not be at the SMSC."""
        return [at for at in record.sending if (record.key, at) not in self.live]

    # ---- receipts

    def receipt(self, chat: ChatId, receipt: Receipt, now: Instant) -> list[Change]:
        """Apply a receipt, or keep it until its id is known."""
        found = self._by_id(chat, receipt) or self._by_reference(chat, receipt)
        if found is None:
            found = self._by_likeness(chat, receipt)
        if found is None:
            self._keep(Unclaimed(chat=chat, at=now, receipt=receipt))
            return []
        return self._settle(*found, receipt)

    def settle_doubts(self, record: Record) -> list[Change]:
        """Look whether a receipt that waits is of a part in doubt."""
        for each in list(self._unclaimed):
            if each.chat != record.chat:
                continue
            found = self._by_likeness(each.chat, each.receipt)
            if found is not None and found[0] is record:
                self._unclaimed.remove(each)
                self._dirty.add("unclaimed")
                return self._settle(*found, each.receipt)
        return []

    def told(self, record: Record, fate: Fate) -> None:
        """Note that a fate was passed on."""
        record.told = fate
        self._touch(record)

    def prune(self, now: Instant) -> None:
        """Forget receipts that nobody claimed in a day."""
        kept = [each for each in self._unclaimed if now - each.at <= UNCLAIMED_MS]
        if len(kept) < len(self._unclaimed):
            self._unclaimed = kept
            self._dirty.add("unclaimed")

    def _settle(self, record: Record, at: int, receipt: Receipt) -> list[Change]:
        """Apply a receipt whose part is known; it also proves the acceptance."""
        changes: list[Change] = []
        if record.parts[at].state is not PartState.ACCEPTED:
            doubted = (record.key, at) not in self.live
            self._accept(record, at, receipt.message_id)
            if doubted and record.is_accepted:
                changes.append(Change(record=record, accepted=True))
        return changes + self._apply(record, at, receipt)

    def _apply(self, record: Record, at: int, receipt: Receipt) -> list[Change]:
        part = record.parts[at]
        if part.fate is Fate.DELIVERED or receipt.fate is Fate.UNDERWAY:
            return []
        part.fate = receipt.fate
        self._touch(record)
        if record.fate is Fate.UNDERWAY or record.fate == record.told:
            return []
        return [
            Change(
                record=record,
                fate=record.fate,
                word=receipt.word,
                error=receipt.error,
            )
        ]

    def _by_id(self, chat: ChatId, receipt: Receipt) -> tuple[Record, int] | None:
        plain = plain_id(receipt.message_id)
        if not receipt.message_id:
            return None
        for each in (plain, *other_bases(plain)):
            found = self._index.by_id.get((chat, each))
            if found is not None:
                return found
        return None

    def _by_reference(
        self, chat: ChatId, receipt: Receipt
    ) -> tuple[Record, int] | None:
        if receipt.reference is None:
            return None
        found = self._index.by_number.get((chat, receipt.reference))
        if found is None or found[0].parts[found[1]].state is not PartState.SENDING:
            return None
        return found

    def _by_likeness(self, chat: ChatId, receipt: Receipt) -> tuple[Record, int] | None:
        """Return the one part in doubt that a receipt of an unknown id is of.

        A part that waits for its answer may get this id too: then nobody knows.
        """
        found = [
            (record, at)
            for record in self._slots.values()
            if record.chat == chat
            for at in record.sending
            if alike(record.parts[at], receipt)
        ]
        if len(found) != 1 or found[0][1] not in self.doubtful(found[0][0]):
            return None
        return found[0]

    def _keep(self, unclaimed: Unclaimed) -> None:
        known = {(each.chat, each.receipt) for each in self._unclaimed}
        if (unclaimed.chat, unclaimed.receipt) in known:
            return
        self._unclaimed = [*self._unclaimed, unclaimed][-UNCLAIMED_MAX:]
        self._dirty.add("unclaimed")

    # ---- slots

    def _accept(self, record: Record, at: int, message_id: str) -> None:
        part = record.parts[at]
        part.state, part.message_id = PartState.ACCEPTED, message_id
        if message_id:
            self._index.by_id[record.chat, plain_id(message_id)] = (record, at)
        self._touch(record)

    def _free_slot(self) -> int:
        if len(self._slots) < SLOTS_MAX:
            return len(self._slots)
        oldest = min(self._slots.values(), key=keeping)
        self._forgotten_at = max(self._forgotten_at, oldest.at)
        self._drop(oldest)
        return oldest.slot

    def _drop(self, record: Record) -> None:
        del self._slots[record.slot]
        del self._index.by_key[record.key]
        self._index.by_id = {
            name: found
            for name, found in self._index.by_id.items()
            if found[0] is not record
        }
        for part in record.parts:
            self._index.by_number.pop((record.chat, part.number), None)

    def _put(self, record: Record) -> None:
        self._slots[record.slot] = record
        self._index.by_key[record.key] = record
        for at, part in enumerate(record.parts):
            self._index.by_number[record.chat, part.number] = (record, at)
            if part.message_id:
                name = (record.chat, plain_id(part.message_id))
                self._index.by_id[name] = (record, at)

    def _touch(self, record: Record) -> None:
        self._dirty |= {f"out.{record.slot}", "out"}

    # ---- on disk

    def changed(self) -> dict[str, str]:
        """Return what must be written, once."""
        names, self._dirty = self._dirty, set()
        return {name: self._dump(name) for name in names}

    def again(self, names: Mapping[str, str]) -> None:
        """Take names back that were not written."""
        self._dirty |= {name for name in names if name.startswith(("out", "unclaimed"))}

    def _dump(self, name: str) -> str:
        if name == "unclaimed":
            return json.dumps([asdict(each) for each in self._unclaimed])
        if name == "out":
            return json.dumps([len(self._slots), self._order, self._forgotten_at])
        return dump(self._slots[int(name.removeprefix("out."))])

    @staticmethod
    def slots_in(head: str | None) -> int:
        """Return how many slots there are on disk, by the value of `out`."""
        return int(json.loads(head)[0]) if head else 0

    @classmethod
    def load(
        cls, head: str | None, slots: Sequence[str], unclaimed: str | None
    ) -> "Outbox":
        """Return what was written under `out`, `out.0` and so on, `unclaimed`."""
        outbox = cls()
        if head:
            _, outbox._order, outbox._forgotten_at = json.loads(head)
        for text in slots:
            outbox._put(load(text))
        for each in json.loads(unclaimed or "[]"):
            fields = each["receipt"] | {"fate": Fate(each["receipt"]["fate"])}
            outbox._unclaimed.append(
                Unclaimed(chat=each["chat"], at=each["at"], receipt=Receipt(**fields))
            )
        return outbox
