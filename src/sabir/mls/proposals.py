"""Proposals (RFC 9420 section 12.1, mls-extensions 4.7, 4.8 and 6.3), and their table.

A `Proposal` has no length in front of it, so a type that is not in the table cannot
be skipped, not even inside a Commit: the message is unsupported. Applications add
types of their own with `ProposalRegistry.with_types`.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final

from sabir.mls.codepoints import MLS10, ProposalKind, SenderType
from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extensions, encode_extensions, read_extensions
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.mls.leaf_node import LeafNodeIn, read_leaf_node
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.psk_ids import PreSharedKeyID, read_psk_id
from sabir.mls.struct import Struct
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, uint8, uint16, uint32


class Proposal(Struct):
    """A proposal: its type in front of its body. Base of all types."""

    __slots__ = ()

    kind: ClassVar[int]

    def encode(self) -> bytes:
        """Write the `Proposal`."""
        return uint16(self.kind) + self.body()

    @abstractmethod
    def body(self) -> bytes:
        """Write what follows the type."""


@dataclass(frozen=True, slots=True, eq=False)
class Add(Proposal):
    """A client shall become a member."""

    kind: ClassVar[int] = ProposalKind.ADD

    key_package: KeyPackageIn
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return self.key_package.raw


@dataclass(frozen=True, slots=True, eq=False)
class Update(Proposal):
    """The sender's leaf shall be replaced."""

    kind: ClassVar[int] = ProposalKind.UPDATE

    leaf_node: LeafNodeIn
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return self.leaf_node.raw


@dataclass(frozen=True, slots=True, eq=False)
class Remove(Proposal):
    """A member shall be removed."""

    kind: ClassVar[int] = ProposalKind.REMOVE

    removed: int
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return uint32(self.removed)


@dataclass(frozen=True, slots=True, eq=False)
class PreSharedKey(Proposal):
    """A pre-shared key shall enter the key schedule."""

    kind: ClassVar[int] = ProposalKind.PRE_SHARED_KEY

    psk: PreSharedKeyID
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return self.psk.raw


@dataclass(frozen=True, slots=True, eq=False)
class ReInit(Proposal):
    """The group shall be continued by another with other parameters."""

    kind: ClassVar[int] = ProposalKind.RE_INIT

    group_id: bytes
    cipher_suite: int
    extensions: Extensions = ()
    version: int = MLS10
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return (
            opaque(self.group_id)
            + uint16(self.version)
            + uint16(self.cipher_suite)
            + encode_extensions(self.extensions)
        )


@dataclass(frozen=True, slots=True, eq=False)
class ExternalInit(Proposal):
    """A joiner brings the init secret of an external commit."""

    kind: ClassVar[int] = ProposalKind.EXTERNAL_INIT

    kem_output: bytes
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return opaque(self.kem_output)


@dataclass(frozen=True, slots=True, eq=False)
class GroupContextExtensions(Proposal):
    """The group's extensions shall be replaced."""

    kind: ClassVar[int] = ProposalKind.GROUP_CONTEXT_EXTENSIONS

    extensions: Extensions
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return encode_extensions(self.extensions)


@dataclass(frozen=True, slots=True, eq=False)
class AppDataUpdate(Proposal):
    """A component's data in the group shall change; `update` None removes them."""

    kind: ClassVar[int] = ProposalKind.APP_DATA_UPDATE

    component_id: int
    update: bytes | None = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        if self.update is None:
            return uint16(self.component_id) + uint8(_REMOVE)
        return uint16(self.component_id) + uint8(_UPDATE) + opaque(self.update)


@dataclass(frozen=True, slots=True, eq=False)
class AppEphemeral(Proposal):
    """Data for a component that travel with a commit and are not kept."""

    kind: ClassVar[int] = ProposalKind.APP_EPHEMERAL

    component_id: int
    data: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type."""
        return uint16(self.component_id) + opaque(self.data)


@dataclass(frozen=True, slots=True, eq=False)
class SelfRemove(Proposal):
    """The sender leaves."""

    kind: ClassVar[int] = ProposalKind.SELF_REMOVE

    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        """Write what follows the type: nothing."""
        return b""


# ---- reading bodies

_UPDATE: Final = 1
_REMOVE: Final = 2


def _read_add(reader: Reader, limits: Limits) -> Add:
    key_package = read_key_package(reader, limits)
    return Add(key_package, _ADD_PREFIX + key_package.raw)


def _read_update(reader: Reader, limits: Limits) -> Update:
    return Update(read_leaf_node(reader, limits))


def _read_remove(reader: Reader, limits: Limits) -> Remove:
    del limits
    return Remove(reader.uint32())


def _read_pre_shared_key(reader: Reader, limits: Limits) -> PreSharedKey:
    del limits
    return PreSharedKey(read_psk_id(reader))


def _read_re_init(reader: Reader, limits: Limits) -> ReInit:
    start = reader.position
    group_id = reader.opaque()
    version = reader.uint16()
    suite = reader.uint16()
    extensions = read_extensions(reader, limits)
    raw = uint16(ProposalKind.RE_INIT) + reader.since(start)
    return ReInit(group_id, suite, extensions, version, raw)


def _read_external_init(reader: Reader, limits: Limits) -> ExternalInit:
    del limits
    return ExternalInit(reader.opaque())


def _read_extensions(reader: Reader, limits: Limits) -> GroupContextExtensions:
    start = reader.position
    extensions = read_extensions(reader, limits)
    raw = uint16(ProposalKind.GROUP_CONTEXT_EXTENSIONS) + reader.since(start)
    return GroupContextExtensions(extensions, raw)


def _read_app_data_update(reader: Reader, limits: Limits) -> AppDataUpdate:
    del limits
    component_id = reader.uint16()
    operation = reader.uint8()
    if operation == _UPDATE:
        return AppDataUpdate(component_id, reader.opaque())
    if operation == _REMOVE:
        return AppDataUpdate(component_id, None)
    raise Malformed("C07", f"AppDataUpdate operation {operation}")


def _read_app_ephemeral(reader: Reader, limits: Limits) -> AppEphemeral:
    del limits
    return AppEphemeral(reader.uint16(), reader.opaque())


def _read_self_remove(reader: Reader, limits: Limits) -> SelfRemove:
    del reader, limits
    return SelfRemove()


_ADD_PREFIX: Final = uint16(ProposalKind.ADD)


# ---- the table


@dataclass(frozen=True, slots=True)
class ProposalType:
    """What is known about a type of proposal.

    Attributes:
        kind: number on the wire.
        read: reads the body, behind the type.
        senders: who may send it outside a commit.
        by_value: whether a commit may carry it by value.
        in_external_commit: whether an external commit may carry it by value.
        needs_path: whether a commit that carries it must have a path (17.4).
    """

    kind: int
    read: Callable[[Reader, Limits], Proposal]
    senders: frozenset[SenderType]
    by_value: bool = True
    in_external_commit: bool = False
    needs_path: bool = False


_MEMBER: Final = frozenset({SenderType.MEMBER})
_OUTSIDE: Final = _MEMBER | {SenderType.EXTERNAL}
_NOBODY: Final[frozenset[SenderType]] = frozenset()

_TYPES: Final = (
    ProposalType(
        ProposalKind.ADD, _read_add, _OUTSIDE | {SenderType.NEW_MEMBER_PROPOSAL}
    ),
    ProposalType(ProposalKind.UPDATE, _read_update, _MEMBER, needs_path=True),
    ProposalType(
        ProposalKind.REMOVE,
        _read_remove,
        _OUTSIDE,
        in_external_commit=True,
        needs_path=True,
    ),
    ProposalType(
        ProposalKind.PRE_SHARED_KEY,
        _read_pre_shared_key,
        _OUTSIDE,
        in_external_commit=True,
    ),
    ProposalType(ProposalKind.RE_INIT, _read_re_init, _OUTSIDE),
    ProposalType(
        ProposalKind.EXTERNAL_INIT,
        _read_external_init,
        _NOBODY,
        in_external_commit=True,
        needs_path=True,
    ),
    ProposalType(
        ProposalKind.GROUP_CONTEXT_EXTENSIONS,
        _read_extensions,
        _OUTSIDE,
        needs_path=True,
    ),
    ProposalType(
        ProposalKind.APP_DATA_UPDATE,
        _read_app_data_update,
        _OUTSIDE,
        in_external_commit=True,
    ),
    ProposalType(
        ProposalKind.APP_EPHEMERAL,
        _read_app_ephemeral,
        _OUTSIDE,
        in_external_commit=True,
    ),
    ProposalType(
        ProposalKind.SELF_REMOVE,
        _read_self_remove,
        _MEMBER,
        by_value=False,
        needs_path=True,
    ),
)


class ProposalRegistry:
    """The proposal types that a client knows, by number."""

    __slots__ = ("types",)

    def __init__(self, types: Iterable[ProposalType]) -> None:
        self.types: Mapping[int, ProposalType] = MappingProxyType(
            {known.kind: known for known in types}
        )

    def with_types(self, *types: ProposalType) -> "ProposalRegistry":
        """Return a registry that knows these types too."""
        return ProposalRegistry((*self.types.values(), *types))

    def type_of(self, kind: int) -> ProposalType:
        """Return what is known about a type.

        Raises:
            MlsUnsupported: C09, nothing.
        """
        found = self.types.get(kind)
        if found is None:
            raise MlsUnsupported("proposal type", kind)
        return found


STANDARD_PROPOSALS: Final = ProposalRegistry(_TYPES)
"""Those of RFC 9420 and mls-extensions."""


def read_proposal(
    reader: Reader,
    registry: ProposalRegistry = STANDARD_PROPOSALS,
    limits: Limits = DEFAULT_LIMITS,
) -> Proposal:
    """Take a `Proposal`.

    Raises:
        MlsUnsupported: C09, a type that is not in `registry`.
        Malformed: as the reader of the type.
    """
    return registry.type_of(reader.uint16()).read(reader, limits)
