"""Rules O, and Q11: what a commit must be (RFC 9420 sections 12.4 and 14)."""

from collections.abc import Mapping
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.commit import Commit, ProposalReference
from sabir.mls.errors import MlsInvalid, ProposalsMissing
from sabir.mls.framing import Sender
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import ProposalRegistry
from sabir.mls.tags import Tag
from sabir.mls.transcript import confirmation_tag
from sabir.mls.validation.rules import Rule

EPOCH_MAX: Final = (1 << 64) - 1
"""The last epoch a group can have: it is a `uint64`."""


def resolve(
    commit: Commit, pending: Mapping[bytes, Proposed], committer: Sender
) -> ProposalList:
    """Q11: find the proposals that a commit names; those by value are the sender's.

    Raises:
        MlsInvalid: Q11, two references to one proposal.
        ProposalsMissing: references to what does not wait here.
    """
    items = []
    missing = []
    seen: set[bytes] = set()
    for index, item in enumerate(commit.proposals):
        if not isinstance(item, ProposalReference):
            items.append(Proposed(item, committer))
            continue
        if item.reference in seen:
            raise MlsInvalid(Rule.Q11, f"proposal {index} of {len(commit.proposals)}")
        seen.add(item.reference)
        found = pending.get(item.reference)
        if found is None:
            missing.append(item.reference)
        else:
            items.append(found)
    if missing:
        raise ProposalsMissing(tuple(missing))
    return ProposalList(items)


def needs_path(proposals: ProposalList, registry: ProposalRegistry) -> bool:
    """Whether a commit of this list must have a path (12.4)."""
    return not len(proposals) or any(
        registry.type_of(kind).needs_path for kind in proposals.kinds
    )


def check_path_present(
    commit: Commit, proposals: ProposalList, registry: ProposalRegistry
) -> None:
    """O01: a path is there when the list is empty or any type needs one."""
    if commit.path is None and needs_path(proposals, registry):
        raise MlsInvalid(Rule.O01, f"{len(proposals)} proposals")


def next_epoch(epoch: int) -> int:
    """O05: the epoch grows by one and does not wrap."""
    if epoch >= EPOCH_MAX:
        raise MlsInvalid(Rule.O05)
    return epoch + 1


def check_confirmation_tag(
    suite: CipherSuite, confirmation_key: Secret, confirmed_hash: bytes, tag: Tag
) -> None:
    """O03: the confirmation tag is that of the new epoch."""
    if not confirmation_tag(suite, confirmation_key, confirmed_hash).ct_equal(tag):
        raise MlsInvalid(Rule.O03)
