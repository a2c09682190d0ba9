"""A hub's own keys: external sender, franking agent, MAC keys of franks (7.6)."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.mimi.hub.times import AHEAD_MS_MAX

MAC_KEY_OCTETS: Final = 32
DAY_MS: Final = 24 * 3_600_000
ROTATED_MS: Final = 30 * DAY_MS
"""After that, a new MAC key is made."""
KEPT_MS: Final = 400 * DAY_MS
"""As long as a report can be checked."""


class MacKeys:
    """The keys by which a hub knows its franks again; a timestamp selects one.

    Args:
        by_start: each key by the first timestamp in ms that it is for.
    """

    __slots__ = ("_keys", "_starts")

    def __init__(self, by_start: Mapping[int, Secret]) -> None:
        self._keys = MappingProxyType(dict(sorted(by_start.items())))
        self._starts = tuple(self._keys)

    @property
    def by_start(self) -> Mapping[int, Secret]:
        """Return all keys, oldest first."""
        return self._keys

    def key_at(self, at_ms: int) -> bytes | None:
        """Return the key for a timestamp; None: there is none any more."""
        place = bisect_right(self._starts, at_ms)
        return self._keys[self._starts[place - 1]].reveal() if place else None

    def is_due(self, now_ms: int) -> bool:
        """Whether it is time for a new key."""
        return not self._starts or now_ms - self._starts[-1] >= ROTATED_MS

    def rotated(self, now_ms: int, rng: Callable[[int], bytes]) -> "MacKeys":
        """Return the keys with a new one, without those that nobody needs.

        The first begins a day ago, for clocks that are set back. Others begin after
        the latest timestamp that a room may have given out already.
        """
        first = max(now_ms - DAY_MS, 0)
        start = now_ms + AHEAD_MS_MAX + 1 if self._starts else first
        ends = (*self._starts, start)[1:]
        kept = {
            begin: self._keys[begin]
            for begin, end in zip(self._starts, ends, strict=True)
            if now_ms - end < KEPT_MS
        }
        return MacKeys({**kept, start: Secret(rng(MAC_KEY_OCTETS))})


@dataclass(frozen=True, slots=True, kw_only=True)
class HubKeys:
    """What a hub signs with in its rooms.

    Attributes:
        external: private, of external sender 0.
        franking: private, of the franking agent; another key.
        mac: the keys of franks.
    """

    external: Secret = field(repr=False)
    franking: Secret = field(repr=False)
    mac: MacKeys
