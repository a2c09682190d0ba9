"""A list of proposals, applied: who must support what the group is to require."""

from dataclasses import replace

import pytest

from sabir.mls.extensions import (
    REQUIRED_CAPABILITIES,
    Extension,
    Extensions,
    RequiredCapabilities,
)
from sabir.mls.group.group import MlsGroup
from sabir.mls.proposals import Add, GroupContextExtensions, Proposal, Remove
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client

NEW = 0xF0F0
"""An extension that some clients learn to understand."""

USED: Extensions = (Extension(NEW, b""),)
REQUIRED: Extensions = (
    Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(extensions=(NEW,)).encode()),
)
CHANGES = [(USED, Rule.P08), (REQUIRED, Rule.P07)]


def upgrade(room: Room, *names: str) -> None:
    """Let clients understand the extension; their leaves do not say so yet."""
    for name in names:
        known = room.clients[name].capabilities
        room.clients[name].capabilities = replace(
            known, extensions=(*known.extensions, NEW), raw=b""
        )


def upgraded(*names: str) -> Room:
    """Make a group whose members' leaves say that they understand it."""
    room = Room.of(*names)
    upgrade(room, *names)
    for name in names:
        room.groups[name].commit(room.env, leaf=room[name].new_leaf(), as_public=True)
        room.deliver(name)
    return room


@pytest.mark.parametrize(("extensions", "rule"), CHANGES)
def test_an_update_in_the_same_commit_counts(
    extensions: Extensions, rule: Rule
) -> None:
    room = upgraded("ann")
    room.clients["ben"] = client("ben")
    room.add("ann", "ben")
    change = GroupContextExtensions(extensions)
    ann = room["ann"]
    with unchanged(ann), violates(rule):
        ann.commit(room.env, [change])
    upgrade(room, "ben")
    room.hear(room["ben"].propose_update(room.env, as_public=True).message, "ben")
    room.commit("ann", change)
    assert room["ben"].group_context.extensions == extensions


@pytest.mark.parametrize(("extensions", "rule"), CHANGES)
def test_who_is_removed_in_the_same_commit_does_not_count(
    extensions: Extensions, rule: Rule
) -> None:
    room = upgraded("ann", "ben")
    room.clients["cat"] = client("cat")
    room.add("ann", "cat")
    change = GroupContextExtensions(extensions)
    with unchanged(room["ann"]), violates(rule):
        room["ann"].commit(room.env, [change])
    room.commit("ann", change, Remove(2))
    assert room["ben"].group_context.extensions == extensions


@pytest.mark.parametrize("extensions", [USED, REQUIRED])
def test_who_is_added_in_the_same_commit_counts(extensions: Extensions) -> None:
    room = upgraded("ann", "ben")
    change = GroupContextExtensions(extensions)
    room.clients["cat"] = client("cat")
    old = Add(room.key_package("cat")[0])
    rule = Rule.L15 if extensions is USED else Rule.L03
    with unchanged(room["ann"]), violates(rule):
        room["ann"].commit(room.env, [change, old])
    upgrade(room, "cat")
    package, _ = room.key_package("cat")
    room.commit("ann", change, Add(package))
    assert len(room["ben"].members) == 3


@pytest.mark.parametrize(("extensions", "rule"), CHANGES)
def test_the_committer_s_own_new_leaf_does_not_count(
    extensions: Extensions, rule: Rule
) -> None:
    """The list is judged before the path (12.4.2): the leaf goes in a commit before."""
    room = upgraded("ann", "ben")
    room.clients["cat"] = client("cat")
    room.add("ann", "cat")
    upgrade(room, "cat")
    cat = room["cat"]
    change: list[Proposal] = [GroupContextExtensions(extensions)]
    with unchanged(cat), violates(rule):
        cat.commit(room.env, change, leaf=cat.new_leaf())
    cat.commit(room.env, leaf=cat.new_leaf(), as_public=True)
    room.deliver("cat")
    room.commit("cat", *change)
    assert _extensions(room["ann"]) == extensions


def _extensions(group: MlsGroup) -> Extensions:
    return group.group_context.extensions
