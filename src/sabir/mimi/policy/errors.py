"""A room's policy says no, in the words of `errorDescription` (D-20, D-21)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from sabir.errors import PolicyRefused


class Slug(StrEnum):
    """The machine's half of an `errorDescription` (D-20)."""

    EPOCH_STALE = "epoch.stale"
    ROOM_UNKNOWN = "room.unknown"
    ROOM_CLOSED = "room.closed"
    SENDER_UNKNOWN = "sender.unknown"
    SENDER_REMOVED = "sender.removed"
    SIGNATURE_INVALID = "signature.invalid"
    WIRE_FORMAT_REFUSED = "wire-format.refused"
    POLICY_DENIED = "policy.denied"
    CONSTRAINT_VIOLATED = "constraint.violated"
    PENDING_MISSING = "pending.missing"
    PENDING_CONFLICT = "pending.conflict"
    GROUPINFO_MISMATCH = "groupinfo.mismatch"
    TREE_MISMATCH = "tree.mismatch"
    PROPOSAL_INVALID = "proposal.invalid"
    COMPONENT_UNKNOWN = "component.unknown"
    LIMIT_EXCEEDED = "limit.exceeded"


_WORDS: Final = {
    Slug.EPOCH_STALE: "the room has changed meanwhile",
    Slug.ROOM_UNKNOWN: "there is no such room for us",
    Slug.ROOM_CLOSED: "the room is closed",
    Slug.SENDER_UNKNOWN: "who sent it is not in the room",
    Slug.SENDER_REMOVED: "who sent it is out of the room",
    Slug.POLICY_DENIED: "the room's rules do not allow it",
    Slug.CONSTRAINT_VIOLATED: "too few or too many people would have that role",
    Slug.LIMIT_EXCEEDED: "the room has a limit on this",
}
"""What a person can act upon; the other slugs are about software."""


class PolicyDenied(PolicyRefused):
    """The room's policy forbids this.

    Args:
        slug: which kind of refusal.
        detail: a capability's name or numbers, never a user; empty for none.
        references: ProposalRefs of the standalone proposals that are to blame.
        inline: places, from 0, of the proposals by value that are to blame.
    """

    def __init__(
        self,
        slug: Slug,
        detail: str = "",
        *,
        references: Iterable[bytes] = (),
        inline: Iterable[int] = (),
    ) -> None:
        self.slug = slug
        self.detail = detail
        self.references = tuple(references)
        self.inline = tuple(inline)
        words = _WORDS.get(slug)
        super().__init__(f"{words} ({self.description})" if words else self.description)

    @property
    def description(self) -> str:
        """Return the `errorDescription`: the slug, and what it is about."""
        if self.slug is Slug.PROPOSAL_INVALID and self.inline:
            return f"{self.slug}: inline={','.join(map(str, self.inline))}"
        return f"{self.slug}: {self.detail}" if self.detail else str(self.slug)
