"""Bodies of requests that are good, and what can be wrong with one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sabir.crypto import hpke
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import ConsentOperation, SearchType
from sabir.mimi.directory import Endpoint
from sabir.mimi.structs import group_info, key_material
from sabir.mimi.structs.abuse import AbuseReport
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.structs.group_info import GroupInfoRequest
from sabir.mimi.structs.key_material import KeyMaterialRequest
from sabir.mimi.structs.query import IdentifierRequest, QueryElement
from sabir.mimi.uris import group_uri
from sabir.mls.extensions import RequiredCapabilities
from sabir.testing.mimi.conformance.visit import Visit
from sabir.wire.tls import opaque, uint8, uint16, uint64

MLS10: Final = 1
PRIVATE_MESSAGE: Final = 2
APPLICATION, PROPOSAL, COMMIT = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A good request.

    Attributes:
        endpoint: for which.
        value: of the path's variable.
        body: decodes.
        first_vector: where the first length stands in it.
    """

    endpoint: Endpoint
    value: str
    body: bytes
    first_vector: int


def key_material_body(
    visit: Visit, target: str, *, sign: bool = True, **changes: Any
) -> bytes:
    """Ask for key material, in no room."""
    me = visit.me
    request = KeyMaterialRequest(
        requesting_user=me.user,
        target_user=target,
        room="",
        suites=(SUITE,),
        required=RequiredCapabilities(),
        signature_key=me.identity.public,
        credential=me.identity.credential,
    )
    request = replace(request, **changes)
    if not sign:
        return replace(request, signature=bytes(64)).encode()
    private = me.identity.private.reveal()
    return key_material.sign_request(request, SUITES[SUITE], private).encode()


def group_info_body(visit: Visit, *, sign: bool = True, **changes: Any) -> bytes:
    """Ask for a group."""
    me, suite = visit.me, SUITES[SUITE]
    seed = visit.env.random(suite.kem.private_octets)
    request = GroupInfoRequest(
        suite=SUITE,
        signature_key=me.identity.public,
        credential=me.identity.credential,
        public_key=hpke.derive_key_pair(suite, seed)[1],
    )
    request = replace(request, **changes)
    if not sign:
        return replace(request, signature=bytes(64)).encode()
    private = me.identity.private.reveal()
    return group_info.sign_request(request, suite, private).encode()


def private_message(room: str, content_type: int = APPLICATION) -> bytes:
    """Return an MLSMessage with a PrivateMessage that nobody can read."""
    return (
        uint16(MLS10)
        + uint16(PRIVATE_MESSAGE)
        + opaque(group_uri(room).encode("ascii"))
        + uint64(0)
        + uint8(content_type)
        + opaque(b"")
        + opaque(bytes(28))
        + opaque(bytes(64))
    )


def submit_body(visit: Visit, room: str, sender: str = "") -> bytes:
    """Submit a message."""
    uri = (sender or visit.me.user).encode("ascii")
    return uint8(1) + private_message(room) + opaque(uri)


def fanout_body(room: str, content_type: int = APPLICATION, at_ms: int = 0) -> bytes:
    """Fan a message out, without a frank."""
    return uint64(at_ms) + private_message(room, content_type) + uint8(0)


def consent_body(visit: Visit, operation: int, target: str, **changes: Any) -> bytes:
    """Ask for consent, or decide."""
    entry = ConsentEntry(operation=operation, requester=visit.me.user, target=target)
    return replace(entry, **changes).encode()


def query_body(*elements: tuple[int, str]) -> bytes:
    """Look for somebody."""
    return IdentifierRequest(
        elements=tuple(
            QueryElement(search_type=kind, value=value) for kind, value in elements
        )
    ).encode()


def report_body(visit: Visit) -> bytes:
    """Report somebody, without a message."""
    return AbuseReport(
        reporting_user=visit.me.user, alleged_abuser=visit.nobody_there()
    ).encode()


def samples(visit: Visit) -> Iterator[Sample]:
    """Return a good request for each endpoint that takes a body of ours."""
    target, room, own = visit.nobody_there(), visit.no_room(), visit.no_room(visit.ours)
    request = ConsentOperation.REQUEST
    for endpoint, value, body, first in (
        (Endpoint.KEY_MATERIAL, target, key_material_body(visit, target), 1),
        (Endpoint.SUBMIT_MESSAGE, room, submit_body(visit, room), 5),
        (Endpoint.GROUP_INFO, room, group_info_body(visit), 3),
        (
            Endpoint.REQUEST_CONSENT,
            visit.theirs,
            consent_body(visit, request, target),
            1,
        ),
        (
            Endpoint.IDENTIFIER_QUERY,
            visit.theirs,
            query_body((SearchType.HANDLE, "nobody")),
            0,
        ),
        (Endpoint.NOTIFY, own, fanout_body(own), 12),
        (Endpoint.REPORT_ABUSE, room, report_body(visit), 0),
    ):
        if endpoint in visit.directory.templates:
            yield Sample(endpoint=endpoint, value=value, body=body, first_vector=first)


def spoiled(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """Return what no strict decoder takes, and what is wrong with it."""
    body, at = sample.body, sample.first_vector
    yield "nothing", b""
    yield "truncated", body[:-1]
    yield "trailing octet", body + b"\0"
    length, size = _length(body, at)
    head, tail = body[:at], body[at + size :]
    longer = (0x8000_0000 | length).to_bytes(4, "big")
    yield "non-minimal length", head + longer + tail
    yield "8-octet length", head + (0xC0 << 56 | length).to_bytes(8, "big") + tail
    yield "length beyond the end", head + b"\xbf\xff\xff\xff" + tail


def _length(body: bytes, at: int) -> tuple[int, int]:
    """Return a vector's length, and how many octets say so."""
    size = 1 << (body[at] >> 6)
    mask = (1 << (8 * size - 2)) - 1
    return int.from_bytes(body[at : at + size], "big") & mask, size
