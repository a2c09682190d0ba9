"""The proposals of one commit, with who sent each (RFC 9420 section 12.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sabir.mls.framing import AuthenticatedContent, Sender
from sabir.mls.key_packages import KeyPackage
from sabir.mls.leaf_node import LeafNode
from sabir.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    SelfRemove,
    Update,
)

P = TypeVar("P", bound=Proposal)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal as a commit covers it.

    Attributes:
        proposal: what is proposed.
        sender: who sent it; the committer for proposals by value.
        reference: of the message it came in; None for proposals by value.
        message: that message, for the store and for those who join by themselves.
        checked: the key package of an Add or the leaf of an Update, whose own rules
            were checked when it came in.
    """

    proposal: Proposal
    sender: Sender
    reference: bytes | None = None
    message: AuthenticatedContent | None = None
    checked: KeyPackage | LeafNode | None = None

    @property
    def target(self) -> int | None:
        """Return the leaf that this updates or removes, None for other proposals."""
        if isinstance(self.proposal, Remove):
            return self.proposal.removed
        if isinstance(self.proposal, Update | SelfRemove):
            return self.sender.index
        return None


class ProposalList:
    """The proposals of a commit in their order, and by type."""

    __slots__ = ("_by_kind", "items")

    def __init__(self, items: Iterable[Proposed]) -> None:
        self.items = tuple(items)
        self._by_kind: dict[int, list[Proposed]] = {}
        for item in self.items:
            self._by_kind.setdefault(item.proposal.kind, []).append(item)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Proposed]:
        return iter(self.items)

    @property
    def kinds(self) -> frozenset[int]:
        """Return the types that occur."""
        return frozenset(self._by_kind)

    def of(self, kind: type[P]) -> list[P]:
        """Return the proposals of a type, in their order."""
        found = self._by_kind.get(kind.kind, ())
        return [item.proposal for item in found if isinstance(item.proposal, kind)]

    def sent(self, kind: type[P]) -> list[Proposed]:
        """Return the proposals of a type with their senders, in their order."""
        return self._by_kind.get(kind.kind, [])

    @property
    def adds(self) -> list[Add]:
        """Return the Adds."""
        return self.of(Add)

    @property
    def updates(self) -> list[tuple[int, Update]]:
        """Return the Updates, each behind the leaf it replaces."""
        return [
            (item.sender.index, item.proposal)
            for item in self.sent(Update)
            if isinstance(item.proposal, Update)
        ]

    @property
    def removes(self) -> list[int]:
        """Return the leaves that Removes name."""
        return [proposal.removed for proposal in self.of(Remove)]

    @property
    def self_removes(self) -> list[int]:
        """Return the leaves that leave by themselves."""
        return [item.sender.index for item in self.sent(SelfRemove)]

    @property
    def gone(self) -> list[int]:
        """Return the leaves that will be blank, in the order of application."""
        return [*self.self_removes, *self.removes]

    @property
    def psks(self) -> list[PreSharedKey]:
        """Return the PreSharedKeys, in the order of the key schedule."""
        return self.of(PreSharedKey)

    @property
    def new_extensions(self) -> GroupContextExtensions | None:
        """Return the GroupContextExtensions, None where there is none."""
        return _first(self.of(GroupContextExtensions))

    @property
    def external_init(self) -> ExternalInit | None:
        """Return the ExternalInit, None where there is none."""
        return _first(self.of(ExternalInit))

    @property
    def re_init(self) -> ReInit | None:
        """Return the ReInit, None where there is none."""
        return _first(self.of(ReInit))


def _first(found: list[P]) -> P | None:
    return found[0] if found else None
