"""What a hub refuses, repeats, and survives; and what it lets nobody learn."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.errors import StorageFailed
from sabir.mimi.codepoints import (
    KeyMaterialUserCode,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.member.events import MessageReceived
from sabir.mimi.member.intents import Intent, Invite, Invitee, Leave, Rotate
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage
from sabir.mimi.structs.group_info import (
    GroupInfoRefused,
    decode_group_info_response,
)
from sabir.mimi.structs.key_material import decode_key_material_response
from sabir.mimi.structs.submit import (
    SubmitMessageRequest,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mimi.structs.update import decode_update_response
from sabir.provider.key_material import DEVICE_REFS, DOMAIN_REFS
from sabir.storage.provider.records import EventKind, RoomCommit, Spread
from sabir.testing.mimi.member_harness import said
from sabir.testing.mimi.people import device_of, user_named
from sabir.wire.errors import Malformed
from tests.unit.provider.town import Town
from tests.unit.provider.village import Village

ANN, DAN, BEN, CAT = "ann", "dan", "b.example:ben", "c.example:cat"
HUB = "a.example"
NOWHERE = "mimi://a.example/r/nowhere"
Ask = Callable[..., Awaitable[bytes]]


@pytest.fixture
async def village(town: Town) -> Village:
    """Ann, Dan and Ben are in a room; Cat's provider has nothing to do with it."""
    domains = (HUB, "b.example", "c.example")
    for domain in domains:
        await town.open(domain, knows=tuple(each for each in domains if each != domain))
    village = Village(town)
    await village.settle_in(ANN, DAN, BEN, CAT)
    await village.found(ANN)
    await village.invite(ANN, DAN, BEN)
    await village.quiet()
    return village


def handshake(village: Village, by: str, intent: Intent | None = None) -> bytes:
    """Let somebody make a handshake, which is not sent yet."""
    agent = village[by].agent
    operation = agent.room.perform(village.env, intent or Rotate())
    agent.store()
    assert operation is not None
    return operation.octets


def message(village: Village, by: str, text: str = "hello") -> bytes:
    """Let somebody seal a message, which is not sent yet."""
    agent = village[by].agent
    outgoing = agent.room.send(village.env, said(text), agent.known())
    agent.store()
    return outgoing.octets


async def state(village: Village) -> tuple[bytes, int]:
    """Return what an accepted request would change."""
    stored = await village.town.sites[HUB].store.settled_room(village.room)
    assert stored is not None
    return stored.state, int(stored.last_at)


# ---- repetitions


async def test_mc_031_what_is_sent_twice_happens_once(village: Village) -> None:
    for name in (BEN, DAN):
        sealed = message(village, name, f"of {name}")
        first = await village.ask(name, Endpoint.SUBMIT_MESSAGE, sealed)
        assert await village.ask(name, Endpoint.SUBMIT_MESSAGE, sealed) == first
        assert decode_submit_response(first).code == SubmitCode.ACCEPTED
    await village.quiet()
    assert village.texts(ANN) == [f"of {BEN}", f"of {DAN}"]
    commit = handshake(village, BEN)
    answer = await village.ask(BEN, Endpoint.UPDATE, commit)
    assert decode_update_response(answer).code == UpdateCode.SUCCESS
    assert await village.ask(BEN, Endpoint.UPDATE, commit) == answer
    await village.town.restart(HUB)
    assert await village.ask(BEN, Endpoint.UPDATE, commit) == answer
    await village.check_memory()


async def test_group_infos_are_never_repeated(village: Village) -> None:
    agent = village[BEN].agent
    asking = request_group_info(village.env, agent.client, village.room)
    answers = {
        await village.ask(BEN, Endpoint.GROUP_INFO, asking.octets) for _ in range(3)
    }
    assert len(answers) == 3, "each sealed anew"


# ---- order


async def test_mc_030_of_racing_commits_one_wins(village: Village) -> None:
    bodies = [(name, handshake(village, name)) for name in (ANN, DAN, BEN)]
    answers = await asyncio.gather(
        *(
            village.ask(name, Endpoint.UPDATE, body)
            for name, body in bodies
            for _ in range(4)
        )
    )
    responses = [decode_update_response(answer) for answer in answers]
    winners = {i // 4 for i, each in enumerate(responses) if not each.code}
    assert len(winners) == 1
    epoch = village[ANN].agent.room.epoch + 1
    losers = [each for i, each in enumerate(responses) if i // 4 not in winners]
    assert {(each.code, each.current_epoch) for each in losers} == {
        (UpdateCode.WRONG_EPOCH, epoch)
    }
    await village.check_memory()


async def test_mc_029_what_comes_out_of_order_is_stale(village: Village) -> None:
    early, late = handshake(village, DAN), None
    await village.perform(BEN, Rotate())
    late = await village.ask(DAN, Endpoint.UPDATE, early)
    said_so = decode_update_response(late)
    assert said_so.code == UpdateCode.WRONG_EPOCH
    assert said_so.current_epoch == village[ANN].agent.room.epoch + 1


# ---- who speaks for whom


async def test_mc_059_a_provider_speaks_for_its_own_users_only(
    village: Village,
) -> None:
    before = await state(village)
    for by, claimed in ((BEN, ANN), (BEN, CAT), (CAT, BEN)):
        sealed = decode_submit_request(message(village, BEN))
        assert isinstance(sealed, SubmitMessageRequest)
        forged = replace(sealed, sending_uri=user_named(claimed))
        answer = await village.ask(by, Endpoint.SUBMIT_MESSAGE, forged.encode())
        assert decode_submit_response(answer).code == SubmitCode.NOT_ALLOWED
    assert await state(village) == before


async def test_mc_032_a_provider_brings_its_own_clients_handshakes_only(
    village: Village,
) -> None:
    before = await state(village)
    answer = await village.ask(BEN, Endpoint.UPDATE, handshake(village, ANN))
    response = decode_update_response(answer)
    assert response.code == UpdateCode.NOT_ALLOWED
    assert response.description.startswith("sender.unknown")
    assert await state(village) == before


async def test_a_device_speaks_for_its_own_user_only(village: Village) -> None:
    hosting, before = village.hosting(HUB), await state(village)
    room, device = village.room, device_of(DAN)
    sealed = message(village, ANN)
    answer = await hosting.submit(HUB, room, sealed, device=device)
    assert decode_submit_response(answer).code == SubmitCode.NOT_ALLOWED
    asking = request_group_info(village.env, village[ANN].agent.client, room)
    answer = await hosting.group_info(HUB, room, asking.octets, device=device)
    assert isinstance(decode_group_info_response(answer), GroupInfoRefused)
    report = AbuseReport(reporting_user=user_named(ANN), alleged_abuser=user_named(BEN))
    with pytest.raises(Problem) as caught:
        await hosting.report(HUB, room, report.encode(), device=device)
    assert caught.value.problem is ProblemCode.DOMAIN_NOT_AUTHORIZED
    assert await state(village) == before


# ---- what outsiders learn


async def test_an_unknown_room_is_like_one_of_others(village: Village) -> None:
    """An outsider's provider gets the same octets, but for the room's own name."""
    bodies = {
        Endpoint.UPDATE: handshake(village, BEN),
        Endpoint.SUBMIT_MESSAGE: message(village, BEN),
        Endpoint.GROUP_INFO: request_group_info(
            village.env, village[CAT].agent.client, village.room
        ).octets,
    }
    for endpoint, body in bodies.items():
        real = await village.ask(CAT, endpoint, body)
        guessed = await village.ask(CAT, endpoint, body, room=NOWHERE)
        renamed = guessed.replace(NOWHERE.encode(), village.room.encode())
        # Names of rooms have one length here, so that nothing else differs.
        assert len(NOWHERE) < len(village.room)
        if endpoint is Endpoint.GROUP_INFO:
            decoded = decode_group_info_response(real)
            other = decode_group_info_response(guessed)
            assert isinstance(decoded, GroupInfoRefused)
            assert isinstance(other, GroupInfoRefused)
            assert decoded.code == other.code
        else:
            assert real == renamed, endpoint
    await village.check_memory()


async def test_mc_089_only_those_who_were_there_report(village: Village) -> None:
    core = village.site(CAT).provider.core
    body = AbuseReport(reporting_user="", alleged_abuser=user_named(BEN)).encode()
    answers = []
    for room in (village.room, NOWHERE):
        answer = await core.peers.call(
            HUB, Endpoint.REPORT_ABUSE, {"roomId": room}, body, octets_max=4_096
        )
        answers.append((answer.status, answer.body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 403
    assert b"domain-not-authorized" in answers[0][1]
    assert not await village.town.sites[HUB].store.reports(count_max=10)


async def test_mc_016_key_material_is_asked_for_by_its_own_provider(
    village: Village,
) -> None:
    await village.publish(CAT)
    await village.consent(CAT, BEN)
    body = village[BEN].agent.room.key_material_request(user_named(CAT))
    device, codes = village[CAT].device, []
    for name in (CAT, BEN):
        answer = await village.site(name).provider.core.peers.call(
            HUB,
            Endpoint.KEY_MATERIAL,
            {"targetUser": user_named(CAT)},
            body,
            octets_max=1 << 20,
        )
        left = await village.site(CAT).store.stock_count(device, now=village.now)
        codes.append((decode_key_material_response(answer.body).status, left))
    assert codes == [
        (KeyMaterialUserCode.NO_CONSENT, (1, 0)),
        (KeyMaterialUserCode.SUCCESS, (0, 0)),
    ]


# ---- Welcomes


async def test_mc_066_a_key_package_that_came_another_way_is_refused(
    village: Village,
) -> None:
    await village.publish(CAT)
    await village.consent(CAT, ANN)
    user = user_named(CAT)
    answer = await village.key_material(ANN, user)
    found = village[ANN].agent.room.key_material(village.env, user, answer)
    store = village.town.sites[HUB].store
    refs = list(village[CAT].agent.stock)
    assert await store.routes(DOMAIN_REFS, refs, now=village.now) == {
        refs[0]: "c.example"
    }
    invite = Invite((Invitee(user, found.fitting, ("c.example",)),), 2)
    await store.drop_routes(DOMAIN_REFS, refs)
    refused = await village.perform(ANN, invite)
    assert refused.code == UpdateCode.NOT_ALLOWED
    assert refused.description == "limit.exceeded: unknown KeyPackageRef"
    later = Instant(village.now + 60_000)
    await store.route_refs(DOMAIN_REFS, {refs[0]: ("c.example", later)})
    assert (await village.perform(ANN, invite)).code == UpdateCode.SUCCESS
    assert not await store.routes(DOMAIN_REFS, refs, now=village.now), "MC-026"
    await village.until(lambda: village[CAT].agent.is_in)
    assert village[BEN].of_room.count(EventKind.WELCOME) == 1, "only his own"


async def test_mc_026_refs_of_our_own_devices_are_used_up(village: Village) -> None:
    store = village.town.sites[HUB].store
    await village.settle_in("eve")
    await village.invite(ANN, "eve")
    refs = [*village["eve"].agent.stock]
    assert not await store.routes(DEVICE_REFS, refs, now=village.now)
    await village.until(lambda: village["eve"].agent.is_in)


async def test_mc_043_asset_hosts_are_those_of_the_directory(village: Village) -> None:
    await village.publish(CAT)
    await village.consent(CAT, ANN)
    user = user_named(CAT)
    answer = await village.key_material(ANN, user)
    found = village[ANN].agent.room.key_material(village.env, user, answer)
    forged = Invitee(user, found.fitting, ("elsewhere.example",))
    refused = await village.perform(ANN, Invite((forged,), 2))
    assert refused.code == UpdateCode.NOT_ALLOWED
    assert refused.description.startswith("policy.denied")
    await village.town.sites["c.example"].stop()
    true = Invitee(user, found.fitting, ("c.example",))
    # Its directory is known since the key material was asked for.
    assert (await village.perform(ANN, Invite((true,), 2))).code == UpdateCode.SUCCESS


# ---- reports


def received(village: Village, name: str) -> MessageReceived:
    (found,) = [
        each for each in village[name].agent.all(MessageReceived) if not each.own
    ]
    assert isinstance(found, MessageReceived)
    return found


def report_of(by: str, bad: MessageReceived) -> AbuseReport:
    frank = bad.franked.frank
    assert frank is not None
    return AbuseReport(
        reporting_user=user_named(by),
        alleged_abuser=bad.sender,
        messages=(
            AbusiveMessage(
                content=bad.octets, frank=frank, accepted_at=bad.accepted_at
            ),
        ),
    )


async def report_to_hub(village: Village, name: str, report: AbuseReport) -> int:
    answer = await village.site(name).provider.core.peers.call(
        HUB,
        Endpoint.REPORT_ABUSE,
        {"roomId": village.room},
        report.encode(),
        octets_max=4_096,
    )
    return answer.status


async def test_mc_088_a_report_is_judged_and_stored_once(village: Village) -> None:
    store = village.town.sites[HUB].store
    await village.send(DAN, "rude")
    await village.quiet()
    report = report_of(BEN, received(village, BEN))
    for _ in range(2):
        assert await report_to_hub(village, BEN, report) == 201
    (stored,) = await store.reports(count_max=10)
    assert stored.verified
    assert (stored.source, stored.room) == ("b.example", village.room)
    assert stored.octets == report.encode()
    (bad,) = report.messages
    lie = replace(report, messages=(replace(bad, accepted_at=bad.accepted_at + 1),))
    assert await report_to_hub(village, BEN, lie) == 201
    assert await report_to_hub(village, BEN, replace(report, messages=())) == 201
    assert [each.verified for each in await store.reports(count_max=10)].count(
        False
    ) == 2
    hosting = village.hosting(HUB)
    own = report_of(ANN, received(village, ANN)).encode()
    await hosting.report(HUB, village.room, own, device=village[ANN].device)
    assert len(await store.reports(count_max=10)) == 4


async def test_mc_088_also_after_leaving_and_a_restart(village: Village) -> None:
    await village.send(DAN, "rude")
    await village.quiet()
    report = report_of(BEN, received(village, BEN))
    await village.perform(BEN, Leave())
    await village.quiet()
    await village.perform(ANN, Rotate())
    await village.quiet()
    await village.town.restart(HUB)
    assert await report_to_hub(village, BEN, report) == 201
    (stored,) = await village.town.sites[HUB].store.reports(count_max=10)
    assert stored.verified
    last = await village.town.sites[HUB].store.room_domains(village.room)
    assert last.keys() == {HUB, "b.example"}


# ---- what breaks in the middle


@pytest.mark.parametrize("written", [True, False])
async def test_mc_102_a_break_at_the_disk_loses_and_doubles_nothing(
    village: Village, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub ends when the disk has it and the memory has not; or the disk fails."""

    async def full(*_: object, **__: object) -> Spread:
        raise StorageFailed("the disk is full")

    async def ends(change: RoomCommit, *, now: Instant) -> Spread:
        await commit(change, now=now)
        raise asyncio.CancelledError

    bodies = [
        (ANN, Endpoint.UPDATE, handshake(village, ANN)),
        (DAN, Endpoint.SUBMIT_MESSAGE, message(village, DAN, "once")),
    ]
    for name, endpoint, body in bodies:
        with monkeypatch.context() as broken:
            store = village.town.sites[HUB].store
            commit = store.commit
            broken.setattr(store, "commit", ends if written else full)
            with pytest.raises((StorageFailed, asyncio.CancelledError)):
                await village.ask(name, endpoint, body)
        await village.check_memory()
        if written:
            await village.town.restart(HUB)
        answer = await village.ask(name, endpoint, body)
        agent = village[name].agent
        if endpoint is Endpoint.UPDATE:
            agent.note(agent.room.confirm(village.env, answer))
        else:
            assert decode_submit_response(answer).code == SubmitCode.ACCEPTED
        agent.store()
    await village.quiet()
    assert village.texts(ANN) == village.texts(BEN) == ["once"]
    await village.check_memory()


async def test_a_damaged_room_disturbs_no_other(village: Village) -> None:
    good, store = village.room, village.town.sites[HUB].store
    await village.settle_in("eve")
    bad = await village.found("eve")
    await store.commit(
        RoomCommit(room=bad, state=b"damaged", last_at=village.now), now=village.now
    )
    await village.town.restart(HUB)
    answer = await village.site(BEN).provider.core.peers.call(
        HUB,
        Endpoint.UPDATE,
        {"roomId": bad},
        handshake(village, BEN),
        octets_max=4_096,
    )
    assert answer.status == 503
    village.room = good
    await village.send(BEN, "we go on")
    await village.until(lambda: village.texts(ANN) == ["we go on"])


# ---- octets of any kind


@pytest.fixture
def whole(village: Village) -> list[tuple[Ask, bytes]]:
    """Return requests of Ben's that are good, and not asked yet."""
    hosting, agent = village.hosting(HUB), village[BEN].agent
    asking = request_group_info(village.env, agent.client, village.room)
    return [
        (hosting.update, handshake(village, BEN)),
        (hosting.submit, message(village, BEN)),
        (hosting.group_info, asking.octets),
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, 2),
    place=st.floats(0, 1, exclude_max=True),
    damage=st.one_of(st.just(b""), st.binary(min_size=1, max_size=8), st.none()),
)
async def test_mc_009_damaged_requests_change_nothing(
    village: Village,
    whole: list[tuple[Ask, bytes]],
    which: int,
    place: float,
    damage: bytes | None,
) -> None:
    """Cut, longer by some octets, or with one bit changed."""
    (ask, body), before = whole[which], await state(village)
    at = int(place * len(body))
    if damage is None:
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    else:
        changed = body + damage if damage else body[:at]
    with suppress(Malformed):
        await ask("b.example", village.room, changed)
    if which != 1 or damage is not None:  # a hub sees no damage in a ciphertext
        assert (await state(village)) == before
