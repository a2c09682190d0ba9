"""Proposals that wait for a commit: accepted all together, or none (7.3).

The next commit must cover all of them (D-38). So none is accepted with which no commit
would be valid: whoever may propose anything could stop the room for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from sabir.crypto.suites import CipherSuite, find_suite
from sabir.mimi.hub.memory import HUB_SERVICES, Bundle, Phase, RoomMemory, Waiting
from sabir.mimi.hub.refusals import denied
from sabir.mimi.hub.senders import Handshake
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.judge import judge_proposals
from sabir.mimi.policy.kernel import Facts
from sabir.mimi.policy.view import client_of
from sabir.mimi.structs.update import ProposalBundle
from sabir.mimi.uris import domain_of
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.framing import MlsMessageIn, PublicMessage, Sender, VerifiedContent
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.message_protection import proposal_reference
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import Add, Remove, SelfRemove, Update
from sabir.mls.public_group import PublicGroup
from sabir.mls.staging import accept_proposal
from sabir.mls.transition import apply_list
from sabir.wire.errors import Malformed

WAITS_S_MIN: Final = 7 * 24 * 3_600
"""Seconds for which a KeyPackage in a waiting Add must be good yet: when it ends, no
commit is valid any more that covers it."""


def accepted(
    memory: RoomMemory, handshakes: list[Handshake], now_s: int
) -> tuple[Proposed, ...]:
    """Check proposals one by one, by the rules of MLS.

    Args:
        memory: the room.
        handshakes: each a proposal.
        now_s: seconds since 1970, to judge key packages by.

    Raises:
        PolicyDenied: `proposal.invalid`, `component.unknown`, naming the first.
    """
    return tuple(accept(memory, each.verified, now_s) for each in handshakes)


def accept(memory: RoomMemory, verified: VerifiedContent, now_s: int) -> Proposed:
    """Check one proposal by the rules of MLS. Raises as `accepted`."""
    epoch = memory.group.epoch
    try:
        return accept_proposal(epoch, verified, HUB_SERVICES, now_s)
    except (MlsInvalid, MlsUnsupported, Malformed) as wrong:
        reference = proposal_reference(epoch.suite, verified)
        raise denied(wrong, references=[reference]) from None


def added_refs(bundle: ProposalBundle) -> tuple[bytes, ...]:
    """Return the KeyPackageRefs of whom proposals add."""
    found = []
    for message in (bundle.message, *bundle.more):
        body = message.body
        if not isinstance(body, PublicMessage):
            continue
        proposal = body.message.content.content
        if isinstance(proposal, Add):
            suite = find_suite(proposal.key_package.cipher_suite)
            if suite is not None:
                found.append(proposal.key_package.reference(suite))
    return tuple(found)


def check_adds(
    items: Iterable[Proposed],
    suite: CipherSuite,
    domains: Mapping[bytes, str],
    now_s: int,
) -> None:
    """Check that those whom proposals add can be welcomed later.

    Args:
        items: the proposals.
        suite: of the group.
        domains: by KeyPackageRef, the provider of its client.
        now_s: seconds since 1970.

    Raises:
        PolicyDenied: `limit.exceeded`, a KeyPackage that did not come through us, or
            that may end before the commit comes.
    """
    for item in items:
        if not isinstance(item.proposal, Add):
            continue
        check_known(item.proposal.key_package, suite, domains)
        lifetime = item.proposal.key_package.leaf_node.lifetime
        if lifetime is None or lifetime.not_after - now_s < WAITS_S_MIN:
            raise PolicyDenied(Slug.LIMIT_EXCEEDED, "a KeyPackage that ends soon")


def check_known(
    package: KeyPackageIn, suite: CipherSuite, domains: Mapping[bytes, str]
) -> None:
    """Check that a KeyPackage came through us. Raises as `check_adds`."""
    owner = client_of(package.leaf_node).identity
    if domains.get(package.reference(suite)) != domain_of(owner):
        raise PolicyDenied(Slug.LIMIT_EXCEEDED, "unknown KeyPackageRef")


def with_bundle(
    memory: RoomMemory,
    items: tuple[Proposed, ...],
    messages: tuple[MlsMessageIn, ...],
    *,
    facts: Facts,
    now_s: int,
    at: int,
) -> RoomMemory:
    """Return the room in which these proposals wait, too.

    Where nobody is left who could commit, the room is over (D-54).

    Args:
        memory: the room.
        items: the proposals.
        messages: as they came, in the same order.
        facts: for the rule kernel.
        now_s: seconds since 1970, to judge key packages by.
        at: timestamp.

    Raises:
        PolicyDenied: as `judge_proposals`; `limit.exceeded`, too many wait;
            `proposal.invalid` or `pending.conflict`, no commit could cover them.
    """
    try:
        effective = judge_proposals(memory.effective, items, facts)
    except (MlsInvalid, MlsUnsupported, Malformed) as wrong:
        raise denied(wrong) from None
    group = PublicGroup(memory.group.services, memory.group.epoch, memory.group.pending)
    try:
        received = [group.keep(item) for item in items]
    except MlsInvalid as wrong:
        raise denied(wrong) from None
    except MlsMissing as wrong:
        raise PolicyDenied(Slug.LIMIT_EXCEEDED, wrong.what) from None
    _check_committable(memory, group, effective, now_s)
    waiting = tuple(
        Waiting(each.reference, message)
        for each, message in zip(received, messages, strict=True)
    )
    return replace(
        memory,
        group=group,
        bundles=(*memory.bundles, Bundle(at, waiting)),
        phase=_phase(effective),
    )


def _check_committable(
    memory: RoomMemory, group: PublicGroup, effective: EffectiveState, now_s: int
) -> None:
    """Check that a member who stays could commit all that waits."""
    items = group.pending.values()
    gone = {item.target for item in items if isinstance(item.proposal, Remove)}
    gone |= {item.target for item in items if isinstance(item.proposal, SelfRemove)}
    staying = [index for index in effective.leaves if index not in gone]
    if not staying:
        return
    committer = Sender.member(staying[0])
    covered = ProposalList(
        item
        for item in items
        if not (isinstance(item.proposal, Update) and item.sender == committer)
    )
    try:
        apply_list(group.epoch, covered, committer, HUB_SERVICES, now_s)
    except (MlsInvalid, MlsUnsupported, Malformed) as wrong:
        if memory.group.pending:
            raise PolicyDenied(Slug.PENDING_CONFLICT, str(wrong)) from None
        raise denied(wrong, references=list(group.pending)) from None


def _phase(effective: EffectiveState) -> Phase:
    return Phase.OPEN if effective.view.clients else Phase.CLOSED
