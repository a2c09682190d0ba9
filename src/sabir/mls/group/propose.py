"""Proposals of our own (RFC 9420 section 12.1), and which ones a commit covers."""

from collections.abc import Mapping

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.mls.codepoints import LeafNodeSource, ProposalKind
from sabir.mls.commit import ProposalOrRef, ProposalReference
from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import Sender
from sabir.mls.group.commit import NewLeaf
from sabir.mls.group.epoch import Epoch, GroupState, OwnUpdate
from sabir.mls.group.messages import Outgoing, seal, sign, wire_format
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import (
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)
from sabir.mls.staging import accept_proposal


def send_proposal(
    env: Env,
    state: GroupState,
    epoch: Epoch,
    proposal: Proposal,
    *,
    as_public: bool,
    aad: bytes,
) -> Outgoing:
    """Propose something; it waits for a commit here as it does at the others.

    Raises:
        MlsInvalid: a rule that every receiver would find broken.
        MlsMisuse: E10, a second SelfRemove in one epoch.
    """
    services = state.public.services
    if isinstance(proposal, SelfRemove):
        _check_first_self_remove(state.public.pending, epoch.own_leaf)
    form = wire_format(as_public=as_public)
    message = sign(epoch, services, proposal, aad, form)
    item = accept_proposal(state.public.epoch, message, services, env.now())
    sealed = seal(env, epoch, services, message)
    state.public.keep(item)
    return Outgoing(sealed, item.reference)


def _check_first_self_remove(pending: Mapping[bytes, Proposed], own: int) -> None:
    """E10: one SelfRemove for each member and epoch."""
    for item in pending.values():
        if isinstance(item.proposal, SelfRemove) and item.sender.index == own:
            raise MlsMisuse("rule E10: a SelfRemove of ours waits already")


def send_update(
    env: Env,
    state: GroupState,
    epoch: Epoch,
    leaf: NewLeaf,
    *,
    as_public: bool,
    aad: bytes,
) -> Outgoing:
    """Propose a new leaf of ours; its private keys wait for a commit that covers it."""
    suite = epoch.public.suite
    private, public = hpke.derive_key_pair(suite, env.random(suite.kem.private_octets))
    made = leaf.sign(
        suite,
        public,
        LeafNodeSource.UPDATE,
        epoch.public.context.group_id,
        epoch.own_leaf,
    )
    sent = send_proposal(env, state, epoch, Update(made), as_public=as_public, aad=aad)
    assert sent.reference is not None
    state.own_updates[sent.reference] = OwnUpdate(Secret(private), leaf.signature_key)
    return sent


# ---- what a commit covers


def choose(
    pending: Mapping[bytes, Proposed], own: int, new: tuple[Proposal, ...]
) -> list[Proposed]:
    """Choose which waiting proposals a commit of ours covers (12.2 and 12.4).

    Our own Updates are not: the path does their work. Of several changes to one leaf a
    SelfRemove wins over a Remove, that over the latest Update. A ReInit is left for
    later where anything else is to be done.

    Args:
        pending: what waits, in the order it came.
        own: our leaf.
        new: proposals that the commit will have by value.

    Returns:
        Those to be covered, in the order they came.
    """
    rank = {ProposalKind.SELF_REMOVE: 3, ProposalKind.REMOVE: 2, ProposalKind.UPDATE: 1}
    best: dict[int, tuple[int, int, Proposed]] = {}
    for removed in (item.removed for item in new if isinstance(item, Remove)):
        best[removed] = (4, 0, Proposed(Remove(removed), Sender.member(own)))
    rest: list[tuple[int, Proposed]] = []
    for place, item in enumerate(pending.values()):
        target = item.target
        if target == own:
            continue
        if target is None:
            rest.append((place, item))
            continue
        known = best.get(target)
        score = rank[ProposalKind(item.proposal.kind)]
        if known is None or score >= known[0]:
            best[target] = (score, place, item)
    chosen = rest + [
        (place, item) for score, place, item in best.values() if score <= 3
    ]
    chosen.sort(key=lambda found: found[0])
    items = [item for _, item in chosen]
    others = [item for item in items if not isinstance(item.proposal, ReInit)]
    if others or new:
        return others
    return items[:1]


def as_items(covered: list[Proposed], new: tuple[Proposal, ...]) -> list[ProposalOrRef]:
    """Return proposals as a commit has them: references first, then by value."""
    references: list[ProposalOrRef] = [
        ProposalReference(item.reference)
        for item in covered
        if item.reference is not None
    ]
    return [*references, *new]
