"""Who sends a handshake: steps 3 to 5 of the order of checks (7.3)."""

from dataclasses import dataclass
from typing import Final

from sabir.mimi.hub.memory import HUB_SERVICES, JoinPermit, RoomMemory
from sabir.mimi.hub.refusals import denied
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.view import Client, client_of
from sabir.mimi.uris import domain_of
from sabir.mls.codepoints import SenderType
from sabir.mls.commit import Commit
from sabir.mls.errors import MlsInvalid
from sabir.mls.framing import (
    FramedContent,
    MlsMessageIn,
    PrivateMessage,
    PublicMessage,
    VerifiedContent,
)
from sabir.mls.message_protection import open_public_without_key
from sabir.mls.proposals import Remove, SelfRemove
from sabir.mls.staging import verify
from sabir.wire.errors import Malformed

PERMIT_MS: Final = 600_000
"""How long who was shown the GroupInfo may join."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A handshake whose sender is known.

    Attributes:
        verified: its content.
        client: who sent it.
        permit: of who joins by it; None of a member.
    """

    verified: VerifiedContent
    client: Client
    permit: JoinPermit | None = None


def public_of(message: MlsMessageIn) -> PublicMessage:
    """Return what is inside a handshake that hubs can read.

    Raises:
        PolicyDenied: `wire-format.refused`.
    """
    if not isinstance(message.body, PublicMessage):
        raise PolicyDenied(Slug.WIRE_FORMAT_REFUSED)
    return message.body


def group_and_epoch(message: MlsMessageIn) -> tuple[bytes, int] | None:
    """Return of which group and epoch a message is, None if it does not say."""
    match message.body:
        case PublicMessage(message=inside):
            return inside.content.group_id, inside.content.epoch
        case PrivateMessage(group_id=group_id, epoch=epoch):
            return group_id, epoch
        case _:
            return None


def permit_for(memory: RoomMemory, client: Client, now_ms: int) -> JoinPermit | None:
    """Return by what a client may join with this key; None: it may not (any more)."""
    for permit in memory.permits:
        if (
            permit.identity == client.identity
            and permit.signature_key == client.signature_key
            and now_ms - permit.given_at <= PERMIT_MS
        ):
            return permit
    return None


def joiner_of(content: FramedContent) -> Client | None:
    """Return who joins by a commit; None if nobody does that we could name."""
    commit = content.content
    if content.sender.kind is not SenderType.NEW_MEMBER_COMMIT:
        return None
    if not isinstance(commit, Commit) or commit.path is None:
        return None
    try:
        return client_of(commit.path.leaf_node)
    except Malformed:
        return None


def identify(
    memory: RoomMemory, message: PublicMessage, source: str, now_ms: int
) -> Handshake:
    """Find out who sent a handshake of the current epoch, and check the signature.

    Args:
        memory: the room.
        message: the handshake.
        source: domain of the provider that brought it.
        now_ms: ms since 1970.

    Raises:
        PolicyDenied: `sender.unknown`, `signature.invalid`, `proposal.invalid`.
    """
    content = message.message.content
    client, permit = _sender(memory, content, now_ms)
    if domain_of(client.identity) != source:
        raise PolicyDenied(Slug.SENDER_UNKNOWN, "another provider's client")
    try:
        opened = open_public_without_key(message)
        verified = verify(memory.group.epoch, opened, HUB_SERVICES)
    except (MlsInvalid, Malformed) as wrong:
        raise denied(wrong) from None
    return Handshake(verified, client, permit)


def _sender(
    memory: RoomMemory, content: FramedContent, now_ms: int
) -> tuple[Client, JoinPermit | None]:
    sender = content.sender
    if sender.kind is SenderType.MEMBER:
        member = memory.effective.leaves.get(sender.index)
        if member is None:
            raise PolicyDenied(Slug.SENDER_UNKNOWN, f"leaf {sender.index}")
        return member, None
    joiner = joiner_of(content)
    if joiner is None:
        raise PolicyDenied(Slug.SENDER_UNKNOWN, f"sender type {sender.kind:d}")
    permit = permit_for(memory, joiner, now_ms)
    if permit is None:
        raise PolicyDenied(Slug.SENDER_UNKNOWN, "no groupInfo was asked for")
    return joiner, permit


def check_not_out(memory: RoomMemory, handshake: Handshake) -> None:
    """Let who is banned or removed do nothing but take away their own clients.

    Raises:
        PolicyDenied: `sender.removed`.
    """
    user, view = handshake.client.user, memory.effective.view
    if handshake.permit is not None:
        if view.is_banned(user):
            raise PolicyDenied(Slug.SENDER_REMOVED)
        return
    content = handshake.verified.content
    if view.is_out(user) and not _takes_own_away(memory, user, content):
        raise PolicyDenied(Slug.SENDER_REMOVED)


def _takes_own_away(memory: RoomMemory, user: str, content: FramedContent) -> bool:
    proposal = content.content
    if isinstance(proposal, SelfRemove):
        return True
    if not isinstance(proposal, Remove):
        return False
    target = memory.effective.leaves.get(proposal.removed)
    return target is not None and target.user == user
