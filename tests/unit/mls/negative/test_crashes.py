"""A member that is killed at any point uses no key twice, and loses no group."""

from random import Random

import pytest

from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage
from sabir.mls.message_protection import open_sender_data
from sabir.mls.secret_tree import RatchetKind
from sabir.testing.mls.world import REGISTRY, World, process_and_merge


class Store:
    """Rows on a disk: a write is there whole or not at all."""

    def __init__(self, group: MlsGroup) -> None:
        self.rows: dict[bytes, bytes] = dict(group.save())

    def write(self, group: MlsGroup) -> None:
        """Commit what changed."""
        delta = group.delta()
        for key, value in delta.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        group.saved(delta)


def used_key(own: World, message: bytes) -> tuple[int, RatchetKind, int]:
    """Return epoch, ratchet and generation of a message of ours, as bob sees them."""
    body = decode_message(message, REGISTRY).body
    assert isinstance(body, PrivateMessage)
    epoch = own.groups["bob"].state.epoch
    assert epoch is not None
    data = open_sender_data(own.suite, body, epoch.secrets.sender_data)
    return body.epoch, RatchetKind.of(body.content_type), data.generation


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_no_key_is_used_twice_whenever_we_are_killed(own: World, seed: int) -> None:
    """The order is: make it, store, send. Before and after each, the power may go."""
    dice = Random(seed)
    client = own.person("carol").client
    carol = own.groups["carol"]
    store = Store(carol)
    store.write(carol)
    keys: set[tuple[int, RatchetKind, int]] = set()
    heard = 0
    for number in range(60):
        crash = dice.choice(["before storing", "before sending", "after", "never"])
        message = carol.encrypt(own.env, b"message %d" % number).message
        if crash != "before storing":
            store.write(carol)
            if crash != "before sending":
                key = used_key(own, message)
                assert key not in keys
                keys.add(key)
                found = own.groups["bob"].process(own.env, message)
                assert isinstance(found, ApplicationMessage)
                assert found.data == b"message %d" % number
                heard += 1
        if crash != "never":
            carol = MlsGroup.load(client, store.rows)
            assert carol.save().keys() == store.rows.keys()
    assert heard > 10, "something was sent"
    own.groups["carol"] = carol
    own.commit("carol")
    own.check()


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
@pytest.mark.parametrize("point", ["before storing", "before sending", "after sending"])
def test_a_commit_of_ours_survives_a_crash_or_never_was(own: World, point: str) -> None:
    client = own.person("carol").client
    carol = own.groups["carol"]
    store = Store(carol)
    store.write(carol)
    pending = carol.commit(own.env, as_public=True)
    if point != "before storing":
        store.write(carol)
    carol = own.groups["carol"] = MlsGroup.load(client, store.rows)
    if point == "before storing":
        assert carol.pending is None
    else:
        assert carol.pending is not None
        assert carol.pending.commit == pending.commit
    if point == "after sending":
        own.deliver(pending.commit, "carol")
        carol.process(own.env, pending.commit)
        carol.merge_pending(own.env)
        store.write(carol)
        carol = own.groups["carol"] = MlsGroup.load(client, store.rows)
    else:
        own.commit("alice")
        assert carol.pending is None
    own.works()


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
def test_a_received_message_is_opened_again_only_if_it_was_not_stored(
    own: World,
) -> None:
    """A crash before the store has it: the message comes again and is read."""
    client = own.person("bob").client
    bob = own.groups["bob"]
    store = Store(bob)
    store.write(bob)
    sent = own.groups["carol"].encrypt(own.env, b"hello").message
    for _ in range(2):
        found = bob.process(own.env, sent)
        assert isinstance(found, ApplicationMessage)
        bob = MlsGroup.load(client, store.rows)
    commit = own.groups["alice"].commit(own.env, as_public=True)
    for _ in range(2):
        process_and_merge(own.env, bob, commit.commit)
        epoch = bob.epoch
        bob = MlsGroup.load(client, store.rows)
        assert bob.epoch == epoch - 1
