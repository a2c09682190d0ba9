"""An invitation: a Welcome that was opened and not accepted yet."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sabir.mimi.member.checks import checked_room
from sabir.mimi.member.events import Event, Joined, Violation
from sabir.mimi.member.joining import own_client
from sabir.mimi.member.judging import ghosts_of
from sabir.mimi.member.memory import Memory, Phase
from sabir.mimi.member.state import MemberState
from sabir.mimi.member.trust import freeze
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.policy.invariants import check_invariants
from sabir.mimi.policy.view import Client, client_of
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_message
from sabir.mimi.structs.fields import decode_whole
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.env import Env
from sabir.mls.errors import MlsMisuse
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.welcome import Welcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a Welcome brings, as far as the machine can tell.

    Attributes:
        state: the member to be.
        by: who made the Welcome.
        key_package: ours, that it names; its secrets are to be deleted.
        events: what there is to say of the room as it is.
    """

    state: MemberState
    by: Client
    key_package: KeyPackageSecrets = field(repr=False)
    events: tuple[Event, ...]


def opened(
    env: Env,
    client: MlsClient,
    fanned: bytes | FanoutMessage,
    key_packages: Iterable[KeyPackageSecrets],
    member_of: Collection[bytes],
) -> Opened:
    """Open a Welcome. Arguments and errors as `open_invitation`."""
    message = (
        decode_whole(fanned, read_fanout_message)
        if isinstance(fanned, bytes)
        else fanned
    )
    if not isinstance(message.message.body, Welcome):
        raise MlsMisuse("this is no Welcome; give it to the room's RoomMember")
    staged = stage_welcome(
        client,
        message.message,
        key_packages,
        tree=None if message.tree is None else message.tree.tree,
        member_of=member_of,
    )
    checked_room(staged.group_info.group_context)
    group = accept(client, staged)
    state = _member(env, client, group, message)
    inviter = group.public.tree.leaf(staged.sender)
    assert inviter is not None  # W05: it has signed
    by = client_of(inviter)
    return Opened(
        state=state,
        by=by,
        key_package=staged.key_package,
        events=(
            Joined(accepted_at=message.accepted_at, by=by.user),
            *_troubles(state, message.accepted_at, by),
        ),
    )


def _member(
    env: Env, client: MlsClient, group: MlsGroup, message: FanoutMessage
) -> MemberState:
    memory = Memory(
        client=own_client(client).identity,
        phase=Phase.ACTIVE,
        since_ms=message.accepted_at,
        since_epoch=group.epoch,
        rotated_ms=env.now() * 1_000,
    )
    state = MemberState(client, group, memory)
    state.note_seen(message.accepted_at, message.digest)
    return state


def _troubles(state: MemberState, accepted_at: int, by: Client) -> tuple[Event, ...]:
    """Look for what the hub should not have let come about."""
    view = state.effective.committed
    events: list[Event] = []
    try:
        check_invariants(None, view)
    except PolicyDenied as wrong:
        events.append(
            Violation(
                accepted_at=accepted_at,
                slug=str(wrong.slug),
                detail=wrong.detail,
                by=by.user,
                evidence=state.group.group_context.raw,
            )
        )
    return (*events, *freeze(state, accepted_at, ghosts_of(view)))
