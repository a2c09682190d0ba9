"""Application messages of ours, and where they stand (7.4, 7.6)."""

from sabir.content.model import Content
from sabir.mimi.client_settings import ROOM_PROPOSALS
from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.franking import franking_aad
from sabir.mimi.member.admission import lacking
from sabir.mimi.member.errors import CommitFirst, RoomFrozen, RoomMisuse
from sabir.mimi.member.events import Event, MessageRefused
from sabir.mimi.member.kind_capability import Known, needs_of
from sabir.mimi.member.operation import Outgoing
from sabir.mimi.member.receiving import Arrived, read_message
from sabir.mimi.member.sending import Composed, composed, framed, recomposed
from sabir.mimi.member.state import MemberState, digest_of
from sabir.mimi.member.status import MEDIA_TYPE
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import Client
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.submit import (
    Frank,
    SubmitMessageRequest,
    SubmitMessageResponse,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mls.components import ApplicationFraming
from sabir.mls.env import Env
from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group_context import GroupContext


def send(
    state: MemberState, env: Env, content: Content | bytes, known: Known
) -> Outgoing:
    """Seal a message. Arguments and errors as `RoomMember.send`."""
    check_may_send(state)
    user, room = state.memory.user, state.room_uri
    message = (
        recomposed(content, user, room)
        if isinstance(content, bytes)
        else composed(env, content, user, room)
    )
    _check_permitted(state, message, known)
    ready = framed(message)
    sealed = state.group.encrypt(env, ready.data, aad=ready.aad).message
    request = SubmitMessageRequest(decode_message(sealed, ROOM_PROPOSALS), user)
    outgoing = Outgoing(
        octets=request.encode(),
        digest=digest_of(sealed),
        message_id=message.message_id,
        content=message.octets,
        tag=ready.tag,
        framing=ready.framing,
    )
    state.put_outgoing(outgoing)
    return outgoing


def check_may_send(state: MemberState) -> None:
    """Check that anything can be sent. Errors as `RoomMember.send`."""
    if not state.is_active:
        raise RoomMisuse(f"we are {state.memory.phase.name.lower()}, not in this room")
    if state.memory.ghosts:
        raise RoomFrozen(len(state.memory.ghosts))
    view = state.effective.view
    if view.is_out(state.memory.user):
        raise PolicyDenied(Slug.SENDER_REMOVED)
    if state.group.public.pending:
        raise CommitFirst


def _check_permitted(state: MemberState, message: Composed, known: Known) -> None:
    """Check that receivers will show it."""
    user, content = state.memory.user, message.content
    if getattr(content.body, "content_type", "") == MEDIA_TYPE:
        return
    role = state.effective.view.role(user)
    missing = lacking(needs_of(content, user, known), role)
    if missing is not None:
        raise PolicyDenied(Slug.POLICY_DENIED, missing)


def answered(
    state: MemberState,
    env: Env,
    digest: bytes,
    response: bytes | SubmitMessageResponse,
) -> tuple[Event, ...]:
    """Hear the hub's answer to a message. Errors as `RoomMember.confirm_message`."""
    found = (
        decode_submit_response(response) if isinstance(response, bytes) else response
    )
    message = state.find_outgoing(digest)
    if message is None:
        return ()
    if found.code == SubmitCode.ACCEPTED:
        state.note_seen(found.accepted_at, digest)
        return placed(state, env, message, found.accepted_at, found.frank)
    state.drop_outgoing(digest)
    refused = MessageRefused(
        message_id=message.message_id,
        octets=message.content,
        again=found.code == SubmitCode.EPOCH_TOO_OLD,
    )
    return (refused,)


def placed(
    state: MemberState,
    env: Env,
    message: Outgoing,
    accepted_at: int,
    frank: Frank | None,
) -> tuple[Event, ...]:
    """Read a message of ours at its place in the room, as others do."""
    state.drop_outgoing(message.digest)
    request = decode_submit_request(message.octets)
    assert isinstance(request, SubmitMessageRequest)  # we wrote it
    body = request.message.body
    assert isinstance(body, PrivateMessage)
    own = Client(state.memory.client, state.memory.user, b"")
    arrived = arrived_in(
        state,
        env,
        body.epoch,
        sender=own,
        own=True,
        data=ApplicationFraming(message.framing, message.content).encode(),
        aad=franking_aad(message.tag),
        frank=frank,
        accepted_at=accepted_at,
        digest=message.digest,
    )
    return (read_message(arrived),)


def arrived_in(
    state: MemberState,
    env: Env,
    epoch: int,
    *,
    sender: Client,
    data: bytes,
    aad: bytes,
    frank: Frank | None,
    accepted_at: int,
    digest: bytes,
    own: bool = False,
) -> Arrived:
    """Put a message beside the room that counted when the hub accepted it.

    That is the room of the message's epoch, if the epoch had not ended; else the room
    as it is now.
    """
    context = context_of(state, epoch)
    ended = state.memory.ended_ms.get(epoch)
    room = state.effective.view.room
    if ended is not None and accepted_at < ended:
        room = RoomState.of(context)
    return Arrived(
        accepted_at=accepted_at,
        digest=digest,
        sender=sender,
        own=own,
        data=data,
        aad=aad,
        frank=frank,
        context=context,
        suite=state.group.public.epoch.suite,
        room=room,
        role=room.participants.role_of(sender.user),
        now_ms=env.now() * 1_000,
    )


def context_of(state: MemberState, epoch: int) -> GroupContext:
    """Return the GroupContext of an epoch, as far as it is kept; else that of now."""
    for past in state.group.state.past:
        if past.number == epoch:
            return past.context
    return state.group.group_context
