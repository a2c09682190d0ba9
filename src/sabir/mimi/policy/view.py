"""`RoomView`: a room at one moment, as policy sees it: its state and its clients."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from sabir.mimi.codepoints import Capability
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mimi.components.roles import Role
from sabir.mimi.room_state import RoomState
from sabir.mimi.uris import user_of
from sabir.mls.credentials import BasicCredential
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.ratchet_tree import RatchetTree
from sabir.wire.errors import Malformed

_USERS_KEPT_MAX: Final = 16_384
"""Client identities whose user was derived: those of the largest group."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whose a leaf is.

    Attributes:
        identity: the credential's, a client URI; a user URI where a bare peer names
            no client.
        user: URI of the user.
        signature_key: tells nameless clients of one user apart.
    """

    identity: str
    user: str
    signature_key: bytes = field(repr=False)


@lru_cache(_USERS_KEPT_MAX)
def _user_of(identity: bytes) -> tuple[str, str]:
    if not identity.isascii():
        raise Malformed("MIMI-114", "a leaf's identity is not ASCII")
    text = identity.decode("ascii")
    return text, user_of(text)


def client_of(leaf: LeafNodeIn) -> Client:
    """Return whose a leaf is (D-12).

    Raises:
        Malformed: MIMI-114, its credential is not basic; an identity that is none.
    """
    credential = leaf.credential
    if not isinstance(credential, BasicCredential):
        raise Malformed("MIMI-114", f"credential type {credential.kind}")
    identity, user = _user_of(credential.identity)
    return Client(identity, user, leaf.signature_key)


def key_of(client: Client) -> tuple[str, bytes]:
    """Return what tells a client from all others: nameless ones by their key."""
    nameless = client.identity == client.user
    return client.identity, client.signature_key if nameless else b""


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room at one moment.

    Attributes:
        room: what members agree on.
        clients: with a leaf, in no particular order.
    """

    room: RoomState
    clients: tuple[Client, ...]
    _leaves: Counter[str] = field(
        init=False, repr=False, compare=False, default_factory=Counter
    )

    def __post_init__(self) -> None:
        self._leaves.update(client.user for client in self.clients)

    @classmethod
    def of(cls, context: GroupContext, tree: RatchetTree) -> "RoomView":
        """Look at a group. Raises as `RoomState.of` and `client_of`."""
        return cls(RoomState.of(context), clients_of(tree))

    @classmethod
    def of_epoch(cls, epoch: PublicEpoch) -> "RoomView":
        """Look at an epoch. Raises as `RoomState.of` and `client_of`."""
        return cls.of(epoch.context, epoch.tree)

    # ---- users

    def role_index(self, user: str) -> int:
        """Return the index of a user's role, 0 for who is not listed."""
        return self.room.participants.role_of(user)

    def role(self, user: str) -> Role:
        """Return a user's role; role 0 for who is not listed."""
        return self.room.role_of(user)

    def may(self, user: str, capability: int) -> bool:
        """Whether a user's role holds a capability."""
        return self.role(user).may(capability)

    def is_listed(self, user: str) -> bool:
        """Whether a user is in the participant list, banned or not."""
        return self.role_index(user) != NO_ROLE

    def is_banned(self, user: str) -> bool:
        """Whether a user is listed with role 1, and role 1 is that of the banned."""
        return self.role_index(user) == BANNED and self.room.roles.can_ban

    def is_out(self, user: str) -> bool:
        """Whether a user is not listed or banned."""
        return not self.is_listed(user) or self.is_banned(user)

    def is_active(self, user: str) -> bool:
        """Whether a user is in the room, not banned, with at least one client."""
        return not self.is_out(user) and self._leaves[user] > 0

    def leaves_of(self, user: str) -> int:
        """Return how many clients a user has in the group."""
        return self._leaves[user]

    def lowest_role_to_give(self, user: str) -> int | None:
        """Return the lowest role that a user may let somebody in with; None: none."""
        targets = self.role(user).targets(NO_ROLE)
        return min((each for each in targets if each > BANNED), default=None)

    # ---- messages, as D-39 reads the roles

    def can_send(self, user: str) -> bool:
        """Whether a hub takes application messages of a user.

        It cannot tell a reaction from a text, so either capability is enough.
        """
        return self.is_active(user) and (
            self.may(user, Capability.CAN_SEND_MESSAGE)
            or self.may(user, Capability.CAN_REACT_TO_MESSAGE)
        )

    def reacts_only(self, user: str) -> bool:
        """Whether receivers take only reactions, unlikes and receipts of a user."""
        return not self.may(user, Capability.CAN_SEND_MESSAGE)

    def can_receive(self, user: str) -> bool:
        """Whether a user is to get application messages."""
        return not self.is_out(user) and self.may(user, Capability.CAN_RECEIVE_MESSAGE)

    # ---- numbers of role holders, for D-36

    def counts(self) -> dict[int, tuple[int, int]]:
        """Return for each role how many have it, and how many of them are active."""
        listed: Counter[int] = Counter()
        active: Counter[int] = Counter()
        for participant in self.room.participants.participants:
            listed[participant.role] += 1
            active[participant.role] += self._leaves[participant.user] > 0
        return {role: (count, active[role]) for role, count in listed.items()}


def clients_of(tree: RatchetTree) -> tuple[Client, ...]:
    """Return whose the leaves of a tree are. Raises as `client_of`."""
    return tuple(client_of(leaf) for _, leaf in tree.members())


def users_of(clients: Iterable[Client]) -> frozenset[str]:
    """Return the users of some clients."""
    return frozenset(client.user for client in clients)


RoomAfter = RoomView
"""The room that a batch would make."""
