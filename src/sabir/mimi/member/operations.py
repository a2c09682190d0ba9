"""Operations of ours: made, submitted, settled (7.3, D-54)."""

from typing import Final

from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.member.building import Builder
from sabir.mimi.member.changes import events_of
from sabir.mimi.member.errors import RoomMisuse
from sabir.mimi.member.events import (
    Event,
    Joined,
    OperationSettled,
    Outcome,
)
from sabir.mimi.member.intents import CommitPending, Intent, Leave, Rotate
from sabir.mimi.member.judging import check_own_commit, ghosts_of
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.operation import Kind, Operation
from sabir.mimi.member.sending import NOTHING_TO_SAY
from sabir.mimi.member.state import MemberState, digest_of
from sabir.mimi.member.trust import freeze
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.judge import judge_proposals, must_cover, removed_by
from sabir.mimi.policy.view import RoomView
from sabir.mimi.structs.update import (
    CommitBundle,
    ProposalBundle,
    UpdateRoomResponse,
    decode_update_response,
)
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.framing import decode_message
from sabir.mls.group.pending import PendingCommit
from sabir.mls.proposals import AppDataUpdate, Proposal
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed

LARGE_LEAVES: Final = 256
"""Above that, a commit of nothing but data brings no fresh keys: paths are long."""


# ---- making them


def perform(
    state: MemberState, env: Env, intent: Intent, *, full_tree: bool
) -> Operation | None:
    """Make what an intent needs. Arguments and errors as `RoomMember.perform`."""
    _check_free(state)
    effective = state.effective
    user = state.memory.user
    suite = state.group.public.epoch.suite
    builder = Builder(effective, suite, user, state.group.own_leaf)
    proposals = builder.proposals(intent)
    if isinstance(intent, Leave):
        return _propose(state, env, intent, proposals) if proposals else None
    if effective.view.is_out(user):
        raise PolicyDenied(Slug.SENDER_REMOVED)
    needless = isinstance(intent, CommitPending) and not effective.pending
    if needless or not (proposals or isinstance(intent, CommitPending | Rotate)):
        return None
    pending = _commit(state, env, effective, proposals, intent)
    tree = pending.epoch.public.tree.encode() if full_tree else None
    bundle = CommitBundle(
        message=decode_message(pending.commit, ROOM_PROPOSALS),
        welcome=pending.welcome_for_sequencer(),
        group_info=pending.group_info(with_tree=False),
        tree=RatchetTreeOption(tree),
    )
    operation = Operation(
        kind=Kind.COMMIT,
        intent=intent,
        octets=bundle.encode(),
        digest=digest_of(pending.commit),
        epoch=state.group.epoch,
    )
    state.set_operation(operation)
    return operation


def _check_free(state: MemberState) -> None:
    if not state.is_active:
        raise RoomMisuse(f"we are {state.memory.phase.name.lower()}, not in this room")
    if state.operation is not None:
        raise RoomMisuse("an operation waits for its answer; confirm or reject it")


def _commit(
    state: MemberState,
    env: Env,
    effective: EffectiveState,
    proposals: tuple[Proposal, ...],
    intent: Intent,
) -> PendingCommit:
    group = state.group
    listed = [*proposals, *(item.proposal for item in effective.pending)]
    only_data = all(isinstance(each, AppDataUpdate) for each in listed)
    large = len(group.members) > LARGE_LEAVES
    skips_path = only_data and large and not isinstance(intent, Rotate)
    pending = group.commit(
        env,
        proposals,
        as_public=True,
        force_path=not skips_path,
        aad=NOTHING_TO_SAY,
        tree_in_welcome=False,
    )
    try:
        _check_covers(effective, pending)
        check_own_commit(effective, pending, group.own_leaf)
    except (PolicyDenied, Malformed):
        group.clear_pending()
        raise
    return pending


def _check_covers(effective: EffectiveState, pending: PendingCommit) -> None:
    """Check that nothing that waits was left out, for which the hub would refuse."""
    covered = {item.reference for item in pending.effects.proposals}
    gone = removed_by(pending.effects.proposals)
    missing = [
        item.reference
        for item in effective.pending
        if item.reference is not None
        and item.reference not in covered
        and must_cover(item, pending.effects.committer, gone)
    ]
    if missing:
        raise PolicyDenied(
            Slug.PENDING_CONFLICT, f"{len(missing)} proposals", references=missing
        )


def _propose(
    state: MemberState, env: Env, intent: Intent, proposals: tuple[Proposal, ...]
) -> Operation:
    """Propose a bundle; it waits here at once, and goes again if it is refused."""
    group, effective = state.group, state.effective
    waiting = group.public.pending.copy()
    try:
        sent = [
            group.propose(env, proposal, as_public=True, aad=NOTHING_TO_SAY)
            for proposal in proposals
        ]
        references = [each.reference for each in sent if each.reference is not None]
        items = [group.public.pending[reference] for reference in references]
        judge_proposals(effective, items)
    except (PolicyDenied, MlsInvalid):
        group.public.pending = waiting
        raise
    except MlsMisuse as wrong:
        group.public.pending = waiting
        raise RoomMisuse(f"nothing more can be proposed now: {wrong}") from wrong
    first, *more = (decode_message(each.message, ROOM_PROPOSALS) for each in sent)
    operation = Operation(
        kind=Kind.PROPOSALS,
        intent=intent,
        octets=ProposalBundle(message=first, more=tuple(more)).encode(),
        digest=digest_of(first.raw),
        epoch=group.epoch,
        references=tuple(references),
    )
    state.set_operation(operation)
    return operation


# ---- settling them


def answered(
    state: MemberState, env: Env, response: bytes | UpdateRoomResponse
) -> tuple[Event, ...]:
    """Hear the hub's answer. Errors as `RoomMember.confirm`."""
    found = (
        decode_update_response(response) if isinstance(response, bytes) else response
    )
    operation = state.operation
    if operation is None or operation.kind is Kind.GENESIS:
        return ()
    if found.code == UpdateCode.SUCCESS:
        state.note_seen(found.accepted_at, operation.digest)
        if operation.kind is Kind.JOIN:
            state.memory.ahead = (*state.memory.ahead, operation.digest)
        return accepted(state, env, operation, found.accepted_at)
    missed = found.description.startswith(str(Slug.PENDING_MISSING))
    lost = missed or found.code == UpdateCode.WRONG_EPOCH
    outcome = Outcome.RACE_LOST if lost else Outcome.REFUSED
    return (dropped(state, operation, outcome, found.description),)


def accepted(
    state: MemberState, env: Env, operation: Operation, accepted_at: int
) -> tuple[Event, ...]:
    """Enter what an operation of ours began."""
    state.set_operation(None)
    outcome = OperationSettled(intent=operation.intent, outcome=Outcome.ACCEPTED)
    match operation.kind:
        case Kind.COMMIT:
            return (outcome, *_merged(state, env, accepted_at))
        case Kind.PROPOSALS:
            return (outcome,)  # they wait already
        case _:
            return (outcome, *_begun(state, env, accepted_at))


def _begun(state: MemberState, env: Env, accepted_at: int) -> tuple[Event, ...]:
    memory = state.memory
    memory.phase = Phase.ACTIVE
    memory.since_ms = accepted_at
    memory.since_epoch = state.group.epoch
    memory.rotated_ms = env.now() * 1_000
    joined = Joined(accepted_at=accepted_at, by=memory.user)
    return (joined, *freeze(state, accepted_at, ghosts_of(state.effective.committed)))


def _merged(state: MemberState, env: Env, accepted_at: int) -> tuple[Event, ...]:
    group, memory, before = state.group, state.memory, state.effective
    epoch = group.epoch
    pending = group.merge_pending(env)
    memory.end_epoch(epoch, accepted_at)
    state.forget_refused()
    own = pending.effects.committer_leaf
    if any(updated.leaf_index == own for updated in pending.effects.updated):
        memory.rotated_ms = env.now() * 1_000
    after = RoomView.of_epoch(group.public.epoch)
    return tuple(
        events_of(
            before, after, pending.effects, accepted_at=accepted_at, by=memory.user
        )
    )


def dropped(
    state: MemberState, operation: Operation, outcome: Outcome, reason: str = ""
) -> OperationSettled:
    """Forget an operation that came to nothing."""
    state.set_operation(None)
    match operation.kind:
        case Kind.COMMIT:
            state.group.clear_pending()
        case Kind.PROPOSALS:
            public = state.group.public
            public.pending = public.pending.without(operation.references)
        case _:
            state.memory.phase = Phase.LEFT
    return OperationSettled(intent=operation.intent, outcome=outcome, reason=reason)
