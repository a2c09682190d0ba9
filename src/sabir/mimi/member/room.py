"""`RoomMember`: a room as its member's agent uses it. Thin: the work is beside.

The rule for callers: what `delta` names is stored in one transaction with the octets
that are queued or the events that are shown; then `saved` is told. Octets are sent
after that, and the same ones again until there is an answer.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sabir.content.model import Content
from sabir.mimi.client_settings import ROOM_PROPOSALS, SUITE
from sabir.mimi.components.expiration import MessageExpiration
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.status_policy import StatusNotificationPolicy
from sabir.mimi.genesis import Reservation, founders, genesis_extensions
from sabir.mimi.member import inviting, messages, operations, stream
from sabir.mimi.member.asking import (
    KeyMaterial,
    key_material_request,
    read_key_material,
)
from sabir.mimi.member.errors import RoomMisuse
from sabir.mimi.member.events import Event, Outcome
from sabir.mimi.member.intents import Intent
from sabir.mimi.member.joining import (
    JoinRequest,
    commit_to_join,
    own_client,
    shown_group,
)
from sabir.mimi.member.judging import effect_digest
from sabir.mimi.member.kind_capability import Known
from sabir.mimi.member.memory import Memory, Phase
from sabir.mimi.member.operation import Kind, Operation, Outgoing
from sabir.mimi.member.state import MemberState, digest_of
from sabir.mimi.member.status import RECEIPTS_MS_MIN, Reports, status_part, wanted
from sabir.mimi.member.trust import freeze
from sabir.mimi.policy.derive import effects_of_pending
from sabir.mimi.policy.effective import EffectiveState
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.view import Client, RoomView
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mimi.structs.group_info import GroupInfoAndTree
from sabir.mimi.structs.submit import Frank, SubmitMessageResponse
from sabir.mimi.structs.update import (
    CommitBundle,
    UpdateRoomResponse,
    encode_group_info_option,
)
from sabir.mimi.uris import group_uri
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsUnsupported
from sabir.mls.framing import decode_message
from sabir.mls.group.epoch import Epoch
from sabir.mls.group.group import MlsGroup, accept
from sabir.mls.group.state import Delta, Rows
from sabir.mls.public_group import PublicGroup
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed

ROTATION_MS: Final = 7 * 86_400_000
"""How old our keys in a room may become (4.4)."""

NOTHING_KNOWN: Final = Known()


class RoomMember:
    """A room of which our client is a member, or is about to be.

    Made by `create`, `join`, `open_invitation` or `load`.

    Args:
        state: of the member.
    """

    __slots__ = ("_state",)

    def __init__(self, state: MemberState) -> None:
        self._state = state

    # ---- coming in

    @classmethod
    def create(
        cls,
        env: Env,
        client: MlsClient,
        reservation: Reservation,
        *,
        others: Iterable[str] = (),
        metadata: RoomMetadata | None = None,
        status_policy: StatusNotificationPolicy | None = None,
        expiration: MessageExpiration | None = None,
    ) -> "RoomMember":
        """Make a room; `operation` is the body of `PUT /rooms/{roomId}/genesis`.

        Args:
            env: clock and dice.
            client: ours, from `room_client`.
            reservation: from the provider.
            others: users of a direct conversation, listed without clients; invite
                their clients by `AddClients` after it was confirmed.
            metadata: name and the like, with the room's URI.
            status_policy: receipts; None leaves them optional.
            expiration: messages that disappear; None for none.
        """
        own = own_client(client)
        group = MlsGroup.create(
            env,
            client,
            group_uri(reservation.room_uri).encode("ascii"),
            genesis_extensions(
                reservation,
                founders(reservation, own.user, others),
                metadata=metadata,
                status_policy=status_policy,
                expiration=expiration,
            ),
            suite=SUITE,
        )
        state = MemberState(client, group, Memory(own.identity, Phase.CREATING))
        tree = RatchetTreeOption(group.public.tree.encode())
        shown = group.group_info(with_tree=False)
        state.set_operation(
            Operation(
                kind=Kind.GENESIS,
                octets=encode_group_info_option(shown) + tree.encode(),
            )
        )
        return cls(state)

    @classmethod
    def join(
        cls,
        env: Env,
        client: MlsClient,
        request: JoinRequest,
        response: bytes,
        *,
        role: int | None = None,
        full_tree: bool = False,
    ) -> "RoomMember":
        """Join from outside; `operation` is the body of `POST /rooms/{roomId}/update`.

        A new device of somebody in the room, one who lost the group's state (resync),
        and somebody new where the room lets people in. On resync, store it beside the
        old member until it is confirmed, then delete the old one.

        Args:
            env: clock and dice.
            client: ours.
            request: from `joining.request_group_info`.
            response: the `GroupInfoResponse` of the hub.
            role: that our join code is for; None without a code.
            full_tree: the hub is bare and wants the tree from us (D-18).

        Raises:
            PolicyDenied: the hub or the room does not let us in.
            Malformed, MlsInvalid, MlsMissing, MlsUnsupported: the answer or the group
                is not right (MC-076).
        """
        shown = shown_group(request, response)
        joining = commit_to_join(env, client, shown, role)
        group = accept(client, joining)
        memory = Memory(own_client(client).identity, Phase.JOINING)
        memory.reissues = _reissues(env, client, shown)
        state = MemberState(client, group, memory)
        tree = group.public.tree.encode() if full_tree else None
        bundle = CommitBundle(
            message=decode_message(joining.commit, ROOM_PROPOSALS),
            group_info=joining.group_info(with_tree=False),
            tree=RatchetTreeOption(tree),
        )
        state.set_operation(
            Operation(
                kind=Kind.JOIN,
                octets=bundle.encode(),
                digest=digest_of(joining.commit),
                epoch=group.epoch - 1,
            )
        )
        return cls(state)

    # ---- the store

    @classmethod
    def load(cls, client: MlsClient, rows: Mapping[bytes, bytes]) -> "RoomMember":
        """Take a room from the store.

        Raises:
            MlsMisuse: the rows are damaged, or of a version that we cannot read.
        """
        return cls(MemberState.load(client, rows))

    def save(self) -> Rows:
        """Return the whole room as rows. They hold secrets: encrypt them at rest."""
        return self._state.save()

    def delta(self) -> Delta:
        """Name the rows that changed since the last `saved`; None deletes one."""
        return self._state.delta()

    def saved(self, delta: Delta) -> None:
        """Hear that the store has committed a delta."""
        self._state.saved(delta)

    # ---- questions

    @property
    def phase(self) -> Phase:
        """Return where we stand."""
        return self._state.memory.phase

    @property
    def room_uri(self) -> str:
        """Return the room's URI."""
        return self._state.room_uri

    @property
    def user(self) -> str:
        """Return our user's URI."""
        return self._state.memory.user

    @property
    def client_uri(self) -> str:
        """Return our client's URI."""
        return self._state.memory.client

    @property
    def epoch(self) -> int:
        """Return the number of the group's epoch."""
        return self._state.group.epoch

    @property
    def room(self) -> RoomState:
        """Return what members have agreed on in this epoch."""
        return self._state.room

    @property
    def view(self) -> RoomView:
        """Return the room as it counts, with what waits for a commit."""
        return self._state.effective.view

    @property
    def group(self) -> MlsGroup:
        """Return the MLS group, to compare epoch authenticators and the like."""
        return self._state.group

    @property
    def operation(self) -> Operation | None:
        """Return what waits for the hub's answer, to be submitted (again)."""
        return self._state.operation

    @property
    def outgoing(self) -> tuple[Outgoing, ...]:
        """Return messages that wait for the hub's answer, to be submitted (again)."""
        return self._state.outgoing

    @property
    def ghosts(self) -> tuple[Client, ...]:
        """Return clients because of which nothing is sent."""
        return self._state.memory.ghosts

    @property
    def needs_commit(self) -> bool:
        """Whether proposals wait that we may commit."""
        waits = bool(self._state.group.public.pending)
        return waits and self.phase is Phase.ACTIVE and not self.view.is_out(self.user)

    def rotation_due(self, env: Env) -> bool:
        """Whether it is time to perform `Rotate`."""
        age = env.now() * 1_000 - self._state.memory.rotated_ms
        return self.phase is Phase.ACTIVE and age >= ROTATION_MS

    # ---- operations

    def key_material_request(self, target: str) -> bytes:
        """Ask for KeyPackages of a user's clients: `POST /keymaterial/{targetUser}`.

        Args:
            target: URI of the user, our own for our further devices.
        """
        return key_material_request(self._epoch(), self.user, target, self.room_uri)

    def key_material(self, env: Env, target: str, response: bytes) -> KeyMaterial:
        """Choose from the answer what can be added to the room.

        Raises:
            Malformed: MIMI-309, it is about another user; the answer does not decode.
        """
        services = self._state.client.services
        return read_key_material(self._epoch(), services, response, target, env.now())

    def perform(
        self, env: Env, intent: Intent, *, full_tree: bool = False
    ) -> Operation | None:
        """Make what an intent needs, to be submitted by `POST /rooms/{roomId}/update`.

        Args:
            env: clock and dice.
            intent: what is wanted.
            full_tree: the hub is bare and wants the tree from us (D-18).

        Returns:
            What to submit; None where there is nothing left to do.

        Raises:
            RoomMisuse: we are not in the room, or another operation waits.
            PolicyDenied: the room does not allow it.
            Malformed, MlsInvalid: others would refuse it, e.g. an old KeyPackage.
        """
        return operations.perform(self._state, env, intent, full_tree=full_tree)

    def confirm(
        self, env: Env, response: bytes | UpdateRoomResponse
    ) -> tuple[Event, ...]:
        """Hear the hub's answer to the operation, good or bad.

        If the operation came by in the stream before, there is nothing left to say.

        Raises:
            Malformed: the answer does not decode; the operation waits on.
        """
        return operations.answered(self._state, env, response)

    def confirm_genesis(self, env: Env, accepted_at: int) -> tuple[Event, ...]:
        """Hear that the hub has taken our new room, at its time in ms."""
        operation = self.operation
        if operation is None or operation.kind is not Kind.GENESIS:
            return ()
        return operations.accepted(self._state, env, operation, accepted_at)

    def reject(self, reason: str) -> tuple[Event, ...]:
        """Hear that the operation came to nothing for a reason outside of the protocol.

        Only where it is certain that the hub has not taken it, e.g. a problem document
        that is no retry.
        """
        operation = self.operation
        if operation is None:
            return ()
        refused = operations.dropped(self._state, operation, Outcome.REFUSED, reason)
        return (refused,)

    # ---- messages

    def send(
        self, env: Env, content: Content | bytes, known: Known = NOTHING_KNOWN
    ) -> Outgoing:
        """Seal a message, to be submitted by `POST /rooms/{roomId}/messages`.

        Args:
            env: clock and dice.
            content: what to say; salt and extensions 1 and 2 are set here. Octets are
                a container that was sent before, to be sealed anew (`MessageRefused`).
            known: what the timeline knows of what it refers to.

        Raises:
            RoomMisuse: we are not in the room.
            RoomFrozen: somebody is in the room whom nobody let in.
            CommitFirst: proposals wait.
            PolicyDenied: receivers would not show it.
            NotEncodable, Malformed: receivers could not read it.
        """
        return messages.send(self._state, env, content, known)

    def send_receipts(self, env: Env, reports: Reports) -> Outgoing | None:
        """Seal receipts; None where the room forbids all of them.

        Args:
            env: clock and dice.
            reports: pairs of a message and its status.

        Raises:
            RoomMisuse: the last ones are less than 5 s ago; as `send`.
        """
        allowed = wanted(self.room.status_policy, reports)
        if not allowed:
            return None
        if self.receipts_wait_ms(env):
            raise RoomMisuse("receipts go every 5 s; collect them until then")
        content = Content(salt=b"", body=status_part(allowed))
        sent = self.send(env, content)
        self._state.memory.receipts_ms = env.now() * 1_000
        return sent

    def receipts_wait_ms(self, env: Env) -> int:
        """Return how long receipts must be collected yet."""
        due = self._state.memory.receipts_ms + RECEIPTS_MS_MIN
        return max(due - env.now() * 1_000, 0)

    def confirm_message(
        self, env: Env, digest: bytes, response: bytes | SubmitMessageResponse
    ) -> tuple[Event, ...]:
        """Hear the hub's answer to a message.

        Args:
            env: clock.
            digest: of the `Outgoing`.
            response: the hub's answer.

        Raises:
            Malformed: the answer does not decode; the message waits on.
        """
        return messages.answered(self._state, env, digest, response)

    # ---- the stream

    def has_passed(self, accepted_at: int) -> bool:
        """Whether our stream has come to a time of the hub, in ms, or later (D-22)."""
        return self._state.memory.streamed_ms >= accepted_at

    def receive(self, env: Env, fanned: bytes | FanoutMessage) -> tuple[Event, ...]:
        """Take a `room.message` or `room.handshake` of the stream, in its order.

        What the hub or a member does wrong is an event, not an error. Messages are to
        be shown after `admission.admit`.
        """
        return stream.receive(self._state, env, fanned)

    def receive_own(
        self, env: Env, accepted_at: int, digest: bytes, frank: Frank | None
    ) -> tuple[Event, ...]:
        """Take a `room.own` of the stream: the place of something that we sent."""
        return stream.receive_own(self._state, env, accepted_at, digest, frank)

    # ---- trust

    def distrust(self, clients: Collection[Client], at_ms: int) -> tuple[Event, ...]:
        """Stop sending because of clients whose keys are not their users' (D-48).

        Args:
            clients: from `view.clients` or an event.
            at_ms: when that was found out.
        """
        return freeze(self._state, at_ms, clients)

    def acknowledge(self) -> None:
        """Go on sending: a person has looked at `ghosts`."""
        self._state.memory.ghosts = ()

    def _epoch(self) -> Epoch:
        epoch = self._state.group.state.epoch
        if epoch is None:
            raise RoomMisuse("we were removed from this room")
        return epoch


def _reissues(
    env: Env, client: MlsClient, shown: GroupInfoAndTree
) -> tuple[bytes, ...]:
    """Return what waits when we join, which the hub may propose again (D-54)."""
    group = PublicGroup.from_group_info(
        client.services, shown.group_info, shown.tree.tree
    )
    try:
        for each in shown.pending:
            group.process(env, each.message)
        effects = effects_of_pending(EffectiveState.of(group))
    except (Malformed, MlsInvalid, MlsMissing, MlsUnsupported, PolicyDenied):
        return ()
    return tuple(sorted(effect_digest(effect) for effect in effects))


# ---- invitations


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A room into which somebody has added us. Nothing is stored before that is done.

    Attributes:
        member: the member that we are when it is stored; drop it to decline, and
            perform `Leave` to be gone for the others, too.
        by: who added us.
        key_package: ours, that was used; delete its secrets.
        events: to be handled as those of `RoomMember.receive`.
    """

    member: RoomMember
    by: Client
    key_package: KeyPackageSecrets = field(repr=False)
    events: tuple[Event, ...]


def open_invitation(
    env: Env,
    client: MlsClient,
    fanned: bytes | FanoutMessage,
    key_packages: Iterable[KeyPackageSecrets],
    *,
    member_of: Collection[bytes] = (),
) -> Invitation:
    """Open a `room.welcome` of the stream.

    Args:
        env: clock and dice.
        client: ours.
        fanned: the FanoutMessage.
        key_packages: secrets of ours, one of which it names.
        member_of: MLS group ids of our rooms.

    Raises:
        Malformed, MlsInvalid, MlsMissing, MlsUnsupported: it is not right, or not for
            us; MIMI-301, MIMI-308 the group is not that of a room of its hub.
        MlsMisuse: it is no Welcome.
    """
    found = inviting.opened(env, client, fanned, key_packages, member_of)
    return Invitation(
        member=RoomMember(found.state),
        by=found.by,
        key_package=found.key_package,
        events=found.events,
    )
