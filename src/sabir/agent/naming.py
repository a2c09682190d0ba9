"""Ids the agent derives: the same input always gives the same name."""

import base64
import hashlib
from typing import Final

from sabir.content.model import MessageId
from sabir.networks.api import IdempotencyKey, Rng
from sabir.storage.records import RoomId

_KEY_OCTETS: Final = 20
"""160 bits of SHA-256: 32 characters of base32, short enough for every network."""
_ROOM_OCTETS: Final = 16
"""128 bits, MIMI.md section 2."""


def _digest(*fields: str | bytes) -> bytes:
    state = hashlib.sha256()
    for field in fields:
        octets = field.encode() if isinstance(field, str) else field
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        state.update(len(octets).to_bytes(4, "big") + octets)
    return state.digest()


def _base32(octets: bytes) -> str:
    return base64.b32encode(octets).decode().rstrip("=").lower()


def submission_key(
    account: str, chat: str, native_id: str, revision: str, number: int
) -> str:
    """Name the `number`-th entry made from a native event: 32 characters.

    The same event, redelivered, gives the same key (I2).
    """
    fields = ("submission", account, chat, native_id, revision, str(number))
    return _base32(_digest(*fields)[:_KEY_OCTETS])


def delivery_key(
    room: RoomId, account: str, chat: str, entry: MessageId, part: int
) -> IdempotencyKey:
    """Name one piece of an entry on one portal: 32 characters `a-z2-7`.

    Every attempt has the same key (I3).
    """
    octets = _digest("delivery", room, account, chat, entry, str(part))[:_KEY_OCTETS]
    return IdempotencyKey(_base32(octets))


def new_room_id(domain: str, rng: Rng) -> RoomId:
    """Return a fresh room URI (MIMI.md section 2)."""
    name = base64.urlsafe_b64encode(rng(_ROOM_OCTETS)).decode().rstrip("=")
    return RoomId(f"mimi://{domain}/r/{name}")


def author_uri(network: str, person: str) -> str:
    """Name a foreign person across the system."""
    return f"{network}:{person}"
