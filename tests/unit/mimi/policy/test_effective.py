"""The effective state: committed, with what waits; and who stands behind a sender."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.policy.acts import ActorKind, Forbidden, LeafUpdate, MetadataChange
from sabir.mimi.policy.derive import actor_of, acts_of, effects_of_pending
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.leaves import understands
from sabir.mls.codepoints import SenderType
from sabir.mls.framing import NEW_MEMBER_COMMIT, NEW_MEMBER_PROPOSAL, Sender
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import AppDataUpdate, Proposal, Remove
from tests.unit.mimi.policy.rooms import view
from tests.unit.mimi.world import ROOM, World, add, device, listed, uri

ANN = Sender.member(0)


def name(text: str) -> AppDataUpdate:
    return AppDataUpdate(0x23, RoomMetadata(ROOM, text).encode())


def waiting(number: int, proposal: Proposal, sender: Sender = ANN) -> Proposed:
    return Proposed(proposal, sender, bytes((number,)))


def test_what_waits_counts_and_what_is_committed_keeps_the_indices() -> None:
    world = World.of("ann")
    world.commit("ann", add(("ben", 3), ("cal", 3)))
    world.propose("ann", listed(changed=[(1, 2)]), name("Tea"))
    state = world.effective
    assert state.view.role_index(uri("ben")) == 2
    assert state.committed.role_index(uri("ben")) == 3
    assert state.view.room.metadata.name == "Tea"
    assert len(state.pending) == 2
    first = state.pending[0].reference
    assert first is not None
    assert state.limited_to([first]).room.metadata.name == ""
    assert state.limited_to([first]).role_index(uri("ben")) == 2
    assert EffectiveState.of_epoch(world.hub).view == state.committed
    assert state.with_proposals(()) is state


def test_metadata_are_compared_with_the_effective_ones() -> None:
    world = World.of("ann")
    world.propose("ann", name("Tea"))
    state = world.effective
    again = acts_of(state, [(0, Proposed(name("Tea"), ANN))])
    assert [act.effect for act in again] == [
        MetadataChange(frozenset(), RoomMetadata(ROOM, "Tea"))
    ]
    assert effects_of_pending(state) == {
        MetadataChange(frozenset({"name"}), RoomMetadata(ROOM, "Tea"))
    }, "that is what a hub does by it, in the next epoch"


def test_a_client_is_added_once() -> None:
    world = World.of("ann")
    world.commit("ann", add(("ben", 3)))
    state = world.effective
    ben, again, own = (world.package(who) for who in ("ben", "ben", "ann"))
    for slug, before, items in (
        (Slug.PROPOSAL_INVALID, state, [waiting(1, ben), waiting(2, again)]),
        (
            Slug.PENDING_CONFLICT,
            state.with_proposals([waiting(1, ben)]),
            [waiting(2, again)],
        ),
        (Slug.PROPOSAL_INVALID, state, [waiting(2, own)]),
    ):
        with pytest.raises(PolicyDenied) as caught:
            before.with_proposals(items)
        assert caught.value.slug is slug
        assert caught.value.references == (b"\x02",)
        assert caught.value.detail == "rule MIMI-116"
    after = state.with_proposals([waiting(1, Remove(0)), waiting(2, own)])
    assert [client.user for client in after.view.clients] == [uri("ann")]


def test_the_first_proposal_that_does_not_fit_is_to_blame() -> None:
    state = World.of("ann").effective
    items = [waiting(number, name(str(number))) for number in range(5)]
    with pytest.raises(PolicyDenied) as caught:
        state.with_proposals(items)
    assert caught.value.references == (b"\x01",)


def test_a_sender_is_a_member_the_hub_or_who_joins() -> None:
    world = World.of("ann")
    state, leaf = world.effective, world.hub.tree.leaf(0)
    actor = actor_of(state, ANN)
    assert (actor.kind, actor.user) == (ActorKind.MEMBER, uri("ann"))
    assert actor.identity == device("ann")
    hub = actor_of(state, Sender(SenderType.EXTERNAL, 0))
    assert (hub.kind, hub.user) == (ActorKind.HUB, "mimi://hub.example")
    joins = actor_of(state, NEW_MEMBER_COMMIT, leaf)
    assert (joins.kind, joins.user) == (ActorKind.JOINER, uri("ann"))
    for sender in (
        Sender.member(7),
        Sender(SenderType.EXTERNAL, 1),
        NEW_MEMBER_PROPOSAL,
        NEW_MEMBER_COMMIT,
    ):
        with pytest.raises(PolicyDenied) as caught:
            actor_of(state, sender)
        assert caught.value.slug is Slug.SENDER_UNKNOWN


def test_a_blank_leaf_cannot_be_changed_and_an_own_one_can() -> None:
    world = World.of("ann")
    state = world.effective
    (act,) = acts_of(state, [(None, waiting(1, Remove(9)))])
    assert act.effect == Forbidden("a change of a blank leaf")
    assert (act.reference, act.inline) == (b"\x01", None)
    sent = world["ann"].propose_update(world.env, as_public=True, aad=b"\x00")
    world.hear([sent.message], "ann")
    assert {type(effect) for effect in effects_of_pending(world.effective)} == {
        LeafUpdate
    }


def test_a_room_that_does_not_frame_asks_for_no_media_type() -> None:
    world = World.of("ann")
    leaf = world.hub.tree.leaf(0)
    assert leaf is not None
    assert understands(view(world.effective.view.room.roles, {}).room, leaf)


FATES = st.lists(st.sampled_from(["keep", "role", "remove"]), min_size=6, max_size=6)


@settings(max_examples=30, deadline=None)
@given(FATES, st.integers(1, 6))
def test_bundles_and_one_batch_lead_to_the_same_room(
    fates: list[str], cut: int
) -> None:
    """Accepting proposals one after the other is accepting them together (D-35)."""
    world = World.of("ann")
    people = tuple((f"p{index}", 2) for index in range(6))
    world.commit("ann", add(*people))
    items = [
        waiting(
            index,
            listed(changed=[(index + 1, 3)])
            if fate == "role"
            else listed(removed=[index + 1]),
        )
        for index, fate in enumerate(fates)
        if fate != "keep"
    ]
    state = world.effective
    together = state.with_proposals(items)
    apart = state.with_proposals(items[:cut]).with_proposals(items[cut:])
    assert together.view == apart.view
    for (who, _), fate in zip(people, fates, strict=True):
        expected = {"keep": 2, "role": 3, "remove": 0}[fate]
        assert together.view.role_index(uri(who)) == expected
