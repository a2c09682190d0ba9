"""Receiving: windows, clocks, forgeries; what is refused leaves no trace."""

import pytest

from sabir.errors import Error, PeerMisbehaved
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse, MlsRolledBack
from sabir.mls.framing import encode_message
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.limits import Limits
from sabir.mls.proposals import PreSharedKey, Remove
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client, octets_of


def test_messages_are_read_once_each_in_any_order() -> None:
    room = Room.of("ann", "ben")
    sent = [room["ann"].encrypt(room.env, bytes((n,))).message for n in range(20)]
    for number in (7, 3, 19, *range(3), *range(4, 7), *range(8, 19)):
        heard = room["ben"].process(room.env, sent[number])
        assert isinstance(heard, ApplicationMessage)
        assert (heard.data, heard.generation) == (bytes((number,)), number)
        late = number not in {7, 19}
        skipped = 0 if late else {7: 7, 19: 11}[number]
        assert (heard.skipped, heard.is_late) == (skipped, late)
    before = octets_of(room["ben"])
    for message in sent:
        with violates(Rule.D02):
            room["ben"].process(room.env, message)
    assert octets_of(room["ben"]) == before


def test_late_messages_are_read_for_some_epochs_and_some_minutes() -> None:
    room = Room.of("ann", "ben")
    late = [room["ann"].encrypt(room.env, bytes((n,))).message for n in range(3)]
    for _ in range(3):
        room.commit("ben")
    room.env.time += 300
    assert isinstance(room["ben"].process(room.env, late[0]), ApplicationMessage)
    room.env.time += 1
    with pytest.raises(MlsMissing, match="epoch 1"):
        room["ben"].process(room.env, late[1])
    room = Room.of("ann", "ben")
    late = [room["ann"].encrypt(room.env, b"").message]
    for _ in range(4):
        room.commit("ben")
    with pytest.raises(MlsMissing, match="epoch 1"):
        room["ben"].process(room.env, late[0])


def test_epochs_that_ended_too_long_ago_leave_the_store() -> None:
    room = Room.of("ann", "ben")
    room.commit("ben")
    size = len(room.stores["ann"])
    room.env.time += 301
    room["ann"].process(room.env, room["ben"].encrypt(room.env, b"").message)
    room.check()
    assert len(room.stores["ann"]) < size
    room.restart("ann")


def test_handshakes_of_other_epochs_and_groups_are_refused() -> None:
    room = Room.of("ann", "ben", "cat")
    old = room["ann"].commit(room.env, as_public=True).commit
    room["ann"].clear_pending()
    private = room["ann"].commit(room.env).commit
    room["ann"].clear_pending()
    room.commit("ben")
    for message in (old, private):
        with violates(Rule.F02):
            room["cat"].process(room.env, message)
    ahead = room["ben"].commit(room.env).commit
    other = Room.of("ann", "ben", "cat")
    other["cat"].process(other.env, other["ben"].commit(other.env).commit)
    room.deliver("ben")
    with pytest.raises(MlsMissing):
        other["cat"].process(other.env, ahead)
    elsewhere = Room()
    elsewhere.clients["dan"] = client("dan")


def test_forged_commits_do_no_harm() -> None:
    room = Room.of("ann", "ben", "cat")
    for as_public in (True, False):
        genuine = room["ann"].commit(room.env, [Remove(2)], as_public=as_public).commit
        before = octets_of(room["ben"])
        for place in range(0, len(genuine), 7):
            forged = bytearray(genuine)
            forged[place] ^= 1 + place % 255
            with pytest.raises(Error):
                room["ben"].process(room.env, bytes(forged))
            with pytest.raises(PeerMisbehaved):
                room["ben"].process(room.env, genuine[:place])
        assert octets_of(room["ben"]) == before
        staged = room["ben"].process(room.env, genuine)
        assert isinstance(staged, StagedCommit)
        room["ann"].clear_pending()


def test_a_missing_psk_is_an_error_and_a_wrong_one_breaks_the_tag() -> None:
    tables = {name: PskTable() for name in ("ann", "ben", "cat")}
    room = Room.of(
        "ann", "ben", "cat", make=lambda name, _: client(name, psks=tables[name])
    )
    tables["ann"].learn(b"id", b"right")
    tables["cat"].learn(b"id", b"wrong")
    psk = PreSharedKey(ExternalPsk(b"id", bytes(32)))
    with pytest.raises(MlsMissing):
        room["ben"].commit(room.env, [psk])
    commit = room["ann"].commit(room.env, [psk]).commit
    with pytest.raises(MlsMissing):
        room["ben"].process(room.env, commit)
    with violates(Rule.O03):
        room["cat"].process(room.env, commit)
    for name in ("ben", "cat"):
        tables[name].learn(b"id", b"right")
    room.deliver("ann")


def test_what_is_no_message_to_a_group_is_refused() -> None:
    room = Room.of("ann", "ben")
    shown = encode_message(room["ann"].group_info(with_tree=True))
    with pytest.raises(MlsMisuse):
        room["ben"].process(room.env, shown)


def test_a_store_that_was_set_back_is_noticed_by_what_it_forgot() -> None:
    room = Room.of("ann", "ben")
    rows = room["ann"].save()
    forgotten = [
        room["ann"].encrypt(room.env, b"forgotten").message,
        room["ann"].commit(room.env, as_public=True).commit,
        room["ann"].propose_update(room.env, as_public=True).message,
    ]
    room.stores["ann"] = rows
    ann = room.restart("ann")
    for message in forgotten:
        with unchanged(ann), pytest.raises(MlsRolledBack, match="resync=0"):
            ann.process(room.env, message)


def test_a_commit_sent_twice_with_one_key_can_be_merged() -> None:
    """A private commit is staged twice; the second stage is void after the first."""
    room = Room.of("ann", "ben")
    commit = room["ann"].commit(room.env).commit
    first = room["ben"].process(room.env, commit)
    second = room["ben"].process(room.env, commit)
    assert isinstance(first, StagedCommit)
    assert isinstance(second, StagedCommit)
    room["ben"].merge(room.env, second)
    with pytest.raises(MlsMisuse):
        room["ben"].merge(room.env, first)


def test_messages_wait_no_longer_than_the_limit_says() -> None:
    limits = Limits(pending_proposals_max=2)
    room = Room.of("ann", "ben", make=lambda name, _: client(name, limits=limits))
    for _ in range(2):
        room["ann"].process(room.env, room["ben"].propose_update(room.env).message)
    before = octets_of(room["ann"])
    with unchanged(room["ben"]), pytest.raises(MlsMisuse, match="P11"):
        room["ben"].propose_update(room.env)
    assert octets_of(room["ann"]) == before


def test_an_update_is_settled_by_whoever_commits_it() -> None:
    room = Room.of("ann", "ben", "cat")
    for _ in range(2):  # the second one is later, and wins
        room.hear(room["cat"].propose_update(room.env, as_public=True).message, "cat")
    pending = room.commit("ann")
    assert [each.leaf_index for each in pending.effects.updated] == [2, 0]
    room.say("cat", b"with the new leaf")
    room.commit("ben")
    room.commit("cat")


def test_a_new_identity_shows_after_the_commit() -> None:
    room = Room.of("ann", "ben")
    other = client("ann").identities[1]
    old = room["ben"].members[0][1].signature_key
    room["ann"].commit(room.env, leaf=room["ann"].new_leaf(other), as_public=True)
    room.deliver("ann")
    assert room["ben"].members[0][1].signature_key == other.public != old
    room.say("ann", b"signed with the new key")
    third = client("ann").identities[1]
    sent = room["ann"].propose_update(room.env, identity=third, as_public=True)
    room.hear(sent.message, "ann")
    room.commit("ben")
    assert room["ben"].members[0][1].signature_key == third.public
    room.say("ann", b"and again")


def test_another_clients_identity_is_refused() -> None:
    room = Room.of("ann", "ben")
    eve = client("eve").identities[1]
    with pytest.raises(MlsInvalid):
        room["ann"].commit(room.env, leaf=room["ann"].new_leaf(eve))
    with violates(Rule.L01):
        room["ann"].propose_update(room.env, identity=eve)


def test_a_commit_whose_key_was_used_meanwhile_is_merged_all_the_same() -> None:
    room = Room.of("ann", "ben")
    commit = room["ann"].commit(room.env).commit
    first, second = (room["ben"].process(room.env, commit) for _ in range(2))
    assert isinstance(first, StagedCommit)
    assert isinstance(second, StagedCommit)
    (opened,) = first.opened
    opened.consume()  # as another message of the same generation would
    room["ben"].merge(room.env, second)
    room["ann"].merge_pending(room.env)
    room.hub = None
    room.check()


def test_who_was_removed_follows_no_handshake() -> None:
    room = Room.of("ann", "ben", "cat")
    private = room["cat"].propose_update(room.env).message
    public = room["cat"].propose_update(room.env, as_public=True).message
    room.commit("ann", Remove(1))
    for message in (private, public):
        with pytest.raises(MlsMissing):
            room["ben"].process(room.env, message)


def test_a_clock_that_was_set_back_drops_old_epochs_whole() -> None:
    room = Room.of("ann", "ben")
    late = [room["ann"].encrypt(room.env, b"").message]
    room.commit("ann")
    late.append(room["ann"].encrypt(room.env, b"").message)
    room.env.time -= 500
    room.commit("ann")
    room.env.time += 450  # the later epoch is too old, the earlier one is not
    for message in late:
        with pytest.raises(MlsMissing):
            room["ben"].process(room.env, message)
    room["ben"].process(room.env, room["ann"].encrypt(room.env, b"now").message)
    room.check()
    assert room.restart("ben").save() == room.stores["ben"]
