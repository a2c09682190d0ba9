"""What proposals do to a room, in the words of policy: who does what to whom.

MLS says leaf 7 is removed, policy asks whose leaf that is. An `Act` is one effect
with its actor, and with the place of its proposal, for who refuses it (D-21).
"""

from dataclasses import dataclass
from enum import Enum, auto

from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.policy.view import Client


class ActorKind(Enum):
    """In which capacity somebody acts."""

    MEMBER = auto()
    HUB = auto()
    JOINER = auto()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who signed a proposal, or brings it by value (D-38).

    Attributes:
        kind: member of the sender leaf, hub as external sender 0, or who joins by
            the commit.
        user: URI of the user; of the provider for the hub.
        identity: of the client; empty for the hub.
    """

    kind: ActorKind
    user: str
    identity: str = ""


# ---- effects


@dataclass(frozen=True, slots=True)
class ListAdd:
    """A user enters the participant list."""

    user: str
    role: int


@dataclass(frozen=True, slots=True)
class ListRemove:
    """A user leaves the participant list."""

    user: str


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A listed user gets another role; `old` is the effective one."""

    user: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class LeafAdd:
    """A client enters the group, by an Add or by an external commit."""

    client: Client


@dataclass(frozen=True, slots=True)
class LeafRemove:
    """A client leaves the group, by a Remove or a SelfRemove."""

    client: Client


@dataclass(frozen=True, slots=True)
class LeafUpdate:
    """A client refreshes its own leaf; MLS has checked that it stays the same."""

    client: Client


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """The metadata become others; `fields` differ from the effective ones."""

    fields: frozenset[str]
    new: RoomMetadata


@dataclass(frozen=True, slots=True)
class ComponentUpdate:
    """Another component gets these data."""

    component: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Something that nobody may do in phase 1; `what` is its name in MLS."""

    what: str


Effect = (
    ListAdd
    | ListRemove
    | RoleChange
    | LeafAdd
    | LeafRemove
    | LeafUpdate
    | MetadataChange
    | ComponentUpdate
    | Forbidden
)


@dataclass(frozen=True, slots=True)
class Act:
    """One effect of one proposal.

    Attributes:
        actor: who is judged by it.
        effect: what it does.
        reference: of a standalone proposal; None for one by value.
        inline: place in the commit, from 0, of one by value; None for others and for
            the leaf that joins by the commit's path.
    """

    actor: Actor
    effect: Effect
    reference: bytes | None = None
    inline: int | None = None
