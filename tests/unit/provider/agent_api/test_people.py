"""Consent, queries, and by what one is found."""

import json
from typing import Any

import pytest

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import EventType
from sabir.mimi.agent_api.forms import decode_form
from sabir.mimi.agent_api.people import (
    Consents,
    IdentifierType,
    OwnIdentifier,
    RequestEntry,
    Searchable,
)
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import ConsentOperation, QueryCode, SearchType
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.query import (
    IdentifierRequest,
    QueryElement,
    decode_identifier_response,
)
from sabir.mls.key_packages import read_key_package
from sabir.provider.agent_api.rates import CONSENTS
from sabir.provider.key_material import DEVICE_REFS, DOMAIN_REFS
from sabir.storage.provider.records import Identifier
from sabir.wire.tls import read_whole
from tests.unit.provider.agent_api.phone import Phone, Reply, S, Street
from tests.unit.provider.town import Site

OPERATIONS = ConsentOperation
ROOM = "mimi://a.example/r/tea"


async def tell(
    who: Phone,
    operation: ConsentOperation,
    requester: Phone,
    target: Phone,
    room: str = "",
    **more: Any,
) -> Reply:
    entry = ConsentEntry(
        operation=operation,
        requester=requester.user,
        target=target.user,
        room=room,
        **more,
    )
    return await who.post(paths.CONSENTS, entry.encode())


async def consents(phone: Phone) -> Consents:
    return decode_form((await phone.get(paths.CONSENTS)).body, Consents)


async def told(phone: Phone) -> list[ConsentEntry]:
    await phone.poll()
    return [
        decode_consent_entry(each.data or b"")
        for each in phone.events
        if each.type == EventType.CONSENT
    ]


@pytest.fixture(params=["local", "remote"])
async def pair(
    request: pytest.FixtureRequest, street: Street, a: Site, b: Site
) -> tuple[Phone, Phone]:
    ann = await street.resident(a, "ann")
    return ann, await street.resident(a if request.param == "local" else b, "ben")


# ---- consent


async def test_a_request_and_its_answer(pair: tuple[Phone, Phone]) -> None:
    ann, ben = pair
    assert (await tell(ann, OPERATIONS.REQUEST, ann, ben, ROOM)).status == 201
    assert (await tell(ann, OPERATIONS.REQUEST, ann, ben, ROOM)).status == 201
    (asked,) = await told(ben)
    assert (asked.operation, asked.requester, asked.room) == (
        OPERATIONS.REQUEST,
        ann.user,
        ROOM,
    )
    (open_,) = (await consents(ben)).requests
    assert open_ == RequestEntry(requester=ann.user, room=ROOM, asked_ms=open_.asked_ms)
    assert (await tell(ben, OPERATIONS.GRANT, ann, ben, ROOM)).status == 201
    (granted,) = await told(ann)
    assert granted.operation == OPERATIONS.GRANT
    found = await consents(ben)
    assert found.requests == ()
    assert [(each.requester, each.room, each.granted) for each in found.verdicts] == [
        (ann.user, ROOM, True)
    ]
    assert (await consents(ann)).verdicts == ()


async def test_a_request_is_taken_back(pair: tuple[Phone, Phone]) -> None:
    ann, ben = pair
    await tell(ann, OPERATIONS.REQUEST, ann, ben)
    assert (await tell(ann, OPERATIONS.CANCEL, ann, ben)).status == 201
    assert (await consents(ben)).requests == ()
    assert [each.operation for each in await told(ben)] == [
        OPERATIONS.REQUEST,
        OPERATIONS.CANCEL,
    ]


async def test_nobody_is_told_of_a_revocation(pair: tuple[Phone, Phone]) -> None:
    ann, ben = pair
    await tell(ben, OPERATIONS.GRANT, ann, ben)
    assert (await tell(ben, OPERATIONS.REVOKE, ann, ben)).status == 201
    assert [each.operation for each in await told(ann)] == [OPERATIONS.GRANT]
    (verdict,) = (await consents(ben)).verdicts
    assert not verdict.granted


@pytest.mark.parametrize("operation", [1, 2, 0, 3])
async def test_nobody_speaks_for_somebody_else(
    street: Street, a: Site, operation: int
) -> None:
    ann, ben = await street.resident(a, "ann"), await street.resident(a, "ben")
    eve = await street.resident(a, "eve")
    reply = await tell(eve, ConsentOperation(operation), ann, ben)
    assert reply.problem == "domain-not-authorized"
    asks = operation in (OPERATIONS.REQUEST, OPERATIONS.CANCEL)
    reply = await tell(ben if asks else ann, ConsentOperation(operation), ann, ben)
    assert reply.problem == "domain-not-authorized"
    assert await consents(ben) == Consents(verdicts=(), requests=())


async def test_operations_that_are_unknown_are_refused(street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    entry = ConsentEntry(operation=9, requester=ann.user, target=ann.user)
    reply = await ann.post(paths.CONSENTS, entry.encode())
    assert reply.problem == "wrong-operation"
    assert (await ann.post(paths.CONSENTS, b"x")).problem == "malformed-body"


async def test_a_provider_that_does_not_answer_is_told_of(
    street: Street, a: Site, b: Site
) -> None:
    ann, ben = await street.resident(a, "ann"), await street.resident(b, "ben")
    entry = ConsentEntry(
        operation=OPERATIONS.REQUEST, requester=ann.user, target="mimi://c.example/u/x"
    )
    assert (await ann.post(paths.CONSENTS, entry.encode())).problem == "unknown-peer"
    a.provider.stop()
    reply = await tell(ben, OPERATIONS.GRANT, ann, ben)
    assert reply.problem in {"upstream-failed", "upstream-timeout"}
    assert [each.granted for each in (await consents(ben)).verdicts] == [True]


async def test_entries_are_so_many(street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    statuses = {
        (await tell(ann, OPERATIONS.REVOKE, ann, ann)).status
        for _ in range(CONSENTS.count)
    }
    assert statuses == {201}
    assert (await tell(ann, OPERATIONS.REVOKE, ann, ann)).problem == "rate-limited"


async def test_mc_082_a_grant_may_bring_key_packages(
    pair: tuple[Phone, Phone], street: Street
) -> None:
    ann, ben = pair
    package = read_whole(ben.new_packages(1)[0], read_key_package)
    ref = package.reference(S)
    brings: dict[str, Any] = {"key_packages": (package,)}
    reply = await tell(ben, OPERATIONS.GRANT, ann, ben, ROOM, **brings)
    assert reply.status == 201
    (granted,) = await told(ann)
    assert [each.raw for each in granted.key_packages] == [package.raw]
    sites = street.town.sites
    now = street.town.clock.now()
    home = sites[ben.line.domain].store
    assert await home.routes(DEVICE_REFS, [ref], now=now) == {ref: ben.device}
    hub = sites["a.example"].store
    assert await hub.routes(DOMAIN_REFS, [ref], now=now) == {ref: ben.line.domain}


async def test_mc_082_key_packages_that_nobody_could_use_are_refused(
    street: Street, a: Site, b: Site
) -> None:
    ann, ben = await street.resident(a, "ann"), await street.resident(b, "ben")
    package = read_whole(ben.new_packages(1)[0], read_key_package)
    brings: dict[str, Any] = {"key_packages": (package,)}
    elsewhere = "mimi://c.example/r/tea"
    reply = await tell(ben, OPERATIONS.GRANT, ann, ben, elsewhere, **brings)
    assert reply.problem == "not-allowed"
    theirs, _ = ann.agent.client.key_package(ann.env, suite=SUITE)
    brings = {"key_packages": (read_whole(theirs.raw, read_key_package),)}
    reply = await tell(ben, OPERATIONS.GRANT, ann, ben, **brings)
    assert reply.problem == "malformed-body"
    assert (await consents(ben)).verdicts == ()


# ---- queries


def asking(kind: SearchType, value: str) -> bytes:
    element = QueryElement(search_type=kind, value=value)
    return IdentifierRequest(elements=(element,)).encode()


async def look(who: Phone, whom: Phone, kind: SearchType, value: str) -> list[str]:
    path = paths.path(paths.QUERY, domain=whom.line.domain)
    reply = await who.line.ask("POST", path, asking(kind, value))
    assert reply.status == 200, reply
    found = decode_identifier_response(reply.body)
    assert (found.code == QueryCode.SUCCESS) == bool(found.users)
    return list(found.users)


async def known(site: Site, phone: Phone) -> None:
    """Let the operator say who somebody is."""
    await site.store.set_identifiers(
        phone.user,
        [
            Identifier(
                search_type=SearchType.HANDLE,
                value="ben",
                searchable=True,
                verified=True,
            ),
            Identifier(
                search_type=SearchType.EMAIL,
                value="ben@b.example",
                searchable=False,
                verified=True,
            ),
        ],
    )


async def searchable(phone: Phone) -> set[tuple[str, str, bool, bool]]:
    found = decode_form((await phone.get(paths.SEARCHABLE)).body, Searchable)
    return {
        (each.type, each.value, each.searchable, each.verified)
        for each in found.identifiers
    }


def want(*identifiers: tuple[str, str, bool]) -> Searchable:
    return Searchable(
        identifiers=tuple(
            OwnIdentifier(type=IdentifierType(kind), value=value, searchable=searchable)
            for kind, value, searchable in identifiers
        )
    )


async def test_people_are_found_by_what_they_let_be_found(
    pair: tuple[Phone, Phone], street: Street
) -> None:
    ann, ben = pair
    await known(street.town.sites[ben.line.domain], ben)
    assert await look(ann, ben, SearchType.HANDLE, "ben") == [ben.user]
    assert await look(ann, ben, SearchType.EMAIL, "ben@b.example") == []
    wanted = want(("email", "ben@b.example", True), ("nick", "benny", True))
    assert (await ben.put(paths.SEARCHABLE, wanted)).status == 200
    assert await searchable(ben) == {
        ("handle", "ben", False, True),
        ("email", "ben@b.example", True, True),
        ("nick", "benny", True, False),
    }
    assert await look(ann, ben, SearchType.HANDLE, "ben") == []
    assert await look(ann, ben, SearchType.EMAIL, "ben@b.example") == [ben.user]
    assert await look(ann, ben, SearchType.NICK, "benny") == [ben.user]
    await ben.put(paths.SEARCHABLE, want())
    assert await searchable(ben) == {
        ("handle", "ben", False, True),
        ("email", "ben@b.example", False, True),
    }


async def test_nobody_takes_a_handle_or_an_address(street: Street, a: Site) -> None:
    eve, ben = await street.resident(a, "eve"), await street.resident(a, "ben")
    await known(a, ben)
    for kind, value in (
        ("handle", "ben"),
        ("email", "ben@b.example"),
        ("phone", "+4312345"),
    ):
        reply = await eve.put(paths.SEARCHABLE, want((kind, value, True)))
        assert reply.problem == "not-allowed"
    assert await searchable(eve) == set()


async def test_a_query_is_read_before_it_is_passed_on(
    street: Street, a: Site, b: Site
) -> None:
    ann = await street.resident(a, "ann")
    for domain in ("a.example", "b.example"):
        path = paths.path(paths.QUERY, domain=domain)
        assert (await ann.line.ask("POST", path, b"x")).problem == "malformed-body"
    path = paths.path(paths.QUERY, domain="c.example")
    body = asking(SearchType.HANDLE, "x")
    assert (await ann.line.ask("POST", path, body)).problem == "unknown-peer"
    path = paths.path(paths.QUERY, domain="no_domain")
    assert (await ann.line.ask("POST", path, body)).problem == "path-mismatch"


async def test_a_user_looks_for_so_many(scarce: int, street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    path = paths.path(paths.QUERY, domain="a.example")
    body = asking(SearchType.HANDLE, "x")
    for _ in range(scarce - 1):
        assert (await ann.line.ask("POST", path, body)).status == 200
    assert (await ann.line.ask("POST", path, body)).problem == "rate-limited"


# ---- providers


async def test_what_a_provider_can_do(street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    found = json.loads((await ann.get(paths.CAPABILITIES)).body)
    assert found["domain"] == "a.example"
    assert (found["profiles"], found["suites"]) == (["mimi06-a"], [1])
    assert found["templates"] == [
        "dm",
        "group",
        "managed",
        "moderated",
        "organizations",
    ]
    assert found["limits"]["message_octets"] == 1 << 20


async def test_what_is_known_of_providers(street: Street, a: Site, b: Site) -> None:
    ann = await street.resident(a, "ann")

    async def peer(domain: str) -> Any:
        return json.loads((await ann.get(paths.path(paths.PEER, domain=domain))).body)

    await a.provider.core.peers.deviates("b.example", "notify answers 202")
    found = await peer("b.example")
    assert (found["known"], found["profiles"]) == (True, ["mimi06-a"])
    assert "submitMessage" in found["endpoints"]
    assert found["asset_domains"] == ["b.example"]
    assert found["last_ok_ms"] > 0
    assert found["deviations"] == [{"what": "notify answers 202", "count": 1}]
    ours = await peer("a.example")
    assert (ours["known"], ours["asset_domains"]) == (True, ["a.example"])
    assert not (await peer("c.example"))["known"]


async def test_of_a_provider_that_does_not_answer_little_is_known(
    street: Street, a: Site, b: Site
) -> None:
    ann = await street.resident(a, "ann")
    b.provider.stop()
    path = paths.path(paths.PEER, domain="b.example")
    found = json.loads((await ann.get(path)).body)
    assert (found["known"], found["profiles"], found["last_ok_ms"]) == (True, [], None)
