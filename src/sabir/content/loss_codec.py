"""LossReport as deterministic CBOR, and its digest (CONVERSION.md section 9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from sabir.content.loss import (
    CODEC_VERSION,
    Level,
    LossItem,
    LossReport,
    WayBack,
    Why,
)
from sabir.content.model import MessageId
from sabir.errors import PeerMisbehaved
from sabir.wire import cbor
from sabir.wire.cbor import Key, Value
from sabir.wire.errors import Malformed

VERSION: Final = 1
ITEMS_MAX: Final = 256
"""More than there are rules; our choice."""


class Direction(IntEnum):
    """Which way a conversion went."""

    TO_NETWORK = 1
    FROM_NETWORK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Which conversion a report is about; all of it is optional."""

    entry: MessageId | None = None
    network: str = ""
    portal: bytes | None = None
    """16 octets."""
    direction: Direction = Direction.TO_NETWORK
    natives: int = 0
    """Number of native messages."""
    rendered: bytes | None = None
    """SHA-256 of the canonical rendered parts (`replay.rendered_digest`)."""
    capabilities: bytes | None = None
    """SHA-256 of the snapshot (`replay.capabilities_digest`)."""
    decision: bytes | None = None
    """16 octets: policy decision id."""


NOWHERE: Final = Leg()


def encode(report: LossReport, leg: Leg = NOWHERE) -> bytes:
    """Return a report's octets."""
    return cbor.encode(
        {
            1: VERSION,
            2: CODEC_VERSION,
            3: leg.entry,
            4: leg.network,
            5: leg.portal,
            6: int(leg.direction),
            7: int(report.level),
            8: tuple(item_value(item) for item in report.items),
            9: leg.natives,
            10: leg.rendered,
            11: leg.capabilities,
            12: leg.decision,
        }
    )


def decode(octets: bytes) -> LossReport:
    """Return the report.

    Raises:
        PeerMisbehaved: rule LOSS-001, not octets of `encode`.
    """
    try:
        value = cbor.decode(octets)
    except Malformed as error:
        raise PeerMisbehaved("LOSS-001", str(error)) from error
    match value:
        case Mapping() if value.get(1) == VERSION and isinstance(value.get(8), tuple):
            items = value[8]
            assert isinstance(items, tuple)
            if len(items) <= ITEMS_MAX:
                return LossReport(tuple(_item(each) for each in items))
        case _:
            pass
    raise PeerMisbehaved("LOSS-001", "not a loss report of version 1")


def digest(octets: bytes) -> bytes:
    """Return the SHA-256 by which a receipt names a report."""
    return sha256(octets).digest()


def item_value(item: LossItem) -> Mapping[Key, Value]:
    """Return one item; part 0 stands for the whole message."""
    value: dict[Key, Value] = {
        1: item.rule,
        2: (0,),
        3: int(item.level),
        4: int(item.back),
        5: int(item.why),
        6: (item.before, item.after),
    }
    if item.times != 1:
        value[7] = item.times
    return value


def item_of(value: Value) -> LossItem | None:
    """Return the item, None if `value` is not one."""
    if not isinstance(value, Mapping):
        return None
    rule, changed, times = value.get(1), value.get(6), value.get(7, 1)
    match changed:
        case (str() as before, str() as after) if isinstance(rule, str):
            pass
        case _:
            return None
    try:
        return LossItem(
            rule=rule,
            level=Level(_number(value, 3)),
            back=WayBack(_number(value, 4)),
            why=Why(_number(value, 5)),
            before=before,
            after=after,
            times=times if isinstance(times, int) else 1,
        )
    except ValueError:  # a level, way or cause that we do not know
        return None


def _item(value: Value) -> LossItem:
    item = item_of(value)
    if item is None:
        raise PeerMisbehaved("LOSS-001", "a malformed item")
    return item


def _number(value: Mapping[Key, Value], key: int) -> int:
    number = value.get(key)
    return number if isinstance(number, int) else -1
