"""Rooms of our own users: names, beginnings, listeners, codes, ends."""

import asyncio
from dataclasses import replace

import pytest

from sabir.clock import Instant
from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.genesis import Reservation
from sabir.mimi.hub.genesis import RESERVED_MS
from sabir.mimi.member.events import CommitWanted, ParticipantsChanged
from sabir.mimi.member.intents import CommitPending, Leave, Rotate
from sabir.mimi.member.room import RoomMember
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.update import decode_update_response
from sabir.mimi.template_names import TemplateName
from sabir.provider.hosting_rooms import (
    CODE_AGE_MS_MAX,
    CODE_USES_MAX,
    PROVIDERS_MAX,
    Standing,
)
from sabir.storage.provider.records import EventKind, RoomPhase
from sabir.testing.mimi.people import device_of, user_named
from sabir.wire.errors import Malformed
from tests.unit.provider.town import Town
from tests.unit.provider.village import Village

ANN, DAN, EVE = "ann", "dan", "eve"
BEN = "b.example:ben"
HUB = "a.example"
NOWHERE = "mimi://a.example/r/nowhere"


@pytest.fixture
async def village(town: Town) -> Village:
    await town.open(HUB, knows=("b.example",))
    await town.open("b.example", knows=(HUB,))
    village = Village(town)
    await village.settle_in(ANN, DAN, EVE, BEN)
    return village


def genesis_of(
    village: Village, name: str, held: Reservation, others: tuple[str, ...] = ()
) -> bytes:
    member = RoomMember.create(
        village.env,
        village[name].agent.client,
        held,
        others=[user_named(other) for other in others],
    )
    assert member.operation is not None
    return member.operation.octets


async def refusal(asking: object) -> ProblemCode:
    with pytest.raises(Problem) as caught:
        await asking  # type: ignore[misc]  # any of our coroutines
    return caught.value.problem


# ---- beginning


@pytest.mark.parametrize("template", list(TemplateName))
async def test_a_room_of_every_template_begins(
    village: Village, template: TemplateName
) -> None:
    others = (BEN,) if template is TemplateName.DM else ()
    room = await village.found(ANN, template, others)
    hosting, user = village.hosting(HUB), user_named(ANN)
    role = village[ANN].agent.room.view.role_index(user)
    assert await hosting.standing(user, room) == Standing(
        phase=RoomPhase.OPEN, role=role, epoch=0
    )
    await village.send(ANN, "first")
    await village.quiet()
    assert village[ANN].of_room == [EventKind.OWN], "its stream came with it"
    await village.check_memory()


async def test_a_beginning_happens_once_and_is_said_again(village: Village) -> None:
    hosting, store = village.hosting(HUB), village.town.sites[HUB].store
    held = await hosting.reserve(user_named(ANN), TemplateName.GROUP)
    room = held.reservation.room_uri
    standing = await hosting.standing(user_named(ANN), room)
    assert standing == Standing(phase=RoomPhase.RESERVED)
    assert await hosting.standing(user_named(DAN), room) is None
    body = genesis_of(village, ANN, held.reservation)
    began = await hosting.genesis(device_of(ANN), room, body)
    assert await hosting.genesis(device_of(ANN), room, body) == began
    other = genesis_of(village, ANN, held.reservation)
    code = await refusal(hosting.genesis(device_of(ANN), room, other))
    assert code is ProblemCode.NOT_FOUND
    stored = await store.settled_room(room)
    assert stored is not None
    assert (stored.phase, stored.last_at) == (RoomPhase.OPEN, began)
    assert await store.expire_reservations(now=Instant(began + 2 * RESERVED_MS)) == 0


async def test_a_reservation_is_its_creators_for_an_hour(village: Village) -> None:
    hosting = village.hosting(HUB)
    held = await hosting.reserve(user_named(ANN), TemplateName.GROUP)
    room = held.reservation.room_uri
    body = genesis_of(village, DAN, held.reservation)
    code = await refusal(hosting.genesis(device_of(DAN), room, body))
    assert code is ProblemCode.NOT_FOUND
    code = await refusal(hosting.genesis(device_of(ANN), NOWHERE, body))
    assert code is ProblemCode.NOT_FOUND
    late = Instant(held.expires_at + 1)
    assert await village.town.sites[HUB].store.expire_reservations(now=late) == 1
    good = genesis_of(village, ANN, held.reservation)
    code = await refusal(hosting.genesis(device_of(ANN), room, good))
    assert code is ProblemCode.NOT_FOUND


async def test_mc_028_what_is_not_the_template_does_not_begin(village: Village) -> None:
    hosting = village.hosting(HUB)
    held = await hosting.reserve(user_named(ANN), TemplateName.GROUP)
    room = held.reservation.room_uri
    other = await hosting.reserve(user_named(ANN), TemplateName.MANAGED)
    mixed = replace(held.reservation, roles=other.reservation.roles)
    for wrong in (
        genesis_of(village, ANN, mixed),
        genesis_of(village, ANN, other.reservation),
        genesis_of(village, DAN, held.reservation),
    ):
        code = await refusal(hosting.genesis(device_of(ANN), room, wrong))
        assert code is ProblemCode.NOT_ALLOWED
    good = genesis_of(village, ANN, held.reservation)
    with pytest.raises(Malformed):
        await hosting.genesis(device_of(ANN), room, good[:-1])
    await hosting.genesis(device_of(ANN), room, good)


async def test_mc_051_two_users_have_one_direct_room(village: Village) -> None:
    first = await village.found(ANN, TemplateName.DM, (BEN,))
    hosting = village.hosting(HUB)
    held = await hosting.reserve(user_named(ANN), TemplateName.DM, ["b.example"])
    body = genesis_of(village, ANN, held.reservation, (BEN,))
    room = held.reservation.room_uri
    code = await refusal(hosting.genesis(device_of(ANN), room, body))
    assert code is ProblemCode.NOT_ALLOWED
    assert await hosting.standing(user_named(ANN), room) == Standing(
        phase=RoomPhase.RESERVED
    )
    village.room = first
    await village.perform(ANN, Leave())
    standing = await hosting.standing(user_named(ANN), first)
    assert standing is not None
    assert standing.phase is RoomPhase.CLOSED, "nobody has a client in it"
    await hosting.genesis(device_of(ANN), room, body)


async def test_a_direct_room_knows_the_hosts_of_both_providers(
    village: Village,
) -> None:
    hosting, user = village.hosting(HUB), user_named(ANN)
    many = [f"p{number}.example" for number in range(PROVIDERS_MAX + 1)]
    code = await refusal(hosting.reserve(user, TemplateName.DM, many))
    assert code is ProblemCode.NOT_ALLOWED
    code = await refusal(hosting.reserve(user, TemplateName.DM, ["who.example"]))
    assert code is ProblemCode.UPSTREAM_FAILED
    held = await hosting.reserve(user, TemplateName.DM, ["b.example", HUB])
    named = [each.provider for each in held.reservation.asset_policy.upload_domains]
    assert named == [HUB, "b.example"]


# ---- who listens


async def test_only_clients_of_a_room_listen_to_it(village: Village) -> None:
    room = await village.found(ANN)
    await village.settle_in("ann/2")
    hosting, store = village.hosting(HUB), village.town.sites[HUB].store
    for name in (DAN, "ann/2"):
        code = await refusal(hosting.attach(device_of(name), room))
        assert code is ProblemCode.NOT_FOUND
    assert await refusal(hosting.attach(device_of(ANN), NOWHERE)) is (
        ProblemCode.NOT_FOUND
    )
    await store.detach(room, device_of(ANN))
    assert not await store.attached(room)
    await hosting.attach(device_of(ANN), room)
    assert await store.attached(room) == {device_of(ANN)}
    assert await hosting.standing(user_named(DAN), room) is None
    assert await hosting.standing(user_named(ANN), NOWHERE) is None


# ---- codes


async def test_a_code_lets_somebody_in_once(village: Village) -> None:
    room = await village.found(ANN, TemplateName.MANAGED)
    hosting = village.hosting(HUB)
    made = await hosting.make_join_code(
        user_named(ANN), room, role=2, uses=1, expires_at=Instant(village.now + 60_000)
    )
    assert made.code not in repr(made).encode()
    response = await village.join(BEN, made.code, role=2)
    assert response.code == UpdateCode.SUCCESS
    await village.quiet()
    await village.send(BEN, "by code")
    await village.quiet()
    assert village.texts(ANN) == ["by code"]
    with pytest.raises(PolicyDenied):
        await village.join(EVE, made.code, role=2)
    await village.check_memory()


async def test_the_last_use_of_a_code_has_one_winner(village: Village) -> None:
    room = await village.found(ANN, TemplateName.MANAGED)
    made = await village.hosting(HUB).make_join_code(
        user_named(ANN), room, role=2, uses=1, expires_at=Instant(village.now + 60_000)
    )
    names = [DAN, EVE, BEN]
    joined = await asyncio.gather(
        *(village.join(name, made.code, role=2) for name in names),
        return_exceptions=True,
    )
    denied = [each for each in joined if isinstance(each, PolicyDenied)]
    assert len(denied) == 2
    await village.check_memory()


async def test_mc_077_what_a_code_is_good_for(village: Village) -> None:
    room, user = await village.found(ANN, TemplateName.MANAGED), user_named(ANN)
    hosting, soon = village.hosting(HUB), Instant(village.now + 60_000)

    async def code(**changed: object) -> bytes:
        how: dict[str, object] = {"role": 2, "uses": 3, "expires_at": soon} | changed
        made = await hosting.make_join_code(user, room, **how)  # type: ignore[arg-type]
        return made.code

    bound = await code(bound_user=user_named(DAN))
    with pytest.raises(PolicyDenied):
        await village.join(EVE, bound, role=2)
    assert (await village.join(DAN, bound, role=2)).code == UpdateCode.SUCCESS
    await village.quiet()
    with pytest.raises(PolicyDenied):
        await village.join(EVE, bytes(32), role=2)
    short = await code(expires_at=Instant(village.now + 30))
    await asyncio.sleep(0.05)
    with pytest.raises(PolicyDenied):
        await village.join(EVE, short, role=2)
    admin = await code(role=3)
    wrong = await village.join(EVE, admin, role=4)
    assert wrong.code == UpdateCode.NOT_ALLOWED
    village.room = await village.found(DAN, TemplateName.MANAGED)
    with pytest.raises(PolicyDenied):
        await village.join(EVE, admin, role=3)


async def test_who_may_make_and_take_back_a_code(village: Village) -> None:
    room = await village.found(ANN, TemplateName.MANAGED)
    await village.invite(ANN, DAN)
    await village.quiet()
    hosting, soon = village.hosting(HUB), Instant(village.now + 60_000)
    ann, dan, eve = user_named(ANN), user_named(DAN), user_named(EVE)

    async def asked(user: str, at: str = room, **changed: object) -> ProblemCode:
        how: dict[str, object] = {"role": 2, "uses": 1, "expires_at": soon} | changed
        return await refusal(
            hosting.make_join_code(user, at, **how)  # type: ignore[arg-type]
        )

    assert await asked(eve) is ProblemCode.NOT_FOUND
    assert await asked(ann, NOWHERE) is ProblemCode.NOT_FOUND
    assert await asked(dan) is ProblemCode.NOT_ALLOWED
    assert await asked(ann, role=9) is ProblemCode.NOT_ALLOWED
    assert await asked(ann, uses=0) is ProblemCode.NOT_ALLOWED
    assert await asked(ann, uses=CODE_USES_MAX + 1) is ProblemCode.NOT_ALLOWED
    assert await asked(ann, expires_at=village.now) is ProblemCode.NOT_ALLOWED
    far = Instant(village.now + CODE_AGE_MS_MAX + 60_000)
    assert await asked(ann, expires_at=far) is ProblemCode.NOT_ALLOWED
    made = await hosting.make_join_code(ann, room, role=2, uses=1, expires_at=soon)
    assert await refusal(hosting.remove_join_code(eve, room, made.id)) is (
        ProblemCode.NOT_FOUND
    )
    assert await refusal(hosting.remove_join_code(dan, room, made.id)) is (
        ProblemCode.NOT_ALLOWED
    )
    assert await hosting.remove_join_code(ann, room, made.id)
    assert not await hosting.remove_join_code(ann, room, made.id)
    with pytest.raises(PolicyDenied):
        await village.join(EVE, made.code, role=2)


# ---- the end


async def test_a_closed_room_takes_nothing_more(village: Village) -> None:
    room = await village.found(ANN)
    await village.invite(ANN, DAN, BEN)
    await village.quiet()
    hosting = village.hosting(HUB)
    assert await refusal(hosting.close(user_named(EVE), room)) is ProblemCode.NOT_FOUND
    assert await refusal(hosting.close(user_named(DAN), room)) is (
        ProblemCode.NOT_ALLOWED
    )
    assert await refusal(hosting.close(user_named(ANN), NOWHERE)) is (
        ProblemCode.NOT_FOUND
    )
    await hosting.close(user_named(ANN), room)
    assert await refusal(hosting.close(user_named(ANN), room)) is (
        ProblemCode.NOT_ALLOWED
    )
    await village.quiet()
    for name in (ANN, DAN):
        kind, data = village[name].stream[-1]
        assert (kind, data) == (EventKind.ROOM_STATE, b'{"state": "closed"}')
    await village.town.restart(HUB)
    refused = await village.send_badly(BEN, "too late")
    assert refused.code == SubmitCode.NOT_ALLOWED
    response = await village.perform(BEN, Rotate())
    assert response.description == "room.closed"
    standing = await village.hosting(HUB).standing(user_named(ANN), room)
    assert standing is not None
    assert standing.phase is RoomPhase.CLOSED
    await village.check_memory()


@pytest.mark.parametrize("busy", [False, True])
async def test_deleted_users_are_taken_out_of_their_rooms(
    village: Village, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await village.found(ANN)
    await village.invite(ANN, DAN, BEN)
    await village.quiet()
    await village.found(EVE)
    village.room = room
    hosting, store = village.hosting(HUB), village.town.sites[HUB].store
    await hosting.remove_deleted_users()
    assert await store.delete_user(user_named(DAN)) == [device_of(DAN)]
    if busy:
        asked = hosting.remove_user

        async def unavailable(user: str, where: str) -> None:
            if where == room:
                raise Problem(ProblemCode.UNAVAILABLE, "too busy")
            await asked(user, where)

        with monkeypatch.context() as broken:
            broken.setattr(hosting, "remove_user", unavailable)
            await hosting.remove_deleted_users()
    del village.people[DAN]
    for _ in range(2):
        await hosting.remove_deleted_users()
    await village.quiet()
    for name in (ANN, BEN):
        assert len(village[name].agent.all(CommitWanted)) == 1
    assert (await village.perform(BEN, CommitPending())).code == UpdateCode.SUCCESS
    await village.quiet()
    assert village[ANN].agent.all(ParticipantsChanged)
    assert user_named(DAN) not in village[ANN].agent.room.room.participants.users
    await village.send(ANN, "he is gone")
    await village.until(lambda: village.texts(BEN) == ["he is gone"])
    await village.check_memory()


async def test_a_handshake_of_no_room_is_answered(village: Village) -> None:
    await village.found(ANN)
    agent = village[ANN].agent
    operation = agent.room.perform(village.env, Rotate())
    assert operation is not None
    answer = await village.ask(ANN, Endpoint.UPDATE, operation.octets, room=NOWHERE)
    assert decode_update_response(answer).description == "room.unknown"
    await village.hosting(HUB).remove_user(user_named(ANN), NOWHERE)
