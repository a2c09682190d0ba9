"""What a person wants done in a room, apart from how: `Intent`.

A commit is made for one epoch; when another's is first, it is made anew from the
intent. So an intent names users and clients, never places in a list or a tree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sabir.mimi.components.fields import read_identifier, read_text, text
from sabir.mimi.components.metadata import RichDescription, read_description
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, optional, uint8, uint16, uint32, vector


def _identifiers(uris: tuple[str, ...]) -> bytes:
    return vector(text(uri) for uri in uris)


def _packages(packages: tuple[KeyPackageIn, ...]) -> bytes:
    return vector(package.raw for package in packages)


@dataclass(frozen=True, slots=True)
class Invitee:
    """Somebody to be let in.

    Attributes:
        user: URI.
        key_packages: of the clients to add; none leaves the user without clients.
        asset_hosts: where the user's provider keeps attachments, as its directory says;
            noted in the room's policy if the provider is new there (D-37).
    """

    user: str
    key_packages: tuple[KeyPackageIn, ...] = ()
    asset_hosts: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Write it."""
        hosts = vector(text(host) for host in self.asset_hosts)
        return text(self.user) + _packages(self.key_packages) + hosts


@dataclass(frozen=True, slots=True)
class Invite:
    """Let people in, with their clients. Who is listed keeps the role."""

    invitees: tuple[Invitee, ...]
    role: int

    def encode(self) -> bytes:
        """Write it."""
        return vector(each.encode() for each in self.invitees) + uint32(self.role)


@dataclass(frozen=True, slots=True)
class AddClients:
    """Add clients of users who are listed: further devices of our own, the other side
    of a direct conversation, somebody without clients.
    """  # noqa: D205  one thought

    key_packages: tuple[KeyPackageIn, ...]

    def encode(self) -> bytes:
        """Write it."""
        return _packages(self.key_packages)


@dataclass(frozen=True, slots=True)
class RemoveClients:
    """Remove single clients by their URI; their users stay in the list."""

    clients: tuple[str, ...]

    def encode(self) -> bytes:
        """Write it."""
        return _identifiers(self.clients)


@dataclass(frozen=True, slots=True)
class SetRole:
    """Give a user another role; who was banned comes back to the list with it."""

    user: str
    role: int

    def encode(self) -> bytes:
        """Write it."""
        return text(self.user) + uint32(self.role)


@dataclass(frozen=True, slots=True)
class Ban:
    """Keep a user out: role 1, and no clients."""

    user: str

    def encode(self) -> bytes:
        """Write it."""
        return text(self.user)


@dataclass(frozen=True, slots=True)
class Kick:
    """Remove a user's clients; the user stays in the list and may come back."""

    user: str

    def encode(self) -> bytes:
        """Write it."""
        return text(self.user)


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Take a user out of the room, with all clients."""

    user: str

    def encode(self) -> bytes:
        """Write it."""
        return text(self.user)


@dataclass(frozen=True, slots=True)
class RemoveGhosts:
    """Take ghosts out of the list, apart from the banned: their bans stay."""

    ghosts: tuple[str, ...]

    def encode(self) -> bytes:
        """Write it."""
        return _identifiers(self.ghosts)


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave, with all our clients. Somebody else commits it."""

    def encode(self) -> bytes:
        """Write it."""
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMetadata:
    """Change the name or the like; None leaves a field as it is."""

    name: str | None = None
    descriptions: tuple[RichDescription, ...] | None = None
    avatar: str | None = None
    subject: str | None = None
    mood: str | None = None

    def encode(self) -> bytes:
        """Write it."""
        descriptions = self.descriptions
        return (
            _optional_text(self.name)
            + optional(
                None
                if descriptions is None
                else vector(each.encode() for each in descriptions)
            )
            + _optional_text(self.avatar)
            + _optional_text(self.subject)
            + _optional_text(self.mood)
        )


@dataclass(frozen=True, slots=True)
class SetComponent:
    """Replace roles or a policy of the room.

    Attributes:
        component: a `ComponentId`.
        data: its new octets.
    """

    component: int
    data: bytes

    def encode(self) -> bytes:
        """Write it."""
        return uint16(self.component) + opaque(self.data)


@dataclass(frozen=True, slots=True)
class Rotate:
    """Give our client fresh keys; due every 7 days."""

    def encode(self) -> bytes:
        """Write it."""
        return b""


@dataclass(frozen=True, slots=True)
class CommitPending:
    """Commit what waits, if anything does (D-54)."""

    def encode(self) -> bytes:
        """Write it."""
        return b""


Intent = (
    Invite
    | AddClients
    | RemoveClients
    | SetRole
    | Ban
    | Kick
    | RemoveUser
    | RemoveGhosts
    | Leave
    | SetMetadata
    | SetComponent
    | Rotate
    | CommitPending
)


# ---- for the store


def _optional_text(value: str | None) -> bytes:
    return optional(None if value is None else text(value))


def _read_optional_text(reader: Reader) -> str | None:
    return reader.optional(read_text)


def _read_packages(reader: Reader) -> tuple[KeyPackageIn, ...]:
    return reader.vector(read_key_package)


def _read_invitee(reader: Reader) -> Invitee:
    return Invitee(
        read_identifier(reader), _read_packages(reader), reader.vector(read_text)
    )


def _read_invite(reader: Reader) -> Invite:
    return Invite(reader.vector(_read_invitee), reader.uint32())


def _read_metadata(reader: Reader) -> SetMetadata:
    return SetMetadata(
        name=_read_optional_text(reader),
        descriptions=reader.optional(lambda inner: inner.vector(read_description)),
        avatar=_read_optional_text(reader),
        subject=_read_optional_text(reader),
        mood=_read_optional_text(reader),
    )


_READERS: Final[Mapping[type, Callable[[Reader], Intent]]] = MappingProxyType(
    {
        Invite: _read_invite,
        AddClients: lambda reader: AddClients(_read_packages(reader)),
        RemoveClients: lambda reader: RemoveClients(reader.vector(read_identifier)),
        SetRole: lambda reader: SetRole(read_identifier(reader), reader.uint32()),
        Ban: lambda reader: Ban(read_identifier(reader)),
        Kick: lambda reader: Kick(read_identifier(reader)),
        RemoveUser: lambda reader: RemoveUser(read_identifier(reader)),
        Leave: lambda _: Leave(),
        SetMetadata: _read_metadata,
        SetComponent: lambda reader: SetComponent(reader.uint16(), reader.opaque()),
        Rotate: lambda _: Rotate(),
        CommitPending: lambda _: CommitPending(),
        RemoveGhosts: lambda reader: RemoveGhosts(reader.vector(read_identifier)),
    }
)
_KINDS: Final = tuple(_READERS)
"""The number of a kind in the store is its place here: append only."""


def encode_intent(intent: Intent) -> bytes:
    """Write an intent behind its kind."""
    return uint8(_KINDS.index(type(intent))) + intent.encode()


def read_intent(reader: Reader) -> Intent:
    """Take what `encode_intent` wrote.

    Raises:
        Malformed: C07, a kind that we do not know.
    """
    number = reader.uint8()
    if number >= len(_KINDS):
        raise Malformed("C07", f"intent {number}")
    return _READERS[_KINDS[number]](reader)
