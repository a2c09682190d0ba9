"""The proposals of an epoch that wait for a commit, and how much room there is.

Each sender has its own room: who sends much fills that and nobody else's. One
SelfRemove of a member always has room, so nobody can be kept in a group by the noise of
others.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse
from sabir.mls.framing import Sender
from sabir.mls.limits import SELF_REMOVE_OCTETS_MAX, Limits
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import SelfRemove
from sabir.mls.validation.rules import Rule


@dataclass(frozen=True, slots=True)
class _Used:
    """Proposals that wait, and the octets of their messages."""

    count: int = 0
    octets: int = 0

    def and_one_of(self, octets: int) -> "_Used":
        return _Used(self.count + 1, self.octets + octets)


_NOTHING: Final = _Used()


@final
class Waiting(Mapping[bytes, Proposed]):
    """Proposals by reference, in the order in which they came.

    All who are outside and bring their own key package are one sender: a name and a key
    cost them nothing.

    Args:
        limits: of this client; what waits already is not held to them.
        items: that wait already.
    """

    __slots__ = ("_all", "_by_sender", "_items", "_leaving", "_limits")

    def __init__(
        self, limits: Limits, items: Mapping[bytes, Proposed] | None = None
    ) -> None:
        self._limits = limits
        self._items: dict[bytes, Proposed] = {}
        self._leaving: set[int] = set()
        self._by_sender: dict[Sender, _Used] = {}
        self._all = _NOTHING
        for reference, item in (items or {}).items():
            self._add(reference, item)

    def __getitem__(self, reference: bytes) -> Proposed:
        return self._items[reference]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def copy(self) -> "Waiting":
        """Return the same, to go back to."""
        return Waiting(self._limits, self._items)

    def without(self, references: Collection[bytes]) -> "Waiting":
        """Return the same without some proposals, which need not be there."""
        items = {
            reference: item
            for reference, item in self._items.items()
            if reference not in references
        }
        return Waiting(self._limits, items)

    def keep(self, item: Proposed) -> None:
        """Let one more proposal wait; again the same one changes nothing.

        Raises:
            MlsInvalid: P11, more than one sender may let wait.
            MlsMissing: all room is taken, by others, too.
        """
        assert item.reference is not None
        if item.reference in self._items:
            return
        wrong = self._beyond_its_own(item)
        if wrong:
            raise MlsInvalid(Rule.P11, wrong)
        wrong = self._beyond_all(item)
        if wrong:
            raise MlsMissing(f"room for another proposal beside {wrong}")
        self._add(item.reference, item)

    def check_room_for_ours(self, item: Proposed) -> None:
        """Check that others would let a proposal of ours wait, before it is sealed.

        Raises:
            MlsMisuse: they would not.
        """
        if item.reference in self._items:
            return
        wrong = self._beyond_its_own(item) or self._beyond_all(item)
        if wrong:
            raise MlsMisuse(
                f"rule P11: no room for another proposal ({wrong}): commit first, or"
                " put it into a commit by value"
            )

    def _beyond_its_own(self, item: Proposed) -> str:
        """Say which limit of a single sender an item goes beyond; nothing if none."""
        if self._is_reserved(item):
            return ""
        limits, octets = self._limits, _octets(item)
        if octets > limits.pending_proposal_octets_max:
            return f"{octets} octets, limit {limits.pending_proposal_octets_max}"
        used = self._by_sender.get(item.sender, _NOTHING).and_one_of(octets)
        return _compared(
            used,
            limits.pending_proposals_per_sender_max,
            limits.pending_octets_per_sender_max,
            "of one sender",
        )

    def _beyond_all(self, item: Proposed) -> str:
        if self._is_reserved(item):
            return ""
        return _compared(
            self._all.and_one_of(_octets(item)),
            self._limits.pending_proposals_max,
            self._limits.pending_octets_max,
            "of all",
        )

    def _is_reserved(self, item: Proposed) -> bool:
        """Whether this is the one SelfRemove of a member for which there is room."""
        return (
            isinstance(item.proposal, SelfRemove)
            and item.sender.index not in self._leaving
            and _octets(item) <= SELF_REMOVE_OCTETS_MAX
        )

    def _add(self, reference: bytes, item: Proposed) -> None:
        if self._is_reserved(item):
            self._leaving.add(item.sender.index)
        else:
            octets = _octets(item)
            used = self._by_sender.get(item.sender, _NOTHING)
            self._by_sender[item.sender] = used.and_one_of(octets)
            self._all = self._all.and_one_of(octets)
        self._items[reference] = item


def _octets(item: Proposed) -> int:
    assert item.message is not None
    return len(item.message.raw)


def _compared(used: _Used, count_max: int, octets_max: int, whose: str) -> str:
    if used.count > count_max:
        return f"{count_max} proposals {whose}"
    if used.octets > octets_max:
        return f"{used.octets} octets {whose}, limit {octets_max}"
    return ""
