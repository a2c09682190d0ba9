"""What a commit of ours covers, and what it shows."""

import pytest

from sabir.mls.errors import MlsMisuse
from sabir.mls.proposals import Add, ReInit, Remove
from sabir.mls.tree_options import TreePresence
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client


def test_waiting_proposals_are_covered_by_name() -> None:
    room = Room.of("ann", "ben", "cat")
    sent = [
        room[name].propose_update(room.env, as_public=True) for name in ("ben", "cat")
    ]
    for message, by in zip(sent, ("ben", "cat"), strict=True):
        room.hear(message.message, by)
    reference = sent[1].reference
    assert reference is not None
    pending = room["ann"].commit(room.env, references=[reference], as_public=True)
    assert [item.reference for item in pending.effects.proposals] == [reference]
    room["ann"].clear_pending()
    with pytest.raises(MlsMisuse, match="does not wait"):
        room["ann"].commit(room.env, references=[b"unknown"])


def test_a_commit_that_does_not_wait_is_cleared_without_a_trace() -> None:
    ann = Room.of("ann", "ben")["ann"]
    with unchanged(ann):
        ann.clear_pending()


def test_a_remove_wins_over_an_update_and_a_self_remove_over_both() -> None:
    room = Room.of("ann", "ben", "cat", "dan")
    steps = [
        ("ann", room["ann"].propose(room.env, Remove(1), as_public=True)),
        ("ben", room["ben"].propose_update(room.env, as_public=True)),
        ("ben", room["ben"].propose_self_remove(room.env)),
        ("dan", room["dan"].propose_update(room.env, as_public=True)),
        ("cat", room["cat"].propose(room.env, Remove(3), as_public=True)),
        ("ann", room["ann"].propose_update(room.env, as_public=True)),
        ("ann", room["ann"].propose(room.env, ReInit(b"n", 1), as_public=True)),
    ]
    for name, sent in steps:
        room.hear(sent.message, name)
    pending = room["ann"].commit(room.env, as_public=True)
    covered = [item.reference for item in pending.effects.proposals]
    assert covered == [steps[2][1].reference, steps[4][1].reference]
    room.deliver("ann")


def test_a_waiting_re_init_is_covered_when_there_is_nothing_else() -> None:
    room = Room.of("ann", "ben")
    sent = room["ben"].propose(room.env, ReInit(b"n", 1), as_public=True)
    room.hear(sent.message, "ben")
    assert room.commit("ann").effects.re_init == ReInit(b"n", 1)


def test_a_remove_by_value_takes_the_place_of_what_waits() -> None:
    room = Room.of("ann", "ben", "cat")
    update = room["ben"].propose_update(room.env, as_public=True)
    room.hear(update.message, "ben")
    pending = room.commit("ann", Remove(1))
    assert [item.proposal for item in pending.effects.proposals] == [Remove(1)]


def test_what_is_added_by_value_is_not_left_out_when_it_is_bad() -> None:
    room = Room.of("ann", "ben")
    room.hear(room["ben"].propose_update(room.env, as_public=True).message, "ben")
    with violates(Rule.P03):
        room["ann"].commit(room.env, [Remove(7)])


def test_a_second_self_remove_is_not_sent() -> None:
    room = Room.of("ann", "ben")
    room.hear(room["ben"].propose_self_remove(room.env).message, "ben")
    with pytest.raises(MlsMisuse, match="E10"):
        room["ben"].propose_self_remove(room.env)
    room["ann"].propose_self_remove(room.env)


def test_too_much_authenticated_data_are_not_sent() -> None:
    room = Room.of("ann")
    room["ann"].encrypt(room.env, b"", aad=bytes(1 << 16))
    with pytest.raises(MlsMisuse, match="limit"):
        room["ann"].encrypt(room.env, b"", aad=bytes((1 << 16) + 1))


def test_a_members_part_of_a_group_info_is_what_the_whole_has() -> None:
    room = Room.of("ann", "ben")
    whole = room["ben"].group_info(with_tree=True)
    part = room["ben"].partial_group_info(TreePresence.PRESENT)
    assert (*part.extensions, whole.extensions[-1]) == whole.extensions
    assert part.signature == whole.signature


def test_a_pending_commit_without_an_add_has_no_welcome() -> None:
    room = Room.of("ann", "ben")
    assert room.commit("ann").welcome is None
    room.clients["cat"] = client("cat")
    assert room.commit("ann", Add(room.key_package("cat")[0])).welcome is not None
