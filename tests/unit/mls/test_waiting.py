"""Room for what waits: each sender has its own, and who leaves always has some."""

import pytest

from sabir.mls.errors import (
    MlsMissing,
    MlsMisuse,
    MlsRolledBack,
    ProposalsMissing,
)
from sabir.mls.extensions import Extension, Extensions
from sabir.mls.framing import encode_message
from sabir.mls.group.external import propose_to_join
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import Processed, StagedCommit
from sabir.mls.limits import DEFAULT_LIMITS, SELF_REMOVE_OCTETS_MAX, Limits
from sabir.mls.proposals import Add, PreSharedKey, Remove, SelfRemove
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client


def room_with(psks: PskTable | None = None, **limits: Limits) -> Room:
    """Make a group of three: those who are named have these limits."""
    return Room.of(
        "ann",
        "ben",
        "cat",
        make=lambda name, suite: client(
            name, suite, limits=limits.get(name, DEFAULT_LIMITS), psks=psks
        ),
    )


def tight(limits: Limits) -> Room:
    """Make a group of three who have little room for what waits."""
    return room_with(ann=limits, ben=limits, cat=limits)


class Outsider:
    """Somebody with one key package, who asks to be added as often as they like."""

    def __init__(self, room: Room, extensions: Extensions = ()) -> None:
        self.group = room["ann"]
        eve = client("eve", leaf_extensions=extensions)
        self.package, secrets = eve.key_package(room.env, suite=1)
        self.key = secrets.signature_key
        self.asked = 0

    def ask(self) -> bytes:
        """Ask once more, in other words."""
        self.asked += 1
        return propose_to_join(
            self.group.public.epoch.suite,
            self.group.group_context,
            self.key,
            Add(self.package),
            b"%d" % self.asked,
        )


def waiting(group: MlsGroup | PublicGroup) -> int:
    """Count what waits."""
    return len((group.public if isinstance(group, MlsGroup) else group).pending)


def merged(room: Room, group: MlsGroup, found: Processed) -> None:
    """Merge a commit."""
    assert isinstance(found, StagedCommit)
    group.merge(room.env, found)


# ---- room


def test_who_asks_to_join_fills_the_room_of_newcomers_alone() -> None:
    room = tight(Limits(pending_proposals_per_sender_max=2))
    eve, mal = Outsider(room), Outsider(room)
    assert room.hub is not None
    messages = [eve.ask(), mal.ask(), eve.ask()]
    judges: list[MlsGroup | PublicGroup] = [*room.members(), room.hub]
    for group in judges:
        for message in messages[:2]:
            assert isinstance(group.process(room.env, message), ProposalReceived)
        with unchanged(group), violates(Rule.P11):
            group.process(room.env, messages[2])
    room.hear(room["ben"].propose(room.env, Remove(2), as_public=True).message, "ben")
    room.hear(room["cat"].propose_self_remove(room.env).message, "cat")
    assert {waiting(group) for group in judges} == {4}


@pytest.mark.parametrize("as_public", [False, True])
def test_a_member_fills_its_own_room_alone(as_public: bool) -> None:
    room = room_with(ann=Limits(pending_proposals_per_sender_max=2))
    ann = room["ann"]
    for name in ("ben", "cat"):
        sent = [
            room[name].propose(room.env, Remove(0), as_public=as_public, aad=aad)
            for aad in (b"1", b"2", b"3")
        ]
        for each in sent[:2]:
            ann.process(room.env, each.message)
        with unchanged(ann), violates(Rule.P11):
            ann.process(room.env, sent[2].message)
    assert waiting(ann) == 4


def test_octets_of_one_proposal_and_of_one_sender_are_limited() -> None:
    room = tight(
        Limits(pending_proposal_octets_max=2_000, pending_octets_per_sender_max=2_500)
    )
    ann = room["ann"]
    big = Outsider(room, (Extension(1, bytes(2_000)),))
    eve = Outsider(room, (Extension(1, bytes(600)),))
    with unchanged(ann), violates(Rule.P11):
        ann.process(room.env, big.ask())
    for _ in range(2):
        ann.process(room.env, eve.ask())
    with unchanged(ann), violates(Rule.P11):
        ann.process(room.env, eve.ask())
    assert waiting(ann) == 2


@pytest.mark.parametrize(
    "limits", [Limits(pending_proposals_max=2), Limits(pending_octets_max=2_000)]
)
def test_where_all_room_is_taken_nobody_is_blamed_and_who_leaves_has_some(
    limits: Limits,
) -> None:
    room = tight(limits)
    eve, ann = Outsider(room, (Extension(1, bytes(400)),)), room["ann"]
    for _ in range(2):
        ann.process(room.env, eve.ask())
    with unchanged(ann), pytest.raises(MlsMissing, match="room for another proposal"):
        ann.process(room.env, eve.ask())
    with unchanged(ann), pytest.raises(MlsMisuse, match=r"P11.*commit first"):
        ann.propose(room.env, Add(eve.package))
    leave = room["cat"].propose_self_remove(room.env).message
    for _ in range(2):  # again the same one is nothing new
        assert isinstance(ann.process(room.env, leave), ProposalReceived)
    ann.propose_self_remove(room.env)
    assert waiting(ann) == 4


def test_only_one_small_self_remove_of_a_member_has_room_of_its_own() -> None:
    room = tight(Limits(pending_proposals_max=1))
    ann = room["ann"]
    large, small, second = (
        room.restart("cat").propose_self_remove(room.env, aad=aad).message
        for aad in (bytes(SELF_REMOVE_OCTETS_MAX), b"", b"second")
    )
    ann.process(room.env, large)  # like any other: it takes the only place
    ann.process(room.env, small)
    with unchanged(ann), pytest.raises(MlsMissing):
        ann.process(room.env, second)
    assert waiting(ann) == 2


def test_room_that_is_taken_is_taken_after_a_restart_too() -> None:
    room = tight(Limits(pending_proposals_per_sender_max=1))
    eve = Outsider(room)
    room.hear(eve.ask())
    room.hear(room["cat"].propose_self_remove(room.env).message, "cat")
    room.check()
    assert room.hub is not None
    hub = read_public_group(room.hub.services, encode_public_group(room.hub))
    message = eve.ask()
    for group in (room.restart("ann"), hub):
        assert waiting(group) == 2
        with unchanged(group), violates(Rule.P11):
            group.process(room.env, message)


def test_room_is_free_again_after_a_commit() -> None:
    room = tight(Limits(pending_proposals_per_sender_max=1))
    room.hear(Outsider(room).ask())
    room.commit("ben")
    assert len(room["ann"].members) == 4
    room.hear(Outsider(room).ask())
    assert waiting(room["ann"]) == 1


@pytest.mark.parametrize("as_public", [False, True])
def test_a_proposal_for_which_there_is_no_room_uses_no_key(as_public: bool) -> None:
    room = tight(Limits(pending_proposals_per_sender_max=1))
    ann = room["ann"]
    for _ in range(2):  # the same one again is none more
        ann.propose(room.env, Remove(1), as_public=as_public)
    epoch = ann.state.epoch
    assert epoch is not None
    sent = epoch.secret_tree.generation(0, RatchetKind.HANDSHAKE)
    assert sent == (0 if as_public else 2)
    with unchanged(ann), pytest.raises(MlsMisuse, match="P11"):
        ann.propose(room.env, Remove(2), as_public=as_public)
    with unchanged(ann), pytest.raises(MlsMisuse, match="P11"):
        ann.propose_update(room.env, as_public=as_public)
    assert epoch.secret_tree.generation(0, RatchetKind.HANDSHAKE) == sent


@pytest.mark.parametrize("count", [1, 70, 513])
def test_noise_from_outside_keeps_nobody_in_the_group(count: int) -> None:
    """All of one client, so that no two of them fit into one commit."""
    room = Room.of("ann", "ben", "cat")
    eve = Outsider(room)
    ann, room.hub = room["ann"], None
    for _ in range(min(count, DEFAULT_LIMITS.pending_proposals_per_sender_max)):
        ann.process(room.env, eve.ask())
    if count > DEFAULT_LIMITS.pending_proposals_per_sender_max:
        with unchanged(ann), violates(Rule.P11):
            ann.process(room.env, eve.ask())
    ann.process(room.env, room["cat"].propose_self_remove(room.env).message)
    update = room["ben"].propose_update(room.env)
    ann.process(room.env, update.message)
    effects = ann.commit(room.env).effects
    assert [removed.leaf_index for removed in effects.removed] == [2]
    assert [each.leaf_index for each in effects.updated] == [1, 0]
    assert len(effects.added) == 1


# ---- following all the same


@pytest.mark.parametrize("as_public", [False, True])
def test_who_had_no_room_follows_with_what_the_commit_names(as_public: bool) -> None:
    """Members need not have the same room, nor have heard in the same order."""
    psks = PskTable()
    psks.learn(b"key", bytes(32))
    room = room_with(psks, ben=Limits(pending_proposals_max=1))
    room.hub = None
    ann, ben, cat = (room[name] for name in ("ann", "ben", "cat"))
    ben.process(room.env, Outsider(room).ask())
    sent = [
        cat.propose_update(room.env, as_public=as_public),
        cat.propose(
            room.env,
            PreSharedKey(ExternalPsk(b"key", bytes(32))),
            as_public=as_public,
        ),
    ]
    for each in sent:
        ann.process(room.env, each.message)
        with unchanged(ben), pytest.raises(MlsMissing, match="room"):
            ben.process(room.env, each.message)
    commit = ann.commit(room.env, as_public=as_public).commit
    with unchanged(ben), pytest.raises(ProposalsMissing, match="2 proposals") as wrong:
        ben.process(room.env, commit)
    assert wrong.value.references == tuple(each.reference for each in sent)
    with unchanged(ben), pytest.raises(ProposalsMissing, match="1 proposals"):
        ben.process(room.env, commit, [sent[0].message])
    with unchanged(ben):
        staged = ben.process(room.env, commit, [each.message for each in sent])
    assert isinstance(staged, StagedCommit)
    assert len(staged.opened) == (0 if as_public else 3)
    merged(room, ben, staged)
    merged(room, cat, cat.process(room.env, commit))
    ann.merge_pending(room.env)
    room.check()
    room.say("cat", b"with the new leaf")
    for opened in staged.opened:  # no key that was used is left
        with pytest.raises(MlsMisuse, match="consumed"):
            _ = opened.peeked.message_key


def test_a_hub_that_has_no_room_refuses_what_names_the_rest() -> None:
    room = Room.of("ann", "ben")
    assert room.hub is not None
    services = client("hub", limits=Limits(pending_proposals_max=1)).services
    hub = PublicGroup(services, room.hub.epoch)
    hub.process(room.env, Outsider(room).ask())
    sent = room["ben"].propose_update(room.env, as_public=True).message
    room["ann"].process(room.env, sent)
    with unchanged(hub), pytest.raises(MlsMissing, match="room"):
        hub.process(room.env, sent)
    commit = room["ann"].commit(room.env, as_public=True).commit
    with unchanged(hub), violates(Rule.Q11):
        hub.process(room.env, commit)


def test_who_is_removed_by_what_it_had_not_heard_learns_it_with_the_commit() -> None:
    room = Room.of("ann", "ben")
    ann, ben = room["ann"], room["ben"]
    sent = ann.propose(room.env, Remove(1))
    assert sent.reference is not None
    commit = ann.commit(room.env, references=[sent.reference]).commit
    staged = ben.process(room.env, commit, [sent.message])
    assert isinstance(staged, StagedCommit)
    assert staged.epoch is None
    assert len(staged.opened) == 2
    ben.merge(room.env, staged)


def test_with_a_commit_go_proposals_of_others_and_nothing_else() -> None:
    room = Room.of("ann", "ben", "cat")
    ann, ben, cat = (room[name] for name in ("ann", "ben", "cat"))
    lost = [
        room.restart("ben").propose_update(room.env, as_public=as_public).message
        for as_public in (False, True)
    ]
    others = [
        cat.encrypt(room.env, b"hello").message,
        cat.commit(room.env).commit,
        encode_message(room.key_package("cat")[0]),
    ]
    commit = ann.commit(room.env, as_public=True).commit
    ben = room.restart("ben")
    for message in lost:
        ann.process(room.env, message)
        with unchanged(ben), pytest.raises(MlsRolledBack):
            ben.process(room.env, commit, [message])
    for as_public in (False, True):
        mine = ben.propose_update(room.env, as_public=as_public).message
        with unchanged(ben), pytest.raises(MlsMissing, match="message of ours"):
            ben.process(room.env, commit, [mine])
    for message in others:
        with unchanged(ben), pytest.raises(MlsMisuse, match="the proposals"):
            ben.process(room.env, commit, [message])
    elsewhere = Room.of("ann", "ben", "cat")  # of the same name
    for as_public, rule in ((False, Rule.F11), (True, Rule.F06)):
        update = elsewhere["cat"].propose_update(elsewhere.env, as_public=as_public)
        with unchanged(ben), violates(rule):
            ben.process(room.env, commit, [update.message])


def test_a_self_remove_that_was_not_heard_goes_with_the_commit() -> None:
    room = Room.of("ann", "ben", "cat")
    sent = room["cat"].propose_self_remove(room.env)
    room["ann"].process(room.env, sent.message)
    pending = room["ann"].commit(room.env, as_public=True)
    (item,) = pending.effects.proposals
    assert isinstance(item.proposal, SelfRemove)
    found = room["ben"].process(room.env, pending.commit, [sent.message])
    merged(room, room["ben"], found)
    room["ann"].merge_pending(room.env)
    assert room["ann"].group_context == room["ben"].group_context


def test_what_waits_can_be_put_back_as_it_was() -> None:
    room = room_with()
    public = room["ann"].public
    room.hear(room["ben"].propose_self_remove(room.env).message, "ben")
    before = public.pending.copy()
    public.pending = public.pending.without(before)
    assert not public.pending
    public.pending = before.without([b"another"])
    assert list(public.pending) == list(before) != []
