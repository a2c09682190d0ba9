"""An application message at the hub (7.4): who may send, when, and the hub's mark."""

from typing import Final

from sabir.mimi.codepoints import SubmitCode
from sabir.mimi.franking import FrankContext, make_frank, tag_of
from sabir.mimi.hub.memory import Phase, RoomMemory
from sabir.mimi.hub.outcome import EventKind, FanoutEvent, Outcome
from sabir.mimi.hub.update import Desk
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mimi.structs.submit import (
    Frank,
    OtherSubmitMessageRequest,
    SubmitMessageRequest,
    SubmitMessageResponse,
)
from sabir.mimi.uris import domain_of
from sabir.mls.codepoints import ContentType
from sabir.mls.components import requires_safe_aad
from sabir.mls.framing import PrivateMessage
from sabir.wire.errors import Malformed

PAST_EPOCH_MS: Final = 10_000
"""How long messages of the last epoch are taken: those on their way (D-23)."""

NOT_ALLOWED: Final = SubmitMessageResponse(SubmitCode.NOT_ALLOWED)


def judge_message(
    desk: Desk,
    source: str,
    request: SubmitMessageRequest | OtherSubmitMessageRequest,
) -> Outcome[SubmitMessageResponse]:
    """Judge an application message.

    Args:
        desk: the room as it is.
        source: domain of the provider that brings it; ours for our own agents.
        request: decoded.

    Raises:
        Problem: UNAVAILABLE, as `next_timestamp`.
    """
    memory = desk.memory
    if not isinstance(request, SubmitMessageRequest) or memory.phase is Phase.CLOSED:
        return Outcome(response=NOT_ALLOWED)
    body, sender = request.message.body, request.sending_uri
    allowed = (
        domain_of(sender) == source
        and memory.effective.view.can_send(sender)
        and isinstance(body, PrivateMessage)
        and body.content_type is ContentType.APPLICATION
        and body.group_id == memory.group.context.group_id
    )
    if not allowed or not isinstance(body, PrivateMessage):
        return Outcome(response=NOT_ALLOWED)
    refused = _check_epoch(desk, body.epoch)
    if refused is not None:
        return Outcome(response=refused)
    try:
        tag = _tag(memory, body.authenticated_data)
    except Malformed:
        return Outcome(response=NOT_ALLOWED)
    return _accepted(desk, request, tag)


def _check_epoch(desk: Desk, epoch: int) -> SubmitMessageResponse | None:
    memory = desk.memory
    if epoch == memory.epoch:
        return None
    if epoch > memory.epoch:
        return NOT_ALLOWED
    lately = desk.now_ms - memory.epoch_at <= PAST_EPOCH_MS
    if epoch == memory.epoch - 1 and lately:
        return None
    return SubmitMessageResponse(SubmitCode.EPOCH_TOO_OLD, current_epoch=memory.epoch)


def _tag(memory: RoomMemory, authenticated_data: bytes) -> bytes | None:
    """Return the franking tag of a message. Raises Malformed: a wrong SafeAAD."""
    if not requires_safe_aad(memory.group.context):
        return None
    return tag_of(authenticated_data)


def _accepted(
    desk: Desk, request: SubmitMessageRequest, tag: bytes | None
) -> Outcome[SubmitMessageResponse]:
    memory, at = desk.memory, desk.next_at()
    frank = None if tag is None else _frank(desk, request.sending_uri, tag, at)
    to = memory.readers
    event = FanoutEvent.of(
        EventKind.MESSAGE,
        FanoutMessage(at, request.message, frank),
        to.domains,
        withheld_users=to.withheld,
    )
    return Outcome(
        response=SubmitMessageResponse(SubmitCode.ACCEPTED, at, frank),
        change=desk.change(memory, at),
        fanout=(event,),
    )


def _frank(desk: Desk, sender: str, tag: bytes, at: int) -> Frank | None:
    room = desk.memory.room
    mac_key = desk.keys.mac.key_at(at)
    if room.franking_agent is None or mac_key is None:
        return None
    return make_frank(
        desk.memory.group.epoch.suite,
        private_key=desk.keys.franking.reveal(),
        hub_key=mac_key,
        tag=tag,
        about=FrankContext(sender=sender, room=room.room_uri, accepted_at=at),
    )
