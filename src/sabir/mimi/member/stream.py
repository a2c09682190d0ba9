"""What the hub fans out, in its order (7.4, 8.3, D-48, D-54)."""

from collections.abc import Iterable, Sequence
from typing import Final

from sabir.errors import PeerMisbehaved
from sabir.mimi.follower import group_of
from sabir.mimi.member.changes import events_of
from sabir.mimi.member.events import (
    CommitWanted,
    Discarded,
    Duplicate,
    Event,
    NotForUs,
    Outcome,
    RemovedFromRoom,
    ResyncNeeded,
    Violation,
    Why,
)
from sabir.mimi.member.judging import (
    Fault,
    fault_of_commit,
    fault_of_proposals,
    ghosts_of,
    reissues_among,
)
from sabir.mimi.member.memory import Phase
from sabir.mimi.member.messages import arrived_in, placed
from sabir.mimi.member.operation import Kind, Operation
from sabir.mimi.member.operations import accepted, dropped
from sabir.mimi.member.receiving import read_message
from sabir.mimi.member.state import MemberState
from sabir.mimi.member.trust import freeze
from sabir.mimi.member.watching import (
    signs_of_sender,
    signs_of_time,
    signs_of_unopened,
)
from sabir.mimi.policy.derive import actor_of, effects_of_pending
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.kernel import NO_FACTS, Facts
from sabir.mimi.policy.view import Client, RoomView, client_of
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_message
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.submit import Frank
from sabir.mls.codepoints import ContentType
from sabir.mls.effects import Effects
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.framing import MlsMessageIn, PrivateMessage, PublicMessage
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Add
from sabir.mls.public_group import ProposalReceived
from sabir.mls.welcome import Welcome
from sabir.wire.errors import Malformed

COMMIT_DELAY_MS_MAX: Final = 3_000
"""How long somebody waits before committing what others proposed (D-54)."""

_UNREADABLE: Final = (Malformed, MlsInvalid, MlsUnsupported, MlsMissing)


def receive(
    state: MemberState, env: Env, fanned: bytes | FanoutMessage
) -> tuple[Event, ...]:
    """Take an event. Arguments and errors as `RoomMember.receive`."""
    message = fanned
    if isinstance(message, bytes):
        try:
            message = decode_whole(message, read_fanout_message)
        except Malformed as wrong:
            return (Discarded(accepted_at=0, why=Why.NOT_READABLE, detail=wrong.rule),)
    if not _is_ours(state, message):
        return (NotForUs(accepted_at=message.accepted_at, digest=message.digest),)
    if state.has_seen(message.accepted_at, message.digest):
        return _again(state, env, message)
    events = _take(state, env, message)
    state.note_seen(message.accepted_at, message.digest)
    if any(isinstance(event, NotForUs) for event in events):
        return events
    return (*events, *signs_of_time(state, message.accepted_at))


def receive_own(
    state: MemberState,
    env: Env,
    accepted_at: int,
    digest: bytes,
    frank: Frank | None,
) -> tuple[Event, ...]:
    """Take the place of something of ours. Arguments as `RoomMember.receive_own`."""
    if state.has_seen(accepted_at, digest):
        return (Duplicate(accepted_at=accepted_at, digest=digest),)
    state.note_seen(accepted_at, digest)
    signs = signs_of_time(state, accepted_at)
    message, operation = state.find_outgoing(digest), state.operation
    if message is not None:
        return (*placed(state, env, message, accepted_at, frank), *signs)
    if operation is not None and operation.digest == digest:
        return (*accepted(state, env, operation, accepted_at), *signs)
    return (Discarded(accepted_at=accepted_at, why=Why.OWN_UNKNOWN), *signs)


def _is_ours(state: MemberState, message: FanoutMessage) -> bool:
    if state.memory.phase is Phase.LEFT or isinstance(message.message.body, Welcome):
        return False
    return group_of(message) == state.group.group_id


def _again(state: MemberState, env: Env, message: FanoutMessage) -> tuple[Event, ...]:
    """Take what comes twice; a commit of ours brings what the hub added to it."""
    memory = state.memory
    if message.digest not in memory.ahead:
        return (Duplicate(accepted_at=message.accepted_at, digest=message.digest),)
    memory.ahead = tuple(each for each in memory.ahead if each != message.digest)
    return _reissued_to_joiner(state, env, message)


def _take(state: MemberState, env: Env, message: FanoutMessage) -> tuple[Event, ...]:
    operation = state.operation
    if operation is not None and operation.digest == message.digest:
        events = accepted(state, env, operation, message.accepted_at)
        if operation.kind is Kind.JOIN:
            events += _reissued_to_joiner(state, env, message)
        return events
    if operation is None or state.is_active:
        return _dispatch(state, env, message)
    return _before_answer(state, env, message, operation)


def _before_answer(
    state: MemberState, env: Env, message: FanoutMessage, operation: Operation
) -> tuple[Event, ...]:
    """Learn from others' messages whether our room or joining was accepted."""
    epoch, ours = _epoch_of(message), state.group.epoch
    if operation.kind is Kind.GENESIS or epoch >= ours:
        begun = accepted(state, env, operation, message.accepted_at)
        return begun + _dispatch(state, env, message)
    if _is_commit(message) and epoch == ours - 1:
        return (dropped(state, operation, Outcome.RACE_LOST),)
    return (NotForUs(accepted_at=message.accepted_at, digest=message.digest),)


def _dispatch(
    state: MemberState, env: Env, message: FanoutMessage
) -> tuple[Event, ...]:
    epoch = _epoch_of(message)
    if epoch < state.memory.since_epoch:
        return (NotForUs(accepted_at=message.accepted_at, digest=message.digest),)
    if epoch > state.group.epoch:
        return (ResyncNeeded(reason=f"epoch {epoch}, ours is {state.group.epoch}"),)
    if isinstance(message.message.body, PrivateMessage):
        return _application(state, env, message, epoch)
    if epoch < state.group.epoch:
        late = Discarded(accepted_at=message.accepted_at, why=Why.TOO_LATE)
        return (late,)
    if _is_commit(message):
        return _commit(state, env, message)
    return _bundle(state, env, message, (message.message, *message.more), NO_FACTS)


def _epoch_of(message: FanoutMessage) -> int:
    body = message.message.body
    if isinstance(body, PrivateMessage):
        return body.epoch
    assert isinstance(body, PublicMessage)  # all else is not ours
    return body.message.content.epoch


def _is_commit(message: FanoutMessage) -> bool:
    body = message.message.body
    return (
        isinstance(body, PublicMessage)
        and body.message.content.content_type is ContentType.COMMIT
    )


# ---- messages


def _application(
    state: MemberState, env: Env, message: FanoutMessage, epoch: int
) -> tuple[Event, ...]:
    at = message.accepted_at
    own = state.find_outgoing(message.digest)
    if own is not None:
        return placed(state, env, own, at, message.frank)
    try:
        found = state.group.process(env, message.message)
    except MlsMissing:
        return (Discarded(accepted_at=at, why=Why.TOO_LATE),)
    except (Malformed, MlsInvalid) as wrong:
        unread = Discarded(accepted_at=at, why=Why.NOT_READABLE, detail=wrong.rule)
        return (unread, *signs_of_unopened(state, epoch, at))
    if not isinstance(found, ApplicationMessage):
        return (Discarded(accepted_at=at, why=Why.OWN_UNKNOWN),)
    arrived = arrived_in(
        state,
        env,
        epoch,
        sender=client_of(found.leaf_node),
        data=found.data,
        aad=found.authenticated_data,
        frank=message.frank,
        accepted_at=at,
        digest=message.digest,
    )
    return (*signs_of_sender(found, at), read_message(arrived))


# ---- proposals


def _bundle(
    state: MemberState,
    env: Env,
    message: FanoutMessage,
    proposals: Sequence[MlsMessageIn],
    facts: Facts,
) -> tuple[Event, ...]:
    """Let proposals wait that came together, unless the policy forbids them."""
    before = state.effective
    events: list[Event] = []
    taken: dict[bytes, MlsMessageIn] = {}
    for proposal in proposals:
        try:
            found = state.group.process(env, proposal)
        except _UNREADABLE as wrong:
            events.append(_violation(message, _fault(wrong)))
            continue
        if isinstance(found, ProposalReceived):
            taken[found.reference] = proposal
    items = [state.group.public.pending[reference] for reference in taken]
    fault = fault_of_proposals(before, items, facts) if items else None
    if fault is not None:
        for reference, proposal in taken.items():
            state.refuse(reference, proposal.raw)
        by = _author(before, items)
        events.append(_violation(message, fault, by))
    elif items and not state.effective.view.is_out(state.memory.user):
        events.append(CommitWanted(delay_ms=_delay(env)))
    return tuple(events)


def _reissued_to_joiner(
    state: MemberState, env: Env, message: FanoutMessage
) -> tuple[Event, ...]:
    """Take what the hub proposes again after the commit by which we joined."""
    memory, group = state.memory, state.group
    known, memory.reissues = memory.reissues, ()
    if not message.more or group.epoch != _epoch_of(message) + 1:
        return ()
    waiting = group.public.pending.copy()
    before, items = state.effective, []
    for proposal in message.more:
        try:
            found = group.process(env, proposal)
        except _UNREADABLE:
            continue  # said when it is taken, below
        if isinstance(found, ProposalReceived):
            items.append(group.public.pending[found.reference])
    facts = Facts(reissues=reissues_among(before, items, known))
    group.public.pending = waiting
    return _bundle(state, env, message, message.more, facts)


def _delay(env: Env) -> int:
    return int.from_bytes(env.random(2), "big") % (COMMIT_DELAY_MS_MAX + 1)


# ---- commits


def _commit(state: MemberState, env: Env, message: FanoutMessage) -> tuple[Event, ...]:
    group, memory, before = state.group, state.memory, state.effective
    waiting = group.public.pending.copy()
    refused = _with_refused(state, env)
    try:
        staged = group.process(env, message.message)
        after = _room_after(staged)
    except _UNREADABLE as wrong:
        group.public.pending = waiting
        return (
            _violation(message, _fault(wrong)),
            ResyncNeeded(reason=f"a commit cannot be followed: {wrong}"),
        )
    assert isinstance(staged, StagedCommit)  # its epoch is current, it is not ours
    by = _committer(before, staged.effects)
    fault = fault_of_commit(before, staged.public)
    covered = [
        item
        for item in staged.effects.proposals
        if item.reference is not None and item.reference in refused
    ]
    if fault is None and covered:
        fault = Fault("policy.denied", f"{len(covered)} forbidden proposals")
    events: list[Event] = [] if fault is None else [_violation(message, fault, by)]
    facts = _reissues(before, staged.effects)
    memory.end_epoch(group.epoch, message.accepted_at)
    group.merge(env, staged)
    state.forget_refused()
    events += _lost_race(state, staged.effects)
    if staged.effects.self_removed:
        memory.phase = Phase.LEFT
        gone = RemovedFromRoom(accepted_at=message.accepted_at, by=by)
        return (*events, gone)
    events += events_of(
        before, after, staged.effects, accepted_at=message.accepted_at, by=by
    )
    ghosts = (*ghosts_of(after, before.committed.clients), *_smuggled(covered))
    events += freeze(state, message.accepted_at, ghosts)
    return (*events, *_bundle(state, env, message, message.more, facts))


def _room_after(staged: object) -> RoomView:
    """Read the room that a commit would make. Raises Malformed, MlsUnsupported."""
    assert isinstance(staged, StagedCommit)
    return RoomView.of_epoch(staged.public.after)


def _with_refused(state: MemberState, env: Env) -> frozenset[bytes]:
    """Let forbidden proposals wait, too: a commit may cover them."""
    found = set()
    for reference, raw in state.refused.items():
        try:
            state.group.process(env, raw)
        except _UNREADABLE:
            continue  # it was readable before; then it is of no epoch any more
        found.add(reference)
    return frozenset(found)


def _reissues(before: EffectiveState, effects: Effects) -> Facts:
    """Return what the hub may propose beside a commit: what it makes void (D-54)."""
    if effects.joiner is None:
        return NO_FACTS
    try:
        return Facts(reissues=effects_of_pending(before))
    except (PolicyDenied, Malformed):
        return NO_FACTS


def _lost_race(state: MemberState, effects: Effects) -> tuple[Event, ...]:
    """Settle an operation of ours for the epoch that is over."""
    operation = state.operation
    if operation is None:
        return ()
    left = operation.kind is Kind.PROPOSALS and effects.self_removed
    outcome = Outcome.ACCEPTED if left else Outcome.RACE_LOST
    return (dropped(state, operation, outcome),)


def _smuggled(covered: Iterable[Proposed]) -> tuple[Client, ...]:
    """Return clients that came by a proposal which the policy forbids."""
    return tuple(
        client_of(item.proposal.key_package.leaf_node)
        for item in covered
        if isinstance(item.proposal, Add)
    )


# ---- words


def _committer(before: EffectiveState, effects: Effects) -> str:
    try:
        return actor_of(before, effects.committer, effects.joiner).user
    except (PolicyDenied, Malformed):
        return ""


def _author(before: EffectiveState, items: Sequence[Proposed]) -> str:
    try:
        return actor_of(before, items[0].sender).user
    except PolicyDenied:
        return ""


def _fault(wrong: Exception) -> Fault:
    """Say what cannot be followed, by its rule where it has one."""
    if isinstance(wrong, PeerMisbehaved):
        return Fault("proposal.invalid", f"rule {wrong.rule}")
    return Fault("proposal.invalid", str(wrong))


def _violation(message: FanoutMessage, fault: Fault, by: str = "") -> Violation:
    return Violation(
        accepted_at=message.accepted_at,
        slug=fault.slug,
        detail=fault.detail,
        by=by,
        evidence=message.encode(),
    )
