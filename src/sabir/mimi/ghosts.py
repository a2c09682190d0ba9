"""Ghosts: people of other networks as participants without clients.

A ghost's URI says who vouches for it and whom it stands for:

    mimi://matrix.ghosts.a.example/u/ada:%40bob%3Aexample.org
           network       provider    gateway's user : native id, percent-encoded

The domain is below the gateway's own provider, so nobody but that provider could ever
speak for it, and no provider has to know of ghosts: to all others a ghost is a
participant without clients, which reads nothing and sends nothing (protocol-06 section
7.5; D-54 calls such a participant inactive). What a ghost says, its gateway sends.

The form is ours; the drafts have no words for bridges.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from sabir.mimi.uris import (
    DOMAIN_OCTETS_MAX,
    URI_OCTETS_MAX,
    Kind,
    parse_uri,
    user_uri,
)
from sabir.wire.errors import Malformed

GHOSTS: Final = "ghosts"
"""The label between the network and the provider's domain."""

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DIGEST_MARK: Final = "="
"""Before the digest of a native id that is too long; an encoded id never has it."""
_KEPT_MAX: Final = 8_192
"""Answers that are remembered: participants of some rooms."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """Who a ghost is.

    Attributes:
        uri: all of it.
        network: id, e.g. `matrix`.
        gateway: URI of the user whose agent vouches for it.
        native: the person's id on that network; empty where the URI has its digest.
    """

    uri: str
    network: str
    gateway: str
    native: str


def ghost_uri(gateway: str, network: str, native: str) -> str:
    """Name a ghost.

    Args:
        gateway: URI of the user whose agent vouches for it.
        network: id of the network.
        native: the person's id there.

    Returns:
        The URI: the same for the same three, and for no other three (a native id for
        which 512 octets are too few goes in as its SHA-256).

    Raises:
        Malformed: MIMI-001, MIMI-002 the gateway is no user; MIMI-401 the network's id
            is no DNS label, or the domain too long for one more.
    """
    user = parse_uri(gateway, Kind.USER)
    domain = f"{network}.{GHOSTS}.{user.domain}"
    if _LABEL.fullmatch(network) is None or len(domain) > DOMAIN_OCTETS_MAX:
        raise Malformed("MIMI-401", "no name for ghosts of this network")
    # `~` is unreserved, so the identifier may not encode it, nor does `quote`.
    encoded = quote(native, safe="", errors="replace")
    uri = user_uri(domain, f"{user.segments[0]}:{encoded}")
    if len(uri) <= URI_OCTETS_MAX:
        return uri
    digest = hashlib.sha256(native.encode(errors="replace")).digest()
    short = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    uri = user_uri(domain, f"{user.segments[0]}:{_DIGEST_MARK}{short}")
    parse_uri(uri, Kind.USER)
    return uri


@lru_cache(_KEPT_MAX)
def read_ghost(user: str) -> Ghost | None:
    """Return who a participant stands for; None for people with their own clients."""
    try:
        uri = parse_uri(user, Kind.USER)
    except Malformed:
        return None
    network, mark, provider = uri.domain.partition(f".{GHOSTS}.")
    name, _, encoded = uri.segments[0].rpartition(":")
    if not (mark and name and encoded) or "." in network:
        return None
    native = "" if encoded.startswith(_DIGEST_MARK) else unquote(encoded)
    return Ghost(user, network, user_uri(provider, name), native)


def ghosts_of_gateway(
    users: Iterable[str], gateway: str, network: str = ""
) -> tuple[Ghost, ...]:
    """Return the ghosts among some users for whom one user vouches.

    Args:
        users: URIs.
        gateway: URI of the user.
        network: only ghosts of it; empty: of any.
    """
    found = (read_ghost(user) for user in users)
    return tuple(
        ghost
        for ghost in found
        if ghost is not None
        and ghost.gateway == gateway
        and network in {"", ghost.network}
    )
