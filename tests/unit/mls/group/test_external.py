"""Joining by oneself, resync, and proposals from outside."""

from dataclasses import replace

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.extensions import (
    EXTERNAL_SENDERS,
    Extension,
    ExternalSender,
    encode_external_senders,
)
from sabir.mls.framing import encode_message
from sabir.mls.group.export import group_info_of
from sabir.mls.group.external import propose_as_external_sender, propose_to_join
from sabir.mls.group.group import accept, stage_external_join
from sabir.mls.group.process import StagedCommit
from sabir.mls.proposals import Add, PreSharedKey, Remove
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.public_group import ProposalReceived
from sabir.mls.tree_options import TreePresence
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client


def enter(room: Room, name: str, *, forgot: bool = False, **how: object) -> None:
    """Let somebody join by a commit of their own.

    Args:
        room: the group.
        name: who.
        forgot: they do not say which groups they are in.
        how: arguments of `stage_external_join`.
    """
    info = next(iter(room.members())).group_info(with_tree=True)
    member_of = [b"room"] if name in room.groups and not forgot else []
    join = stage_external_join(
        room.env,
        room.clients[name],
        info,
        member_of=member_of,
        **how,  # type: ignore[arg-type]  # forwarded
    )
    room.hear(join.commit, name)
    room.groups[name] = accept(room.clients[name], join)
    room.stores.pop(name, None)
    room.check()


@pytest.mark.parametrize("suite", SUITES)
def test_who_joins_by_a_commit_can_talk(suite: int) -> None:
    room = Room.of("ann", "ben", suite=suite)
    room.clients["cat"] = client("cat", suite)
    enter(room, "cat")
    assert room["cat"].own_leaf == 2
    room.say("cat", b"hello")
    room.commit("ben")
    room.say("ann", b"welcome")


def test_a_group_info_in_a_message_or_with_the_tree_beside_it_will_do() -> None:
    room = Room.of("ann", "ben")
    room.clients["cat"] = client("cat")
    info = room["ann"].group_info(with_tree=False)
    with pytest.raises(MlsMissing):
        stage_external_join(room.env, room.clients["cat"], info, member_of=())
    tree = room["ann"].public.tree.encode()
    join = stage_external_join(
        room.env, room.clients["cat"], encode_message(info), tree=tree, member_of=()
    )
    room.hear(join.commit)
    room.groups["cat"] = accept(room.clients["cat"], join)
    room.check()
    assert room.hub is not None
    part = join.partial_group_info(TreePresence.NONE)
    assert part.signature == join.group_info(with_tree=False).signature
    shown = join.group_info(with_tree=True)
    assert shown.signer == 2
    assert shown.group_context == room.hub.context
    with pytest.raises(MlsMisuse):
        stage_external_join(room.env, room.clients["cat"], join.commit, member_of=())


def test_without_external_pub_nobody_joins() -> None:
    room = Room.of("ann")
    epoch = room["ann"].state.epoch
    assert epoch is not None
    shown = group_info_of(epoch, with_tree=True, with_external=False)
    with violates(Rule.X09):
        stage_external_join(room.env, client("cat"), shown, member_of=())


def test_a_group_that_we_are_in_is_joined_only_in_place_of_our_leaf() -> None:
    room = Room.of("ann", "ben")
    with unchanged(room["ben"]), violates(Rule.W06):
        enter(room, "ben")
    enter(room, "ben", resync=room["ben"].own_leaf)
    assert [leaf for leaf, _ in room["ann"].members] == [0, 1]


def test_what_answers_whether_we_are_in_a_group_may_be_a_store() -> None:
    class Store:
        def __contains__(self, group_id: object) -> bool:
            return group_id == b"room"

    room = Room.of("ann")
    info = room["ann"].group_info(with_tree=True)
    with violates(Rule.W06):
        stage_external_join(room.env, client("cat"), info, member_of=Store())


def test_a_former_leaf_is_replaced_by_resync_and_its_place_taken() -> None:
    room = Room.of("ann", "ben", "cat")
    del room.groups["ben"]
    enter(room, "ben", resync=1)
    assert room["ben"].own_leaf == 1
    assert len(room["ann"].members) == 3
    room.say("ben", b"back again")


def test_nobody_is_replaced_by_somebody_else() -> None:
    room = Room.of("ann", "ben")
    room.clients["eve"] = client("eve")
    with violates(Rule.X06):
        enter(room, "eve", resync=1)


def test_two_self_removes_of_one_member_keep_nobody_out() -> None:
    room = Room.of("ann", "ben", "cat")
    assert room.hub is not None
    sent = {}
    for aad in (b"once", b"twice"):
        leaving = room.restart("cat").propose_self_remove(room.env, aad=aad)
        assert leaving.reference is not None
        sent[leaving.reference] = leaving.message
        room.hear(leaving.message, "cat")
    assert len(room.hub.pending) == 2
    (reference,) = room.hub.self_removes
    room.clients["dan"] = client("dan")
    del room.groups["cat"]
    enter(room, "dan", self_removes=[sent[reference]])
    assert [leaf for leaf, _ in room["ann"].members] == [0, 1, 2]


def test_waiting_self_removes_are_carried_through() -> None:
    room = Room.of("ann", "ben", "cat")
    leaving = room["ben"].propose_self_remove(room.env).message
    room.hear(leaving, "ben")
    assert room.hub is not None
    assert len(room.hub.self_removes) == 1
    room.clients["dan"] = client("dan")
    enter(room, "dan", self_removes=[leaving])
    assert room["dan"].own_leaf == 1
    assert room["ben"].state.epoch is None


def test_what_is_no_self_remove_is_not_carried() -> None:
    room = Room.of("ann", "ben")
    update = room["ben"].propose_update(room.env, as_public=True).message
    room.clients["dan"] = client("dan")
    with violates(Rule.X04):
        enter(room, "dan", self_removes=[update])
    private = room["ben"].propose_update(room.env).message
    with violates(Rule.E08):
        enter(room, "dan", self_removes=[private])


def test_psks_go_into_an_external_commit() -> None:
    psks = PskTable()
    psks.learn(b"id", b"value")
    room = Room.of("ann", "ben", make=lambda name, suite: client(name, psks=psks))
    room.clients["cat"] = client("cat", psks=psks)
    psk = PreSharedKey(ExternalPsk(b"id", bytes(32)))
    enter(room, "cat", proposals=[psk])
    room.clients["dan"] = client("dan")
    with pytest.raises(MlsMissing):
        enter(room, "dan", proposals=[psk])


SENDER_PRIVATE, SENDER_PUBLIC = signature_key_pair(SUITES[1], bytes(32))
SENDERS = Extension(
    EXTERNAL_SENDERS,
    encode_external_senders(
        [
            ExternalSender(b"nobody's", BasicCredential(b"nobody")),
            ExternalSender(SENDER_PUBLIC, BasicCredential(b"provider")),
        ]
    ),
)


def test_an_external_sender_proposes_and_a_member_commits() -> None:
    room = Room.of("ann", "ben", extensions=(SENDERS,))
    proposal = propose_as_external_sender(
        SUITES[1], room["ann"].group_context, 1, Secret(SENDER_PRIVATE), Remove(1)
    )
    heard = room.hear(proposal)
    assert all(isinstance(found, ProposalReceived) for found in heard)
    room.commit("ann")
    assert room["ben"].state.epoch is None


def test_an_external_sender_is_known_by_index_and_key() -> None:
    room = Room.of("ann", "ben", extensions=(SENDERS,))
    context = room["ann"].group_context
    for index, rule in ((0, Rule.F07), (2, Rule.F09)):
        with violates(rule):
            room["ann"].process(
                room.env,
                propose_as_external_sender(
                    SUITES[1], context, index, Secret(SENDER_PRIVATE), Remove(1)
                ),
            )


def test_somebody_asks_to_be_added() -> None:
    room = Room.of("ann", "ben")
    room.clients["cat"] = client("cat")
    package, secrets = room.key_package("cat")
    asked = propose_to_join(
        SUITES[1], room["ann"].group_context, secrets.signature_key, Add(package)
    )
    room.hear(asked)
    pending = room.commit("ben")
    assert [added.key_package for added in pending.effects.added] == [package]


def test_the_joiner_is_among_the_effects() -> None:
    room = Room.of("ann")
    room.clients["cat"] = client("cat")
    info = room["ann"].group_info(with_tree=True)
    join = stage_external_join(room.env, room.clients["cat"], info, member_of=())
    staged = room["ann"].process(room.env, join.commit)
    assert isinstance(staged, StagedCommit)
    assert staged.effects.joiner == join.effects.joiner is not None
    assert staged.effects.committer_leaf == 1
    assert staged.effects.updated == ()


def test_an_external_commit_of_a_member_s_key_is_refused() -> None:
    room = Room.of("ann", "ben")
    with unchanged(room["ben"]), violates(Rule.L11):
        enter(room, "ben", forgot=True)


def test_a_group_of_another_version_is_not_joined() -> None:
    room = Room.of("ann")
    shown = room["ann"].group_info(with_tree=True)
    other = replace(shown.group_context, version=2, raw=b"")
    with pytest.raises(MlsUnsupported):
        stage_external_join(
            room.env,
            client("ben"),
            replace(shown, group_context=other, raw=b""),
            member_of=(),
        )


def test_a_self_remove_of_another_epoch_is_not_carried() -> None:
    room = Room.of("ann", "ben")
    leaving = room["ben"].propose_self_remove(room.env).message
    room.commit("ann")
    room.clients["dan"] = client("dan")
    with violates(Rule.F02):
        enter(room, "dan", self_removes=[leaving])
