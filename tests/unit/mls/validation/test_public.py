"""Rules H: GroupInfo and Welcome beside a commit."""

from dataclasses import replace

import pytest

from sabir.mls.extensions import RATCHET_TREE, Extension, find_extension
from sabir.mls.group.commit import part_of_welcome
from sabir.mls.group.pending import PendingCommit
from sabir.mls.proposals import Add
from sabir.mls.staging import PublicStage
from sabir.mls.tags import Tag
from sabir.mls.tree_options import TreePresence
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Room, client


@pytest.fixture
def staged() -> tuple[Room, PendingCommit, PublicStage]:
    room = Room.of("ann", "ben")
    for name in ("cat", "dan"):
        room.clients[name] = client(name)
    adds = [Add(room.key_package(name)[0]) for name in ("cat", "dan")]
    pending = room["ben"].commit(room.env, adds, as_public=True, force_path=True)
    assert room.hub is not None
    stage = room.hub.process(room.env, pending.commit)
    assert isinstance(stage, PublicStage)
    return room, pending, stage


Staged = tuple[Room, PendingCommit, PublicStage]


@pytest.mark.parametrize("with_tree", [True, False])
def test_the_committers_group_info_is_the_hubs(staged: Staged, with_tree: bool) -> None:
    room, pending, stage = staged
    assert room.hub is not None
    room.hub.check_group_info(stage, pending.group_info(with_tree=with_tree))


def test_another_group_info_is_refused(staged: Staged) -> None:
    room, pending, stage = staged
    assert room.hub is not None
    shown = pending.group_info(with_tree=False)
    old = room["ben"].group_info(with_tree=False)
    for wrong in (
        old,
        replace(shown, confirmation_tag=Tag(bytes(32)), raw=b""),
        replace(shown, signer=0, raw=b""),
        replace(shown, signature=old.signature, raw=b""),
    ):
        with violates(Rule.H02):
            room.hub.check_group_info(stage, wrong)


@pytest.mark.parametrize("presence", TreePresence)
def test_a_group_info_is_rebuilt_from_its_part(
    staged: Staged, presence: TreePresence
) -> None:
    room, pending, stage = staged
    assert room.hub is not None
    own = (Extension(0xF001, b"first"),)
    rebuilt = room.hub.rebuild_group_info(
        stage, pending.partial_group_info(presence, own)
    )
    assert rebuilt == pending.group_info(with_tree=presence.now, extensions=own)
    inside = find_extension(rebuilt.extensions, RATCHET_TREE)
    assert (inside is not None) is presence.now


def test_a_part_that_does_not_fit_is_refused(staged: Staged) -> None:
    room, pending, stage = staged
    assert room.hub is not None
    partial = pending.partial_group_info(TreePresence.NONE)
    with violates(Rule.H03):
        room.hub.rebuild_group_info(
            stage, replace(partial, presence=TreePresence.PRESENT)
        )


def test_a_welcome_is_for_exactly_those_who_are_added(staged: Staged) -> None:
    room, pending, stage = staged
    assert room.hub is not None
    welcome = pending.welcome_for_sequencer()
    assert welcome is not None
    room.hub.check_welcome(stage, welcome)
    first = part_of_welcome(welcome, [welcome.secrets[0].new_member])
    for wrong in (first, replace(welcome, cipher_suite=2, raw=b"")):
        with violates(Rule.H04):
            room.hub.check_welcome(stage, wrong)
