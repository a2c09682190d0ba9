"""The hub: it follows in the clear, and advances by itself."""

import pytest

from sabir.mls.errors import MlsMissing, MlsMisuse
from sabir.mls.limits import Limits
from sabir.mls.proposals import Add, Remove
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.services import Services
from sabir.mls.staging import PublicStage
from sabir.mls.validation.rules import Rule
from sabir.mls.waiting import Waiting
from sabir.testing.mls.clients import Believing
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client


def test_a_hub_begins_anywhere_and_follows_with_the_tree_beside() -> None:
    room = Room.of("ann", "ben")
    room.commit("ben")
    services = Services(authentication=Believing())
    tree = room["ann"].public.tree.encode()
    shown = room["ann"].group_info(with_tree=False)
    room.hub = PublicGroup.from_group_info(services, shown, tree)
    room.commit("ann", Remove(1))
    assert [index for index, _ in room.hub.members] == [0]


def test_a_commit_changes_nothing_before_it_is_merged_and_merges_once() -> None:
    room = Room.of("ann", "ben")
    hub = room.hub
    assert hub is not None
    before = hub.epoch
    proposal = room["ben"].propose_update(room.env, as_public=True)
    received = hub.process(room.env, proposal.message)
    assert isinstance(received, ProposalReceived)
    assert received.reference == proposal.reference
    room["ann"].process(room.env, proposal.message)
    staged = hub.process(room.env, room["ann"].commit(room.env, as_public=True).commit)
    assert isinstance(staged, PublicStage)
    assert hub.epoch is before
    assert list(hub.pending) == [proposal.reference]
    hub.merge(staged)
    assert hub.epoch is staged.after
    assert not hub.pending
    with pytest.raises(MlsMisuse):
        hub.merge(staged)


def test_what_a_hub_cannot_read_is_no_message_for_it() -> None:
    room = Room.of("ann", "ben")
    hub = room.hub
    assert hub is not None
    for message in (
        room["ann"].encrypt(room.env, b"").message,
        room["ann"].commit(room.env).commit,
    ):
        with pytest.raises(MlsMisuse):
            hub.process(room.env, message)


def test_a_hub_that_judges_lifetimes_refuses_who_is_too_late() -> None:
    room = Room.of("ann")
    strict = Services(authentication=Believing(), judge_lifetimes=True)
    hub = PublicGroup(strict, room["ann"].public.epoch)
    room.clients["ben"] = client("ben")
    add = Add(room.key_package("ben")[0])
    sent = room["ann"].propose(room.env, add, as_public=True).message
    hub.process(room.env, sent)
    room.env.time += 29 * 86_400
    hub.pending = Waiting(strict.limits)
    with violates(Rule.L05):
        hub.process(room.env, sent)


def test_waiting_proposals_are_limited() -> None:
    room = Room.of("ann", "ben")
    services = Services(
        authentication=Believing(), limits=Limits(pending_proposals_max=1)
    )
    hub = PublicGroup(services, room["ann"].public.epoch)
    sent = [
        room["ann"].propose_update(room.env, as_public=True).message for _ in range(2)
    ]
    hub.process(room.env, sent[0])
    hub.process(room.env, sent[0])  # again, which changes nothing
    with unchanged(hub), pytest.raises(MlsMissing, match="room"):
        hub.process(room.env, sent[1])
    assert len(hub.pending) == 1
