"""Rules X, over lists that are made by hand."""

from collections.abc import Callable

import pytest

from sabir.mls.commit import Commit
from sabir.mls.framing import NEW_MEMBER_COMMIT, Sender
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    AppDataUpdate,
    AppEphemeral,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
)
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.validation import external as rules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import Believing
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, Room, client

INIT = ExternalInit(bytes(32))
PSK = PreSharedKey(ExternalPsk(b"id", bytes(32)))


def listed(*proposals: Proposal, references: tuple[Proposed, ...] = ()) -> ProposalList:
    values = (Proposed(proposal, NEW_MEMBER_COMMIT) for proposal in proposals)
    return ProposalList([*references, *values])


def sent(proposal: Proposal, leaf: int) -> Proposed:
    return Proposed(proposal, Sender.member(leaf), b"reference %d" % leaf)


@pytest.fixture(scope="module")
def room() -> Room:
    return Room.of("ann", "ben", "cat")


def check(room: Room, proposals: ProposalList) -> None:
    tree = room["ann"].public.tree
    rules.check_external_list(proposals, tree, STANDARD_PROPOSALS)


@pytest.mark.parametrize(
    "proposals",
    [
        listed(INIT),
        listed(INIT, Remove(1), PSK),
        listed(AppEphemeral(1, b""), INIT, AppDataUpdate(1, b"")),
        listed(INIT, references=(sent(SelfRemove(), 1), sent(SelfRemove(), 2))),
    ],
)
def test_lists_that_break_no_rule(room: Room, proposals: ProposalList) -> None:
    check(room, proposals)


BAD: list[tuple[Rule, Callable[[], ProposalList]]] = [
    (Rule.X02, listed),
    (Rule.X02, lambda: listed(INIT, INIT)),
    (Rule.X03, lambda: listed(INIT, Remove(0), Remove(1))),
    (Rule.X03, lambda: listed(INIT, GroupContextExtensions(()))),
    (Rule.X03, lambda: listed(INIT, ReInit(b"next", 1))),
    (Rule.X03, lambda: listed(INIT, SelfRemove())),
    (Rule.X04, lambda: listed(INIT, references=(sent(Remove(0), 1),))),
    (
        Rule.E09,
        lambda: listed(INIT, Remove(1), references=(sent(SelfRemove(), 1),)),
    ),
    (Rule.Q06, lambda: listed(INIT, PSK, PSK)),
]


@pytest.mark.parametrize(("rule", "made"), BAD)
def test_lists_that_break_one(
    room: Room, rule: Rule, made: Callable[[], ProposalList]
) -> None:
    with violates(rule):
        check(room, made())


def test_an_external_init_stands_in_the_commit() -> None:
    with violates(Rule.X02):
        rules.check_one_external_init(listed(references=(sent(INIT, 0),)))


def test_an_external_commit_has_a_path() -> None:
    with violates(Rule.X01):
        rules.path_of(Commit((INIT,)))


def test_who_removes_a_leaf_may_replace_it(room: Room) -> None:
    tree = room["ann"].public.tree
    ben = client("ben").key_package(ENV, suite=1)[0].leaf_node
    rules.check_replacement(tree, listed(INIT), ben, Believing())
    rules.check_replacement(tree, listed(INIT, Remove(1)), ben, Believing())
    with violates(Rule.X06):
        rules.check_replacement(tree, listed(INIT, Remove(2)), ben, Believing())


def test_who_replaces_a_leaf_by_joining_has_a_new_key(room: Room) -> None:
    tree = room["ann"].public.tree
    same = tree.leaf(2)
    assert same is not None
    with violates(Rule.L10):
        rules.check_replacement(tree, listed(INIT, Remove(2)), same, Believing())
    # Nobody is there: that is for the rules of Remove to say.
    rules.check_replacement(tree, listed(INIT, Remove(9)), same, Believing())
