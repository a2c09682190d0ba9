"""A handshake at the hub, in the order of checks of 7.3; the first failure answers.

1. It decodes: before it comes here. 2. The room is open, and the provider has to do
with it. 3. Group and epoch are the current ones. 4. The sender is known, of that
provider, and signed. 5. Who is out only takes away own clients. 6. Each proposal is
valid, and a commit covers all that waits. 7. Policy. 8. GroupInfo and tree are ours.
9. We know where a Welcome goes. 10. What changes is handed to who writes it down.
"""

from dataclasses import dataclass

from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.hub import recipients
from sabir.mimi.hub.commits import (
    after_commit,
    agreed_group_info,
    check_tree,
    check_welcome,
    staged_commit,
    welcomed_refs,
)
from sabir.mimi.hub.keys import HubKeys
from sabir.mimi.hub.leave import Proposals, issued_again
from sabir.mimi.hub.memory import Phase, RoomMemory
from sabir.mimi.hub.outcome import (
    EventKind,
    FanoutEvent,
    HubFacts,
    Outcome,
    RoomChange,
    pair_digest,
)
from sabir.mimi.hub.proposals import accepted, check_adds, with_bundle
from sabir.mimi.hub.refusals import ROOM_UNKNOWN, answer_of, stale
from sabir.mimi.hub.senders import (
    Handshake,
    check_not_out,
    group_and_epoch,
    identify,
    joiner_of,
    permit_for,
    public_of,
)
from sabir.mimi.hub.times import next_timestamp
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.judge import references_of
from sabir.mimi.policy.kernel import Facts
from sabir.mimi.policy.view import client_of
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mimi.structs.update import (
    ApplicationBundle,
    CommitBundle,
    HandshakeBundle,
    ProposalBundle,
    UpdateRoomResponse,
)
from sabir.mimi.uris import domain_of
from sabir.mls.commit import Commit
from sabir.mls.framing import MlsMessageIn, PublicMessage
from sabir.mls.staging import PublicStage
from sabir.mls.tree_options import RatchetTreeOption


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A room as it is asked.

    Attributes:
        memory: what is remembered of it.
        last_at: timestamp of its last event.
        keys: of the hub.
        hub: its domain.
        now_ms: ms since 1970.
    """

    memory: RoomMemory
    last_at: int
    keys: HubKeys
    hub: str
    now_ms: int

    @property
    def now_s(self) -> int:
        """Return the seconds since 1970."""
        return self.now_ms // 1_000

    def next_at(self) -> int:
        """Return the timestamp of the next event. Raises as `next_timestamp`."""
        return next_timestamp(self.now_ms, self.last_at)

    def change(
        self,
        after: RoomMemory,
        at: int,
        *,
        pair: bytes | None = None,
        reopened: frozenset[str] = frozenset(),
    ) -> RoomChange:
        """Say what an event changes."""
        before = self.memory
        if after.effective is before.effective:
            return RoomChange(
                before=before, after=after, asked_at=self.last_at, last_at=at
            )
        was = recipients.domains_with_participants(before.effective.view)
        now = recipients.domains_with_participants(after.effective.view)
        return RoomChange(
            before=before,
            after=after,
            asked_at=self.last_at,
            last_at=at,
            domains=None if was == now else now,
            pair=pair,
            detached_users=recipients.left_users(
                self.hub, before.effective, after.effective
            ),
            reopened=reopened - {self.hub},
        )


def judge_update(
    desk: Desk, source: str, bundle: HandshakeBundle, facts: HubFacts
) -> Outcome[UpdateRoomResponse]:
    """Judge a handshake.

    Args:
        desk: the room as it is.
        source: domain of the provider that brings it; ours for our own agents.
        bundle: decoded.
        facts: what the provider knows.

    Raises:
        Problem: UNAVAILABLE, as `next_timestamp`.
    """
    memory = desk.memory
    if not _has_to_do_with(desk, source, bundle):
        return Outcome(response=ROOM_UNKNOWN)
    try:
        if memory.phase is Phase.CLOSED:
            raise PolicyDenied(Slug.ROOM_CLOSED)
        messages = _handshakes(bundle)
        bodies = [public_of(message) for message in messages]
        answer = _check_place(memory, messages)
        if answer is not None:
            return Outcome(response=answer)
        handshakes = [identify(memory, body, source, desk.now_ms) for body in bodies]
        for handshake in handshakes:
            check_not_out(memory, handshake)
        if isinstance(bundle, CommitBundle):
            return _commit(desk, bundle, handshakes[0], facts)
        return _proposals(desk, messages, handshakes, facts)
    except PolicyDenied as wrong:
        return Outcome(response=answer_of(wrong))


# ---- steps 2 and 3


def has_members_of(memory: RoomMemory, domain: str) -> bool:
    """Whether a provider has a participant who counts, or a client in the group."""
    effective = memory.effective
    users = effective.view.room.participants.users
    return any(domain_of(user) == domain for user in users) or any(
        domain_of(client.user) == domain for client in effective.leaves.values()
    )


def _has_to_do_with(desk: Desk, source: str, bundle: HandshakeBundle) -> bool:
    if has_members_of(desk.memory, source):
        return True
    body = bundle.message.body
    if not isinstance(body, PublicMessage):
        return False
    joiner = joiner_of(body.message.content)
    return (
        joiner is not None
        and domain_of(joiner.user) == source
        and permit_for(desk.memory, joiner, desk.now_ms) is not None
    )


def _handshakes(bundle: HandshakeBundle) -> tuple[MlsMessageIn, ...]:
    match bundle:
        case ProposalBundle():
            return bundle.message, *bundle.more
        case CommitBundle():
            return (bundle.message,)
        case ApplicationBundle():
            raise PolicyDenied(Slug.WIRE_FORMAT_REFUSED)


def _check_place(
    memory: RoomMemory, messages: tuple[MlsMessageIn, ...]
) -> UpdateRoomResponse | None:
    context = memory.group.context
    places = [group_and_epoch(message) for message in messages]
    if any(place is None or place[0] != context.group_id for place in places):
        return ROOM_UNKNOWN
    if any(place is not None and place[1] != context.epoch for place in places):
        return stale(context.epoch)
    return None


# ---- proposals


def _proposals(
    desk: Desk,
    messages: tuple[MlsMessageIn, ...],
    handshakes: list[Handshake],
    facts: HubFacts,
) -> Outcome[UpdateRoomResponse]:
    memory = desk.memory
    items = accepted(memory, handshakes, desk.now_s)
    suite = memory.group.epoch.suite
    check_adds(items, suite, facts.key_package_domains, desk.now_s)
    known = Facts(asset_domains=facts.asset_domains)
    at = desk.next_at()
    after = with_bundle(memory, items, messages, facts=known, now_s=desk.now_s, at=at)
    return proposed(desk, after, messages, at)


def proposed(
    desk: Desk, after: RoomMemory, messages: Proposals, at: int
) -> Outcome[UpdateRoomResponse]:
    """Answer, and send, proposals that were accepted together.

    Args:
        desk: the room before.
        after: the room in which they wait.
        messages: as they are sent.
        at: timestamp.
    """
    event = _handshake_event(
        desk, after, FanoutMessage(at, messages[0], more=messages[1:])
    )
    return Outcome(
        response=UpdateRoomResponse(code=UpdateCode.SUCCESS, accepted_at=at),
        change=desk.change(after, at),
        fanout=(event,),
    )


def _handshake_event(
    desk: Desk, after: RoomMemory, message: FanoutMessage
) -> FanoutEvent:
    to = recipients.of_handshake(desk.hub, desk.memory.effective, after.effective)
    return FanoutEvent.of(
        EventKind.HANDSHAKE, message, to.domains, withheld_users=to.withheld
    )


# ---- commits


def _commit(
    desk: Desk, bundle: CommitBundle, handshake: Handshake, facts: HubFacts
) -> Outcome[UpdateRoomResponse]:
    memory, now_ms = desk.memory, desk.now_ms
    staged = staged_commit(memory, handshake, facts, now_ms)
    group_info = agreed_group_info(memory, staged, bundle.group_info)
    check_tree(staged, bundle.tree)
    check_welcome(memory, staged, bundle, facts.key_package_domains)
    at = desk.next_at()
    after = after_commit(memory, handshake, staged, group_info, now_ms=now_ms, at=at)
    again: Proposals = ()
    if handshake.permit is not None:
        commit = handshake.verified.content.content
        assert isinstance(commit, Commit)
        after, again = issued_again(
            memory,
            after,
            desk.keys,
            covered=references_of(commit),
            now_s=desk.now_s,
            at=at,
        )
    event = _handshake_event(desk, after, FanoutMessage(at, bundle.message, more=again))
    welcomes = _welcome(desk, staged, bundle, at)
    comers = frozenset[str]().union(*(each.domains for each in welcomes))
    if handshake.permit is not None:
        comers |= {domain_of(handshake.client.user)}
    return Outcome(
        response=UpdateRoomResponse(code=UpdateCode.SUCCESS, accepted_at=at),
        change=desk.change(after, at, pair=_new_pair(memory, after), reopened=comers),
        fanout=(event, *welcomes),
    )


def _welcome(
    desk: Desk, staged: PublicStage, bundle: CommitBundle, at: int
) -> tuple[FanoutEvent, ...]:
    if bundle.welcome is None:
        return ()
    comers = [
        client_of(each.key_package.leaf_node).identity for each in staged.effects.added
    ]
    domains = frozenset(map(domain_of, comers))
    tree = RatchetTreeOption(staged.after.tree.encode())
    message = FanoutMessage(at, MlsMessageIn(bundle.welcome), tree=tree)
    return (
        FanoutEvent.of(
            EventKind.WELCOME,
            message,
            domains - {desk.hub},
            devices=frozenset(each for each in comers if domain_of(each) == desk.hub),
            welcome_refs=welcomed_refs(bundle),
        ),
    )


def _new_pair(before: RoomMemory, after: RoomMemory) -> bytes | None:
    """Return by what a room is known whose membership is fixed from now on."""
    users = after.room.fixed_users
    if users is None or before.room.fixed_users is not None:
        return None
    return pair_digest(users)
