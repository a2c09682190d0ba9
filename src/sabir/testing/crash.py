"""Crash points: a shell calls `reach(name)` at its edges, a test dies there.

The loop of a crash test: run once unarmed, read `reached`, then die at each
(name, occurrence) in turn, start again on the same disk and the same network,
and compare what people saw.
"""

from collections import Counter
from typing import Final

REACHED_MAX: Final = 100_000
"""Names remembered: enough for any test, and a benchmark cannot fill the memory."""


class Crash(BaseException):
    """The process died here. Not an Exception: no handler may swallow it."""


class CrashPoints:
    """Pass `reach` to a shell; arm a name to die there."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self._seen: Counter[str] = Counter()
        self._armed: tuple[str, int] | None = None

    @property
    def armed(self) -> bool:
        """Whether a crash is still to come."""
        return self._armed is not None

    @property
    def occurrences(self) -> list[tuple[str, int]]:
        """What was reached, as (name, n-th time) pairs, for `arm`."""
        seen: Counter[str] = Counter()
        pairs = []
        for name in self.reached:
            seen[name] += 1
            pairs.append((name, seen[name]))
        return pairs

    def arm(self, name: str, occurrence: int = 1) -> None:
        """Die when `name` is reached for the `occurrence`-th time from now on."""
        if occurrence < 1:
            raise ValueError(f"the first occurrence is 1, not {occurrence}")
        self._seen.clear()
        self._armed = (name, occurrence)

    def disarm(self) -> None:
        """Let it live."""
        self._armed = None

    def reach(self, name: str) -> None:
        """Note that execution came here; die if this is the armed occurrence.

        Raises:
            Crash: this once; the points are disarmed then.
        """
        if len(self.reached) < REACHED_MAX:
            self.reached.append(name)
        if self._armed is None:
            return
        self._seen[name] += 1
        if self._armed == (name, self._seen[name]):
            self._armed = None
            raise Crash(name)
