"""Idempotency keys: what was done once is not done again (MC-102)."""

import asyncio
import json

import pytest

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.forms import JSON_OCTETS_MAX
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.agent_api.once import Once, request_digest
from sabir.provider.agent_api.rates import ROOMS
from sabir.provider.http import Answer
from tests.unit.provider.agent_api.phone import Phone, Street
from tests.unit.provider.town import Site

WANTED = b'{"template": "group"}'


@pytest.fixture
async def phone(street: Street, a: Site) -> Phone:
    return await street.resident(a, "ann")


async def test_mc_102_a_repetition_gets_the_first_answer(phone: Phone) -> None:
    first = await phone.post(paths.ROOMS, WANTED, key="one")
    again = await phone.post(paths.ROOMS, WANTED, key="one")
    other = await phone.post(paths.ROOMS, WANTED, key="two")
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body != other.body
    assert again.headers["content-type"] == first.headers["content-type"]


async def test_mc_102_repetitions_at_the_same_time_wait(phone: Phone) -> None:
    replies = await asyncio.gather(
        *(phone.post(paths.ROOMS, WANTED, key="one") for _ in range(10))
    )
    assert len({reply.body for reply in replies}) == 1


async def test_mc_102_another_request_with_the_key_is_refused(phone: Phone) -> None:
    await phone.post(paths.ROOMS, WANTED, key="one")
    other = b'{"template": "managed"}'
    reply = await phone.post(paths.ROOMS, other, key="one")
    assert (reply.status, reply.problem) == (409, "idempotency-conflict")
    reply = await phone.post(paths.CONSENTS, WANTED, key="one")
    assert reply.problem == "idempotency-conflict"


async def test_mc_102_keys_are_of_one_device(
    phone: Phone, street: Street, a: Site
) -> None:
    other = await street.resident(a, "eve")
    first = await phone.post(paths.ROOMS, WANTED, key="one")
    theirs = await other.post(paths.ROOMS, WANTED, key="one")
    assert theirs.status == 201
    assert json.loads(theirs.body)["room_uri"] != json.loads(first.body)["room_uri"]


async def test_mc_102_after_an_error_the_key_is_free(phone: Phone) -> None:
    wrong = await phone.post(paths.ROOMS, b'{"template": "castle"}', key="one")
    assert wrong.problem == "malformed-body"
    assert (await phone.post(paths.ROOMS, WANTED, key="one")).status == 201


@pytest.mark.parametrize("key", ["", "with space", "x" * 65])
async def test_a_key_is_due_and_of_a_form(phone: Phone, key: str) -> None:
    reply = await phone.post(paths.ROOMS, WANTED, key=key)
    assert reply.problem == "malformed-body"


async def test_mc_102_answers_survive_a_restart(phone: Phone, a: Site) -> None:
    made = 0

    async def make() -> Answer:
        nonlocal made
        made += 1
        return Answer(body=b"once")

    digest = request_digest("POST", "/x", b"body")
    for _ in range(2):
        once = Once(a.store, a.provider.core.clock)
        answer = await once.answer(phone.device, "key", digest, make)
        assert answer.body == b"once"
    assert made == 1


async def test_what_fails_is_made_again(phone: Phone, a: Site) -> None:
    once = Once(a.store, a.provider.core.clock)
    outcomes: list[Answer | Problem] = [
        Problem(ProblemCode.UPSTREAM_FAILED),
        Answer(status=300),
        Answer(body=b"third"),
    ]

    async def make() -> Answer:
        found = outcomes.pop(0)
        if isinstance(found, Problem):
            raise found
        return found

    digest = request_digest("POST", "/x", b"")
    with pytest.raises(Problem):
        await once.answer(phone.device, "key", digest, make)
    assert (await once.answer(phone.device, "key", digest, make)).status == 300
    assert (await once.answer(phone.device, "key", digest, make)).body == b"third"
    assert (await once.answer(phone.device, "key", digest, make)).body == b"third"


def test_requests_differ_by_each_part() -> None:
    digests = {
        request_digest(*parts)
        for parts in (
            ("POST", "/a", b"b"),
            ("PUT", "/a", b"b"),
            ("POST", "/ab", b""),
            ("POST", "/a", b""),
        )
    }
    assert len(digests) == 4


# ---- how often


async def test_a_user_reserves_so_many_rooms(phone: Phone) -> None:
    for _ in range(ROOMS.count):
        assert (await phone.post(paths.ROOMS, WANTED)).status == 201
    reply = await phone.post(paths.ROOMS, WANTED)
    assert reply.problem == "rate-limited"


async def test_a_device_asks_so_often_and_others_do_not_suffer(
    scarce: int, phone: Phone, street: Street, a: Site
) -> None:
    other = await street.resident(a, "eve")
    statuses = [(await phone.get(paths.CAPABILITIES)).status for _ in range(scarce + 1)]
    assert statuses == [200] * scarce + [429]
    assert (await other.get(paths.CAPABILITIES)).status == 200


async def test_what_is_not_there_is_a_problem(phone: Phone) -> None:
    assert (await phone.get("/agent/v1/castles")).problem == "not-found"
    assert (await phone.get(paths.PREFIX)).problem == "not-found"
    reply = await phone.line.ask("PUT", paths.ROOMS, b"")
    assert reply.problem == "method-not-allowed"


async def test_bodies_have_an_end(phone: Phone) -> None:
    reply = await phone.post(paths.ROOMS, bytes(JSON_OCTETS_MAX + 1))
    assert reply.problem == "body-too-large"
    reply = await phone.line.ask("DELETE", paths.ROOM, b"x")
    assert reply.problem == "body-too-large"
