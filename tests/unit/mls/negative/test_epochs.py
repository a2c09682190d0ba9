"""Late messages, removal, and what is left of an epoch (epoch skew, removed)."""

from dataclasses import replace

import pytest

from sabir.mls.codepoints import WireFormat
from sabir.mls.group.epoch import Status
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.proposals import Remove
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import World, process_and_merge
from tests.unit.mls.negative.judges import lacking, misused, refuse

DAVE = 3

suites = pytest.mark.parametrize("own", [1, 2, 4], indirect=True)


def late(own: World, epochs: int) -> list[bytes]:
    """Let carol send in each of some epochs, which end in the same second."""
    sent = []
    for _ in range(epochs):
        sent.append(own.groups["carol"].encrypt(own.env, b"late").message)
        own.commit("alice")
    return sent


def hears(own: World, group: MlsGroup, message: bytes) -> None:
    found = group.process(own.env, message)
    assert isinstance(found, ApplicationMessage)
    assert found.data == b"late"


@suites
def test_three_epochs_back_is_read_and_four_is_not(own: World) -> None:
    gone, *kept = late(own, 4)
    for name in ("bob", "erin"):
        group = own.groups[name]
        with lacking("4 back", group):
            group.process(own.env, gone)
        own.groups[name] = own.fork(name)
        for message in kept:
            hears(own, own.groups[name], message)


def test_messages_are_read_for_five_minutes_after_their_epoch(own: World) -> None:
    (sent,) = late(own, 1)
    bob, erin = own.groups["bob"], own.groups["erin"]
    own.env.time += 300
    hears(own, bob, sent)
    own.env.time += 1
    with lacking("1 back"):
        erin.process(own.env, sent)


def test_a_clock_that_is_set_back_keeps_epochs_readable(own: World) -> None:
    (sent,) = late(own, 1)
    own.env.time -= 10_000
    hears(own, own.groups["bob"], sent)


@suites
def test_f02_handshakes_of_the_last_epoch_are_refused(own: World) -> None:
    carol = own.groups["carol"]
    public = carol.propose(own.env, Remove(DAVE), as_public=True).message
    private = carol.propose(own.env, Remove(DAVE)).message
    commit = carol.commit(own.env, as_public=True).commit
    own.commit("alice", references=())
    refuse(own, public, Rule.F02)
    refuse(own, private, Rule.F02, hub=False)
    refuse(own, commit, Rule.F02)


# ---- removed


@suites
def test_who_is_removed_knows_and_sends_nothing(own: World) -> None:
    dave = own.groups["dave"]
    before = own.groups["carol"].encrypt(own.env, b"late").message
    removal = own.groups["carol"].commit(own.env, [Remove(DAVE)], as_public=True)
    staged = dave.process(own.env, removal.commit)
    assert isinstance(staged, StagedCommit)
    assert staged.effects.self_removed
    own.groups["carol"].merge_pending(own.env)
    own.deliver(removal.commit, "carol")
    assert dave.status is Status.REMOVED
    for act in (
        lambda: dave.encrypt(own.env, b"hello"),
        lambda: dave.propose(own.env, Remove(0)),
        lambda: dave.propose_update(own.env),
        lambda: dave.propose_self_remove(own.env),
        lambda: dave.commit(own.env),
        lambda: dave.group_info(with_tree=True),
        lambda: dave.export(b"label", b"", 32),
        lambda: dave.safe_export(1),
    ):
        with misused("removed", dave):
            act()
    hears(own, dave, before)
    after = own.groups["carol"].encrypt(own.env, b"secret").message
    with lacking("ahead", dave):
        dave.process(own.env, after)
    with lacking("removed", dave):
        dave.process(own.env, removal.commit)
    loaded = MlsGroup.load(own.person("dave").client, dave.save())
    assert loaded.status is Status.REMOVED
    with misused("removed", loaded):
        loaded.encrypt(own.env, b"hello")


@suites
def test_f03_a_removed_member_s_messages_are_refused(own: World) -> None:
    dave = Forger(own, "dave")
    own.commit("carol", [Remove(DAVE)])
    carol = Forger(own, "carol")
    own_key = dave.epoch.signature_key
    framed = replace(dave.content(Remove(0)), epoch=carol.context.epoch, raw=b"")
    message = carol.authenticated(framed, key=own_key)
    refuse(own, carol.public(message), Rule.F03)
    sealed = carol.authenticated(
        replace(dave.content(b"hello"), epoch=carol.context.epoch, raw=b""),
        key=own_key,
        form=WireFormat.PRIVATE_MESSAGE,
    )
    refuse(own, carol.private(sealed), Rule.F03, hub=False)


@suites
def test_who_left_by_itself_is_told(own: World) -> None:
    dave = own.groups["dave"]
    sent = dave.propose_self_remove(own.env)
    own.deliver(sent.message, "dave")
    commit = own.groups["alice"].commit(own.env, as_public=True)
    staged = dave.process(own.env, commit.commit)
    assert isinstance(staged, StagedCommit)
    assert staged.effects.self_removed
    own.groups["alice"].merge_pending(own.env)
    own.deliver(commit.commit, "alice")
    assert dave.status is Status.REMOVED
    own.works()


def test_a_message_before_its_commit_leaves_no_trace(own: World) -> None:
    alice = own.groups["alice"]
    pending = alice.commit(own.env, as_public=True)
    alice.merge_pending(own.env)
    ahead = alice.encrypt(own.env, b"late").message
    bob = own.groups["bob"]
    with lacking("1 ahead", bob):
        bob.process(own.env, ahead)
    process_and_merge(own.env, bob, pending.commit)
    hears(own, bob, ahead)
    with unchanged(bob), violates(Rule.D02):
        bob.process(own.env, ahead)
