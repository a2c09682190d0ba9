"""Coming in from outside (7.5), and what the hub staples to it (D-54)."""

from dataclasses import replace

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.hub.join_codes import JoinCode, digest_of
from sabir.mimi.member.checks import checked_room
from sabir.mimi.member.events import (
    CommitWanted,
    Joined,
    NotForUs,
    OperationSettled,
    Outcome,
    RemovedFromRoom,
    ResyncNeeded,
    Violation,
)
from sabir.mimi.member.intents import Ban, CommitPending, Leave, Rotate
from sabir.mimi.member.joining import request_group_info
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.room import RoomMember
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRequest,
    decode_group_info_request,
    seal_group_info,
)
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import provider_uri
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import ExternalSender
from sabir.mls.tree_options import RatchetTreeOption
from sabir.testing.mimi.hub_harness import HUB, ROOM, _public_of, new_keys
from sabir.testing.mimi.member_harness import Agent, MemberHarness
from sabir.testing.mimi.people import user_named
from sabir.wire.errors import Malformed


def two() -> MemberHarness:
    house = MemberHarness.of()
    house.invite("ann", "b.example:ben")
    return house


def test_a_new_device_comes_in_by_itself() -> None:
    house = two()
    house.send("ann", "before")
    house.join("ann/2")
    house.send("ann/2", "after")
    assert house["ann/2"].texts == ["after"]
    assert house["ann"].texts == ["before", "after"]
    assert house["ann/2"].all(Joined)[0].by == house["ann"].user
    assert not house["b.example:ben"].all(Violation)
    house.check_agreement()


def test_mc_079_what_waited_is_covered_or_proposed_again() -> None:
    house = two()
    house.invite("ann", "cat")
    house.join("cat/2")
    house.perform("cat", Leave())
    house.join("ann/2")
    inside = [house[name].is_in for name in ("cat", "cat/2")]
    assert inside == [False, True], "the SelfRemove of the first was covered"
    for name in ("ann", "ann/2", "b.example:ben"):
        agent = house[name]
        assert not agent.all(Violation), name
        assert agent.all(CommitWanted)
        assert agent.room.view.is_out(user_named("cat"))
    house.perform("ann/2", CommitPending())
    assert not house["cat/2"].is_in
    assert user_named("cat") not in house["ann"].room.room.participants.users
    house.check_agreement()


@pytest.mark.parametrize("answer_first", [True, False])
def test_what_is_stapled_is_taken_once(answer_first: bool) -> None:
    house = two()
    house.invite("ann", "cat")
    house.join("cat/2")
    house.perform("cat", Leave())
    house.prompt = not answer_first
    house.join("ann/2")
    house.deliver()
    joined = house["ann/2"]
    assert [type(event) for event in joined.events].count(Joined) == 1
    assert [type(event) for event in joined.events].count(CommitWanted) == 1
    house.bring(joined, house.log[-1])
    assert [type(event) for event in joined.events].count(CommitWanted) == 1
    house.check_agreement()


def test_who_lost_the_group_comes_back_to_the_old_place() -> None:
    house = two()
    ben = house["b.example:ben"]
    lost = RoomMember.load(ben.client, ben.rows)
    before = len(house["ann"].room.group.members)
    house.join("b.example:ben")
    assert len(house["ann"].room.group.members) == before
    (gone,) = (
        event
        for event in lost.receive(house.env, house.log[-1].octets)
        if isinstance(event, RemovedFromRoom)
    )
    assert gone.by == ben.user
    assert lost.phase is Phase.LEFT
    house.send("b.example:ben", "back")
    assert house["ann"].texts == ["back"]
    assert not house["ann"].all(Violation)
    house.check_agreement()


def test_a_lost_handshake_asks_for_a_resync() -> None:
    house = two()
    house.prompt = False
    ben = house["b.example:ben"]
    house.perform("ann", Rotate())
    ben.queue.clear()
    house.send("ann", "unreadable")
    house.perform("ann", Rotate())
    house.deliver()
    assert len(ben.all(ResyncNeeded)) == 2
    house.prompt = True
    house.join("b.example:ben")
    house.send("ann", "readable")
    assert ben.texts == ["readable"]
    house.check_agreement()


def test_who_joins_may_lose_the_race() -> None:
    house = two()
    joining = house.asked("ann/2")
    house["ann/2"].replace(joining)
    house["ann/2"].attached = True
    house.send("ann", "meanwhile")
    assert isinstance(house["ann/2"].events[-1], NotForUs)
    house.perform("ann", Rotate())
    (settled,) = house["ann/2"].all(OperationSettled)
    assert (settled.outcome, settled.intent) == (Outcome.RACE_LOST, None)
    assert house["ann/2"].room.phase is Phase.LEFT
    house.send("ann", "still without")
    assert isinstance(house["ann/2"].events[-1], NotForUs)
    house.join("ann/2")
    house.check_agreement()


def test_a_hub_that_refuses_is_heard() -> None:
    house = two()
    joining = house.asked("ann/2")
    house["ann/2"].replace(joining)
    house.perform("ann", Rotate())
    operation = joining.operation
    assert operation is not None
    response = house.submit("ann/2", operation)
    house["ann/2"].note(house["ann/2"].room.confirm(house.env, response))
    assert house["ann/2"].all(OperationSettled)[0].outcome is Outcome.RACE_LOST


def test_others_messages_tell_that_we_are_in() -> None:
    house = two()
    joining = house.asked("ann/2")
    agent = house["ann/2"]
    agent.replace(joining)
    operation = joining.operation
    assert operation is not None
    house.submit("ann/2", operation)
    agent.attached = True
    house.send("ann", "welcome")
    assert agent.texts == ["welcome"]
    assert agent.is_in
    house.check_agreement()


def test_a_room_may_begin_before_its_creator_hears_so() -> None:
    house = MemberHarness.of("ann", TemplateName.DM, ["ben"])
    fresh = house["ann"]
    rows = dict(fresh.rows)
    house.join("ben")
    early = RoomMember.load(fresh.client, rows)
    assert early.phase is Phase.ACTIVE
    house.send("ben", "are you there?")
    assert house["ann"].texts == ["are you there?"]
    assert house["ann"].room.confirm_genesis(house.env, 1) == ()


# ---- who may


def test_mc_077_join_codes_and_those_who_are_banned() -> None:
    house = MemberHarness.of("ann", TemplateName.MANAGED)
    house.invite("ann", "b.example:ben")
    secret = b"\x07" * 32
    code = JoinCode(
        digest=digest_of(secret),
        room=ROOM,
        role=2,
        uses_left=3,
        expires_at=house.now_ms + 1_000_000,
    )
    house.join("cat", shown=secret, code=code, role=2)
    assert house["cat"].is_in
    assert not house["ann"].all(Violation)
    with pytest.raises(PolicyDenied, match="no invitation"):
        house.asked("dan")
    house.perform("ann", Ban(user_named("b.example:ben")))
    with pytest.raises(PolicyDenied):
        house.asked("b.example:ben", shown=secret, code=code, role=2)
    house.check_agreement()


def test_nobody_takes_a_role_that_the_room_does_not_give() -> None:
    house = MemberHarness.of("ann", TemplateName.MANAGED)
    shown = _shown(house, "dan")
    with pytest.raises(PolicyDenied, match="canOpenJoin"):
        _answered(house, "dan", shown)


def test_a_hub_that_shows_the_group_to_the_banned_gets_no_commit() -> None:
    house = two()
    house.perform("ann", Ban(user_named("b.example:ben")))
    with pytest.raises(PolicyDenied, match="removed"):
        _answered(house, "b.example:ben", _shown(house, "b.example:ben"))


# ---- mc_076: what an answer must be


def _shown(house: MemberHarness, name: str) -> GroupInfoAndTree:
    house.agent(name)
    memory = house.room.memory
    return GroupInfoAndTree(
        group_info=memory.group_info,
        tree=RatchetTreeOption(memory.group.tree.encode()),
    )


def _answered(
    house: MemberHarness,
    name: str,
    shown: GroupInfoAndTree,
    *,
    asked: str = ROOM,
    sender: ExternalSender | None = None,
    private: bytes | None = None,
) -> RoomMember:
    agent = house.agent(name)
    asking = request_group_info(house.env, agent.client, asked)
    request = decode_group_info_request(asking.octets)
    assert isinstance(request, GroupInfoRequest)
    hub = house.room.state.hub
    assert hub is not None
    response = seal_group_info(
        asked,
        shown,
        request,
        suite=SUITES[1],
        hub_sender=sender or hub,
        hub_private=private or house.keys.external.reveal(),
    )
    return RoomMember.join(house.env, agent.client, asking, response.encode())


def test_mc_076_an_answer_is_right() -> None:
    house = two()
    assert _answered(house, "ann/2", _shown(house, "ann/2")).phase is Phase.JOINING


def test_mc_076_an_answer_is_from_the_groups_hub() -> None:
    house = two()
    keys = new_keys(house.env)
    other = ExternalSender(
        _public_of(keys.external), BasicCredential(provider_uri(HUB).encode())
    )
    shown = _shown(house, "ann/2")
    with pytest.raises(Malformed) as wrong:
        _answered(house, "ann/2", shown, sender=other, private=keys.external.reveal())
    assert wrong.value.rule == "MIMI-300"
    with pytest.raises(Malformed) as wrong:
        _answered(house, "ann/2", shown, private=keys.external.reveal())
    assert wrong.value.rule == "MIMI-017"


def test_mc_076_an_answer_is_about_the_room() -> None:
    house = two()
    other = f"mimi://{HUB}/r/coffee"
    with pytest.raises(Malformed) as wrong:
        _answered(house, "ann/2", _shown(house, "ann/2"), asked=other)
    assert wrong.value.rule == "MIMI-301"


def test_mc_076_the_group_info_is_signed_by_a_member() -> None:
    house = two()
    shown = _shown(house, "ann/2")
    forged = replace(shown.group_info, signature=bytes(64), raw=b"")
    with pytest.raises(MlsInvalid):
        _answered(house, "ann/2", replace(shown, group_info=forged))


def test_the_group_is_that_of_its_room_and_hub() -> None:
    house = two()
    context = house["ann"].room.group.group_context
    other = b"mimi://hub.example/g/coffee"
    with pytest.raises(Malformed) as wrong:
        checked_room(replace(context, group_id=other, raw=b""))
    assert wrong.value.rule == "MIMI-301"
    foreign = tuple(
        replace(each, data=each.data.replace(b"mimi://hub.", b"mimi://hab."))
        if each.kind == 5
        else each
        for each in context.extensions
    )
    with pytest.raises(Malformed) as wrong:
        checked_room(replace(context, extensions=foreign, raw=b""))
    assert wrong.value.rule == "MIMI-308"


def test_a_client_of_rooms_names_itself() -> None:
    house = two()
    assert isinstance(house["ann"], Agent)
    assert house["ann"].room.client_uri == "mimi://a.example/d/ann/1"
    assert house["ann"].room.user == "mimi://a.example/u/ann"
