"""KeyPackages between providers: claimed once, passed on, refused without a word."""

import asyncio
import time
from dataclasses import dataclass, field, replace

import pytest

from sabir.clock import Instant
from sabir.crypto.suites import SUITES
from sabir.mimi.codepoints import (
    ConsentOperation,
    KeyMaterialClientCode,
    KeyMaterialUserCode,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.key_stock import LOW_WATER, take_in
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    KeyMaterialResponse,
    OtherKeyMaterialRequest,
    decode_key_material_response,
    sign_request,
)
from sabir.mls.client import MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import RequiredCapabilities
from sabir.provider.federation import Service
from sabir.provider.key_material import KeyMaterial
from sabir.provider.peers import PeerAnswer
from sabir.provider.rates import Rate, RateLimit
from sabir.provider.services import Services
from sabir.storage.provider.records import (
    Cursor,
    DeviceRecord,
    EventKind,
    StockedKeyPackage,
    Verdict,
)
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.mimi.world import device, make_client, uri
from tests.unit.provider.town import Site, Town

S = SUITES[1]
ANN, BEN = "ann", "b.example:ben"
ROOM = "mimi://hub.example/r/tea"


ENV = SeededEnv(16)
ENV.time = int(time.time())  # the providers' clock: lifetimes must be valid


@dataclass
class Street:
    """Ben at b.example, Ann at a.example, a hub between them."""

    asking: Site
    hub: Site
    target: Site
    ann: MlsClient
    allowed: set[str] = field(default_factory=set)

    def request(
        self, room: str = "", target: str = BEN, **changed: object
    ) -> KeyMaterialRequest:
        identity = self.ann.identity(S)
        plain = KeyMaterialRequest(
            requesting_user=uri(ANN),
            target_user=uri(target),
            room=room,
            suites=(1,),
            required=RequiredCapabilities((6,), (8, 10), (1,)),
            signature_key=identity.public,
            credential=BasicCredential(device(ANN).encode()),
        )
        changed_request = replace(plain, **changed)  # type: ignore[arg-type]
        return sign_request(changed_request, S, identity.private.reveal())

    async def ask(
        self,
        request: KeyMaterialRequest | OtherKeyMaterialRequest,
        at: str = "b.example",
        about: str | None = None,
    ) -> PeerAnswer:
        return await self.asking.provider.core.peers.call(
            at,
            Endpoint.KEY_MATERIAL,
            {"targetUser": about or request.target_user},
            request.encode(),
            octets_max=1 << 20,
        )

    async def answer(
        self, request: KeyMaterialRequest, at: str = "b.example"
    ) -> KeyMaterialResponse:
        answer = await self.ask(request, at)
        assert answer.status == 200
        return decode_key_material_response(answer.body)

    async def grant(self, room: str = "", *, granted: bool = True) -> None:
        verdict = Verdict(
            requester=uri(ANN),
            target=uri(BEN),
            room=room,
            granted=granted,
            decided_at=Instant(1),
        )
        await self.target.store.set_verdicts([verdict])


async def stock(site: Site, name: str, count: int) -> list[bytes]:
    """Enrol a device with KeyPackages."""
    now = site.provider.core.clock.now()
    user, client = uri(name), make_client(ENV, name)
    if not await site.store.user_exists(user):
        await site.store.add_user(user, name.encode(), now=now)
    record = DeviceRecord(
        device=device(name),
        user=user,
        name="phone",
        suite=1,
        signature_key=b"key",
        created_at=now,
    )
    await site.store.add_device(record, {})
    items = [
        take_in(client.key_package(ENV, suite=1)[0], user=user, now_s=ENV.now())
        for _ in range(count)
    ]
    await site.store.stock_key_packages(
        [
            StockedKeyPackage(
                ref=item.ref,
                device=item.client,
                suite=1,
                octets=item.package.raw,
                not_before=Instant(item.lifetime.not_before * 1_000),
                not_after=Instant(item.lifetime.not_after * 1_000),
                last_resort=False,
            )
            for item in items
        ],
        now=now,
    )
    return [item.ref for item in items]


@pytest.fixture
async def street(town: Town) -> Street:
    allowed: set[str] = set()

    def of_a_hub(services: Services) -> dict[Endpoint, Service]:
        async def gate(request: KeyMaterialRequest, source: str) -> bool:
            return request.requesting_user in allowed and source == "a.example"

        return {Endpoint.KEY_MATERIAL: KeyMaterial(services.core, gate).serve}

    target = await town.open("b.example", knows=("a.example", "hub.example"))
    hub = await town.open(
        "hub.example", knows=("a.example", "b.example"), services=of_a_hub
    )
    asking = await town.open("a.example", knows=("b.example", "hub.example"))
    for site in (target, hub):
        rates = site.provider.core.rates
        rates.key_material_per_pair = RateLimit(Rate(count=1_000, per_ms=1_000))
        rates.key_material_per_requester = RateLimit(Rate(count=1_000, per_ms=1_000))
    ann = make_client(ENV, ANN)
    return Street(asking, hub, target, ann, allowed)


async def test_mc_016_with_consent_each_client_gives_one(street: Street) -> None:
    refs = await stock(street.target, BEN, 2)
    refs += await stock(street.target, BEN + "/2", 2)
    await street.grant()
    answer = await street.answer(street.request())
    assert answer.status == KeyMaterialUserCode.SUCCESS
    given = [each.key_package for each in answer.clients]
    taken = [each.reference(S) for each in given if each is not None]
    assert len(taken) == 2
    assert set(taken) < set(refs)
    left = await street.target.store.stock(
        uri(BEN), now=street.target.provider.core.clock.now()
    )
    assert {each.ref for each in left} == set(refs) - set(taken)


async def test_mc_019_no_consent_and_nobody_look_the_same(street: Street) -> None:
    refs = await stock(street.target, BEN, 1)
    known = await street.ask(street.request())
    unknown = await street.ask(street.request(target="b.example:bob"))
    assert known.body.replace(b"ben", b"bob") == unknown.body
    assert known.headers.keys() == unknown.headers.keys()
    response = decode_key_material_response(known.body)
    assert response.status == KeyMaterialUserCode.NO_CONSENT
    now = street.target.provider.core.clock.now()
    left = await street.target.store.stock(uri(BEN), now=now)
    assert [each.ref for each in left] == refs


async def test_mc_020_consent_is_for_its_room(street: Street) -> None:
    await stock(street.target, BEN, 5)
    await street.grant("mimi://a.example/r/x")

    async def status(room: str) -> int:
        return (await street.answer(street.request(room))).status

    assert await status("mimi://a.example/r/x") == KeyMaterialUserCode.SUCCESS
    assert await status("mimi://a.example/r/y") == KeyMaterialUserCode.NO_CONSENT
    assert await status("") == KeyMaterialUserCode.NO_CONSENT


async def test_mc_016_who_is_not_who_they_say_gets_nothing(street: Street) -> None:
    refs = await stock(street.target, BEN, 3)
    await street.grant()
    forged = replace(street.request(), room="mimi://a.example/r/x")
    other = street.request(requesting_user=uri("eve"))
    relayed = street.request("mimi://c.example/r/x", requesting_user="mimi://d/u/dan")
    for wrong in (forged, other, relayed):
        answer = await street.answer(wrong)
        assert answer.status == KeyMaterialUserCode.NO_CONSENT
        assert answer.clients == ()
    now = street.target.provider.core.clock.now()
    left = await street.target.store.stock(uri(BEN), now=now)
    assert {each.ref for each in left} == set(refs)


async def test_mc_021_100_claims_of_50_key_packages(street: Street) -> None:
    refs = await stock(street.target, BEN, 50)
    await street.grant()
    request = street.request()
    answers = await asyncio.gather(*(street.answer(request) for _ in range(100)))
    given = [
        each.key_package.reference(S)
        for answer in answers
        for each in answer.clients
        if each.key_package is not None
    ]
    assert sorted(given) == sorted(refs)
    exhausted = [
        answer
        for answer in answers
        if answer.status == KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL
    ]
    assert len(exhausted) == 50
    assert {each.status for answer in exhausted for each in answer.clients} == {
        KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED
    }


async def test_a_client_hears_when_its_stock_is_low(street: Street) -> None:
    await stock(street.target, BEN, LOW_WATER)
    await street.grant()
    for _ in range(2):
        await street.answer(street.request())
    store = street.target.store
    events = await store.events(device(BEN), Cursor(0), count_max=9)
    assert [(each.kind, each.data) for each in events] == [
        (EventKind.KEY_PACKAGES_LOW, b'{"stock": 49}')
    ]


async def test_mc_010_another_protocol_is_told(street: Street) -> None:
    other = OtherKeyMaterialRequest(
        protocol=9, requesting_user=uri(ANN), target_user=uri(BEN), room="", rest=b"?"
    )
    answer = await street.ask(other)
    response = decode_key_material_response(answer.body)
    assert response.status == KeyMaterialUserCode.INCOMPATIBLE_PROTOCOL


async def test_mc_007_the_path_names_the_user_of_the_body(street: Street) -> None:
    answer = await street.ask(street.request(), about=uri("b.example:bob"))
    assert (answer.status, b"path-mismatch" in answer.body) == (400, True)


async def test_key_material_has_a_rate_per_pair(street: Street) -> None:
    rates = street.target.provider.core.rates
    rates.key_material_per_pair = RateLimit(Rate(count=1, per_ms=60_000))
    statuses = [
        (await street.ask(street.request(target=name))).status
        for name in (BEN, BEN, "b.example:bob")
    ]
    assert statuses == [200, 429, 200]


# ---- by way of the hub


async def test_mc_018_a_hub_passes_on_unchanged(street: Street) -> None:
    refs = await stock(street.target, BEN, 1)
    await street.grant(ROOM)
    street.allowed.add(uri(ANN))
    answer = await street.answer(street.request(ROOM), at="hub.example")
    assert answer.status == KeyMaterialUserCode.SUCCESS
    now = street.hub.provider.core.clock.now()
    routes = await street.hub.store.routes("domain", refs, now=now)
    assert routes == {refs[0]: "b.example"}, "MC-026"


async def test_mc_017_a_hub_refuses_who_may_not_add(street: Street) -> None:
    refs = await stock(street.target, BEN, 1)
    await street.grant(ROOM)
    answer = await street.answer(street.request(ROOM), at="hub.example")
    assert answer.status == KeyMaterialUserCode.NO_CONSENT
    now = street.hub.provider.core.clock.now()
    assert not await street.hub.store.routes("domain", refs, now=now)


async def test_a_hub_serves_its_own_users(street: Street) -> None:
    street.allowed.add(uri(ANN))
    await stock(street.hub, "hub.example:hal", 1)
    verdict = Verdict(
        requester=uri(ANN),
        target=uri("hub.example:hal"),
        room=ROOM,
        granted=True,
        decided_at=Instant(1),
    )
    await street.hub.store.set_verdicts([verdict])
    request = street.request(ROOM, target="hub.example:hal")
    # Of a room hosted there, its hub is asked, whose own user the target is.
    answer = await street.answer(request, at="hub.example")
    assert answer.status == KeyMaterialUserCode.SUCCESS


async def test_mc_027_a_target_that_is_down_is_502(street: Street) -> None:
    street.allowed.add(uri(ANN))
    street.target.provider.stop()
    await asyncio.sleep(0.05)
    answer = await street.ask(street.request(ROOM), at="hub.example")
    assert (answer.status, b"upstream-failed" in answer.body) == (502, True)


@pytest.mark.parametrize("body", [b"nonsense", b"\x07\x00\x00\x00"])
async def test_mc_027_a_target_that_answers_nonsense_is_502(
    street: Street, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    street.allowed.add(uri(ANN))

    async def nonsense(*_: object, **__: object) -> PeerAnswer:
        return PeerAnswer(status=200, body=body)

    monkeypatch.setattr(street.hub.provider.core.peers, "call", nonsense)
    answer = await street.ask(street.request(ROOM), at="hub.example")
    assert answer.status == 502
    noted = await street.hub.store.deviations("b.example")
    assert len(noted) == 1


async def test_mc_027_a_target_that_refuses_is_502(street: Street) -> None:
    street.allowed.add(uri(ANN))
    street.target.provider.core.rates.per_peer = RateLimit(Rate(count=1, per_ms=60_000))
    request = street.request(ROOM)
    assert (await street.ask(request, at="hub.example")).status == 200
    assert (await street.ask(request, at="hub.example")).status == 502


async def test_mc_082_key_packages_of_a_grant_are_checked(street: Street) -> None:
    client = make_client(ENV, BEN)
    package = client.key_package(ENV, suite=1)[0]

    async def grant(room: str, target: str) -> int:
        entry = ConsentEntry(
            operation=ConsentOperation.GRANT,
            requester=uri(ANN),
            target=uri(target),
            room=room,
            key_packages=(package,),
        )
        answer = await street.target.provider.core.peers.call(
            "a.example",
            Endpoint.UPDATE_CONSENT,
            {"requesterDomain": "a.example"},
            entry.encode(),
            octets_max=4_096,
        )
        return answer.status

    ref = package.reference(S)

    async def routed() -> bool:
        now = street.asking.provider.core.clock.now()
        return bool(await street.asking.store.routes("domain", [ref], now=now))

    assert await grant("", "b.example:bob") == 400
    assert await grant(ROOM, BEN) == 201
    assert not await routed(), "another's room: its hub does not know it"
    assert await grant("mimi://a.example/r/x", BEN) == 201
    assert await routed()
