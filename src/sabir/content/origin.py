"""Where an entry came from: `sabir.origin` and externalMessageId (CONVERSION.md 10)."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sabir.content.model import MessageId

PORTAL_OCTETS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """An entry's way into the room. An agent never renders it back to that portal."""

    network: str
    """Network id as in the data file, e.g. `matrix`."""
    portal: bytes
    """16 octets, see `portal_tag`."""
    native_id: str = ""
    """The message as its network names it; empty where it has no id."""
    scope: str = ""
    """Domain in which `native_id` is unique; empty: the network's id stands for it."""
    profile: str = ""
    """Security profile id of the way it came; empty if not known."""
    gateway: int = 1
    """0 none, 1 a member of the room on its own machine, 2 hosted."""
    in_tag: bytes | None = None
    """32 octets (TRUST.md 8.2)."""
    original: MessageId | None = None
    """The entry of which this one is a forward or copy."""
    account: str = ""
    """The gateway's account that saw it, by the gateway's own name for it."""


def portal_tag(network: str, chat: str) -> bytes:
    """Return the 16 octets that name a portal without naming its chat."""
    return sha256(f"{network}\0{chat}".encode()).digest()[:PORTAL_OCTETS]
