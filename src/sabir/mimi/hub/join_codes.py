"""Join codes: who shows one may come in (7.5). The hub keeps only their hash."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.participants import NO_ROLE
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.permits import may_make_join_code
from sabir.mimi.policy.view import RoomView

CODE_OCTETS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCode:
    """A join code, without the code.

    Attributes:
        digest: its SHA-256.
        room: URI.
        role: with which its user comes in.
        uses_left: how often it can be used yet.
        expires_at: ms; from then on it is worth nothing.
        bound_user: who alone may use it; None: anybody.
    """

    digest: bytes
    room: str
    role: int
    uses_left: int
    expires_at: int
    bound_user: str | None = None

    def opens(self, room: str, user: str, now_ms: int) -> bool:
        """Whether a user may use it for a room, if it has uses left."""
        return (
            self.room == room
            and now_ms < self.expires_at
            and self.bound_user in (None, user)
        )


def new_join_code(rng: Callable[[int], bytes]) -> bytes:
    """Make a code."""
    return rng(CODE_OCTETS)


def digest_of(code: bytes) -> bytes:
    """Return by what a code is looked up."""
    return hashlib.sha256(code).digest()


def as_text(code: bytes) -> str:
    """Write a code as links have it: base64url without padding."""
    return base64.urlsafe_b64encode(code).decode("ascii").rstrip("=")


def check_may_make(view: RoomView, user: str, role: int) -> None:
    """Check that a user may make a code for a role, and that it would open the room.

    Raises:
        PolicyDenied: `policy.denied`.
    """
    if not view.room.roles.role(NO_ROLE).may(Capability.CAN_USE_JOIN_CODE):
        raise PolicyDenied(Slug.POLICY_DENIED, "canUseJoinCode")
    if not may_make_join_code(view, user, role):
        raise PolicyDenied(Slug.POLICY_DENIED, "canAddParticipant")
