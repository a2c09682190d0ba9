"""Identifiers: `mimi://domain/kind/segment` (D-10, D-11).

Two identifiers are equal when their octets are: nothing is normalised, so what is not
in the one form is refused.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sabir.wire.errors import Malformed

URI_OCTETS_MAX: Final = 512
"""Octets of an identifier."""

DOMAIN_OCTETS_MAX: Final = 253
"""Octets of a DNS name."""

SCHEME: Final = "mimi://"

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+")
_NEEDLESS: Final = re.compile(r"%(?:2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])")
"""Octets that are encoded although they are unreserved."""


class Kind(StrEnum):
    """What an identifier names."""

    USER = "u"
    DEVICE = "d"
    ROOM = "r"
    GROUP = "g"
    PSEUDONYM = "p"
    TEAM = "t"


_KINDS: Final = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class MimiUri:
    """An identifier, taken apart.

    Attributes:
        text: all of it, exactly.
        domain: of the provider.
        kind: what it names; None for the provider itself.
        segments: one, two for some devices, none for a provider.
    """

    text: str
    domain: str
    kind: Kind | None = None
    segments: tuple[str, ...] = ()


def parse_uri(text: str | bytes, *kinds: Kind) -> MimiUri:
    """Read an identifier.

    Args:
        text: its octets.
        kinds: which are accepted; any, and providers too, where none is given.

    Raises:
        Malformed: MIMI-001 it is none, MIMI-002 it is of another kind.
    """
    found = _text_of(text)
    domain = domain_of(found)
    rest = found[len(SCHEME) + len(domain) :]
    uri = MimiUri(found, domain) if not rest else _with_path(found, domain, rest)
    if kinds and uri.kind not in kinds:
        raise Malformed("MIMI-002", f"kind {uri.kind}")
    return uri


def _text_of(text: str | bytes) -> str:
    octets = text.encode("utf-8") if isinstance(text, str) else text
    if len(octets) > URI_OCTETS_MAX or not octets.isascii():
        raise Malformed("MIMI-001", f"{len(octets)} octets")
    return octets.decode("ascii")


def _with_path(text: str, domain: str, rest: str) -> MimiUri:
    _, letter, *segments = rest.split("/")
    kind = _KINDS.get(letter)
    most = 2 if kind is Kind.DEVICE else 1
    if kind is None or not 1 <= len(segments) <= most:
        raise Malformed("MIMI-001", f"{len(segments)} segments")
    for segment in segments:
        if not _is_segment(segment):
            raise Malformed("MIMI-001", f"a segment of {len(segment)} octets")
    return MimiUri(text, domain, kind, tuple(segments))


def _is_segment(segment: str) -> bool:
    return (
        _SEGMENT.fullmatch(segment) is not None
        and _NEEDLESS.search(segment) is None
        and segment not in {".", ".."}
    )


def domain_of(uri: str) -> str:
    """Return the provider's domain, also of an identifier that is else unknown.

    Raises:
        Malformed: MIMI-001, there is none.
    """
    domain = uri.removeprefix(SCHEME).partition("/")[0]
    if (
        not uri.startswith(SCHEME)
        or len(domain) > DOMAIN_OCTETS_MAX
        or _DOMAIN.fullmatch(domain) is None
    ):
        raise Malformed("MIMI-001", "no domain")
    return domain


def provider_uri(domain: str) -> str:
    """Name a provider."""
    return f"{SCHEME}{domain}"


def user_uri(domain: str, user: str) -> str:
    """Name a user."""
    return f"{SCHEME}{domain}/{Kind.USER}/{user}"


def device_uri(domain: str, user: str, device: str) -> str:
    """Name a client."""
    return f"{SCHEME}{domain}/{Kind.DEVICE}/{user}/{device}"


def room_uri(domain: str, room: str) -> str:
    """Name a room."""
    return f"{SCHEME}{domain}/{Kind.ROOM}/{room}"


def group_uri(room: str, times: int = 0) -> str:
    """Name the MLS group of a room, after so many ReInits.

    Raises:
        Malformed: MIMI-001, MIMI-002, it is no room.
    """
    uri = parse_uri(room, Kind.ROOM)
    suffix = f".{times}" if times else ""
    return f"{SCHEME}{uri.domain}/{Kind.GROUP}/{uri.segments[0]}{suffix}"


def room_of_group(group_id: bytes) -> str:
    """Return the room of a group that had no ReInit.

    Raises:
        Malformed: MIMI-001, MIMI-002, it is no group.
    """
    uri = parse_uri(group_id, Kind.GROUP)
    return room_uri(uri.domain, uri.segments[0])


def user_of(client_uri: str) -> str:
    """Return the user of a client (D-12).

    A user URI is its own user: so bare peers name clients.

    Raises:
        Malformed: MIMI-001, MIMI-002 neither a user nor a client with its user.
    """
    uri = parse_uri(client_uri, Kind.DEVICE, Kind.USER)
    if uri.kind is Kind.USER:
        return uri.text
    if len(uri.segments) == 1:
        raise Malformed("MIMI-002", "a client without its user")
    return user_uri(uri.domain, uri.segments[0])


def new_segment(rng: Callable[[int], bytes], octets: int) -> str:
    """Make a segment of so many random octets, in base64url without padding."""
    return base64.urlsafe_b64encode(rng(octets)).decode("ascii").rstrip("=")
