"""From MLS proposals to acts: `acts_of`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.metadata import changed_fields, decode_room_metadata
from sabir.mimi.components.participants import decode_participant_list_update
from sabir.mimi.policy.acts import (
    Act,
    Actor,
    ActorKind,
    ComponentUpdate,
    Effect,
    Forbidden,
    LeafAdd,
    LeafRemove,
    LeafUpdate,
    ListAdd,
    ListRemove,
    MetadataChange,
    RoleChange,
)
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import Client, client_of
from sabir.mimi.uris import domain_of, provider_uri
from sabir.mls.codepoints import ProposalKind, SenderType
from sabir.mls.framing import Sender
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    ExternalInit,
    Proposal,
    Remove,
    SelfRemove,
    Update,
)

_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        ProposalKind.PRE_SHARED_KEY: "PreSharedKey",
        ProposalKind.RE_INIT: "ReInit",
        ProposalKind.GROUP_CONTEXT_EXTENSIONS: "GroupContextExtensions",
        ProposalKind.APP_EPHEMERAL: "AppEphemeral",
    }
)

HUB_INDEX: Final = 0
"""The hub's place among the external senders."""


def actor_of(
    effective: EffectiveState, sender: Sender, joiner: LeafNodeIn | None = None
) -> Actor:
    """Say who stands behind a sender.

    Args:
        effective: the room before.
        sender: of a proposal, or of a commit for those by value.
        joiner: the leaf of the path, where somebody joins by the commit.

    Raises:
        PolicyDenied: `sender.unknown`, a blank leaf, another external sender than the
            hub, or somebody outside who proposes.
        Malformed: the joiner's credential is not one of D-12.
    """
    if sender.kind is SenderType.MEMBER and sender.index in effective.leaves:
        client = effective.leaves[sender.index]
        return Actor(ActorKind.MEMBER, client.user, client.identity)
    if sender.kind is SenderType.EXTERNAL and sender.index == HUB_INDEX:
        hub = provider_uri(domain_of(effective.committed.room.room_uri))
        return Actor(ActorKind.HUB, hub)
    if sender.kind is SenderType.NEW_MEMBER_COMMIT and joiner is not None:
        client = client_of(joiner)
        return Actor(ActorKind.JOINER, client.user, client.identity)
    raise PolicyDenied(Slug.SENDER_UNKNOWN, f"sender type {sender.kind}")


def acts_of(
    effective: EffectiveState,
    items: Sequence[tuple[int | None, Proposed]],
    joiner: LeafNodeIn | None = None,
) -> tuple[Act, ...]:
    """Derive the acts of some proposals.

    Args:
        effective: the room before.
        items: each behind its place in the commit, None for a standalone one.
        joiner: the leaf of the path, where somebody joins by the commit.

    Raises:
        PolicyDenied: as `actor_of`.
        Malformed: a proposal does not decode; `check_readable` names them before.
    """
    acts: list[Act] = []
    for place, item in items:
        actor = actor_of(effective, item.sender, joiner)
        acts.extend(
            Act(actor, effect, item.reference, place)
            for effect in _effects(effective, item)
        )
    if joiner is not None:
        client = client_of(joiner)
        actor = Actor(ActorKind.JOINER, client.user, client.identity)
        acts.append(Act(actor, LeafAdd(client)))
    return tuple(acts)


def effects_of_pending(effective: EffectiveState) -> frozenset[Effect]:
    """Return what the waiting proposals do: what a hub may issue again (D-54).

    They do it to the room of their epoch, as they will again in the next.
    """
    before = replace(effective, view=effective.committed)
    items = [(None, item) for item in effective.pending]
    return frozenset(act.effect for act in acts_of(before, items))


def _effects(effective: EffectiveState, item: Proposed) -> Iterator[Effect]:
    proposal = item.proposal
    match proposal:
        case Add():
            yield LeafAdd(client_of(proposal.key_package.leaf_node))
        case Remove() | SelfRemove() | Update():
            yield _leaf_effect(effective.leaves, item)
        case AppDataUpdate():
            yield from _data_effects(effective, proposal)
        case ExternalInit():
            pass
        case _:
            yield Forbidden(_name_of(proposal))


def _name_of(proposal: Proposal) -> str:
    return _NAMES.get(proposal.kind, f"proposal type {proposal.kind}")


def _leaf_effect(leaves: Mapping[int, Client], item: Proposed) -> Effect:
    target = item.target
    if target is None or target not in leaves:
        return Forbidden("a change of a blank leaf")
    if isinstance(item.proposal, Update):
        return LeafUpdate(leaves[target])
    return LeafRemove(leaves[target])


def _data_effects(
    effective: EffectiveState, proposal: AppDataUpdate
) -> Iterator[Effect]:
    component, data = proposal.component_id, proposal.update
    if data is None:
        yield Forbidden(f"removal of component 0x{component:04X}")
    elif component == ComponentId.PARTICIPANT_LIST:
        yield from _list_effects(effective, data)
    elif component == ComponentId.ROOM_METADATA:
        new = decode_room_metadata(data)
        fields = changed_fields(effective.view.room.metadata, new)
        yield MetadataChange(fields, new)
    else:
        yield ComponentUpdate(component, data)


def _list_effects(effective: EffectiveState, data: bytes) -> Iterator[Effect]:
    update = decode_participant_list_update(data)
    listed = effective.committed.room.participants.participants
    for index, role in update.changed:
        user = listed[index].user
        yield RoleChange(user, effective.view.role_index(user), role)
    for index in update.removed:
        yield ListRemove(listed[index].user)
    for participant in update.added:
        yield ListAdd(participant.user, participant.role)
