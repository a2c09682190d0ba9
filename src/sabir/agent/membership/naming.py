"""Names that the agent's side of a provider derives."""

import base64
import hashlib
from typing import Final

from sabir.mimi.ghosts import read_ghost
from sabir.mimi.uris import domain_of, parse_uri
from sabir.wire.errors import Malformed


def idempotency_key(what: str, *fields: str | bytes) -> str:
    """Name a request by what is sent: 43 characters, the same for each attempt."""
    state = hashlib.sha256(what.encode())
    for field in fields:
        octets = field.encode() if isinstance(field, str) else field
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        state.update(len(octets).to_bytes(8, "big") + octets)
    return base64.urlsafe_b64encode(state.digest()).decode().rstrip("=")


FINGERPRINT_DIGITS: Final = 16
"""A person can compare them; 64 bits are more than a hub can bring to agree."""


def fingerprint(*octets: bytes) -> str:
    """Return hex digits that people compare: 64 bits of a SHA-256."""
    return hashlib.sha256(b"".join(octets)).hexdigest()[:FINGERPRINT_DIGITS]


_SHOWN: Final = 6
"""Characters of an id that nobody can say anyway."""


def name_of(user: str) -> str:
    """Return what to call a user of whom nothing but the URI is known."""
    ghost = read_ghost(user)
    if ghost is not None and ghost.native:
        return f"{ghost.native} ({ghost.network})"
    try:
        uri = parse_uri(user)
    except Malformed:
        return user
    if not uri.segments:
        return domain_of(user)
    name = uri.segments[-1]
    short = name if len(name) <= 2 * _SHOWN else f"{name[:_SHOWN]}…"
    return f"{short}@{uri.domain}"
