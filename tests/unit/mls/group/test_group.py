"""A group as its members use it, from its creation to its end."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.errors import MlsMissing, MlsMisuse
from sabir.mls.group.epoch import Status
from sabir.mls.group.process import ApplicationMessage, OwnEcho, StagedCommit
from sabir.mls.proposals import Add, Remove
from tests.unit.mls.group.world import Room, client


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("as_public", [True, False])
def test_members_come_talk_change_keys_and_go(suite: int, as_public: bool) -> None:
    room = Room.of("ann", "ben", "cat", suite=suite)
    room.say("ann", b"hello")
    room.say("ben", b"hello too")
    room.commit("cat", as_public=as_public)
    room.clients["dan"] = client("dan", suite)
    room.add("cat", "dan", as_public=as_public)
    room.say("dan", b"who is here?")
    room.commit("dan", Remove(1), as_public=as_public)
    assert room["ben"].status is Status.REMOVED
    del room.groups["ben"]
    room.say("cat", b"bye")
    assert [index for index, _ in room["ann"].members] == [0, 2, 3]


def test_questions_are_answered() -> None:
    room = Room.of("ann", "ben")
    ann = room["ann"]
    assert (ann.group_id, ann.epoch, ann.own_leaf) == (b"room", 1, 0)
    assert room["ben"].own_leaf == 1
    assert ann.pending is None
    assert ann.re_init is None
    assert ann.status is Status.OPERATIONAL
    assert ann.tree_hash == ann.group_context.tree_hash


def test_an_echo_of_ours_is_no_error() -> None:
    room = Room.of("ann", "ben")
    ann = room["ann"]
    said = ann.encrypt(room.env, b"hello").message
    assert isinstance(ann.process(room.env, said), OwnEcho)
    room.hear(said, "ann")
    proposed = ann.propose_update(room.env, as_public=True).message
    assert isinstance(ann.process(room.env, proposed), OwnEcho)
    private = ann.propose_update(room.env).message
    assert isinstance(ann.process(room.env, private), OwnEcho)
    pending = ann.commit(room.env)
    assert isinstance(ann.process(room.env, pending.commit), OwnEcho)
    ann.merge_pending(room.env)
    assert isinstance(ann.process(room.env, said), OwnEcho)


def test_a_commit_is_staged_and_changes_nothing_before_it_is_merged() -> None:
    room = Room.of("ann", "ben")
    before = room["ben"].save()
    pending = room["ann"].commit(room.env)
    staged = room["ben"].process(room.env, pending.commit)
    assert isinstance(staged, StagedCommit)
    assert room["ben"].save() == before
    room["ben"].merge(room.env, staged)
    with pytest.raises(MlsMisuse):
        room["ben"].merge(room.env, staged)


def test_two_commits_race_and_the_loser_follows() -> None:
    room = Room.of("ann", "ben", "cat")
    room["ann"].commit(room.env)
    with pytest.raises(MlsMisuse, match="O08"):
        room["ann"].commit(room.env)
    room["ben"].commit(room.env)
    room.deliver("ben")  # ann's own commit is void with the merge
    assert room["ann"].pending is None
    with pytest.raises(MlsMisuse):
        room["ann"].merge_pending(room.env)


def test_a_cleared_commit_is_forgotten() -> None:
    room = Room.of("ann", "ben")
    room["ann"].commit(room.env)
    room["ann"].clear_pending()
    room.commit("ann")


def test_a_welcome_is_not_handed_out_before_the_commit_was_accepted() -> None:
    room = Room.of("ann")
    room.clients["ben"] = client("ben")
    package, _ = room.key_package("ben")
    pending = room["ann"].commit(room.env, [Add(package)])
    with pytest.raises(MlsMisuse, match="O09"):
        _ = pending.welcome
    sealed = pending.welcome_for_sequencer()
    assert room["ann"].merge_pending(room.env).welcome is sealed


def test_no_data_are_sent_while_proposals_wait() -> None:
    room = Room.of("ann", "ben")
    room.hear(room["ann"].propose_update(room.env).message, "ann")
    for name in room.groups:
        with pytest.raises(MlsMisuse, match="O07"):
            room[name].encrypt(room.env, b"hello")
    room.commit("ben")
    room.say("ann", b"hello")


def test_who_was_removed_sends_nothing_and_reads_what_came_late() -> None:
    room = Room.of("ann", "ben")
    late = room["ann"].encrypt(room.env, b"late").message
    room.commit("ann", Remove(1))
    ben = room["ben"]
    for send in (ben.commit, ben.propose_update):
        with pytest.raises(MlsMisuse):
            send(room.env)
    with pytest.raises(MlsMisuse):
        ben.encrypt(room.env, b"?")
    with pytest.raises(MlsMisuse):
        ben.export(b"label", b"", 32)
    heard = ben.process(room.env, late)
    assert isinstance(heard, ApplicationMessage)
    now = room["ann"].members[0][1]
    assert heard.leaf_node.signature_key == now.signature_key
    with pytest.raises(MlsMissing):
        ben.process(room.env, room["ann"].encrypt(room.env, b"without ben").message)
