"""What decoders and limits do (MC-009, MC-010, MC-013, MC-015) and errors look like."""

import asyncio
import random
from http import HTTPStatus
from typing import Final

from sabir.mimi.codepoints import ConsentOperation, KeyMaterialUserCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.structs.key_material import decode_key_material_response
from sabir.mimi.structs.query import decode_identifier_response
from sabir.testing.mimi.conformance.bodies import (
    consent_body,
    group_info_body,
    key_material_body,
    query_body,
    samples,
    spoiled,
    submit_body,
)
from sabir.testing.mimi.conformance.finding import (
    Broken,
    NotRun,
    check,
    decoded,
    expect,
)
from sabir.testing.mimi.conformance.line import Reply
from sabir.testing.mimi.conformance.visit import Visit

PROBLEM: Final = "application/problem+json"
SLOW_S: Final = 35.0
"""D-07 gives a whole request 30 s."""
CONNECTIONS: Final = 4
"""Over which a flood comes."""
EDITS_MAX: Final = 6
"""Changes in one broken body."""


@check("MC-009", "truncated, trailing, over-long lengths, bool 2: 400")
async def malformed(visit: Visit) -> str:
    """Break good bodies in every way that a strict decoder sees."""
    tried = 0
    for sample in samples(visit):
        for what, body in spoiled(sample):
            reply = await visit.post(sample.endpoint, sample.value, body)
            expect(
                reply.status == HTTPStatus.BAD_REQUEST,
                f"{sample.endpoint.value}, {what}: {reply}",
            )
            tried += 1
    target = visit.nobody_there()
    good = consent_body(visit, ConsentOperation.REQUEST, target)
    at = len(good) - 2  # optional roomId, then empty extensions
    expect(good[at:] == b"\0\0", "our own request is not as expected")
    two = good[:at] + b"\2" + good[at + 1 :]
    reply = await visit.post(Endpoint.REQUEST_CONSENT, visit.theirs, two)
    expect(reply.status == HTTPStatus.BAD_REQUEST, f"optional 2: {reply}")
    return f"{tried + 1} broken bodies refused"


@check("MC-009", "a body over the limit: 413")
async def too_large(visit: Visit) -> str:
    """Announce more than the profile allows, and send nothing."""
    seen = []
    for sample in samples(visit):
        most = MIMI06_A.request_octets_max[sample.endpoint]
        url = visit.url(sample.endpoint, sample.value)
        reply = await visit.ask("POST", url, announced=most + 1)
        expect(
            reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"{sample.endpoint.value}, {most + 1} octets: {reply}",
        )
        seen.append(sample.endpoint)
    return f"{len(seen)} endpoints"


@check("MC-010", "unknown protocols and enum values are answered, not broken off")
async def unknown_values(visit: Visit) -> str:
    """Ask in a protocol of later times, for things of later times."""
    target = visit.nobody_there()
    body = b"\x09" + key_material_body(visit, target)[1:]
    reply = await visit.post(Endpoint.KEY_MATERIAL, target, body)
    expect(reply.status == HTTPStatus.OK, f"keyMaterial, protocol 9: {reply}")
    answer = decoded(decode_key_material_response, reply.body)
    expect(
        answer.status == KeyMaterialUserCode.INCOMPATIBLE_PROTOCOL
        and answer.user == target,
        f"keyMaterial, protocol 9: code {answer.status} about {answer.user}",
    )
    room = visit.no_room()
    body = b"\x09" + submit_body(visit, room)[1:]
    reply = await visit.post(Endpoint.SUBMIT_MESSAGE, room, body)
    expect(
        reply.status == HTTPStatus.OK and reply.body == b"\1\1",
        f"submitMessage, protocol 9: {reply} {reply.body[:8].hex()}",
    )
    reply = await visit.post(
        Endpoint.IDENTIFIER_QUERY, visit.theirs, query_body((200, "x"))
    )
    expect(reply.status == HTTPStatus.OK, f"search type 200: {reply}")
    expect(
        not decoded(decode_identifier_response, reply.body).users,
        "search type 200 finds somebody",
    )
    return "three answered"


@check("MC-013", "429 says when to come again")
async def flood(visit: Visit) -> str:
    """Ask more than anybody should."""
    if not visit.plan.flood:
        raise NotRun("sends very many requests at once; say how many with --flood")
    room = visit.no_room()
    url = visit.url(Endpoint.GROUP_INFO, room)
    octets = visit.written("POST", url, body=group_info_body(visit))
    lines = [visit.new_line(url, visit.plan.card) for _ in range(CONNECTIONS)]
    bursts = await asyncio.gather(
        *(line.burst(octets, visit.plan.flood // CONNECTIONS) for line in lines)
    )
    replies = [reply for burst in bursts for reply in burst]
    visit.replies.extend(replies)
    held = [each for each in replies if each.status == HTTPStatus.TOO_MANY_REQUESTS]
    expect(held, f"{len(replies)} at once and none was held back")
    waits = {each.fields.get("retry-after", "") for each in held}
    expect(all(each.isdigit() for each in waits), f"Retry-After {sorted(waits)}")
    await visit.sleep(max(map(int, waits)))
    again = await visit.ask("POST", url, body=group_info_body(visit))
    expect(again.status == HTTPStatus.OK, f"afterwards: {again}")
    return f"{len(held)} of {len(replies)} held back"


@check("MC-015", "broken bodies never crash or hang it")
async def fuzz(visit: Visit) -> str:
    """Send good bodies with some octets changed, cut out or put in."""
    dice = random.Random(6)  # the same ones for everybody
    offered = list(samples(visit))
    if not offered:
        raise NotRun("no endpoint that takes a body is offered")
    slowest = 0.0
    for number in range(visit.plan.fuzz):
        sample = offered[number % len(offered)]
        body = bytearray(sample.body)
        for _ in range(dice.randint(1, EDITS_MAX)):
            at = dice.randrange(len(body) + 1)
            body[at : at + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
        reply = await visit.post(sample.endpoint, sample.value, bytes(body))
        slowest = max(slowest, reply.took_s)
        where = f"{sample.endpoint.value}, case {number}"
        expect(
            reply.status < HTTPStatus.INTERNAL_SERVER_ERROR,
            f"{where}: {reply}: {bytes(body).hex()[:200]}",
        )
        expect(reply.took_s < SLOW_S, f"{where}: {reply.took_s:.0f} s")
    return f"{visit.plan.fuzz} bodies, the slowest {slowest:.2f} s"


@check(
    "MC-011", "every error is problem+json, with a code, without user data", ours=True
)
async def errors(visit: Visit) -> str:
    """Look at all errors that all checks have seen; this one runs last."""
    seen = [each for each in visit.replies if each.status >= HTTPStatus.BAD_REQUEST]
    if not seen:
        raise NotRun("nothing was refused")
    for reply in seen:
        _check_error(visit, reply)
    return f"{len(seen)} errors of {len({each.code for each in seen})} kinds"


def _check_error(visit: Visit, reply: Reply) -> None:
    kind = reply.fields.get("content-type", "").partition(";")[0]
    expect(kind == PROBLEM, f"{reply}: Content-Type {kind or 'missing'}")
    document = reply.document()
    expect("title" in document, f"{reply}: no title")
    expect(document.get("status") == reply.status, f"{reply}: another status inside")
    try:
        code = ProblemCode(reply.code)
    except ValueError:
        raise Broken(f"{reply}: no code of the profile") from None
    expect(code.status == reply.status, f"{reply}: that code has status {code.status}")
    text = reply.body.decode("utf-8", "replace")
    names = [name for name in visit.named if name in text]
    expect(not names, f"{reply}: repeats {len(names)} identifiers of the request")
