"""Consent, queries, key material: what a provider says about its users."""

from http import HTTPStatus
from typing import Final

from sabir.mimi.codepoints import (
    ConsentOperation,
    KeyMaterialUserCode,
    QueryCode,
    SearchType,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.structs.key_material import (
    KeyMaterialResponse,
    decode_key_material_response,
)
from sabir.mimi.structs.query import IdentifierResponse, decode_identifier_response
from sabir.mimi.uris import user_uri
from sabir.mls.credentials import BasicCredential
from sabir.testing.mimi.conformance.bodies import (
    consent_body,
    key_material_body,
    query_body,
)
from sabir.testing.mimi.conformance.finding import NotRun, check, decoded, expect
from sabir.testing.mimi.conformance.line import Reply
from sabir.testing.mimi.conformance.transport import SOMEBODY, refused
from sabir.testing.mimi.conformance.visit import Visit

ELEMENTS_MAX: Final = 16
_REFUSALS: Final = frozenset(
    {KeyMaterialUserCode.NO_CONSENT, KeyMaterialUserCode.USER_UNKNOWN}
)
"""The second is for operators who let it be known (D-14)."""


# ---- consent


async def _consent(visit: Visit, endpoint: Endpoint, body: bytes) -> Reply:
    return await visit.post(endpoint, visit.theirs, body)


def _taken(reply: Reply, what: str) -> None:
    expect(reply.status == HTTPStatus.CREATED, f"{what}: {reply} instead of 201")
    expect(not reply.body, f"{what}: {len(reply.body)} octets with 201")


@check("MC-080", "consent: whose users may say what, where; 201 for unknown users")
async def consent(visit: Visit) -> str:
    """Say what may be said, and what only others may."""
    ask, tell = Endpoint.REQUEST_CONSENT, Endpoint.UPDATE_CONSENT
    target = visit.nobody_there()
    for endpoint, operation in (
        (ask, ConsentOperation.REQUEST),
        (ask, ConsentOperation.CANCEL),
    ):
        body = consent_body(visit, operation, target)
        _taken(await _consent(visit, endpoint, body), operation.name.lower())
    decision = consent_body(
        visit, ConsentOperation.REVOKE, visit.me.user, requester=target
    )
    _taken(await _consent(visit, tell, decision), "revoke")
    for endpoint, operation in (
        (ask, ConsentOperation.GRANT),
        (ask, ConsentOperation.REVOKE),
        (tell, ConsentOperation.REQUEST),
        (tell, ConsentOperation.CANCEL),
    ):
        body = consent_body(visit, operation, target)
        if endpoint is tell:
            body = consent_body(visit, operation, visit.me.user, requester=target)
        reply = await _consent(visit, endpoint, body)
        refused(
            reply, 400, "wrong-operation", f"{endpoint.value}, operation {operation}"
        )
    unknown = consent_body(visit, 9, target)
    reply = await _consent(visit, ask, unknown)
    expect(reply.status == HTTPStatus.BAD_REQUEST, f"operation 9: {reply}")
    foreign = user_uri(SOMEBODY, "somebody")
    for endpoint, body, what in (
        (
            ask,
            consent_body(visit, ConsentOperation.REQUEST, target, requester=foreign),
            "another provider's requester",
        ),
        (
            ask,
            consent_body(visit, ConsentOperation.REQUEST, foreign),
            "another provider's target",
        ),
        (
            tell,
            consent_body(visit, ConsentOperation.REVOKE, foreign, requester=target),
            "a decision of another provider's user",
        ),
    ):
        reply = await _consent(visit, endpoint, body)
        refused(reply, 403, "domain-not-authorized", what)
    body = consent_body(visit, ConsentOperation.REQUEST, target)
    elsewhere = await visit.post(ask, SOMEBODY, body)
    expect(elsewhere.status in {400, 404}, f"{SOMEBODY} in the path: {elsewhere}")
    return "three taken, nine refused"


@check("MC-081", "a withdrawal without a request changes nothing: 201")
async def withdrawal(visit: Visit) -> str:
    """Withdraw what was never asked, twice."""
    body = consent_body(visit, ConsentOperation.CANCEL, visit.nobody_there())
    for what in ("once", "again"):
        _taken(await _consent(visit, Endpoint.REQUEST_CONSENT, body), what)
    return "201, twice"


# ---- queries


async def _query(visit: Visit, *elements: tuple[int, str]) -> IdentifierResponse:
    reply = await visit.post(
        Endpoint.IDENTIFIER_QUERY, visit.theirs, query_body(*elements)
    )
    expect(reply.status == HTTPStatus.OK, f"{elements}: {reply}")
    return decoded(decode_identifier_response, reply.body)


@check("MC-084", "queries: unknown, forbidden and unsupported, none, too many")
async def queries(visit: Visit) -> str:
    """Look for nobody in every way."""
    nobody = visit.nobody_there().rpartition("/")[2]
    for kind, value, codes in (
        (SearchType.HANDLE, nobody, {QueryCode.NOT_FOUND}),
        (SearchType.NICK, nobody, {QueryCode.NOT_FOUND}),
        (SearchType.EMAIL, f"{nobody}@{SOMEBODY}", {QueryCode.NOT_FOUND}),
        (SearchType.PHONE, "+999000000000000", {QueryCode.NOT_FOUND}),
        (SearchType.PARTIAL_NAME, "a", {QueryCode.FORBIDDEN}),
        (SearchType.WHOLE_PROFILE, "a", {QueryCode.FORBIDDEN}),
        (
            SearchType.OIDC_STD_CLAIM,
            nobody,
            {QueryCode.UNSUPPORTED_FIELD, QueryCode.NOT_FOUND},
        ),
    ):
        answer = await _query(visit, (kind, value))
        expect(answer.code in codes, f"{kind.name}: code {answer.code}")
        expect(
            not answer.users and not answer.profiles, f"{kind.name}: somebody is named"
        )
    both = await _query(visit, (SearchType.HANDLE, nobody), (SearchType.NICK, nobody))
    expect(both.code == QueryCode.NOT_FOUND, f"two conditions: code {both.code}")
    for count in (0, ELEMENTS_MAX + 1):
        body = query_body(*[(SearchType.HANDLE, nobody)] * count)
        reply = await visit.post(Endpoint.IDENTIFIER_QUERY, visit.theirs, body)
        expect(reply.status == HTTPStatus.BAD_REQUEST, f"{count} conditions: {reply}")
    return "eight answered, two refused"


# ---- key material


async def _key_material(
    visit: Visit, target: str, body: bytes
) -> tuple[Reply, KeyMaterialResponse]:
    reply = await visit.post(Endpoint.KEY_MATERIAL, target, body)
    expect(reply.status == HTTPStatus.OK, f"status {reply}")
    return reply, decoded(decode_key_material_response, reply.body)


@check("MC-016", "key material for whoever proves nothing: noConsent, no KeyPackage")
async def unproven(visit: Visit) -> str:
    """Ask with a bad signature, as somebody else, from elsewhere, for others' rooms."""
    target = visit.plan.known_user or visit.nobody_there()
    me = visit.me
    other = user_uri(visit.ours, "another")
    foreign = user_uri(SOMEBODY, "somebody")
    foreign_device = BasicCredential(f"mimi://{SOMEBODY}/d/somebody/1".encode())
    bodies = {
        "bad signature": key_material_body(visit, target, sign=False),
        "another user's credential": key_material_body(
            visit, target, requesting_user=other
        ),
        "another provider's user": key_material_body(
            visit, target, requesting_user=foreign, credential=foreign_device
        ),
        "relayed, but not by the hub": key_material_body(
            visit, target, room=visit.no_room(SOMEBODY)
        ),
        "for a room that does not exist": key_material_body(
            visit, target, room=visit.no_room()
        ),
        "without consent": key_material_body(visit, target),
    }
    seen = set()
    for what, body in bodies.items():
        reply, answer = await _key_material(visit, target, body)
        expect(
            answer.status in _REFUSALS and not answer.clients,
            f"{what}: code {answer.status}, {len(answer.clients)} clients",
        )
        expect(answer.user == target, f"{what}: an answer about {answer.user}")
        seen.add(reply.body)
    expect(len(seen) == 1, f"{len(seen)} different refusals of one user ({me.device})")
    return f"{len(bodies)} ways refused with the same octets"


@check("MC-019", "no consent and unknown user look the same")
async def hidden_users(visit: Visit) -> str:
    """Ask for one who is there and for one who is not."""
    known = visit.plan.known_user
    if not known:
        raise NotRun("needs --user, somebody there who has not consented")
    length = len(known.rpartition("/")[2])
    unknown = user_uri(visit.theirs, ("x" + visit.nobody_there()[-length:])[:length])
    found = []
    for target in (known, unknown):
        reply, _ = await _key_material(visit, target, key_material_body(visit, target))
        found.append(reply.body.replace(target.encode(), b"*"))
    expect(found[0] == found[1], "the answers differ")
    kinds = []
    for target in (known, unknown):
        body = consent_body(visit, ConsentOperation.CANCEL, target)
        kinds.append(str(await _consent(visit, Endpoint.REQUEST_CONSENT, body)))
    expect(kinds[0] == kinds[1], f"consent: {kinds[0]} and {kinds[1]}")
    return "the same octets but for the name"
