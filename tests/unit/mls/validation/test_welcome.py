"""Rules W that need no whole Welcome; the others are in group/test_join.py."""

from dataclasses import replace

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.capabilities import Capabilities
from sabir.mls.extensions import Extension
from sabir.mls.group_context import GroupContext
from sabir.mls.proposals import ReInit
from sabir.mls.psk_ids import ExternalPsk, ResumptionPsk, ResumptionUsage
from sabir.mls.transcript import confirmation_tag
from sabir.mls.validation import welcome as rules
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import Welcome
from sabir.testing.mls.clients import Believing
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, Room, client

SUITE = SUITES[1]
CONTEXT = GroupContext(1, b"group", 1, b"", b"hash", (Extension(3, b"\x00\x00\x00"),))


@pytest.fixture(scope="module")
def room() -> Room:
    return Room.of("ann", "ben", "cat")


def resumption(usage: ResumptionUsage) -> ResumptionPsk:
    return ResumptionPsk(usage, b"old", 3, bytes(32))


def test_an_entry_names_our_key_package() -> None:
    with violates(Rule.W01):
        rules.entry_for(Welcome(1, (), b""), b"reference")


def test_the_welcomes_suite_is_the_key_packages() -> None:
    rules.check_welcome_suite(Welcome(1, (), b""), 1)
    with violates(Rule.W02):
        rules.check_welcome_suite(Welcome(2, (), b""), 1)


def test_one_psk_at_most_links_groups() -> None:
    external = ExternalPsk(b"id", bytes(32))
    application = resumption(ResumptionUsage.APPLICATION)
    branch = resumption(ResumptionUsage.BRANCH)
    assert rules.linking_psk((external, application)) is None
    assert rules.linking_psk((external, branch, application)) is branch
    with violates(Rule.W04):
        rules.linking_psk((branch, resumption(ResumptionUsage.REINIT)))


def test_the_leaf_that_is_named_signs_the_group_info(room: Room) -> None:
    group = room["ben"]
    tree, shown = group.public.tree, group.group_info(with_tree=False)
    assert rules.verify_group_info(SUITE, shown, tree) == shown
    for signer in (0, 2, 3, 4, 0xFFFF_FFFF):
        with violates(Rule.W05):
            rules.verify_group_info(SUITE, replace(shown, signer=signer, raw=b""), tree)
    with violates(Rule.W05):
        changed = replace(shown, extensions=(), raw=b"")
        rules.verify_group_info(SUITE, changed, tree)


def test_no_group_is_joined_twice() -> None:
    rules.check_not_member(CONTEXT, [b"other"])
    with violates(Rule.W06):
        rules.check_not_member(CONTEXT, [b"other", b"group"])


def test_suite_and_version_of_the_group_are_the_key_packages() -> None:
    rules.check_group_suite(CONTEXT, SUITE, 1)
    with violates(Rule.W07):
        rules.check_group_suite(CONTEXT, SUITES[2], 1)
    with violates(Rule.W07):
        rules.check_group_suite(CONTEXT, SUITE, 2)


def test_our_leaf_is_in_the_tree_octet_for_octet(room: Room) -> None:
    tree = room["ann"].public.tree
    assert rules.find_own_leaf(tree, room["ann"].members[2][1]) == 2
    stranger = client("dan").key_package(ENV, suite=1)[0].leaf_node
    with violates(Rule.W09):
        rules.find_own_leaf(tree, stranger)
    before = room["cat"].members[2][1]
    room.commit("cat")
    with violates(Rule.W09):
        rules.find_own_leaf(room["ann"].public.tree, before)


def test_the_confirmation_tag_is_the_epochs() -> None:
    key = Secret(bytes(32))
    tag = confirmation_tag(SUITE, key, b"hash")
    rules.check_group_tag(SUITE, key, CONTEXT, tag)
    with violates(Rule.W11):
        rules.check_group_tag(SUITE, Secret(b"another"), CONTEXT, tag)


def test_we_support_every_extension_of_the_group() -> None:
    ours = Capabilities((1,), (1,), (0xF001,), (), (1,))
    rules.check_extensions_known((Extension(3, b""), Extension(0xF001, b"")), ours)
    with violates(Rule.W12):
        rules.check_extensions_known((Extension(0xF002, b""),), ours)


def test_a_tree_given_twice_is_given_alike() -> None:
    for inside, outside in ((None, None), (b"t", None), (None, b"t"), (b"t", b"t")):
        rules.check_same_tree(inside, outside)
    with violates(Rule.W17):
        rules.check_same_tree(b"t", b"u")


def test_a_group_that_continues_another_is_joined_at_once() -> None:
    rules.check_first_epoch(CONTEXT)
    with violates(Rule.W13):
        rules.check_first_epoch(replace(CONTEXT, epoch=2, raw=b""))


def test_a_new_group_is_as_the_re_init_says() -> None:
    fitting = ReInit(b"group", 1, CONTEXT.extensions)
    rules.check_re_init_fits(CONTEXT, fitting)
    for other in (
        None,
        replace(fitting, group_id=b"other", raw=b""),
        replace(fitting, cipher_suite=2, raw=b""),
        replace(fitting, extensions=(), raw=b""),
        replace(fitting, version=2, raw=b""),
    ):
        with violates(Rule.W14):
            rules.check_re_init_fits(CONTEXT, other)


def test_members_of_old_and_new_groups_are_compared() -> None:
    large = Room.of("ann", "ben", "cat")["ann"].public.tree
    small = Room.of("ben", "ann")["ann"].public.tree
    rules.check_all_continue(small, large, Believing())
    rules.check_branch_members(large, small, Believing())
    with violates(Rule.W14):
        rules.check_all_continue(large, small, Believing())
    with violates(Rule.W15):
        rules.check_branch_members(small, large, Believing())


def test_a_branch_keeps_version_and_suite() -> None:
    rules.check_branch_fits(CONTEXT, CONTEXT)
    with violates(Rule.W15):
        rules.check_branch_fits(CONTEXT, replace(CONTEXT, cipher_suite=2, raw=b""))
