"""Leaving (D-54), and what a hub proposes itself (D-53)."""

from dataclasses import replace

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.roles import RoleChange
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.submit import SubmitMessageRequest
from sabir.mimi.template_names import TemplateName
from sabir.mls.codepoints import SenderType
from sabir.mls.framing import PublicMessage
from sabir.mls.proposals import AppDataUpdate, Proposal, Remove, SelfRemove
from sabir.testing.mimi.hub_harness import HUB, ROOM, HubHarness, listed
from tests.unit.mimi.hub.scenes import (
    ADMIN,
    ANN,
    BEN,
    CAL,
    ORDINARY,
    denied,
    of_four,
    role_of,
    roles_with,
)

CAL2, BEN2, ANN2 = f"{CAL}/2", f"{BEN}/2", "ann/2"


def with_second(hub: HubHarness, name: str) -> HubHarness:
    hub.player(name)
    hub.join(name)
    return hub


def stapled(hub: HubHarness) -> list[Proposal]:
    """Return what the hub proposed beside the last commit."""
    (message,) = read_fanout_messages(hub.log[-1].octets)
    found = []
    for each in message.more:
        assert isinstance(each.body, PublicMessage)
        content = each.body.message.content
        assert content.sender.kind is SenderType.EXTERNAL
        assert isinstance(content.content, Proposal)
        found.append(content.content)
    return found


# ---- MC-046


def test_mc_046_who_leaves_is_out_at_once_and_gone_with_the_next_commit() -> None:
    hub = with_second(of_four(), CAL2)
    request: SubmitMessageRequest = hub.message(CAL)
    hub.leave(CAL)
    hub.check_agreement()
    assert not hub.room.view.is_listed(hub[CAL].user)
    assert hub.room.state.participants.role_of(hub[CAL].user) == ORDINARY
    assert hub.submit(HUB, request).change is None
    hub.commit(BEN)
    assert not hub[CAL].is_member
    assert not hub[CAL2].is_member
    assert hub[CAL].user not in hub.room.state.participants.users
    hub.check_agreement()


def test_who_leaves_must_take_all_clients() -> None:
    hub = with_second(of_four(), CAL2)
    refused = hub.refused_proposals(CAL, SelfRemove(), listed(removed=[hub.place(CAL)]))
    assert denied(refused, "policy.denied")


def test_a_client_may_leave_alone() -> None:
    hub = with_second(of_four(), CAL2)
    hub.propose(CAL2, SelfRemove())
    hub.commit(ANN)
    assert hub[CAL].is_member
    assert not hub[CAL2].is_member
    hub.check_agreement()


def test_mc_047_a_second_self_remove_is_refused() -> None:
    hub = of_four()
    bundle = hub.proposed(CAL, SelfRemove())
    hub.take(hub.update(HUB, bundle))
    public = hub[CAL].member.public
    public.pending = public.pending.without(public.pending)
    response = hub.update(HUB, hub.proposed(CAL, SelfRemove())).response
    assert denied(response, "pending.conflict")


def test_mc_047_a_remove_beside_a_self_remove_is_refused() -> None:
    hub = of_four()
    hub.propose(CAL, SelfRemove())
    removing = Remove(hub.leaf(CAL))
    assert denied(hub.refused_proposals(ANN, removing), "pending.conflict")


def test_where_nobody_is_left_the_room_is_closed() -> None:
    hub = with_second(HubHarness.of(ANN), ANN2)
    bundle = hub.proposed(ANN, *hub.leaving(ANN))
    outcome = hub.update("a.example", bundle)
    assert outcome.change is not None
    assert outcome.change.closes
    hub.take(outcome)
    assert hub.room.is_closed
    assert denied(hub.update("a.example", bundle).response, "room.closed")


def test_one_client_of_the_last_user_leaves_and_the_room_stays_open() -> None:
    hub = with_second(HubHarness.of(ANN), ANN2)
    hub.propose(ANN2, SelfRemove())
    assert not hub.room.is_closed


# ---- MC-070


def test_mc_070_what_an_external_commit_made_void_is_proposed_again() -> None:
    hub = with_second(of_four(), CAL2)
    hub.leave(CAL)
    hub.propose(ANN, metadata("tea"))
    with_second(hub, BEN2)
    again = stapled(hub)
    assert [type(each) for each in again] == [Remove, AppDataUpdate, AppDataUpdate]
    hub.check_agreement()
    view = hub.room.view
    assert not view.is_listed(hub[CAL].user)
    assert not hub[CAL].is_member, "the external commit covered the SelfRemove"
    assert hub[CAL2].is_member
    assert view.room.metadata.name == "tea"
    hub.commit(BEN2)
    hub.check_agreement()
    assert not hub[CAL2].is_member
    assert hub[CAL].user not in hub.room.state.participants.users
    assert hub.room.state.metadata.name == "tea"


def test_mc_070_a_change_of_role_is_proposed_again() -> None:
    hub = of_four()
    hub.propose(ANN, listed(changed=[(hub.place(CAL), ADMIN)]))
    with_second(hub, BEN2)
    assert len(stapled(hub)) == 1
    hub.commit(BEN)
    assert hub.room.view.role_index(hub[CAL].user) == ADMIN
    hub.check_agreement()


def metadata(name: str) -> AppDataUpdate:
    return AppDataUpdate(0x23, RoomMetadata(ROOM, name=name).encode())


def test_mc_070_it_is_shown_to_the_next_joiner_with_the_commits_time() -> None:
    hub = of_four()
    hub.propose(ANN, metadata("tea"))
    with_second(hub, BEN2)
    hub.player(CAL2)
    seen = hub.see(CAL2)
    assert seen is not None
    (waiting,) = seen.pending
    assert waiting.accepted_at == hub.log[-1].accepted_at == hub.room.memory.epoch_at


def test_mc_070_an_add_cannot_come_from_a_hub() -> None:
    hub = of_four()
    eve = "e.example:eve"
    hub.propose(ANN, listed(added=[(eve, ORDINARY)]), hub.package(eve))
    with_second(hub, BEN2)
    (again,) = stapled(hub)
    assert isinstance(again, AppDataUpdate)
    hub.commit(ANN)
    user = hub.player(eve).user
    assert hub.room.view.is_listed(user)
    assert not hub.room.view.is_active(user)
    hub.check_agreement()


def test_mc_070_who_comes_back_to_the_same_place_is_not_removed_again() -> None:
    hub = of_four()
    hub.propose(ANN, Remove(hub.leaf(BEN)))
    hub.join(BEN, resync=hub.leaf(BEN))
    assert stapled(hub) == []
    hub.check_agreement()


def test_mc_070_what_the_joiner_made_impossible_is_dropped() -> None:
    """The last place in the room was promised to somebody else."""
    guests = replace(role_of(TemplateName.GROUP, ORDINARY), maximum=1)
    roles = roles_with(TemplateName.GROUP, guests)
    outside = replace(
        role_of(TemplateName.GROUP, 0),
        capabilities=(Capability.CAN_OPEN_JOIN,),
        changes=(RoleChange(0, (ORDINARY,)),),
    )
    roles = replace(
        roles, roles=tuple(outside if r.index == 0 else r for r in roles.roles)
    )
    hub = HubHarness.of(ANN, roles=roles)
    hub.propose(ANN, listed(added=[(CAL, ORDINARY)]))
    eve = "e.example:eve"
    hub.player(eve)
    hub.join(eve, listed(added=[(eve, ORDINARY)]))
    assert stapled(hub) == []
    assert not hub.room.view.is_listed(hub.player(CAL).user)
    hub.check_agreement()


# ---- MC-055


def test_mc_055_a_hub_removes_its_own_users_only() -> None:
    hub = of_four()
    refused = hub.ask(lambda: hub.room.remove_user(hub.now_ms, hub[BEN].user))
    assert denied(refused.response, "policy.denied")
    hub.take(hub.ask(lambda: hub.room.remove_user(hub.now_ms, hub[CAL].user)))
    hub.check_agreement()
    assert not hub.room.view.is_listed(hub[CAL].user)
    hub.commit(BEN)
    assert not hub[CAL].is_member
    hub.check_agreement()


def test_a_hub_removes_nobody_twice() -> None:
    hub = of_four()
    hub.take(hub.room.remove_user(hub.now_ms, hub[CAL].user))
    refused = hub.ask(lambda: hub.room.remove_user(hub.now_ms, hub[CAL].user))
    assert denied(refused.response, "sender.removed")
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    refused = hub.ask(lambda: hub.room.remove_user(hub.now_ms, hub[CAL].user))
    assert denied(refused.response, "room.closed")


def test_a_hub_completes_what_its_user_began() -> None:
    hub = of_four()
    hub.propose(CAL, SelfRemove())
    hub.take(hub.room.remove_user(hub.now_ms, hub[CAL].user))
    (message,) = read_fanout_messages(hub.log[-1].octets)
    assert message.more == ()
    hub.commit(ANN)
    assert hub[CAL].user not in hub.room.state.participants.users


def test_a_hub_takes_clients_out_of_a_fixed_membership_and_nobody_off_the_list() -> (
    None
):
    hub = HubHarness.of(ANN, TemplateName.DM, [CAL])
    hub.commit(ANN, hub.package(CAL))
    hub.take(hub.room.remove_user(hub.now_ms, hub[CAL].user))
    hub.commit(ANN)
    assert hub.room.view.is_listed(hub[CAL].user)
    assert not hub[CAL].is_member
    hub.check_agreement()


def test_a_hubs_removal_that_breaks_the_room_is_refused() -> None:
    hub = HubHarness.of(ANN)
    dan = f"{HUB}:dan"
    hub.commit(ANN, listed(added=[(dan, ADMIN)]), hub.package(dan))
    refused = hub.ask(lambda: hub.room.remove_user(hub.now_ms, hub[dan].user))
    assert denied(refused.response, "constraint.violated")


# ---- closing


def test_a_room_is_closed_by_who_may_destroy_it_and_nothing_is_sent() -> None:
    hub = of_four()
    refused = hub.ask(lambda: hub.room.close(hub.now_ms, hub[CAL].user))
    assert denied(refused.response, "policy.denied")
    closing = hub.ask(lambda: hub.room.close(hub.now_ms, hub[ANN].user))
    assert closing.fanout == ()
    assert closing.change is not None
    assert closing.change.closes
    hub.take(closing)
    assert hub.room.is_closed
    refused = hub.ask(lambda: hub.room.close(hub.now_ms, hub[ANN].user))
    assert denied(refused.response, "room.closed")


# ---- MC-051


def test_mc_051_a_fixed_membership_never_changes_and_clients_come_and_go() -> None:
    hub = HubHarness.of(ANN, TemplateName.DM, [BEN])
    hub.commit(ANN, hub.package(BEN))
    refused = hub.refused_proposals(BEN, *hub.leaving(BEN))
    assert denied(refused, "policy.denied")
    eve = "e.example:eve"
    refused = hub.refused(ANN, listed(added=[(eve, ORDINARY)]))
    assert denied(refused, "policy.denied")
    with_second(hub, BEN2)
    hub.commit(BEN, Remove(hub.leaf(BEN2)))
    hub.check_agreement()
