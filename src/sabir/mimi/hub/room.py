"""`HubRoom`: a room at its hub. Asking changes nothing; `apply` does."""

from collections.abc import Mapping
from dataclasses import replace

from sabir.errors import LocalError
from sabir.mimi.codepoints import UpdateCode
from sabir.mimi.franking import ReportVerdict
from sabir.mimi.hub import join_codes
from sabir.mimi.hub.commits import welcomed_refs
from sabir.mimi.hub.group_info import answer_group_info, not_authorized
from sabir.mimi.hub.join_codes import JoinCode
from sabir.mimi.hub.key_material import may_ask
from sabir.mimi.hub.keys import HubKeys
from sabir.mimi.hub.leave import propose, removals
from sabir.mimi.hub.memory import Phase, RoomMemory, read_memory
from sabir.mimi.hub.outcome import HubFacts, Outcome, RoomChange
from sabir.mimi.hub.proposals import added_refs
from sabir.mimi.hub.recipients import domains_with_participants
from sabir.mimi.hub.refusals import answer_of
from sabir.mimi.hub.reports import judge_report
from sabir.mimi.hub.submit import judge_message
from sabir.mimi.hub.update import Desk, judge_update, proposed
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.permits import may_destroy, may_remove_join_codes
from sabir.mimi.policy.view import RoomView
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.abuse import AbuseReport
from sabir.mimi.structs.group_info import (
    GroupInfoRefused,
    GroupInfoRequest,
    GroupInfoResponse,
    OtherGroupInfoRequest,
)
from sabir.mimi.structs.key_material import KeyMaterialRequest
from sabir.mimi.structs.submit import (
    OtherSubmitMessageRequest,
    SubmitMessageRequest,
    SubmitMessageResponse,
)
from sabir.mimi.structs.update import (
    CommitBundle,
    HandshakeBundle,
    ProposalBundle,
    UpdateRoomResponse,
)
from sabir.mimi.uris import domain_of

NO_FACTS = HubFacts()


class HubRoom:
    """A room that we are the hub of.

    One caller at a time: what a change was made from must be what it is applied to.

    Args:
        keys: of the hub.
        memory: of the room.
        last_at: timestamp of its last event; the store keeps it beside the state.
    """

    __slots__ = ("_memory", "keys", "last_at")

    def __init__(self, keys: HubKeys, memory: RoomMemory, last_at: int) -> None:
        self.keys = keys
        self.last_at = last_at
        self._memory = memory

    @classmethod
    def begin(cls, keys: HubKeys, change: RoomChange) -> "HubRoom":
        """Take a room that has just begun, once its first change is written down."""
        return cls(keys, change.after, change.last_at)

    @classmethod
    def load(cls, keys: HubKeys, state: bytes, last_at: int) -> "HubRoom":
        """Take a room from the store.

        Raises:
            MlsMisuse: it is damaged, or of a version that we cannot read.
        """
        return cls(keys, read_memory(state), last_at)

    def encode(self) -> bytes:
        """Write the room for the store, without `last_at`."""
        return self._memory.encode()

    # ---- questions

    @property
    def memory(self) -> RoomMemory:
        """Return what is remembered, as of now."""
        return self._memory

    @property
    def state(self) -> RoomState:
        """Return what members have agreed on in this epoch."""
        return self._memory.room

    @property
    def view(self) -> RoomView:
        """Return the room as it counts now, with what waits for a commit."""
        return self._memory.effective.view

    @property
    def uri(self) -> str:
        """Return the room's URI."""
        return self.state.room_uri

    @property
    def domain(self) -> str:
        """Return our domain."""
        return domain_of(self.uri)

    @property
    def domains(self) -> frozenset[str]:
        """Return the providers of those who are in the room, clients or not."""
        return domains_with_participants(self.view)

    @property
    def identities(self) -> frozenset[str]:
        """Return the clients in the group, also of who is on the way out."""
        return frozenset(
            client.identity for client in self._memory.effective.leaves.values()
        )

    @property
    def epoch(self) -> int:
        """Return the number of the epoch."""
        return self._memory.epoch

    @property
    def is_closed(self) -> bool:
        """Whether the room takes nothing any more."""
        return self._memory.phase is Phase.CLOSED

    # ---- requests

    def update(
        self,
        now_ms: int,
        source: str,
        bundle: HandshakeBundle,
        facts: HubFacts = NO_FACTS,
    ) -> Outcome[UpdateRoomResponse]:
        """Judge a handshake, in the order of checks of 7.3.

        Args:
            now_ms: ms since 1970.
            source: domain of the provider that brings it; ours for our own agents.
            bundle: from `decode_handshake_bundle`.
            facts: what the provider knows; `refs_wanted` says of what.

        Raises:
            Problem: UNAVAILABLE, the clock is far behind the room's last event.
        """
        return judge_update(self._desk(now_ms), source, bundle, facts)

    def submit(
        self,
        now_ms: int,
        source: str,
        request: SubmitMessageRequest | OtherSubmitMessageRequest,
    ) -> Outcome[SubmitMessageResponse]:
        """Judge an application message. Arguments and errors as `update`."""
        return judge_message(self._desk(now_ms), source, request)

    def group_info(
        self,
        now_ms: int,
        source: str,
        request: GroupInfoRequest | OtherGroupInfoRequest,
        code: JoinCode | None = None,
    ) -> Outcome[GroupInfoResponse]:
        """Show the group to who may join it.

        Args:
            now_ms: ms since 1970.
            source: domain of the provider that brings it; ours for our own agents.
            request: decoded.
            code: what the store has for `join_codes.digest_of(request.join_code)`.

        Raises:
            Malformed: MIMI-015, the request's HPKE key is none.
        """
        return answer_group_info(self._desk(now_ms), source, request, code)

    @property
    def not_authorized(self) -> GroupInfoRefused:
        """Return the refusal of groupInfo, e.g. for a code that is spent by now."""
        return not_authorized(self.uri)

    def may_ask(self, source: str, request: KeyMaterialRequest) -> bool:
        """Whether a member may ask for key material; else it is `no_consent` (D-16)."""
        return may_ask(self._memory, source, request)

    def report(
        self,
        now_ms: int,
        source: str,
        report: AbuseReport,
        present: Mapping[str, int],
    ) -> tuple[ReportVerdict, ...]:
        """Judge each message of a report. Arguments and errors as `judge_report`."""
        return judge_report(
            self._memory,
            self.keys.mac,
            source,
            report,
            present=present,
            now_ms=now_ms,
        )

    def check_may_make_join_code(self, user: str, role: int) -> None:
        """Check that a user may make a join code. Raises PolicyDenied."""
        if self.is_closed:
            raise PolicyDenied(Slug.ROOM_CLOSED)
        join_codes.check_may_make(self.view, user, role)

    def check_may_remove_join_codes(self, user: str) -> None:
        """Check that a user may take join codes back. Raises PolicyDenied."""
        if not may_remove_join_codes(self.view, user):
            raise PolicyDenied(Slug.POLICY_DENIED, "canAddParticipant")

    # ---- of our own

    def remove_user(self, now_ms: int, user: str) -> Outcome[UpdateRoomResponse]:
        """Propose that a user of ours, whose account is gone, leaves (D-53).

        Raises:
            Problem: as `update`.
        """
        desk = self._desk(now_ms)
        try:
            if self.is_closed:
                raise PolicyDenied(Slug.ROOM_CLOSED)
            proposals = removals(self._memory, self.domain, user)
            if not proposals:
                raise PolicyDenied(Slug.SENDER_REMOVED)
            at = desk.next_at()
            after, messages = propose(
                self._memory, self.keys, proposals, now_s=desk.now_s, at=at
            )
        except PolicyDenied as wrong:
            return Outcome(response=answer_of(wrong))
        return proposed(desk, after, messages, at)

    def close(self, now_ms: int, user: str) -> Outcome[UpdateRoomResponse]:
        """Close the room for a user who may destroy it; nothing is fanned out (D-54).

        Raises:
            Problem: as `update`.
        """
        desk = self._desk(now_ms)
        if self.is_closed:
            return Outcome(response=answer_of(PolicyDenied(Slug.ROOM_CLOSED)))
        if not may_destroy(self.view, user):
            denied = PolicyDenied(Slug.POLICY_DENIED, "canDestroyRoom")
            return Outcome(response=answer_of(denied))
        at = desk.next_at()
        after = replace(self._memory, phase=Phase.CLOSED)
        return Outcome(
            response=UpdateRoomResponse(code=UpdateCode.SUCCESS, accepted_at=at),
            change=desk.change(after, at),
        )

    # ---- changing

    def apply(self, change: RoomChange) -> None:
        """Believe a change, after it was written down.

        Raises:
            LocalError: it was made from another state of the room.
        """
        if change.before is not self._memory or change.asked_at != self.last_at:
            raise LocalError(
                "this change was made from another state of the room; "
                "ask a room again after each change"
            )
        self._memory = change.after
        self.last_at = change.last_at

    def _desk(self, now_ms: int) -> Desk:
        return Desk(
            memory=self._memory,
            last_at=self.last_at,
            keys=self.keys,
            hub=self.domain,
            now_ms=now_ms,
        )


def refs_wanted(bundle: HandshakeBundle) -> tuple[bytes, ...]:
    """Return the KeyPackageRefs whose provider `update` must be told."""
    if isinstance(bundle, CommitBundle):
        return welcomed_refs(bundle)
    if isinstance(bundle, ProposalBundle):
        return added_refs(bundle)
    return ()
