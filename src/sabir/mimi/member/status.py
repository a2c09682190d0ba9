"""`application/mimi-message-status`: receipts (message-status-01, D-43)."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from sabir.content.model import (
    MESSAGE_ID_OCTETS,
    Disposition,
    MessageId,
    SinglePart,
)
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.components.status_policy import StatusNotificationPolicy
from sabir.wire import cbor
from sabir.wire.errors import Malformed

MEDIA_TYPE: Final = "application/mimi-message-status"

RECEIPTS_MS_MIN: Final = 5_000
"""Between two reports of ours in one room (5.7)."""

REPORTS_MAX: Final = 4_096
"""Messages in one report: what is unread after a long absence."""

_STATUS_MAX: Final = 0xFF


class Status(IntEnum):
    """What became of a message; others are kept as numbers."""

    UNREAD = 0
    DELIVERED = 1
    READ = 2
    EXPIRED = 3
    DELETED = 4
    HIDDEN = 5
    ERROR = 6


Reports = tuple[tuple[MessageId, int], ...]

_FROM_ANY: Final = frozenset({Status.EXPIRED, Status.HIDDEN, Status.ERROR})
_STEPS: Final[Mapping[int, frozenset[int]]] = MappingProxyType(
    {
        Status.UNREAD: frozenset({Status.READ}),
        Status.READ: frozenset({Status.UNREAD}),
        Status.DELIVERED: frozenset({Status.READ}),
    }
)
"""Steps beside those that are open from everywhere."""


def next_status(old: int | None, new: int) -> int | None:
    """Return a message's status after a report; None where the report is ignored.

    Args:
        old: the status so far, None where there was none.
        new: what is reported.
    """
    if old is None:
        return new
    if old == Status.DELETED:
        return None
    if new == Status.DELETED or new in _FROM_ANY or new in _STEPS.get(old, ()):
        return new
    return None


def is_wanted(policy: StatusNotificationPolicy | None, status: int) -> Optionality:
    """Say whether a room wants reports of a status."""
    if policy is None:
        return Optionality.OPTIONAL
    if status in {Status.READ, Status.UNREAD}:
        return policy.read_receipts
    return policy.delivery_notifications


def wanted(policy: StatusNotificationPolicy | None, reports: Reports) -> Reports:
    """Return the reports that a room does not forbid."""
    return tuple(
        (message, status)
        for message, status in reports
        if is_wanted(policy, status) is not Optionality.FORBIDDEN
    )


def encode_reports(reports: Iterable[tuple[MessageId, int]]) -> bytes:
    """Write a report."""
    return cbor.encode(tuple((message, int(status)) for message, status in reports))


def decode_reports(octets: bytes) -> Reports:
    """Read a report.

    Raises:
        Malformed: MIMI-304, no list of pairs of a message and a status; as
            `cbor.decode`.
    """
    value = cbor.decode(octets)
    if not isinstance(value, tuple) or len(value) > REPORTS_MAX:
        raise Malformed("MIMI-304", "no list of reports, or too many")
    return tuple(_report(item) for item in value)


def _report(item: cbor.Value) -> tuple[MessageId, int]:
    match item:
        case (bytes(message), int(status)) if (
            len(message) == MESSAGE_ID_OCTETS
            and message[0] == 1
            and not isinstance(status, bool)
            and 0 <= status <= _STATUS_MAX
        ):
            return MessageId(message), status
        case _:
            raise Malformed("MIMI-304", "no pair of a message and a status")


def status_part(reports: Iterable[tuple[MessageId, int]]) -> SinglePart:
    """Return the body of a container that is a report."""
    return SinglePart(
        disposition=Disposition.UNSPECIFIED,
        content_type=MEDIA_TYPE,
        content=encode_reports(reports),
    )
