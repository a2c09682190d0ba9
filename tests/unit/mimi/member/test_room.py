"""A room as its members' agents use it, at a real hub, through stores and restarts."""

from dataclasses import replace

import pytest

from sabir.mimi.codepoints import Capability, ComponentId, UpdateCode
from sabir.mimi.member.errors import CommitFirst, RoomMisuse
from sabir.mimi.member.events import (
    ClientsChanged,
    CommitWanted,
    Duplicate,
    FrankVerdict,
    Joined,
    MessageRefused,
    MetadataChanged,
    OperationSettled,
    Outcome,
    ParticipantsChanged,
    PolicyChanged,
    RemovedFromRoom,
    RoleChanged,
    SendingFrozen,
    Violation,
)
from sabir.mimi.member.intents import (
    AddClients,
    Ban,
    CommitPending,
    Invite,
    Invitee,
    Kick,
    Leave,
    RemoveClients,
    RemoveUser,
    Rotate,
    SetComponent,
    SetMetadata,
    SetRole,
)
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.room import RoomMember
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.structs.submit import decode_submit_request
from sabir.mimi.structs.update import ProposalBundle
from sabir.mimi.template_names import TemplateName
from sabir.mls.framing import decode_message
from sabir.mls.group.state import SENT
from sabir.testing.mimi.member_harness import MemberHarness, said
from sabir.testing.mimi.people import NO_AAD, device_of, user_named


def three() -> MemberHarness:
    house = MemberHarness.of()
    house.invite("ann", "ben", "b.example:cat")
    return house


def lasting(room: RoomMember) -> dict[bytes, bytes]:
    """Return the rows of a room, less the log of what it sent.

    The log keeps digests of what was made, until the epoch ends: MLS cannot know that
    a refused proposal never left.
    """
    return {key: value for key, value in room.save().items() if key[0] != SENT}


def test_people_are_invited_and_talk() -> None:
    house = three()
    house.check_agreement()
    house.send("ann", "Tea at four?")
    house.send("b.example:cat", "Yes.")
    for agent in house.members:
        assert agent.texts == ["Tea at four?", "Yes."]
        for message in agent.timeline.values():
            assert message.franked.verdict is FrankVerdict.ACCOUNTABLE
    ann, cat = house["ann"], house["b.example:cat"]
    assert [list(ann.timeline)] == [list(cat.timeline)]
    assert not ann.all(Violation)
    assert not ann.room.outgoing
    assert cat.all(Joined)[0].by == ann.user


def test_a_change_is_reported_to_all_with_who_did_it() -> None:
    house = three()
    house.perform("ann", SetMetadata(name="Tea", subject="today"))
    house.perform("ben", SetMetadata(mood="calm"))
    ann, cat = house["ann"], house["b.example:cat"]
    for agent in (ann, cat):
        renamed, calmed = agent.all(MetadataChanged)
        assert renamed.fields == {"name", "subject"}
        assert (renamed.by, renamed.new.name) == (ann.user, "Tea")
        assert (calmed.by, calmed.old.mood, calmed.new.mood) == (
            user_named("ben"),
            "",
            "calm",
        )
        assert agent.room.room.metadata.name == "Tea"
    house.perform("ann", SetRole(cat.user, 3))
    (change,) = cat.all(ParticipantsChanged)[-1].changes
    assert change == RoleChanged(user=cat.user, old=2, new=3, by=ann.user)
    house.check_agreement()


def test_what_is_done_already_is_not_done_again() -> None:
    house = three()
    ben = house["ben"].user
    known = Invitee(ben, (), ())
    for intent in (
        Invite((known,), 2),
        AddClients(()),
        RemoveClients((device_of("dan"),)),
        SetRole(ben, 2),
        SetRole(user_named("dan"), 2),
        Kick(user_named("dan")),
        RemoveUser(user_named("dan")),
        SetMetadata(name=""),
        CommitPending(),
    ):
        assert house["ann"].room.perform(house.env, intent) is None
    assert house["ann"].room.operation is None


def test_a_room_says_no_before_its_hub_does() -> None:
    house = three()
    room = house["ben"].room
    for intent, lacks in (
        (Ban(house["ann"].user), "canBan"),
        (Kick(house["ann"].user), "canKick"),
        (RemoveUser(house["ann"].user), "canRemoveParticipant"),
        (SetRole(house["ann"].user, 2), "canChangeUserRole"),
    ):
        before = lasting(room)
        with pytest.raises(PolicyDenied, match=lacks):
            room.perform(house.env, intent)
        assert lasting(room) == before
        assert room.operation is None
    with pytest.raises(RoomMisuse, match="Leave"):
        room.perform(house.env, RemoveClients((device_of("ben"),)))


def test_one_operation_at_a_time() -> None:
    house = three()
    house["ann"].room.perform(house.env, Rotate())
    with pytest.raises(RoomMisuse, match="waits"):
        house["ann"].room.perform(house.env, Rotate())
    house["ann"].note(house["ann"].room.reject("404 not-found"))
    settled = house["ann"].all(OperationSettled)[-1]
    assert (settled.intent, settled.outcome) == (Rotate(), Outcome.REFUSED)
    assert settled.reason == "404 not-found"
    assert house["ann"].room.reject("again") == ()
    assert house.perform("ann", Rotate()) is not None
    house.check_agreement()


# ---- races


def test_who_loses_a_race_performs_the_intent_again() -> None:
    house = three()
    ann, ben = house["ann"], house["ben"]
    first = ann.room.perform(house.env, SetMetadata(name="Ann's"))
    second = ben.room.perform(house.env, SetMetadata(subject="Ben's"))
    assert first is not None
    assert second is not None
    assert house.submit("ann", first).code == UpdateCode.SUCCESS
    assert ben.all(OperationSettled)[-1].outcome is Outcome.RACE_LOST
    late = house.submit("ben", second)
    assert late.code == UpdateCode.WRONG_EPOCH
    assert ben.room.confirm(house.env, late) == (), "it is settled"
    assert house.perform("ben", SetMetadata(subject="Ben's")) is not None
    assert ann.room.room.metadata.name == "Ann's"
    assert ann.room.room.metadata.subject == "Ben's"
    house.check_agreement()


def test_the_answer_may_come_before_the_winner() -> None:
    house = three()
    house.prompt = False
    ben = house["ben"]
    house.perform("ann", SetMetadata(name="Ann's"))
    house.perform("ben", SetMetadata(name="Ben's"))
    settled = ben.all(OperationSettled)[-1]
    assert (settled.outcome, settled.intent) == (
        Outcome.RACE_LOST,
        SetMetadata(name="Ben's"),
    )
    house.deliver()
    house.perform("ben", settled.intent)
    house.deliver()
    assert house["ann"].room.room.metadata.name == "Ben's"
    house.check_agreement()


def test_an_operation_is_settled_by_its_echo_if_the_answer_is_lost() -> None:
    house = three()
    ann = house["ann"]
    operation = ann.room.perform(house.env, SetMetadata(name="Tea"))
    ann.store()
    assert operation is not None
    response = house.submit("ann", operation)
    assert ann.all(OperationSettled)[-1].outcome is Outcome.ACCEPTED
    assert ann.room.confirm(house.env, response) == ()
    house.check_agreement()


def test_a_commit_that_misses_what_waits_is_a_lost_race() -> None:
    house = three()
    house.prompt = False
    house.perform("b.example:cat", Leave())
    house.perform("ann", SetMetadata(name="Tea"))
    settled = house["ann"].all(OperationSettled)[-1]
    assert settled.outcome is Outcome.RACE_LOST
    assert settled.reason.startswith("pending.missing")
    house.deliver()
    house.perform("ann", settled.intent)
    house.deliver()
    assert user_named("b.example:cat") not in house["ben"].room.room.participants.users
    house.check_agreement()


def test_a_refusal_is_reported_with_its_reason() -> None:
    house = three()
    house.publish("dan")
    user = user_named("dan")
    package = next(iter(house["dan"].stock.values())).key_package
    house.perform("ann", Invite((Invitee(user, (package,)),), 2))
    settled = house["ann"].all(OperationSettled)[-1]
    assert settled.outcome is Outcome.REFUSED
    assert settled.reason == "limit.exceeded: unknown KeyPackageRef"
    house.check_agreement()


# ---- going


def test_mc_046_who_leaves_is_committed_by_another() -> None:
    house = three()
    house.join("ben/2")
    house.perform("ben", Leave())
    ann, cat = house["ann"], house["b.example:cat"]
    for agent in (ann, cat):
        assert 0 <= agent.all(CommitWanted)[-1].delay_ms <= 3_000
        assert agent.room.needs_commit
        assert agent.room.view.is_out(user_named("ben"))
        with pytest.raises(CommitFirst):
            agent.room.send(house.env, said("wait"))
    assert not house["ben"].room.needs_commit
    assert not house["ben/2"].all(CommitWanted)
    with pytest.raises(PolicyDenied, match=r"sender\.removed"):
        house["ben"].room.send(house.env, said("wait"))
    with pytest.raises(PolicyDenied, match=r"sender\.removed"):
        house["ben/2"].room.perform(house.env, Rotate())
    house.perform("b.example:cat", CommitPending())
    for name in ("ben", "ben/2"):
        gone = house[name].all(RemovedFromRoom)[-1]
        assert gone.by == cat.user
        assert house[name].room.phase is Phase.LEFT
    (change,) = ann.all(ParticipantsChanged)[-1].changes
    assert change == RoleChanged(
        user=user_named("ben"), old=2, new=0, by=user_named("ben")
    )
    removed = ann.all(ClientsChanged)[-1].removed
    assert {each.identity for each in removed} == {
        device_of("ben"),
        device_of("ben/2"),
    }
    assert not ann.all(Violation)
    house.check_agreement()


def test_leaving_is_tried_again_after_a_lost_race() -> None:
    house = three()
    house.prompt = False
    house.perform("ann", Rotate())
    house.perform("ben", Leave())
    settled = house["ben"].all(OperationSettled)[-1]
    assert (settled.outcome, settled.intent) == (Outcome.RACE_LOST, Leave())
    assert not house["ben"].room.group.public.pending
    house.deliver()
    house.perform("ben", Leave())
    house.deliver()
    house.perform("ann", CommitPending())
    house.deliver()
    assert house["ben"].room.phase is Phase.LEFT
    house.check_agreement()


def test_who_is_leaving_has_nothing_more_to_do() -> None:
    house = three()
    house.join("ben/2")
    house.perform("ben", Leave())
    assert house.perform("ben", Leave()) is None
    assert house.perform("ben/2", Leave()) is None


def test_roles_are_changed_and_count_from_then_on() -> None:
    house = MemberHarness.of("ann", TemplateName.MANAGED)
    house.invite("ann", "ben")
    roles = house["ann"].room.room.roles
    staying = replace(
        roles,
        roles=tuple(
            replace(
                role,
                capabilities=tuple(
                    each
                    for each in role.capabilities
                    if each != Capability.CAN_REMOVE_SELF
                ),
            )
            for role in roles.roles
        ),
    )
    house.perform("ann", SetComponent(ComponentId.ROLES_LIST, staying.encode()))
    (changed,) = house["ben"].all(PolicyChanged)
    assert changed.components == (ComponentId.ROLES_LIST,)
    assert changed.by == house["ann"].user
    before = lasting(house["ben"].room)
    with pytest.raises(PolicyDenied, match="canRemoveSelf"):
        house["ben"].room.perform(house.env, Leave())
    assert lasting(house["ben"].room) == before
    house.check_agreement()


def test_who_is_removed_cannot_read_on() -> None:
    house = three()
    house.send("ann", "before")
    cat = house["b.example:cat"]
    house.perform("ann", RemoveUser(cat.user))
    assert cat.all(RemovedFromRoom)[-1].by == house["ann"].user
    house.send("ann", "Cat likes coffee.")
    for event in house.log:
        house.bring(cat, event) if event.welcome_refs is None else None
    assert cat.texts == ["before"]
    with pytest.raises(RoomMisuse, match="left"):
        cat.room.send(house.env, said("Hello?"))
    with pytest.raises(RoomMisuse, match="removed"):
        cat.room.key_material_request(house["ann"].user)
    house.check_agreement()


def test_who_is_banned_is_out_until_unbanned() -> None:
    house = three()
    house.perform("ann", SetRole(user_named("ben"), 3))
    house.perform("ben", Ban(user_named("b.example:cat")))
    cat = house["b.example:cat"]
    assert cat.room.phase is Phase.LEFT
    assert house["ann"].room.view.is_banned(cat.user)
    house.perform("ann", SetRole(cat.user, 2))
    house.join("b.example:cat")
    assert house["b.example:cat"].is_in
    assert not house["ann"].all(Violation)
    house.check_agreement()


def test_a_kick_leaves_the_user_in_the_list() -> None:
    house = three()
    house.perform("ann", Kick(user_named("ben")))
    assert not house["ben"].is_in
    assert house["ann"].room.view.is_listed(user_named("ben"))
    house.join("ben")
    house.check_agreement()


def test_who_proposes_updates_is_banned_all_the_same() -> None:
    """A member of another kind than ours keeps one waiting in every epoch."""
    house = three()
    group = house["ben"].room.group
    sent = group.propose_update(house.env, as_public=True, aad=NO_AAD)
    bundle = ProposalBundle(message=decode_message(sent.message))
    domain = house["ben"].domain
    house.take(house.room.update(house.now_ms, domain, bundle))
    assert not house["ann"].all(Violation)
    response = house.perform("ann", Ban(user_named("ben")))
    assert response is not None
    assert response.code == UpdateCode.SUCCESS
    assert not house["ben"].is_in
    assert not house["b.example:cat"].all(Violation)
    house.check_agreement()


def test_a_device_is_added_and_removed_by_its_user() -> None:
    house = three()
    house.publish("ben/2")
    found = house["ben"].room.key_material(
        house.env, user_named("ben"), house.claim("ben", user_named("ben"))
    )
    house.perform("ben", AddClients(found.fitting))
    second = house["ben/2"]
    house.send("ben/2", "from my other device")
    assert house["ben"].texts == ["from my other device"]
    house.perform("ben", RemoveClients((device_of("ben/2"),)))
    assert not second.is_in
    house.check_agreement()


# ---- the stream


def test_mc_074_what_comes_twice_is_shown_once() -> None:
    house = three()
    house.send("ann", "once")
    house.perform("ann", SetMetadata(name="Tea"))
    ben = house["ben"]
    before = len(ben.events)
    for event in house.log[-2:]:
        house.bring(ben, event)
        house.bring(house["ann"], event)
    assert [type(event) for event in ben.events[before:]] == [Duplicate, Duplicate]
    assert ben.texts == house["ann"].texts == ["once"]
    house.check_agreement()


def test_own_messages_have_their_place_by_answer_or_by_stream() -> None:
    house = three()
    house.prompt = False
    outgoing = house.sealed("ann", said("mine"))
    assert house["ann"].room.outgoing == (outgoing,)
    house.post("ann", outgoing)
    assert house["ann"].texts == ["mine"]
    house.deliver()
    assert isinstance(house["ann"].events[-1], Duplicate)
    other = house.sealed("ann", said("too"))
    request = decode_submit_request(other.octets)
    (sent,) = house.room.submit(house.now_ms, "a.example", request).fanout
    house.bring(house["ann"], sent)
    assert house["ann"].texts == ["mine", "too"]
    assert all(message.own for message in house["ann"].timeline.values())
    assert not house["ann"].room.outgoing


def test_a_message_of_the_last_epoch_counts_by_the_roles_of_then() -> None:
    house = three()
    house.prompt = False
    house.send("b.example:cat", "bye")
    house.perform("ann", Ban(user_named("b.example:cat")))
    assert house["ann"].texts == []
    house.deliver()
    assert house["ann"].texts == house["ben"].texts == ["bye"]


def test_a_message_that_was_too_late_goes_again_as_it_is() -> None:
    house = three()
    outgoing = house.sealed("ben", said("slow"))
    house.perform("ann", Rotate())
    house.env.time += 60
    assert house.post("ben", outgoing) == 2
    (refused,) = house["ben"].all(MessageRefused)
    assert refused.again
    assert house.send("ben", refused.octets) == outgoing.message_id
    assert house["ann"].texts == house["ben"].texts == ["slow"]


# ---- other rooms


def test_a_direct_conversation_is_between_all_clients_of_two() -> None:
    house = MemberHarness.of("ann", TemplateName.DM, ["b.example:cat"])
    house.publish("b.example:cat")
    invitee = house.invitee("ann", "b.example:cat")
    house.perform("ann", AddClients(invitee.key_packages))
    house.send("ann", "just us")
    house.join("b.example:cat/2")
    house.send("b.example:cat/2", "three devices")
    assert house["ann"].texts == ["just us", "three devices"]
    with pytest.raises(PolicyDenied):
        house["ann"].room.perform(house.env, Invite((Invitee(user_named("dan")),), 2))
    house.perform("b.example:cat", Leave())
    house.perform("ann", CommitPending())
    assert not house["b.example:cat"].is_in
    assert house["b.example:cat/2"].is_in is False
    assert house["ann"].room.view.is_listed(user_named("b.example:cat"))
    assert not house["ann"].all(Violation)


@pytest.mark.parametrize("template", TemplateName)
def test_every_template_makes_a_room(template: TemplateName) -> None:
    others = ["ben"] if template is TemplateName.DM else []
    house = MemberHarness.of("ann", template, others)
    house.send("ann", "first")
    assert house["ann"].texts == ["first"]
    assert house["ann"].all(Joined)[0].by == house["ann"].user


def test_keys_are_fresh_every_week() -> None:
    house = three()
    assert not house["ann"].room.rotation_due(house.env)
    house.env.time += 7 * 86_400
    assert house["ann"].room.rotation_due(house.env)
    house.perform("ann", Rotate())
    assert not house["ann"].room.rotation_due(house.env)
    assert house["ben"].room.rotation_due(house.env)
    assert not house["ann"].all(SendingFrozen)
