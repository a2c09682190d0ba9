"""groupInfo at the hub: who may see the group, and join it by a commit (7.5)."""

from dataclasses import replace
from typing import Final

from sabir.mimi.codepoints import GroupInfoCode
from sabir.mimi.hub.commits import resynced_lately
from sabir.mimi.hub.join_codes import JoinCode, digest_of
from sabir.mimi.hub.memory import JoinPermit, Phase, RoomMemory
from sabir.mimi.hub.outcome import Outcome
from sabir.mimi.hub.senders import PERMIT_MS
from sabir.mimi.hub.update import Desk
from sabir.mimi.policy.permits import JoinGround, join_ground
from sabir.mimi.policy.view import Client
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRefused,
    GroupInfoRequest,
    GroupInfoResponse,
    OtherGroupInfoRequest,
    PendingProposal,
    SealedGroupInfo,
    seal_group_info,
    verify_request,
)
from sabir.mimi.uris import domain_of, user_of
from sabir.mls.credentials import BasicCredential
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.errors import Malformed

PERMITS_MAX: Final = 1_024
"""Who was shown the group and has not joined yet; the oldest has to ask again."""
PERMITS_PER_PROVIDER_MAX: Final = 128
"""The same of one provider, so that none can crowd out the others."""


def not_authorized(room_uri: str) -> GroupInfoRefused:
    """Refuse; so does a provider that has no such room (D-28)."""
    return GroupInfoRefused(room=room_uri, code=GroupInfoCode.NOT_AUTHORIZED)


def answer_group_info(
    desk: Desk,
    source: str,
    request: GroupInfoRequest | OtherGroupInfoRequest,
    code: JoinCode | None,
) -> Outcome[GroupInfoResponse]:
    """Show the group to who may join it, and remember that for ten minutes.

    A code loses one use when it is first shown by a client; who loses a race for the
    epoch asks again within that time and spends nothing.

    Args:
        desk: the room as it is.
        source: domain of the provider that brings it; ours for our own agents.
        request: decoded.
        code: that belongs to the request's; None: unknown.

    Raises:
        Malformed: MIMI-015, the request's HPKE key is none.
    """
    memory = desk.memory
    refused: Outcome[GroupInfoResponse] = Outcome(
        response=not_authorized(memory.room.room_uri)
    )
    if not isinstance(request, GroupInfoRequest) or memory.phase is Phase.CLOSED:
        return refused
    client = _client_of(desk, source, request)
    if client is None:
        return refused
    permit = _permit(desk, client, request, code)
    if permit is None:
        return refused
    response = _sealed(desk, request)
    change = desk.change(_with_permit(memory, permit, desk.now_ms), desk.last_at)
    if _spends(memory, permit, desk.now_ms):
        change = replace(change, spent_codes=(permit.code,))
    return Outcome(response=response, change=change)


def _client_of(desk: Desk, source: str, request: GroupInfoRequest) -> Client | None:
    """Return who asks, if the request proves it and comes from its provider."""
    suite, credential = desk.memory.group.epoch.suite, request.credential
    if request.suite != suite.number or not isinstance(credential, BasicCredential):
        return None
    if not credential.identity.isascii():
        return None
    identity = credential.identity.decode("ascii")
    try:
        user = user_of(identity)
    except Malformed:
        return None
    if domain_of(identity) != source or not verify_request(request, suite):
        return None
    return Client(identity, user, request.signature_key)


def _permit(
    desk: Desk, client: Client, request: GroupInfoRequest, code: JoinCode | None
) -> JoinPermit | None:
    memory, now_ms = desk.memory, desk.now_ms
    digest = digest_of(request.join_code) if request.join_code else b""
    shown = code is not None and digest == code.digest
    usable = (
        code
        if code is not None
        and shown
        and code.opens(memory.room.room_uri, client.user, now_ms)
        and (code.uses_left > 0 or _has_shown(memory, client, digest, now_ms))
        else None
    )
    view = memory.effective.view
    ground = join_ground(view, client.user, None if usable is None else usable.role)
    if ground is None or resynced_lately(memory, client.identity, now_ms):
        return None
    by_code = ground is JoinGround.JOIN_CODE and usable is not None
    return JoinPermit(
        identity=client.identity,
        signature_key=client.signature_key,
        role=usable.role if by_code and usable is not None else 0,
        code=digest if by_code else b"",
        given_at=now_ms,
    )


def _has_shown(memory: RoomMemory, client: Client, digest: bytes, now_ms: int) -> bool:
    """Whether a client has spent a use of a code and has not joined since."""
    return any(
        permit.code == digest
        and permit.identity == client.identity
        and permit.signature_key == client.signature_key
        and now_ms - permit.given_at <= PERMIT_MS
        for permit in memory.permits
    )


def _spends(memory: RoomMemory, permit: JoinPermit, now_ms: int) -> bool:
    client = Client(permit.identity, "", permit.signature_key)
    return bool(permit.code) and not _has_shown(memory, client, permit.code, now_ms)


def _with_permit(memory: RoomMemory, permit: JoinPermit, now_ms: int) -> RoomMemory:
    key = (permit.identity, permit.signature_key)
    kept = [
        each
        for each in memory.permits
        if now_ms - each.given_at <= PERMIT_MS
        and (each.identity, each.signature_key) != key
    ]
    provider = domain_of(permit.identity)
    same = [each for each in kept if domain_of(each.identity) == provider]
    if len(same) >= PERMITS_PER_PROVIDER_MAX:
        kept.remove(same[0])
    return replace(memory, permits=(*kept[-(PERMITS_MAX - 1) :], permit))


def _sealed(desk: Desk, request: GroupInfoRequest) -> SealedGroupInfo:
    memory, room = desk.memory, desk.memory.room
    assert room.hub is not None  # genesis sees to it
    pending = tuple(
        PendingProposal(waiting.message, bundle.accepted_at)
        for bundle in memory.bundles
        for waiting in bundle.items
    )
    return seal_group_info(
        room.room_uri,
        GroupInfoAndTree(
            group_info=memory.group_info,
            tree=RatchetTreeOption(memory.group.tree.encode()),
            pending=pending,
        ),
        request,
        suite=memory.group.epoch.suite,
        hub_sender=room.hub,
        hub_private=desk.keys.external.reveal(),
    )
