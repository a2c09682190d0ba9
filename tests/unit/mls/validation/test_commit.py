"""Rules O, and Q11."""

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.errors import ProposalsMissing
from sabir.mls.framing import Sender
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
from sabir.mls.transcript import confirmation_tag
from sabir.mls.validation import commit as rules
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates

ANN, BEN = Sender.member(0), Sender.member(1)
PSK = PreSharedKey(ExternalPsk(b"id", bytes(32)))


def test_references_are_resolved_in_order_and_values_are_the_committers() -> None:
    waiting = Proposed(Remove(2), BEN, b"ref")
    commit = Commit((ProposalReference(b"ref"), PSK))
    assert list(rules.resolve(commit, {b"ref": waiting}, ANN)) == [
        waiting,
        Proposed(PSK, ANN),
    ]


@pytest.mark.parametrize("references", [(b"ref", b"ref"), (b"other", b"other")])
def test_references_twice_to_one_are_refused(references: tuple[bytes, ...]) -> None:
    waiting = {b"ref": Proposed(Remove(2), BEN, b"ref")}
    commit = Commit(tuple(map(ProposalReference, references)))
    with violates(Rule.Q11):
        rules.resolve(commit, waiting, ANN)


def test_references_to_what_is_not_here_are_told_all_at_once() -> None:
    waiting = {b"ref": Proposed(Remove(2), BEN, b"ref")}
    commit = Commit(tuple(ProposalReference(name) for name in (b"one", b"ref", b"two")))
    with pytest.raises(ProposalsMissing) as missing:
        rules.resolve(commit, waiting, ANN)
    assert missing.value.references == (b"one", b"two")


@pytest.mark.parametrize(
    ("proposals", "needed"),
    [
        ((), True),
        ((PSK,), False),
        ((ReInit(b"n", 1),), False),
        ((AppDataUpdate(1, b""), AppEphemeral(1, b"")), False),
        ((PSK, Remove(1)), True),
        ((GroupContextExtensions(()),), True),
        ((ExternalInit(b""),), True),
        ((SelfRemove(),), True),
    ],
)
def test_a_path_is_there_where_one_is_needed(
    proposals: tuple[Proposal, ...], needed: bool
) -> None:
    listed = ProposalList(Proposed(proposal, ANN) for proposal in proposals)
    assert rules.needs_path(listed, STANDARD_PROPOSALS) is needed
    without = Commit(proposals)
    if needed:
        with violates(Rule.O01):
            rules.check_path_present(without, listed, STANDARD_PROPOSALS)
    else:
        rules.check_path_present(without, listed, STANDARD_PROPOSALS)


def test_the_epoch_grows_by_one_and_does_not_wrap() -> None:
    assert rules.next_epoch(0) == 1
    assert rules.next_epoch(rules.EPOCH_MAX - 1) == rules.EPOCH_MAX
    with violates(Rule.O05):
        rules.next_epoch(rules.EPOCH_MAX)


def test_the_confirmation_tag_is_the_new_epochs() -> None:
    suite, key = SUITES[1], Secret(bytes(32))
    tag = confirmation_tag(suite, key, b"hash")
    rules.check_confirmation_tag(suite, key, b"hash", tag)
    with violates(Rule.O03):
        rules.check_confirmation_tag(suite, key, b"other", tag)
