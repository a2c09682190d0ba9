"""Rooms, as somebody outside sees them: they do not exist."""

from http import HTTPStatus

from sabir.mimi.codepoints import GroupInfoCode, SubmitCode, UpdateCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.structs.group_info import (
    GroupInfoRefused,
    decode_group_info_response,
)
from sabir.mimi.structs.submit import decode_submit_response
from sabir.mimi.structs.update import decode_update_response
from sabir.mimi.uris import user_uri
from sabir.mls.credentials import BasicCredential
from sabir.testing.mimi.conformance.bodies import (
    APPLICATION,
    COMMIT,
    PROPOSAL,
    fanout_body,
    group_info_body,
    private_message,
    report_body,
    submit_body,
)
from sabir.testing.mimi.conformance.finding import check, decoded, expect
from sabir.testing.mimi.conformance.transport import SOMEBODY, refused
from sabir.testing.mimi.conformance.visit import Visit
from sabir.wire.tls import opaque, uint16, uint64


@check("MC-059", "messages of strangers: notAllowed")
async def messages(visit: Visit) -> str:
    """Submit messages to rooms that we are not in."""
    foreign = user_uri(SOMEBODY, "somebody")
    rooms = [visit.no_room(), *filter(None, [visit.plan.known_room])]
    for room in rooms:
        for sender in (visit.me.user, foreign):
            body = submit_body(visit, room, sender)
            reply = await visit.post(Endpoint.SUBMIT_MESSAGE, room, body)
            expect(reply.status == HTTPStatus.OK, f"{sender}: {reply}")
            answer = decoded(decode_submit_response, reply.body)
            expect(
                answer.code == SubmitCode.NOT_ALLOWED,
                f"{sender} into {room}: code {answer.code}",
            )
    return f"{2 * len(rooms)} refused"


@check("MC-032", "no handshake of strangers, in no form: notAllowed or 400")
async def handshakes(visit: Visit) -> str:
    """Submit what no update may be."""
    room = visit.no_room()
    reply = await visit.post(Endpoint.UPDATE, room, private_message(room, COMMIT))
    if reply.status == HTTPStatus.OK:
        answer = decoded(decode_update_response, reply.body)
        expect(
            answer.code == UpdateCode.NOT_ALLOWED,
            f"a PrivateMessage: code {answer.code}",
        )
    else:
        expect(reply.status == HTTPStatus.BAD_REQUEST, f"a PrivateMessage: {reply}")
    for what, wire_format in (("Welcome", 3), ("GroupInfo", 4), ("KeyPackage", 5)):
        body = uint16(1) + uint16(wire_format) + bytes(64)
        reply = await visit.post(Endpoint.UPDATE, room, body)
        expect(reply.status == HTTPStatus.BAD_REQUEST, f"a {what}: {reply}")
    return "four refused"


@check("MC-067", "notify: what is no fan-out, or of another room: 400")
async def notifications(visit: Visit) -> str:
    """Fan out, as the hub of a room that nobody there is in."""
    room = visit.no_room(visit.ours)
    good = fanout_body(room)
    for what, body in (
        ("a handshake as PrivateMessage", fanout_body(room, COMMIT)),
        ("a proposal as PrivateMessage", fanout_body(room, PROPOSAL)),
        ("a KeyPackage", uint64(0) + uint16(1) + uint16(5) + bytes(64)),
        ("an application message in the clear", _clear_message(room)),
        ("the second of two is broken", good + good[:-1]),
        ("another room's message", fanout_body(visit.no_room(visit.ours))),
    ):
        reply = await visit.post(Endpoint.NOTIFY, room, body)
        expect(reply.status == HTTPStatus.BAD_REQUEST, f"{what}: {reply}")
    statuses = set()
    for what, body in (("one message", good), ("two messages", good + good)):
        reply = await visit.post(Endpoint.NOTIFY, room, body)
        expect(
            reply.status in {HTTPStatus.GONE, HTTPStatus.CREATED},
            f"{what} for a room that nobody there is in: {reply}",
        )
        statuses.add(str(reply))
    return f"six refused; a room that nobody is in: {', '.join(sorted(statuses))}"


def _clear_message(room: str) -> bytes:
    """Return a fanned-out PublicMessage with application data: never allowed."""
    sender_member = b"\1" + bytes(4)
    content = (
        opaque(room.encode("ascii"))
        + uint64(0)
        + sender_member
        + opaque(b"")
        + bytes((APPLICATION,))
        + opaque(b"x")
    )
    authenticated = opaque(bytes(64)) + opaque(bytes(32))
    return uint64(0) + uint16(1) + uint16(1) + content + authenticated + opaque(b"")


@check("MC-068", "notify from who is not the room's hub: 403")
async def not_the_hub(visit: Visit) -> str:
    """Fan out in rooms of others."""
    for domain in (SOMEBODY, visit.theirs):
        room = visit.no_room(domain)
        reply = await visit.post(Endpoint.NOTIFY, room, fanout_body(room))
        refused(reply, 403, "domain-not-authorized", f"a room of {domain}")
    return "rooms of two others refused"


@check("MC-075", "groupInfo: unknown room, bad signature, foreign credential: the same")
async def groups(visit: Visit) -> str:
    """Ask to see groups."""
    foreign = BasicCredential(f"mimi://{SOMEBODY}/d/somebody/1".encode())
    rooms = [visit.no_room(), *filter(None, [visit.plan.known_room])]
    statuses = set()
    for room in rooms:
        for what, body in (
            ("a good request", group_info_body(visit)),
            ("a bad signature", group_info_body(visit, sign=False)),
            ("a foreign credential", group_info_body(visit, credential=foreign)),
            ("a wrong join code", group_info_body(visit, join_code=bytes(32))),
        ):
            reply = await visit.post(Endpoint.GROUP_INFO, room, body)
            expect(reply.status == HTTPStatus.OK, f"{what}: {reply}")
            answer = decoded(decode_group_info_response, reply.body)
            expect(isinstance(answer, GroupInfoRefused), f"{what}: shown")
            assert isinstance(answer, GroupInfoRefused)
            expect(answer.room == room, f"{what}: an answer about {answer.room}")
            statuses.add(answer.code)
    expect(len(statuses) == 1, f"different refusals: {sorted(statuses)}")
    expect(
        statuses <= {GroupInfoCode.NOT_AUTHORIZED, GroupInfoCode.NO_SUCH_ROOM},
        f"status {sorted(statuses)}",
    )
    (status,) = statuses
    return f"{4 * len(rooms)} refused, all with status {int(status)}"


@check("MC-089", "a report from a provider that was never in the room: refused")
async def reports(visit: Visit) -> str:
    """Report somebody in a room that we never were in."""
    for room in (visit.no_room(), *filter(None, [visit.plan.known_room])):
        reply = await visit.post(Endpoint.REPORT_ABUSE, room, report_body(visit))
        expect(reply.status in {403, 404}, f"{reply} instead of 403")
    return "refused"
