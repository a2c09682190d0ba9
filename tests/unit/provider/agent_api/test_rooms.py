"""Rooms over the agent API: at the own hub, and at another provider's."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import EventType
from sabir.mimi.agent_api.forms import Form, decode_form
from sabir.mimi.agent_api.rooms import (
    JoinCode,
    JoinCodeRequest,
    Reserved,
    RoomEntry,
    RoomList,
    RoomState,
)
from sabir.mimi.codepoints import (
    ConsentOperation,
    GroupInfoCode,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.member.intents import AddClients, RemoveUser
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.room import RoomMember
from sabir.mimi.structs.abuse import AbuseReport
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.structs.group_info import GroupInfoRefused, decode_group_info_response
from sabir.mimi.structs.submit import (
    SubmitMessageRequest,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mimi.structs.update import decode_update_response
from sabir.mimi.template_names import TemplateName
from tests.unit.provider.agent_api.phone import Phone, Reply, Street
from tests.unit.provider.town import Site

IN_AN_HOUR_MS = 3_600_000


async def befriend(asking: Phone, *targets: Phone) -> None:
    """Let people be added by somebody, to any room."""
    for target in targets:
        entry = ConsentEntry(
            operation=ConsentOperation.GRANT, requester=asking.user, target=target.user
        )
        reply = await target.post(paths.CONSENTS, entry.encode())
        assert reply.status == 201, reply


async def meet(ann: Phone, *others: Phone) -> str:
    """Let somebody make a room with others in it."""
    for other in others:
        await other.publish()
    await befriend(ann, *others)
    room = await ann.found()
    assert (await ann.invite(room, *others)).code == UpdateCode.SUCCESS
    for other in others:
        await other.listen(lambda other=other: other.agent.is_in)  # type: ignore[misc]
    return room


async def about(phone: Phone, room: str) -> Reply:
    return await phone.get(paths.path(paths.ROOM, roomId=room))


async def shown(phone: Phone, room: str) -> RoomEntry:
    reply = await about(phone, room)
    assert reply.status == 200, reply
    return decode_form(reply.body, RoomEntry)


async def listed(phone: Phone) -> dict[str, tuple[str, str, bool]]:
    found = decode_form((await phone.get(paths.ROOMS)).body, RoomList)
    return {
        each.room_uri: (each.hub, each.state, each.attached) for each in found.rooms
    }


async def do(phone: Phone, template: str, room: str, body: bytes | Form = b"") -> Reply:
    return await phone.post(paths.path(template, roomId=room), body)


@pytest.fixture
async def ann(street: Street, a: Site) -> Phone:
    return await street.resident(a, "ann")


@pytest.fixture
async def ben(street: Street, b: Site) -> Phone:
    return await street.resident(b, "ben")


# ---- talking


async def test_two_people_of_two_providers_talk(ann: Phone, ben: Phone) -> None:
    room = await meet(ann, ben)
    await ann.send(room, "hello Ben")
    await ben.listen(lambda: ben.texts == ["hello Ben"])
    await ben.send(room, "hello Ann")
    for each in (ann, ben):
        await each.listen(lambda each=each: each.texts == ["hello Ben", "hello Ann"])  # type: ignore[misc]
    own = [each for each in ann.events if each.type == EventType.OWN]
    assert [each.frank is not None for each in own] == [True]


async def test_mc_104_no_provider_has_the_text(
    ann: Phone, ben: Phone, a: Site, b: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "canary 7f3a91"
    room = await meet(ann, ben)
    await ann.send(room, canary)
    await ben.listen(lambda: ben.texts == [canary])
    kept = b"".join(
        file.read_bytes()
        for site in (a, b)
        for file in site.config.data_dir.rglob("*")
        if file.is_file()
    )
    assert room.encode() in kept, "it was looked for where rooms are"
    assert canary.encode() not in kept
    logged = capfd.readouterr()
    assert canary not in logged.out + logged.err


async def test_people_of_one_provider_talk_and_their_devices_hear(
    street: Street, a: Site, ann: Phone
) -> None:
    account = await street.account(a, "cat")
    cat, tablet = await street.phone(a, account), await street.phone(a, account)
    await tablet.publish()
    room = await meet(ann, cat)
    await cat.poll()
    assert cat.agent.is_in
    assert tablet.agent.member is None
    found = ann.agent.room.key_material(
        ann.env,
        cat.user,
        (
            await ann.post(
                paths.path(paths.KEY_MATERIAL, targetUser=cat.user),
                ann.agent.room.key_material_request(cat.user),
            )
        ).body,
    )
    assert found.fitting == (), "her KeyPackages are all in the room already"
    await tablet.listen(lambda: tablet.agent.is_in)
    await cat.send(room, "from the phone")
    for each in (ann, cat, tablet):
        await each.listen(lambda each=each: each.texts == ["from the phone"])  # type: ignore[misc]


async def test_a_direct_conversation(ann: Phone, ben: Phone) -> None:
    await ben.publish()
    await befriend(ann, ben)
    room = await ann.found(TemplateName.DM, [ben])
    path = paths.path(paths.KEY_MATERIAL, targetUser=ben.user)
    reply = await ann.post(path, ann.agent.room.key_material_request(ben.user))
    found = ann.agent.room.key_material(ann.env, ben.user, reply.body)
    await ann.perform(room, AddClients(found.fitting))
    await ben.listen(lambda: ben.agent.is_in)
    await ben.send(room, "just us")
    await ann.listen(lambda: ann.texts == ["just us"])


# ---- what there is


async def test_rooms_are_listed_and_shown(
    street: Street, a: Site, b: Site, ann: Phone, ben: Phone
) -> None:
    eve = await street.resident(b, "eve")
    assert await listed(ben) == {}
    room = await meet(ann, ben)
    assert await listed(ann) == {room: ("a.example", "open", True)}
    assert await listed(ben) == {room: ("a.example", "open", True)}
    entry = await shown(ann, room)
    assert (entry.state, entry.attached, entry.role, entry.epoch) == (
        RoomState.OPEN,
        True,
        4,
        1,
    )
    entry = await shown(ben, room)
    assert (entry.state, entry.role, entry.epoch) == (RoomState.OPEN, None, None)
    for room_ in (room, "mimi://a.example/r/none", "mimi://c.example/r/none"):
        assert (await about(eve, room_)).problem == "not-found"
    assert (await about(ann, "mimi://a.example/r/none")).problem == "not-found"
    assert (await about(ann, "mimi://a.example/u/ann")).problem == "path-mismatch"


async def test_a_sibling_sees_the_rooms_that_it_may_join(
    street: Street, a: Site
) -> None:
    account = await street.account(a, "ann")
    phone, laptop = await street.phone(a, account), await street.phone(a, account)
    room = await phone.found()
    assert await listed(laptop) == {room: ("a.example", "open", False)}
    assert (await laptop.join(room)).code == UpdateCode.SUCCESS
    assert await listed(laptop) == {room: ("a.example", "open", True)}
    await phone.listen(lambda: len(phone.events) > 1)
    await laptop.send(room, "both of me")
    await phone.listen(lambda: phone.texts == ["both of me"])


async def test_a_reserved_room_is_its_creators(
    street: Street, a: Site, ann: Phone
) -> None:
    eve = await street.resident(a, "eve")
    reply = await ann.post(paths.ROOMS, b'{"template": "group"}')
    room = json.loads(reply.body)["room_uri"]
    assert (await shown(ann, room)).state == RoomState.RESERVED
    assert (await about(eve, room)).problem == "not-found"
    assert await listed(ann) == {}
    for who, code in ((ann, "malformed-body"), (eve, "malformed-body")):
        reply = await who.put(paths.path(paths.GENESIS, roomId=room), b"x")
        assert reply.problem == code


async def test_a_room_is_begun_by_who_reserved_it(
    street: Street, a: Site, ann: Phone
) -> None:
    eve = await street.resident(a, "eve")
    reply = await ann.post(paths.ROOMS, b'{"template": "group"}')
    reserved = decode_form(reply.body, Reserved)
    made = RoomMember.create(
        ann.env, ann.agent.client, reserved.reservation(TemplateName.GROUP)
    )
    assert made.operation is not None
    path = paths.path(paths.GENESIS, roomId=reserved.room_uri)
    assert (await eve.put(path, made.operation.octets)).problem == "not-found"
    first = await ann.put(path, made.operation.octets)
    again = await ann.put(path, made.operation.octets)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    elsewhere = paths.path(paths.GENESIS, roomId="mimi://b.example/r/x")
    assert (await ann.put(elsewhere, made.operation.octets)).problem == "not-found"


# ---- in whose name


async def test_nobody_sends_for_somebody_else(
    street: Street, a: Site, ann: Phone, ben: Phone
) -> None:
    room = await meet(ann, ben)
    eve = await street.resident(a, "eve")
    octets = await ann.send(room, "mine")
    assert (await do(eve, paths.MESSAGES, room, octets)).problem == (
        "domain-not-authorized"
    )
    request = decode_submit_request(octets)
    assert isinstance(request, SubmitMessageRequest)
    renamed = replace(request, sending_uri=eve.user)
    reply = await do(eve, paths.MESSAGES, room, renamed.encode())
    assert decode_submit_response(reply.body).code == SubmitCode.NOT_ALLOWED
    other = await do(eve, paths.MESSAGES, room, b"\x09rest")
    assert decode_submit_response(other.body).code == SubmitCode.NOT_ALLOWED


async def test_nobody_joins_or_reports_for_somebody_else(
    street: Street, a: Site, ann: Phone
) -> None:
    account = await street.account(a, "eve")
    eve, tablet = await street.phone(a, account), await street.phone(a, account)
    room = await ann.found(TemplateName.MANAGED)
    asking = request_group_info(eve.env, eve.agent.client, room, b"")
    for who in (ann, tablet):
        reply = await do(who, paths.GROUP_INFO, room, asking.octets)
        assert reply.problem == "domain-not-authorized"
    report = AbuseReport(reporting_user=eve.user, alleged_abuser=ann.user)
    reply = await do(ann, paths.REPORTS, room, report.encode())
    assert reply.problem == "domain-not-authorized"
    code = await make_code(ann, room)
    octets = await eve.prepare_to_join(room, code, 2)
    reply = await do(tablet, paths.UPDATE, room, octets)
    assert reply.problem == "domain-not-authorized"
    reply = await do(eve, paths.UPDATE, room, octets)
    assert decode_update_response(reply.body).code == UpdateCode.SUCCESS


@pytest.mark.parametrize(
    "template", [paths.UPDATE, paths.MESSAGES, paths.GROUP_INFO, paths.REPORTS]
)
@pytest.mark.parametrize("hub", ["a.example", "b.example"])
async def test_what_does_not_decode_goes_nowhere(
    ann: Phone, b: Site, template: str, hub: str
) -> None:
    reply = await do(ann, template, f"mimi://{hub}/r/x", b"")
    assert reply.problem == "malformed-body"
    assert (await do(ann, template, f"mimi://{hub}/u/x")).problem == "path-mismatch"


async def test_what_is_unknown_anywhere_looks_the_same(
    street: Street, b: Site, ann: Phone
) -> None:
    room = await ann.found()
    octets = await ann.send(room, "hello")
    for unknown in ("mimi://a.example/r/none", "mimi://b.example/r/none"):
        reply = await do(ann, paths.MESSAGES, unknown, octets)
        assert decode_submit_response(reply.body).code == SubmitCode.NOT_ALLOWED
    reply = await do(ann, paths.MESSAGES, "mimi://c.example/r/none", octets)
    assert reply.problem == "unknown-peer"


# ---- codes, joining


async def make_code(who: Phone, room: str, **changed: Any) -> bytes:
    reply = await ask_for_code(who, room, **changed)
    assert reply.status == 201, reply
    return decode_form(reply.body, JoinCode).code


async def ask_for_code(who: Phone, room: str, **changed: Any) -> Reply:
    wanted: dict[str, Any] = {
        "role": 2,
        "uses": 2,
        "expires_ms": int(who.env.now()) * 1_000 + IN_AN_HOUR_MS,
        **changed,
    }
    return await do(who, paths.JOIN_CODES, room, JoinCodeRequest(**wanted))


async def test_people_join_by_a_code_from_anywhere(
    street: Street, a: Site, ann: Phone, ben: Phone
) -> None:
    cat = await street.resident(a, "cat")
    room = await ann.found(TemplateName.MANAGED)
    code = await make_code(ann, room)
    for each in (cat, ben):
        assert (await each.join(room, code, 2)).code == UpdateCode.SUCCESS
        await ann.listen(lambda each=each: has(ann, each))  # type: ignore[misc]
    await ben.send(room, "here we are")
    await cat.listen(lambda: cat.texts == ["here we are"])
    await ann.send(room, "welcome")
    for each in (ann, ben, cat):
        await each.listen(lambda each=each: each.texts == ["here we are", "welcome"])  # type: ignore[misc]


def has(who: Phone, whom: Phone) -> bool:
    return who.agent.room.view.is_listed(whom.user)


def refused(reply: Reply) -> bool:
    found = decode_group_info_response(reply.body)
    return (
        isinstance(found, GroupInfoRefused)
        and found.code == GroupInfoCode.NOT_AUTHORIZED
    )


async def test_codes_are_bound_taken_back_and_the_hubs(
    street: Street, a: Site, ann: Phone, ben: Phone
) -> None:
    room = await ann.found(TemplateName.MANAGED)
    eve = await street.resident(a, "eve")
    reply = await ask_for_code(ann, room, user=ben.user)
    made = decode_form(reply.body, JoinCode)
    asking = request_group_info(eve.env, eve.agent.client, room, made.code)
    reply = await do(eve, paths.GROUP_INFO, room, asking.octets)
    assert refused(reply)
    path = paths.path(paths.JOIN_CODE, roomId=room, id=made.id)
    assert (await eve.delete(path)).problem == "not-found"
    assert (await ann.delete(path)).status == 204
    assert (await ann.delete(path)).problem == "not-found"
    asking = request_group_info(ben.env, ben.agent.client, room, made.code)
    reply = await do(ben, paths.GROUP_INFO, room, asking.octets)
    assert refused(reply)
    for changed, code in (
        ({"uses": 0}, "not-allowed"),
        ({"role": 0}, "not-allowed"),
        ({"role": 99}, "not-allowed"),
        ({"expires_ms": 1}, "not-allowed"),
        ({"user": "mimi://a.example/r/x"}, "malformed-body"),
    ):
        assert (await ask_for_code(ann, room, **changed)).problem == code
    assert (await ask_for_code(eve, room)).problem == "not-found"
    assert (await ask_for_code(ben, room)).problem == "not-found"


async def test_who_is_refused_does_not_get_the_stream(
    ann: Phone, ben: Phone, a: Site, b: Site
) -> None:
    room = await ann.found(TemplateName.MANAGED)
    octets = await ben.prepare_to_join(room, await make_code(ann, room), 2)
    assert (await ann.delete(paths.path(paths.ROOM, roomId=room))).status == 202
    reply = await do(ben, paths.UPDATE, room, octets)
    assert decode_update_response(reply.body).code == UpdateCode.NOT_ALLOWED
    assert await b.store.attached(room) == frozenset()


async def test_who_may_be_in_has_the_stream(
    ann: Phone, ben: Phone, a: Site, b: Site
) -> None:
    """The hub may have accepted what it did not live to answer."""
    room = await ann.found(TemplateName.MANAGED)
    octets = await ben.prepare_to_join(room, await make_code(ann, room), 2)
    a.provider.stop()
    reply = await do(ben, paths.UPDATE, room, octets)
    assert reply.problem in {"upstream-failed", "upstream-timeout"}
    assert await b.store.attached(room) == {ben.device}


# ---- who listens


async def test_who_detaches_hears_no_more(ann: Phone, ben: Phone) -> None:
    room = await meet(ann, ben)
    await ann.poll()
    assert (await do(ann, paths.DETACH, room)).status == 204
    await ben.send(room, "psst")
    await ben.listen(lambda: ben.texts == ["psst"])
    assert await ann.poll() == []
    assert await listed(ann) == {}
    assert (await do(ann, paths.ATTACH, room)).status == 204
    await ben.send(room, "hey")
    await ann.listen(lambda: ann.texts == ["hey"])
    assert (await do(ben, paths.ATTACH, room)).status == 204
    assert (await do(ben, paths.DETACH, room)).status == 204
    assert (await do(ben, paths.ATTACH, room)).problem == "not-found"


async def test_nobody_listens_who_is_not_in_the_room(
    street: Street, a: Site, b: Site, ann: Phone, ben: Phone
) -> None:
    room = await meet(ann, ben)
    for site in (a, b):
        eve = await street.resident(site, "eve")
        assert (await do(eve, paths.ATTACH, room)).problem == "not-found"
        assert (await do(eve, paths.DETACH, room)).status == 204
        assert await eve.poll() == []


async def test_who_was_removed_hears_of_it_and_then_nothing(
    ann: Phone, ben: Phone
) -> None:
    room = await meet(ann, ben)
    await ann.perform(room, RemoveUser(ben.user))
    await ben.listen(lambda: not ben.agent.is_in)
    await ann.send(room, "without Ben")
    assert (await do(ben, paths.DETACH, room)).status == 204
    assert await listed(ben) == {}


# ---- the end, and complaints


async def test_a_room_is_closed_by_who_may(
    street: Street, a: Site, ann: Phone, ben: Phone
) -> None:
    cat = await street.resident(a, "cat")
    room = await meet(ann, ben, cat)
    path = paths.path(paths.ROOM, roomId=room)
    assert (await ben.delete(path)).problem == "not-found"
    assert (await cat.delete(path)).problem == "not-allowed"
    eve = await street.resident(a, "eve")
    assert (await eve.delete(path)).problem == "not-found"
    assert (await ann.delete(path)).status == 202
    assert (await shown(ann, room)).state == RoomState.CLOSED
    await cat.listen(lambda: cat.events[-1].type == EventType.ROOM_STATE)
    assert (cat.events[-1].room, cat.events[-1].state) == (room, "closed")


async def test_complaints_reach_the_hub(
    ann: Phone, ben: Phone, a: Site, b: Site
) -> None:
    room = await meet(ann, ben)
    for who, name in ((ann, ann.user), (ben, ben.user), (ben, "")):
        report = AbuseReport(reporting_user=name, alleged_abuser=ann.user)
        assert (await do(who, paths.REPORTS, room, report.encode())).status == 201
    assert [each.source for each in await a.store.reports(count_max=9)].count(
        "b.example"
    ) == 2
    assert len(await a.store.reports(count_max=9)) == 3
    assert await b.store.reports(count_max=9) == []
