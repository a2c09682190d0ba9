"""Component 0x0028, receipts (room-policy-04 section 6.1)."""

from dataclasses import dataclass

from sabir.mimi.components.optionality import Optionality, read_optionality
from sabir.wire import tls
from sabir.wire.tls import Reader


@dataclass(frozen=True, slots=True)
class StatusNotificationPolicy:
    """The `StatusNotificationPolicy`: which receipts are sent."""

    delivery_notifications: Optionality = Optionality.OPTIONAL
    read_receipts: Optionality = Optionality.OPTIONAL

    def encode(self) -> bytes:
        """Write the `StatusNotificationPolicy`."""
        return tls.uint8(self.delivery_notifications) + tls.uint8(self.read_receipts)


def read_status_policy(reader: Reader) -> StatusNotificationPolicy:
    """Take a `StatusNotificationPolicy`. Raises Malformed: MIMI-110."""
    return StatusNotificationPolicy(read_optionality(reader), read_optionality(reader))


def decode_status_policy(data: bytes) -> StatusNotificationPolicy:
    """Read a whole `StatusNotificationPolicy`."""
    return tls.read_whole(data, read_status_policy)
