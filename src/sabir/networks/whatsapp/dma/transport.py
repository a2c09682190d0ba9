"""The port that an implementation under contract would fill; nobody does today.

The shape follows what Meta has published (its post of 2024-03-06 and the reference
offer): keys are fetched, messages are encrypted per device by us, events are
acknowledged after they are stored. Every detail is unverified.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sabir.crypto.secrets import Secret


class EventKind(StrEnum):
    """What WhatsApp tells."""

    MESSAGE = "message"
    RECEIPT = "receipt"
    IDENTITY_CHANGED = "identity_changed"
    """Somebody's identity key is another: shown, never silently trusted."""
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class DmaEvent:
    """One event, with an id by which it is the same when it comes again."""

    id: str
    kind: EventKind
    peer: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMessage:
    """A message encrypted for one device."""

    device: int
    ciphertext: bytes


class DmaTransport(Protocol):
    """What the contract's protocol has to offer."""

    async def enlist(self, person: str, identifier: str, proof: Secret) -> str:
        """Enlist somebody; return WhatsApp's reference.

        Raises:
            PolicyRefused: WhatsApp refused, with its reason.
            Unavailable: try again.
        """
        ...

    async def fetch_keys(self, peer: str) -> Sequence[bytes]:
        """Return the key bundles of a peer's devices, as they came."""
        ...

    async def send(
        self, peer: str, messages: Sequence[DeviceMessage], message_id: str
    ) -> None:
        """Hand a message over; the same id again is the same message."""
        ...

    def events(self) -> AsyncIterator[DmaEvent]:
        """Yield events; what is not acknowledged comes again."""
        ...

    async def ack(self, event: DmaEvent) -> None:
        """Say that an event is stored."""
        ...
