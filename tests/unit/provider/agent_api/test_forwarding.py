"""What is asked of other providers, and what of their trouble is told."""

from collections.abc import Mapping

import pytest

from sabir.mimi.agent_api import paths
from sabir.mimi.codepoints import QueryCode, SearchType
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.query import IdentifierRequest, IdentifierResponse, QueryElement
from sabir.provider.agent_api.forwarding import RETRY_S
from sabir.provider.federation import Call, Service
from sabir.provider.http import Answer
from sabir.provider.services import Services
from tests.unit.provider.agent_api.phone import Reply, Street
from tests.unit.provider.town import Site, Town

BODY = IdentifierRequest(
    elements=(QueryElement(search_type=SearchType.HANDLE, value="ben"),)
).encode()
ANSWER = IdentifierResponse(code=QueryCode.NOT_FOUND).encode()


async def query(street: Street, town: Town, a: Site, service: Service) -> Reply:
    """Ask a provider that answers in its own way."""

    def services(_services: Services) -> Mapping[Endpoint, Service]:
        return {Endpoint.IDENTIFIER_QUERY: service}

    await town.open("b.example", knows=("a.example",), services=services)
    ann = await street.resident(a, "ann")
    path = paths.path(paths.QUERY, domain="b.example")
    return await ann.line.ask("POST", path, BODY)


async def test_body_and_answer_are_passed_on_unchanged_in_our_name(
    street: Street, town: Town, a: Site
) -> None:
    calls: list[Call] = []

    async def answer(call: Call) -> bytes:
        calls.append(call)
        return ANSWER

    reply = await query(street, town, a, answer)
    assert (reply.status, reply.body) == (200, ANSWER)
    assert calls == [Call(source="a.example", about="b.example", body=BODY)]


@pytest.mark.parametrize(
    ("theirs", "retry_after_s", "ours", "told"),
    [
        (ProblemCode.MALFORMED_BODY, None, "malformed-body", None),
        (ProblemCode.NOT_FOUND, None, "not-found", None),
        (ProblemCode.BODY_TOO_LARGE, None, "body-too-large", None),
        (ProblemCode.RATE_LIMITED, 7, "rate-limited", "7"),
        (ProblemCode.UNAVAILABLE, None, "unavailable", str(RETRY_S)),
        (ProblemCode.UNKNOWN_PEER, None, "upstream-failed", None),
        (ProblemCode.INTERNAL, None, "upstream-failed", None),
    ],
)
async def test_what_is_said_about_the_request_is_told(
    street: Street,
    town: Town,
    a: Site,
    theirs: ProblemCode,
    retry_after_s: int | None,
    ours: str,
    told: str | None,
) -> None:
    async def refuse(_call: Call) -> bytes:
        raise Problem(theirs, "a secret of theirs", retry_after_s=retry_after_s)

    reply = await query(street, town, a, refuse)
    assert reply.problem == ours
    assert reply.headers.get("retry-after") == told
    assert b"secret" not in reply.body


@pytest.mark.parametrize("status", [299, 302, 418, 599])
async def test_answers_that_nobody_expects_are_failures(
    street: Street, town: Town, a: Site, status: int
) -> None:
    async def answer(_call: Call) -> Answer:
        return Answer(status=status, body=ANSWER)

    reply = await query(street, town, a, answer)
    if status < 300:
        assert (reply.status, reply.body) == (200, ANSWER)
    else:
        assert reply.problem == "upstream-failed"
