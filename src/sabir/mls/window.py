"""Keys of messages that were overtaken by later ones and may still come.

Bounded for each ratchet and for all of an epoch together; the oldest go first
(RFC 9420 section 15.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sabir.mls.errors import MlsInvalid
from sabir.mls.limits import Limits
from sabir.mls.ratchet import MessageKey
from sabir.mls.validation.rules import Rule

Place = int
"""A ratchet: twice its leaf, plus its kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """The key of a generation that was passed over.

    Attributes:
        age: one more than that of the newest that is kept: the lowest is the oldest.
        message_key: key and nonce.
    """

    age: int
    message_key: MessageKey


class Window:
    """The keys kept in one epoch.

    Args:
        limits: how many to keep.
    """

    __slots__ = ("_ages", "_limits", "_places")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._places: dict[Place, dict[int, Passed]] = {}
        self._ages: dict[int, tuple[Place, int]] = {}  # by increasing age

    def __iter__(self) -> Iterator[tuple[Place, int]]:
        return iter(self._ages.values())

    def get(self, place: Place, generation: int) -> Passed | None:
        """Return a key, if it is kept."""
        return self._places.get(place, {}).get(generation)

    def find(self, place: Place, generation: int) -> MessageKey:
        """Return a key.

        Raises:
            MlsInvalid: D02, it was used, or dropped.
        """
        passed = self.get(place, generation)
        if passed is None:
            raise MlsInvalid(Rule.D02, f"generation {generation} was used or dropped")
        return passed.message_key

    def keep(self, place: Place, message_key: MessageKey) -> None:
        """Add the key of a generation later than all of this ratchet here."""
        newest = next(reversed(self._ages), -1)
        self.restore(place, Passed(newest + 1, message_key))

    def restore(self, place: Place, passed: Passed) -> None:
        """Add a key from the store; by increasing age."""
        generation = passed.message_key.generation
        self._places.setdefault(place, {})[generation] = passed
        self._ages[passed.age] = (place, generation)

    def excess(self, place: Place) -> Iterator[tuple[Place, int]]:
        """Give what to `drop` after adding to a ratchet, one at a time."""
        kept = self._places.get(place, {})
        while len(kept) > self._limits.skipped_keys_per_sender_max:
            yield place, next(iter(kept))
        while len(self._ages) > self._limits.skipped_keys_per_group_max:
            yield next(iter(self._ages.values()))

    def drop(self, place: Place, generation: int) -> None:
        """Forget a key that is kept."""
        kept = self._places[place]
        del self._ages[kept.pop(generation).age]
        if not kept:
            del self._places[place]
