"""The stored form of a stanza: as it came, and around it what it does not say. Pure.

    <arrived xmlns="urn:sabir:xmpp:arrived:1" kind="message" at="1764000000000"
             occupant-ids="1" jid="ada@example.org/phone"> ...the stanza... </arrived>

`at` is when the archive or we got it, in milliseconds since 1970. `jid` is the
occupant's real JID where the room shows it. `occupant-ids` says that the room
vouches for XEP-0421 ids. `native` is the event's native id.
"""

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.etree.ElementTree import Element, ParseError, XMLParser, tostring

from sabir.clock import Instant
from sabir.errors import PeerMisbehaved
from sabir.networks.xmpp import names

PAYLOAD_OCTETS_MAX: Final = 600_000
"""Above what Prosody (524,288) lets a component receive, so nothing honest is cut."""
DEPTH_MAX: Final = 64
"""Elements within elements. Honest stanzas have under ten; a server's limit on octets
lets thirty thousand through, and Python's own writer gives up at a thousand."""
_ID_OCTETS: Final = 20
_ADDED_ON_THE_WAY: Final = frozenset(
    {
        f"{{{names.DELAY}}}delay",
        "{jabber:x:delay}x",
        f"{{{names.SID}}}stanza-id",
    }
)


class Kind(StrEnum):
    """What kind of event is stored."""

    MESSAGE = "message"
    JOINED = "joined"
    LEFT = "left"
    REMOVED = "removed"
    RENICKED = "renicked"
    ROOM_NAME = "room-name"
    OVERSIZED = "oversized"
    NESTED = "nested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One event as stored."""

    kind: Kind
    at: Instant
    stanza: Element
    jid: str = ""
    occupant_ids: bool = False
    value: str = ""
    """The new nick of `RENICKED`, the new name of `ROOM_NAME`."""


def seal(arrived: Arrived) -> bytes:
    """Return the octets to store, at most `PAYLOAD_OCTETS_MAX`.

    Of a stanza that is too large or nested too deep only the header is kept, and why.
    """
    if _is_deep(arrived.stanza):
        return _octets(_header(arrived, Kind.NESTED, ""))
    octets = _octets(arrived)
    if len(octets) <= PAYLOAD_OCTETS_MAX:
        return octets
    return _octets(_header(arrived, Kind.OVERSIZED, str(len(octets))))


def _header(arrived: Arrived, kind: Kind, value: str) -> Arrived:
    header = Element(arrived.stanza.tag, dict(arrived.stanza.attrib))
    return Arrived(kind=kind, at=arrived.at, stanza=header, value=value)


def _is_deep(element: Element) -> bool:
    """Tell whether elements are nested deeper than `DEPTH_MAX`, level by level."""
    level = [element]
    for _ in range(DEPTH_MAX):
        level = [child for one in level for child in one]
        if not level:
            return False
    return True


def _octets(arrived: Arrived) -> bytes:
    head = Element("arrived", {"xmlns": names.ARRIVED, "kind": arrived.kind})
    head.set("at", str(arrived.at))
    if arrived.jid:
        head.set("jid", arrived.jid)
    if arrived.occupant_ids:
        head.set("occupant-ids", "1")
    if arrived.value:
        head.set("value", arrived.value)
    open_tag = tostring(head, "unicode", short_empty_elements=False)
    inside = tostring(arrived.stanza, "unicode")
    return open_tag.replace("</arrived>", f"{inside}</arrived>").encode()


def unseal(payload: bytes) -> Arrived:
    """Read what `seal` wrote.

    Raises:
        PeerMisbehaved: XMPP-001, too large; XMPP-002, not our envelope or not XML;
            XMPP-005, nested too deep.
    """
    if len(payload) > PAYLOAD_OCTETS_MAX:
        raise PeerMisbehaved("XMPP-001", f"{len(payload)} octets in one stanza")
    # Prosody and ejabberd have parsed it before us; no DTD can be in a stream
    parser = XMLParser()  # noqa: S314
    try:
        parser.feed(payload)
        head = parser.close()
        arrived = Arrived(
            kind=Kind(head.get("kind", "")),
            at=Instant(int(head.get("at", ""))),
            stanza=head[0],
            jid=head.get("jid", ""),
            occupant_ids=head.get("occupant-ids") == "1",
            value=head.get("value", ""),
        )
    except (ParseError, ValueError, IndexError) as error:
        raise PeerMisbehaved("XMPP-002", type(error).__name__) from error
    if arrived.kind is Kind.OVERSIZED:
        raise PeerMisbehaved("XMPP-001", f"{arrived.value} octets in one stanza")
    if arrived.kind is Kind.NESTED or _is_deep(arrived.stanza):
        raise PeerMisbehaved("XMPP-005", f"elements nested deeper than {DEPTH_MAX}")
    return arrived


def digest(*parts: str) -> str:
    """Return 32 characters that name these texts (SHA-256, cut, base32)."""
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    octets = hashlib.sha256(data).digest()[:_ID_OCTETS]
    return base64.b32encode(octets).decode().lower()


def content_digest(stanza: Element) -> str:
    """Return a digest of what a stanza says, the same for every copy of it.

    What servers add to a copy on its way does not count: the times of XEP-0203 and
    XEP-0091, the ids of XEP-0359.
    """
    parts: list[str] = []
    for child in stanza:
        if child.tag in _ADDED_ON_THE_WAY:
            continue
        for one in child.iter():
            parts.append(one.tag)
            parts += (f"{name}={value}" for name, value in sorted(one.items()))
            parts += (one.text or "", (one.tail or "") if one is not child else "")
    return digest(*parts)
