"""Rules P and Q, one by one, over lists that are made by hand."""

from collections.abc import Callable

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import SenderType
from sabir.mls.extensions import (
    REQUIRED_CAPABILITIES,
    Extension,
    RequiredCapabilities,
)
from sabir.mls.framing import NEW_MEMBER_PROPOSAL, Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    Add,
    AppEphemeral,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.psk_ids import ExternalPsk, ResumptionPsk, ResumptionUsage
from sabir.mls.validation import proposals as rules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.clients import Believing
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import ENV, Room, client

ANN, BEN, CAT = (Sender.member(index) for index in range(3))
EXTERNAL = Sender(SenderType.EXTERNAL, 0)


def add(name: str) -> Add:
    return Add(client(name).key_package(ENV, suite=1)[0])


def update(name: str) -> Update:
    return Update(client(name).key_package(ENV, suite=1)[0].leaf_node)


def psk(psk_id: bytes, nonce: int = 32) -> PreSharedKey:
    return PreSharedKey(ExternalPsk(psk_id, bytes(nonce)))


def listed(*items: Proposal | tuple[Proposal, Sender]) -> ProposalList:
    """Make a list; proposals without a sender are the committer's, ann's, by value."""
    return ProposalList(
        Proposed(item, ANN)
        if isinstance(item, Proposal)
        else Proposed(item[0], item[1], item[0].raw)
        for item in items
    )


@pytest.fixture(scope="module")
def room() -> Room:
    return Room.of("ann", "ben", "cat")


def check(room: Room, proposals: ProposalList) -> None:
    public = room["ann"].public
    rules.check_regular_list(proposals, public.tree, 0, public.services)


GOOD: list[Callable[[], ProposalList]] = [
    listed,
    lambda: listed(add("dan"), add("eve"), Remove(1), (update("cat"), CAT)),
    lambda: listed(psk(b"1"), psk(b"2")),
    lambda: listed(GroupContextExtensions(())),
    lambda: listed(ReInit(b"next", 1)),
    lambda: listed((SelfRemove(), BEN), Remove(2)),
    lambda: listed(AppEphemeral(1, b"")),
]


@pytest.mark.parametrize("made", GOOD)
def test_lists_that_break_no_rule(room: Room, made: Callable[[], ProposalList]) -> None:
    check(room, made())


BAD: list[tuple[Rule, Callable[[], ProposalList]]] = [
    (Rule.Q01, lambda: listed((update("ann"), ANN))),
    (Rule.Q02, lambda: listed(Remove(0))),
    (Rule.Q02, lambda: listed((SelfRemove(), ANN))),
    (Rule.Q03, lambda: listed(Remove(1), Remove(1))),
    (Rule.Q03, lambda: listed(Remove(1), (update("ben"), BEN))),
    (Rule.Q03, lambda: listed((update("ben"), BEN), (update("ben"), BEN))),
    (Rule.Q03, lambda: listed((SelfRemove(), BEN), (SelfRemove(), BEN))),
    (Rule.E09, lambda: listed((SelfRemove(), BEN), Remove(1))),
    (Rule.E09, lambda: listed(Remove(1), (SelfRemove(), BEN))),
    (Rule.Q04, lambda: listed(add("dan"), add("dan"))),
    (Rule.Q06, lambda: listed(psk(b"1"), psk(b"1"))),
    (
        Rule.Q07,
        lambda: listed(GroupContextExtensions(()), GroupContextExtensions(())),
    ),
    (Rule.Q08, lambda: listed(ReInit(b"next", 1), psk(b"1"))),
    (Rule.Q08, lambda: listed(ReInit(b"next", 1), ReInit(b"next", 1))),
    (Rule.Q09, lambda: listed(ExternalInit(bytes(32)))),
    (Rule.E08, lambda: listed(SelfRemove())),
]


@pytest.mark.parametrize(("rule", "made"), BAD)
def test_lists_that_break_one(
    room: Room, rule: Rule, made: Callable[[], ProposalList]
) -> None:
    with violates(rule):
        check(room, made())


def test_one_signature_key_is_one_client_whoever_says_otherwise() -> None:
    twice = add("dan")

    class Stranger(Believing):
        def same_client(self, *leaves: object) -> bool:
            return False

    with violates(Rule.Q04):
        rules.check_adds_distinct(listed(twice, twice), Stranger())


def test_nobody_is_added_who_is_there_already(room: Room) -> None:
    staying = [leaf for _, leaf in room["ann"].members]
    rules.check_adds_new(listed(add("dan")), staying, Believing())
    rules.check_adds_new(listed(add("ben")), [staying[0], staying[2]], Believing())
    rules.check_adds_new(listed(), staying, Believing())
    with violates(Rule.Q05):
        rules.check_adds_new(listed(add("ben")), staying, Believing())


def test_types_beyond_the_rfc_are_supported_by_all_who_stay(room: Room) -> None:
    tree = room["ann"].public.tree
    rules.check_types_supported(listed(AppEphemeral(1, b"")), tree, [])
    old = Capabilities((1,), (1,), (), (), (1,))

    class Old:
        capabilities = old

    class Tree:
        def members(self) -> list[tuple[int, object]]:
            return [(0, room["ann"].members[0][1]), (1, Old)]

    mixed: object = Tree()
    proposals = listed(AppEphemeral(1, b""))
    rules.check_types_supported(proposals, mixed, [1])  # type: ignore[arg-type]  # enough of a tree
    with violates(Rule.Q10):
        rules.check_types_supported(proposals, mixed, [])  # type: ignore[arg-type]  # enough of a tree


def test_a_remove_names_a_member(room: Room) -> None:
    tree = room["ann"].public.tree
    rules.check_removed_leaf(tree, 2)
    for index in (3, 4, 0xFFFF_FFFF):
        with violates(Rule.P03):
            rules.check_removed_leaf(tree, index)


def test_a_psk_has_a_nonce_and_a_usage_that_fit() -> None:
    rules.check_psk_nonce(SUITES[1], psk(b"1").psk)
    for size in (0, 31, 33):
        with violates(Rule.P04):
            rules.check_psk_nonce(SUITES[1], psk(b"1", size).psk)
    rules.check_psk_usage(psk(b"1").psk)
    for usage in ResumptionUsage:
        resumed = ResumptionPsk(usage, b"g", 1, bytes(32))
        if usage is ResumptionUsage.APPLICATION:
            rules.check_psk_usage(resumed)
        else:
            with violates(Rule.P05):
                rules.check_psk_usage(resumed)


def test_a_re_init_does_not_lower_the_version() -> None:
    context = GroupContext(1, b"g", 0, b"", b"")
    for version in (1, 2):
        rules.check_version_not_lower(context, ReInit(b"n", 1, version=version))
    with violates(Rule.P06):
        rules.check_version_not_lower(context, ReInit(b"n", 1, version=0))


def test_who_is_outside_proposes_what_their_kind_may() -> None:
    def check_sender(proposal: Proposal, sender: Sender) -> None:
        rules.check_sender_type(Proposed(proposal, sender), STANDARD_PROPOSALS)

    check_sender(Remove(0), EXTERNAL)
    check_sender(add("dan"), NEW_MEMBER_PROPOSAL)
    check_sender(SelfRemove(), ANN)
    for wrong in (update("ann"), SelfRemove()):
        with violates(Rule.P09):
            check_sender(wrong, EXTERNAL)
    with violates(Rule.Q09):
        check_sender(ExternalInit(b""), ANN)


def test_the_application_may_refuse() -> None:
    class NoRemoves:
        def allows(
            self, proposal: Proposal, sender: Sender, context: GroupContext
        ) -> bool:
            return not isinstance(proposal, Remove) and sender.index == context.epoch

    context = GroupContext(1, b"g", 0, b"", b"")
    rules.check_policy(NoRemoves(), context, Proposed(psk(b"1"), ANN))
    with violates(Rule.P10):
        rules.check_policy(NoRemoves(), context, Proposed(Remove(1), ANN))


def test_new_requirements_and_extensions_are_met_by_all() -> None:
    rich = Capabilities((1,), (1,), (0xF001,), (0xF002,), (1, 2))
    poor = Capabilities((1,), (1,), (), (), (1,))
    required = RequiredCapabilities((0xF001,), (0xF002,), (2,)).encode()
    extensions = (Extension(REQUIRED_CAPABILITIES, required),)
    rules.check_requirements_met((), [poor])
    rules.check_requirements_met(extensions, [rich])
    with violates(Rule.P07):
        rules.check_requirements_met(extensions, [rich, poor])
    own = (Extension(0xF001, b""),)
    rules.check_extensions_supported(own, [rich])
    with violates(Rule.P08):
        rules.check_extensions_supported(own, [rich, poor])
