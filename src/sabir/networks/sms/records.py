"""One piece that we sent, part by part, and what was heard of it. Pure."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sabir.networks.api import ChatId, IdempotencyKey
from sabir.networks.sms.receipts import Fate, Receipt

_ZONE_MS: Final = 15 * 60_000
"""Every time zone is a multiple of it away from UTC."""
_ZONES_MS: Final = 15 * 3_600_000
_SKEW_MS: Final = 2 * 60_000
"""The SMSC's clock, and a minute that it leaves out."""


class PartState(StrEnum):
    """Where a part is."""

    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"


@dataclass(slots=True, kw_only=True)
class Part:
    """One text message."""

    number: int
    """Ours, of 16 bits."""
    start: str
    state: PartState = PartState.WAITING
    attempted_at: int = 0
    message_id: str = ""
    fate: Fate = Fate.UNDERWAY


@dataclass(slots=True, kw_only=True)
class Record:
    """One piece of the agent, or an answer of our own."""

    slot: int
    order: int
    key: IdempotencyKey
    chat: ChatId
    at: int
    reference: int
    text: str
    """As far as `memory` wants it."""
    parts: list[Part]
    told: str = ""
    """The fate that the agent knows of."""

    @property
    def is_accepted(self) -> bool:
        """Tell whether the SMSC has every part."""
        return all(part.state is PartState.ACCEPTED for part in self.parts)

    @property
    def sending(self) -> list[int]:
        """Return which parts are sending."""
        return [
            at for at, part in enumerate(self.parts) if part.state is PartState.SENDING
        ]

    @property
    def fate(self) -> Fate:
        """Return what became of all of it (RCP-5)."""
        fates = {part.fate for part in self.parts}
        if Fate.FAILED in fates:
            return Fate.FAILED
        done = self.is_accepted and fates == {Fate.DELIVERED}
        return Fate.DELIVERED if done else Fate.UNDERWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """A receipt for an id that nobody has got yet."""

    chat: ChatId
    at: int
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What people, or the agent, should hear."""

    record: Record
    accepted: bool = False
    """A doubt is settled: the SMSC has it."""
    fate: Fate = Fate.UNDERWAY
    word: str = ""
    error: str = ""


def dump(record: Record) -> str:
    """Return a record as text."""
    return json.dumps(asdict(record))


def load(text: str) -> Record:
    """Return what `dump` wrote."""
    fields = json.loads(text)
    parts = [_part(each) for each in fields.pop("parts")]
    return Record(parts=parts, **fields)


def _part(fields: dict[str, str]) -> Part:
    return Part(
        number=int(fields["number"]),
        start=str(fields["start"]),
        state=PartState(fields["state"]),
        attempted_at=int(fields["attempted_at"]),
        message_id=str(fields["message_id"]),
        fate=Fate(fields["fate"]),
    )


def keeping(record: Record) -> tuple[bool, bool, int]:
    """Order records by how much they are still needed: settled and old ones first."""
    settled = record.fate is not Fate.UNDERWAY
    return not record.is_accepted, not settled, record.order


def alike(part: Part, receipt: Receipt) -> bool:
    """Tell whether a receipt that names no known id can only be of this part.

    What the receipt does not say, or no SMSC could repeat, speaks neither for nor
    against; something must speak for it.
    """
    signs: list[bool] = []
    if receipt.start and part.start.isascii():
        start = receipt.start.rstrip()
        signs.append(part.start.startswith(start) and bool(start))
    if receipt.submitted:
        signs.append(_same_time(part.attempted_at, receipt.submitted))
    return bool(signs) and all(signs)


def _same_time(attempted_at: int, submitted: str) -> bool:
    """Compare a time of ours with one of the SMSC, whose time zone is not known."""
    try:
        moment = datetime.strptime(submitted, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return False
    apart = int(moment.timestamp() * 1_000) - attempted_at
    rest = (apart + _SKEW_MS) % _ZONE_MS
    return abs(apart) <= _ZONES_MS and rest <= 2 * _SKEW_MS
