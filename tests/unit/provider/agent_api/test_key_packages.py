"""KeyPackages that devices bring, and key material that they ask for."""

import json

import pytest

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import EventType
from sabir.mimi.agent_api.forms import decode_form
from sabir.mimi.agent_api.key_packages import Stock, StockAnswer, encode_key_packages
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import ConsentOperation, KeyMaterialUserCode
from sabir.mimi.key_stock import LOW_WATER
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    OtherKeyMaterialRequest,
    decode_key_material_response,
    sign_request,
)
from sabir.mls.extensions import RequiredCapabilities
from sabir.provider.agent_api import key_packages as desk
from tests.unit.provider.agent_api.phone import Phone, Reply, S, Street
from tests.unit.provider.town import Site


def request(asking: Phone, target: str, room: str = "", **changed: str) -> bytes:
    identity = asking.agent.client.identity(S)
    plain = KeyMaterialRequest(
        requesting_user=changed.get("requesting_user", asking.user),
        target_user=target,
        room=room,
        suites=(SUITE,),
        required=RequiredCapabilities((6,), (8, 10), (1,)),
        signature_key=identity.public,
        credential=identity.credential,
    )
    return sign_request(plain, S, identity.private.reveal()).encode()


async def ask(asking: Phone, target: str, body: bytes, about: str = "") -> Reply:
    path = paths.path(paths.KEY_MATERIAL, targetUser=about or target)
    return await asking.line.ask("POST", path, body)


async def grant(target: Phone, requester: Phone) -> None:
    entry = ConsentEntry(
        operation=ConsentOperation.GRANT, requester=requester.user, target=target.user
    )
    assert (await target.post(paths.CONSENTS, entry.encode())).status == 201


async def test_what_is_good_is_taken_in_and_the_rest_is_named(
    street: Street, a: Site
) -> None:
    ann, eve = await street.resident(a, "ann"), await street.resident(a, "eve")
    mine, theirs = ann.new_packages(2), eve.new_packages(1)
    broken = bytearray(mine[1])
    broken[-1] ^= 1
    body = encode_key_packages([mine[0], *theirs, bytes(broken)])
    answer = decode_form((await ann.put(paths.KEY_PACKAGES, body)).body, StockAnswer)
    assert (answer.accepted, answer.stock, answer.last_resort) == (1, 1, False)
    assert [each.index for each in answer.rejected] == [1, 2]
    assert answer.rejected[0].code == "MIMI-019"
    again = decode_form((await ann.put(paths.KEY_PACKAGES, body)).body, StockAnswer)
    assert (again.accepted, again.stock) == (0, 1)
    stock = decode_form((await ann.get(paths.KEY_PACKAGES)).body, Stock)
    assert stock == Stock(stock=1, last_resort=False, low_water=LOW_WATER)
    eves = decode_form((await eve.get(paths.KEY_PACKAGES)).body, Stock)
    assert eves.stock == 0


async def test_one_of_last_resort_is_counted_apart(street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    for _ in range(2):
        package, _ = ann.agent.client.key_package(
            ann.env, suite=SUITE, last_resort=True
        )
        body = encode_key_packages([package.raw])
        reply = await ann.put(paths.KEY_PACKAGES, body)
        answer = decode_form(reply.body, StockAnswer)
        assert (answer.accepted, answer.stock, answer.last_resort) == (1, 0, True)


async def test_the_stock_has_an_end(
    street: Street, a: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "STOCK_MAX", 2)
    ann = await street.resident(a, "ann")
    answer = await ann.publish(3)
    assert (answer.accepted, answer.stock) == (2, 2)
    assert [(each.index, each.code) for each in answer.rejected] == [
        (2, desk.LIMIT_EXCEEDED)
    ]


async def test_an_upload_that_does_not_decode_is_refused(
    street: Street, a: Site
) -> None:
    ann = await street.resident(a, "ann")
    body = encode_key_packages(ann.new_packages(1))
    for wrong in (b"", body[:-1], body + b"x"):
        assert (await ann.put(paths.KEY_PACKAGES, wrong)).problem == "malformed-body"
    stock = decode_form((await ann.get(paths.KEY_PACKAGES)).body, Stock)
    assert stock.stock == 0


@pytest.mark.parametrize("where", ["a", "b"])
async def test_key_material_comes_from_the_targets_provider(
    street: Street, a: Site, b: Site, where: str
) -> None:
    ann = await street.resident(a, "ann")
    ben = await street.resident(a if where == "a" else b, "ben")
    await ben.publish(2)
    body = request(ann, ben.user)
    refused = decode_key_material_response((await ask(ann, ben.user, body)).body)
    assert refused.status == KeyMaterialUserCode.NO_CONSENT
    await grant(ben, ann)
    found = decode_key_material_response((await ask(ann, ben.user, body)).body)
    assert found.status == KeyMaterialUserCode.SUCCESS
    assert [each.client for each in found.clients] == [ben.device]
    await ben.poll()
    low = [each for each in ben.events if each.type == EventType.KEY_PACKAGES_LOW]
    assert [each.stock for each in low] == [], "told where the stock falls below"
    await ask(ann, ben.user, body)
    await ben.poll()
    assert [
        each.stock for each in ben.events if each.type == EventType.KEY_PACKAGES_LOW
    ] == [0]


async def test_nobody_asks_for_somebody_else(street: Street, a: Site) -> None:
    ann, eve = await street.resident(a, "ann"), await street.resident(a, "eve")
    body = request(eve, ann.user, requesting_user=ann.user)
    assert (await ask(eve, ann.user, body)).problem == "domain-not-authorized"
    body = request(eve, ann.user)
    reply = await ask(eve, ann.user, body, about=eve.user)
    assert reply.problem == "path-mismatch"
    reply = await ask(eve, ann.user, body, about="mimi://a.example/r/x")
    assert reply.problem == "path-mismatch"
    other = OtherKeyMaterialRequest(
        protocol=9, requesting_user=eve.user, target_user=ann.user, room="", rest=b""
    )
    assert (await ask(eve, ann.user, other.encode())).problem == "malformed-body"


async def test_of_a_room_hosted_here_only_members_ask(street: Street, a: Site) -> None:
    ann, eve = await street.resident(a, "ann"), await street.resident(a, "eve")
    ben = await street.resident(a, "ben")
    await ben.publish(1)
    await grant(ben, eve)
    room = await ann.found()
    reply = await ask(eve, ben.user, request(eve, ben.user, room))
    found = decode_key_material_response(reply.body)
    assert found.status == KeyMaterialUserCode.NO_CONSENT


async def test_of_a_room_elsewhere_its_hub_is_asked(
    street: Street, a: Site, b: Site
) -> None:
    ann = await street.resident(a, "ann")
    room = "mimi://b.example/r/nowhere"
    reply = await ask(ann, ann.user, request(ann, ann.user, room))
    found = decode_key_material_response(reply.body)
    assert found.status == KeyMaterialUserCode.NO_CONSENT
    room = "mimi://c.example/r/nowhere"
    reply = await ask(ann, ann.user, request(ann, ann.user, room))
    assert reply.problem == "unknown-peer"


async def test_one_target_is_asked_for_so_often(street: Street, a: Site) -> None:
    ann = await street.resident(a, "ann")
    body = request(ann, ann.user)
    statuses = [(await ask(ann, ann.user, body)).status for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    assert json.loads((await ask(ann, ann.user, body)).body)["code"] == "rate-limited"
