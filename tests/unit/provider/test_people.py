"""Consent and queries between two providers, over real TLS."""

import pytest

from sabir.mimi.codepoints import ConsentOperation, QueryCode, SearchType
from sabir.mimi.directory import Endpoint
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.structs.query import (
    IdentifierRequest,
    QueryElement,
    decode_identifier_response,
)
from sabir.provider.peers import PeerAnswer
from sabir.provider.rates import Rate, RateLimit
from sabir.storage.provider.records import (
    Cursor,
    DeviceRecord,
    EventKind,
    Identifier,
)
from tests.unit.provider.town import Site, Town

ALICE, BOB = "mimi://a.example/u/alice", "mimi://b.example/u/bob"
EVE = "mimi://c.example/u/eve"
PHONE = "mimi://b.example/d/bob/phone"
ROOM = "mimi://a.example/r/tea"


@pytest.fixture
async def pair(town: Town) -> tuple[Site, Site]:
    """Ask from the first; the second has Bob, and by a device hears for him."""
    target = await town.open("b.example", knows=("a.example",))
    asking = await town.open("a.example", knows=("b.example",))
    for site, user, device in (
        (target, BOB, PHONE),
        (asking, ALICE, "mimi://a.example/d/alice/phone"),
    ):
        now = town.clock.now()
        await site.store.add_user(user, user.encode(), now=now)
        record = DeviceRecord(
            device=device,
            user=user,
            name="phone",
            suite=1,
            signature_key=b"key",
            created_at=now,
        )
        await site.store.add_device(record, {})
    return asking, target


async def tell(
    site: Site, entry: ConsentEntry, endpoint: Endpoint = Endpoint.REQUEST_CONSENT
) -> PeerAnswer:
    other = "b.example" if site.domain == "a.example" else "a.example"
    values = {endpoint.variable: other}
    return await site.provider.core.peers.call(
        other, endpoint, values, entry.encode(), octets_max=4_096
    )


def entry(
    operation: ConsentOperation,
    room: str = "",
    requester: str = ALICE,
    target: str = BOB,
) -> ConsentEntry:
    return ConsentEntry(
        operation=operation, requester=requester, target=target, room=room
    )


async def heard(site: Site, device: str = PHONE) -> list[bytes]:
    events = await site.store.events(device, Cursor(0), count_max=99)
    assert {each.kind for each in events} <= {EventKind.CONSENT}
    return [each.data for each in events]


async def test_mc_083_a_request_reaches_the_target_once(
    pair: tuple[Site, Site],
) -> None:
    asking, target = pair
    request = entry(ConsentOperation.REQUEST)
    statuses = [(await tell(asking, request)).status for _ in range(3)]
    assert statuses == [201, 201, 201]
    assert await heard(target) == [request.encode()]
    for number in range(30):
        room = f"mimi://a.example/r/{number}"
        answer = await tell(asking, entry(ConsentOperation.REQUEST, room))
        assert answer.status == 201, "nothing is learned"
    assert len(await target.store.open_requests(BOB)) == 20


async def test_mc_080_nobody_learns_who_exists(pair: tuple[Site, Site]) -> None:
    asking, target = pair
    known = await tell(asking, entry(ConsentOperation.REQUEST))
    unknown = await tell(
        asking, entry(ConsentOperation.REQUEST, target="mimi://b.example/u/nobody")
    )
    assert (known.status, known.body) == (unknown.status, unknown.body) == (201, b"")
    assert await target.store.open_requests("mimi://b.example/u/nobody") == []


async def test_mc_081_cancel_takes_back_a_request_of_its_scope(
    pair: tuple[Site, Site],
) -> None:
    asking, target = pair
    await tell(asking, entry(ConsentOperation.REQUEST))
    await tell(asking, entry(ConsentOperation.CANCEL, ROOM))
    assert len(await target.store.open_requests(BOB)) == 1
    cancel = entry(ConsentOperation.CANCEL)
    assert (await tell(asking, cancel)).status == 201
    assert (await tell(asking, cancel)).status == 201
    assert await target.store.open_requests(BOB) == []
    assert await heard(target) == [
        entry(ConsentOperation.REQUEST).encode(),
        cancel.encode(),
    ]


async def test_a_decision_reaches_who_asked(pair: tuple[Site, Site]) -> None:
    asking, target = pair
    for operation in (ConsentOperation.GRANT, ConsentOperation.REVOKE):
        answer = await tell(target, entry(operation, ROOM), Endpoint.UPDATE_CONSENT)
        assert answer.status == 201
    assert await heard(asking, "mimi://a.example/d/alice/phone") == [
        entry(ConsentOperation.GRANT, ROOM).encode(),
        entry(ConsentOperation.REVOKE, ROOM).encode(),
    ]


@pytest.mark.parametrize(
    ("wrong", "endpoint", "status"),
    [
        (entry(ConsentOperation.GRANT), Endpoint.REQUEST_CONSENT, 400),
        (entry(ConsentOperation.REQUEST), Endpoint.UPDATE_CONSENT, 400),
        (
            entry(ConsentOperation.REQUEST, requester=EVE),
            Endpoint.REQUEST_CONSENT,
            403,
        ),
        (entry(ConsentOperation.REQUEST, target=EVE), Endpoint.REQUEST_CONSENT, 403),
        (entry(ConsentOperation.GRANT), Endpoint.UPDATE_CONSENT, 403),
        (entry(ConsentOperation.REQUEST, room=BOB), Endpoint.REQUEST_CONSENT, 400),
    ],
)
async def test_mc_080_a_peer_speaks_for_its_own_users_only(
    pair: tuple[Site, Site], wrong: ConsentEntry, endpoint: Endpoint, status: int
) -> None:
    asking, target = pair
    assert (await tell(asking, wrong, endpoint)).status == status
    assert await heard(target) == []
    assert await target.store.open_requests(BOB) == []


# ---- queries


async def ask(site: Site, *elements: tuple[SearchType, str]) -> tuple[int, list[str]]:
    request = IdentifierRequest(
        elements=tuple(
            QueryElement(search_type=kind, value=value) for kind, value in elements
        )
    )
    answer = await site.provider.core.peers.call(
        "b.example",
        Endpoint.IDENTIFIER_QUERY,
        {"domain": "b.example"},
        request.encode(),
        octets_max=4_096,
    )
    assert answer.status == 200
    found = decode_identifier_response(answer.body)
    return found.code, list(found.users)


async def test_mc_084_who_is_found_and_who_is_not(pair: tuple[Site, Site]) -> None:
    asking, target = pair
    await target.store.set_identifiers(
        BOB,
        [
            Identifier(search_type=1, value="bob", searchable=True, verified=False),
            Identifier(search_type=2, value="bo", searchable=True, verified=False),
            Identifier(search_type=2, value="secret", searchable=False, verified=True),
            Identifier(
                search_type=3, value="b@b.example", searchable=True, verified=False
            ),
            Identifier(
                search_type=4, value="+31612345678", searchable=True, verified=True
            ),
        ],
    )
    handle, nick = SearchType.HANDLE, SearchType.NICK
    assert await ask(asking, (handle, "bob")) == (QueryCode.SUCCESS, [BOB])
    both = await ask(asking, (handle, "bob"), (nick, "bo"))
    assert both == (QueryCode.SUCCESS, [BOB])
    phone = await ask(asking, (SearchType.PHONE, "+31612345678"))
    assert phone == (QueryCode.SUCCESS, [BOB])
    for elements in (
        [(nick, "secret")],
        [(nick, "BO")],
        [(handle, "bob"), (nick, "other")],
        [(SearchType.EMAIL, "b@b.example")],
        [(SearchType.PHONE, "0612345678")],
    ):
        assert await ask(asking, *elements) == (QueryCode.NOT_FOUND, [])
    assert (await ask(asking, (SearchType.PARTIAL_NAME, "b")))[0] == QueryCode.FORBIDDEN


async def test_mc_084_queries_have_a_rate(pair: tuple[Site, Site]) -> None:
    asking, target = pair
    target.provider.core.rates.identifier_query = RateLimit(
        Rate(count=1, per_ms=60_000)
    )
    await ask(asking, (SearchType.HANDLE, "bob"))
    with pytest.raises(AssertionError):
        await ask(asking, (SearchType.HANDLE, "bob"))
