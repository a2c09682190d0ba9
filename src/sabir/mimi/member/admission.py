"""Whether a message may be shown, beside what it refers to: `admit`.

Of all that is received only this needs the timeline, so it is a step of its own: the
agent looks up `MessageReceived.references` and topic, and asks.
"""

from dataclasses import dataclass
from typing import Final

from sabir.content.model import MessageId
from sabir.mimi.codepoints import Capability
from sabir.mimi.components.roles import Role
from sabir.mimi.member.events import Discarded, MessageReceived, Why
from sabir.mimi.member.kind_capability import Known, Needs, needs_of
from sabir.mimi.policy.kernel import name_of

HELD_MS: Final = 600_000
"""How long an edit waits for its original; then ask with `final` (5.6)."""

_CHAIN_MAX: Final = 1_024
"""Answers to answers that are followed; a longer chain is no loop of ours."""


@dataclass(frozen=True, slots=True)
class Held:
    """An edit or deletion of a message that is not here yet."""

    message: MessageReceived
    target: MessageId


def lacking(needs: Needs, role: Role) -> str | None:
    """Return what a role lacks for a message; None: nothing.

    Who may not send, may still react and take that back (D-39): the needs of those do
    not have canSendMessage.
    """
    if needs.forbidden:
        return "nobody may"
    missing = sorted(each for each in needs.capabilities if not role.may(each))
    return name_of(Capability(missing[0])) if missing else None


def admit(
    received: MessageReceived, known: Known, *, final: bool = False
) -> MessageReceived | Held | Discarded:
    """Judge a message beside what it refers to.

    Args:
        received: from `RoomMember.receive`.
        known: what the timeline knows of `received.references` and its topic.
        final: the original of an edit did not come within `HELD_MS`: the edit is a
            message of its own now, "edit of an unknown message".
    """
    content = received.content
    if received.message_id in known.messages:
        return _discarded(received, Why.KNOWN_ID)
    needs = needs_of(content, received.sender, known)
    if needs.is_unknown and not final:
        assert content.replaces is not None
        return Held(received, content.replaces)
    missing = lacking(needs, received.role)
    if missing is not None:
        return _discarded(received, Why.NOT_PERMITTED, missing)
    if content.in_reply_to is not None and _closes_loop(received, known):
        return _discarded(received, Why.NOT_PERMITTED, "reply loop")
    return received


def _closes_loop(received: MessageReceived, known: Known) -> bool:
    target = received.content.in_reply_to
    for _ in range(_CHAIN_MAX):
        if target == received.message_id:
            return True
        found = None if target is None else known.messages.get(target)
        if found is None:
            return False
        target = found.in_reply_to
    return True


def _discarded(received: MessageReceived, why: Why, detail: str = "") -> Discarded:
    return Discarded(
        accepted_at=received.accepted_at,
        why=why,
        detail=detail,
        sender=received.sender,
    )
