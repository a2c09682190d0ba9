"""A group in the store: what a step writes, and that everything comes back."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.errors import MlsInvalid, MlsMissing
from sabir.mls.group.epoch import Status
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.group.state import (
    PAST_EPOCH,
    PENDING_COMMIT,
    RESUMPTION,
    SECRET_TREE,
    TREE,
    row_key,
)
from sabir.mls.proposals import Add, PreSharedKey, ReInit, Remove
from sabir.mls.psk_ids import ResumptionPsk, ResumptionUsage
from sabir.testing.mls.snapshots import holds, octets_in
from tests.unit.mls.group.world import ENV, Room, client, write


def restart(room: Room) -> None:
    """Stop and start all members, and compare what they store."""
    for name in room.groups:
        room.store(name, room[name])
        loaded = room.restart(name)
        assert loaded.save() == room.stores[name]
        assert loaded.delta() == {}


@pytest.mark.parametrize("suite", SUITES)
def test_a_group_goes_on_after_a_restart_at_any_step(suite: int) -> None:
    room = Room.of("ann", "ben", "cat", suite=suite)
    restart(room)
    room.say("ann", b"1")
    restart(room)
    room.commit("ben")
    restart(room)
    room.hear(room["cat"].propose_update(room.env, as_public=True).message, "cat")
    room.hear(room["ann"].propose_self_remove(room.env).message, "ann")
    restart(room)
    room.commit("ben")
    restart(room)
    room.say("cat", b"2")
    assert room["ann"].status is Status.REMOVED


def test_messages_on_their_way_are_read_after_a_restart() -> None:
    room = Room.of("ann", "ben")
    sent = [room["ann"].encrypt(room.env, bytes((n,))).message for n in range(5)]
    heard = room["ben"].process(room.env, sent[3])
    assert isinstance(heard, ApplicationMessage)
    restart(room)
    room.commit("ben")
    restart(room)
    for number in (4, 0, 2, 1):
        heard = room["ben"].process(room.env, sent[number])
        assert isinstance(heard, ApplicationMessage)
        assert heard.data == bytes((number,))
        restart(room)
    room.check()


def test_a_pending_commit_survives_a_restart() -> None:
    room = Room.of("ann", "ben", "cat")
    room.clients["dan"] = client("dan")
    package, _ = room.key_package("dan")
    room.hear(room["ben"].propose_update(room.env, as_public=True).message, "ben")
    made = room["ann"].commit(room.env, [Add(package), Remove(2)], as_public=True)
    room.check()
    assert row_key(PENDING_COMMIT) in room.stores["ann"]
    loaded = room.restart("ann").pending
    assert loaded is not None
    assert loaded.commit == made.commit
    assert loaded.welcome_for_sequencer() == made.welcome_for_sequencer()
    assert [each.leaf_index for each in loaded.effects.added] == [2]
    assert loaded.effects.removed == made.effects.removed
    assert [(each.leaf_index, each.new) for each in loaded.effects.updated] == [
        (each.leaf_index, each.new) for each in made.effects.updated
    ]
    room.deliver("ann")
    assert row_key(PENDING_COMMIT) not in room.stores["ann"]
    room.say("ben", b"hello")


def test_a_cleared_commit_leaves_the_store() -> None:
    room = Room.of("ann")
    room["ann"].commit(room.env)
    room.check()
    room["ann"].clear_pending()
    room.check()
    assert row_key(PENDING_COMMIT) not in room.stores["ann"]


def test_a_commit_without_path_and_with_a_re_init_survive_a_restart() -> None:
    room = Room.of("ann", "ben")
    room["ann"].commit(room.env, [ReInit(b"next", 1)], as_public=True)
    room.check()
    room.restart("ann")
    room.deliver("ann")
    restart(room)
    assert room["ann"].status is Status.SUSPENDED
    assert room["ben"].re_init == ReInit(b"next", 1)


def test_psks_of_former_epochs_survive_a_restart() -> None:
    room = Room.of("ann", "ben")
    for _ in range(20):
        room.commit("ann")
    kept = [key for key in room.stores["ann"] if key[0] == RESUMPTION]
    assert len(kept) == 16
    restart(room)
    psk = ResumptionPsk(ResumptionUsage.APPLICATION, b"room", 12, bytes(32))
    room.commit("ben", PreSharedKey(psk))


def test_what_was_not_saved_is_named_again() -> None:
    room = Room.of("ann", "ben")
    ann, rows = room["ann"], room.stores["ann"]
    lost = ann.delta()
    assert lost == {}
    ann.encrypt(room.env, b"1")
    first = ann.delta()
    ann.encrypt(room.env, b"2")
    second = ann.delta()
    assert first.keys() <= second.keys()
    write(rows, dict(first))
    ann.saved(first)
    third = ann.delta()
    write(rows, dict(third))
    ann.saved(third)
    assert rows == ann.save()
    assert ann.delta() == {}


def test_every_save_counts() -> None:
    room = Room.of("ann", "ben")
    before = room["ann"].saves
    room.commit("ann")
    assert room["ann"].saves == before + 1
    room["ann"].saved({})
    assert room["ann"].saves == before + 1
    assert room.restart("ann").saves == before + 1


@pytest.mark.parametrize("size", [2, 200])
def test_a_message_writes_little_however_large_the_group(size: int) -> None:
    names = [f"m{number}" for number in range(size)]
    room = Room.of("ann")
    for name in names:
        room.clients[name] = client(name)
    room.commit("ann", *(Add(room.key_package(name)[0]) for name in names))
    for _ in range(2):
        room["ann"].encrypt(room.env, bytes(200))
        delta = room.store("ann", room["ann"])
        written = sum(len(key) + len(value or b"") for key, value in delta.items())
        assert written <= 2048
        assert row_key(TREE) not in delta


def test_components_secrets_are_not_handed_out_again_after_a_restart() -> None:
    room = Room.of("ann")
    secret = room["ann"].safe_export(7)
    assert not room["ann"].safe_export(8).ct_equal(secret)
    room.check()
    loaded = room.restart("ann")
    with pytest.raises(Exception, match="E14"):
        loaded.safe_export(7)
    assert loaded.delta() == {}


def test_what_a_whole_save_wrote_is_deleted_by_the_deltas_after_it() -> None:
    room = Room.of("ann", "ben")
    late = room["ann"].encrypt(ENV, b"late").message
    room["ben"].process(ENV, room["ann"].encrypt(ENV, b"first").message)
    mine = room["ben"].commit(ENV, as_public=True)
    rows = dict(room["ben"].save())
    assert row_key(PENDING_COMMIT) in rows
    room["ben"].process(ENV, late)
    won = room["ann"].commit(ENV, as_public=True)
    staged = room["ben"].process(ENV, won.commit)
    assert isinstance(staged, StagedCommit)
    room["ben"].merge(ENV, staged)
    delta = room["ben"].delta()
    write(rows, dict(delta))
    room["ben"].saved(delta)
    assert rows == room["ben"].save()
    loaded = MlsGroup.load(room.clients["ben"], rows)
    assert loaded.pending is None
    with pytest.raises(MlsInvalid):
        loaded.process(ENV, late)
    with pytest.raises(MlsInvalid):
        loaded.process(ENV, mine.commit)


@pytest.mark.parametrize("how", ["it sends", "it is told to"])
def test_a_group_to_which_nobody_writes_forgets_past_epochs(how: str) -> None:
    room = Room.of("ann", "ben")
    late = room["ann"].encrypt(room.env, b"late").message
    room.commit("ann")
    assert room["ben"].state.past
    room.env.time += 301
    if how == "it sends":
        room["ben"].encrypt(room.env, b"anybody there?")
    else:
        room["ben"].expire(room.env)
    assert not room["ben"].state.past
    room.store("ben", room["ben"])
    assert not [key for key in room.stores["ben"] if key[0] == PAST_EPOCH]
    with pytest.raises(MlsMissing):
        room.restart("ben").process(room.env, late)


def test_what_was_to_be_stored_is_not_kept_for_when_it_fails() -> None:
    room = Room.of("ann", "ben")
    ann = room["ann"]
    ann.encrypt(room.env, b"1")
    failed = ann.delta()
    late = [room["ben"].encrypt(room.env, b"").message for _ in range(3)]
    ann.process(room.env, late[2])
    also_failed = ann.delta()
    assert failed.keys() <= also_failed.keys()
    ann.encrypt(room.env, b"2")
    for message in late[:2]:
        ann.process(room.env, message)
    secret = [
        value[-32:]
        for delta in (failed, also_failed)
        for key, value in delta.items()
        if key[0] == SECRET_TREE and value is not None and len(value) > 32
    ]
    rows = ann.save().values()
    used = {each for each in secret if not holds(each, rows)}
    assert len(used) >= 3
    everything = octets_in(ann)
    assert not any(holds(each, everything) for each in used)
    assert room.store("ann", ann).keys() >= also_failed.keys()
    assert ann.delta() == {}


def test_an_older_delta_that_was_saved_is_not_all() -> None:
    room = Room.of("ann", "ben")
    ann, rows = room["ann"], room.stores["ann"]
    ann.encrypt(room.env, b"1")
    first = dict(ann.delta())
    ann.commit(room.env)
    second = dict(ann.delta())
    ann.clear_pending()
    write(rows, first)
    ann.saved(first)
    third = dict(ann.delta())
    assert row_key(PENDING_COMMIT) in third
    assert third[row_key(PENDING_COMMIT)] is None
    write(rows, second)
    ann.saved(second)
    last = dict(ann.delta())
    write(rows, last)
    ann.saved(last)
    assert rows == ann.save()
