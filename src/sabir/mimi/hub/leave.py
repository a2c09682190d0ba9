"""What a hub proposes itself: what it accepted before, and removals (D-53, D-54).

Who joins from outside can cover a waiting SelfRemove and nothing else that waits. The
rest is void in the new epoch; so the hub proposes it again, beside the commit.
"""

from collections.abc import Iterable

from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.participants import ParticipantListUpdate
from sabir.mimi.hub.keys import HubKeys
from sabir.mimi.hub.memory import HUB_SERVICES, RoomMemory
from sabir.mimi.hub.proposals import accept, with_bundle
from sabir.mimi.policy.derive import HUB_INDEX, effects_of_pending
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.kernel import NO_FACTS, Facts
from sabir.mimi.uris import domain_of
from sabir.mls.components import encode_safe_aad
from sabir.mls.framing import MlsMessageIn, PublicMessage, decode_message
from sabir.mls.group.external import propose_as_external_sender
from sabir.mls.message_protection import open_public_without_key
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import AppDataUpdate, Proposal, Remove
from sabir.mls.staging import verify

Proposals = tuple[MlsMessageIn, ...]


def propose(
    memory: RoomMemory,
    keys: HubKeys,
    proposals: Iterable[Proposal],
    *,
    facts: Facts = NO_FACTS,
    now_s: int,
    at: int,
) -> tuple[RoomMemory, Proposals]:
    """Let proposals of our own wait, all of them or none.

    Returns:
        The room in which they wait, and the messages to send.

    Raises:
        PolicyDenied: a hub may not propose that.
    """
    epoch = memory.group.epoch
    messages: list[MlsMessageIn] = []
    items: list[Proposed] = []
    for proposal in proposals:
        octets = propose_as_external_sender(
            epoch.suite,
            epoch.context,
            HUB_INDEX,
            keys.external,
            proposal,
            encode_safe_aad({}),
        )
        message = decode_message(octets, ROOM_PROPOSALS)
        assert isinstance(message.body, PublicMessage)
        opened = open_public_without_key(message.body)
        items.append(accept(memory, verify(epoch, opened, HUB_SERVICES), now_s))
        messages.append(message)
    sent = tuple(messages)
    after = with_bundle(memory, tuple(items), sent, facts=facts, now_s=now_s, at=at)
    return after, sent


# ---- after an external commit


def issued_again(
    before: RoomMemory,
    after: RoomMemory,
    keys: HubKeys,
    *,
    covered: frozenset[bytes],
    now_s: int,
    at: int,
) -> tuple[RoomMemory, Proposals]:
    """Propose again what an external commit made void.

    Adds and Updates cannot come from a hub. What came together comes together again;
    a bundle that the joiner made impossible is dropped.

    Args:
        before: the room before the commit.
        after: the room after it.
        keys: of the hub.
        covered: references that the commit covered.
        now_s: seconds since 1970.
        at: timestamp of the commit.

    Returns:
        The room with what waits again, and the messages to send.
    """
    facts = Facts(reissues=effects_of_pending(before.effective))
    sent: list[MlsMessageIn] = []
    for bundle in before.bundles:
        again = [
            item.proposal
            for reference in (waiting.reference for waiting in bundle.items)
            if reference not in covered
            and _is_due(item := before.group.pending[reference], before, after)
        ]
        if not again:
            continue
        try:
            after, messages = propose(
                after, keys, again, facts=facts, now_s=now_s, at=at
            )
        except PolicyDenied:
            continue
        sent.extend(messages)
    return after, tuple(sent)


def _is_due(item: Proposed, before: RoomMemory, after: RoomMemory) -> bool:
    """Whether a hub can propose something again, and it is still to be done."""
    proposal = item.proposal
    if isinstance(proposal, Remove):
        old = before.group.tree.leaf(proposal.removed)
        new = after.group.tree.leaf(proposal.removed)
        return old is not None and new is not None and old.raw == new.raw
    return isinstance(proposal, AppDataUpdate)


# ---- users of our own who are gone


def removals(memory: RoomMemory, hub: str, user: str) -> tuple[Proposal, ...]:
    """Return what takes a user of our own out of a room: clients, then the list.

    In a room of fixed membership the list stays as it is.

    Args:
        memory: the room.
        hub: our domain.
        user: whose account is gone.

    Raises:
        PolicyDenied: `policy.denied`, another provider's user.
    """
    if domain_of(user) != hub:
        raise PolicyDenied(Slug.POLICY_DENIED, "hub")
    effective = memory.effective
    leaving = {item.target for item in effective.pending}
    found: list[Proposal] = [
        Remove(index)
        for index, client in effective.leaves.items()
        if client.user == user and index not in leaving
    ]
    place = memory.room.participants.index_of(user)
    fixed = memory.room.base_policy.fixed_membership
    if place is not None and effective.view.is_listed(user) and not fixed:
        update = ParticipantListUpdate(removed=(place,)).encode()
        found.append(AppDataUpdate(ComponentId.PARTICIPANT_LIST, update))
    return tuple(found)
