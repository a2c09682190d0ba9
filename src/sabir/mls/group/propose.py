"""Proposals of our own (RFC 9420 section 12.1)."""

from collections.abc import Mapping

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse
from sabir.mls.group.commit import NewLeaf
from sabir.mls.group.epoch import Epoch, GroupState, OwnUpdate
from sabir.mls.group.messages import Outgoing, handshake_form, seal, sign
from sabir.mls.misuse import seconds
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Add, Proposal, SelfRemove, Update
from sabir.mls.staging import accept_proposal
from sabir.mls.validation.leaf_node import check_lifetime


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
        MlsInvalid: a rule that every receiver would find broken; L05 without their
            tolerance for wrong clocks.
        MlsMisuse: E10, a second SelfRemove in one epoch; P11, or another limit of ours
            that others have, too.
    """
    services = state.public.services
    if isinstance(proposal, SelfRemove):
        _check_first_self_remove(state.public.pending, epoch.own_leaf)
    if isinstance(proposal, Add):
        check_lifetime(proposal.key_package.leaf_node, seconds(env))
    form = handshake_form(epoch.context, services, as_public=as_public)
    message = sign(epoch, services, proposal, aad, form)
    item = accept_proposal(state.public.epoch, message, services, seconds(env))
    state.public.pending.check_room_for_ours(item)
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
