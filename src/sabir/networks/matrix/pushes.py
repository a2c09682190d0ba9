"""Whether the homeserver's pushes come in its own order. Pure.

Synapse (seen in 1.163.2) numbers its transactions, and repeats unsent ones oldest
first once we are back. One that is made between the last repeat and its note that we
are back stays behind, unsent, until we are away for the next time; later ones overtake
it. The number left out tells. Refusing what comes after it makes the homeserver repeat
again, oldest first, and that restores the order.

A number may be left out for good: several application services share one count.
"""

from typing import Final

REFUSALS_MAX: Final = 5
"""In a row; then we take what comes. Synapse has one or two under way."""
VAIN_MAX: Final = 3
"""Refusals that brought nothing to light; then the count is shared and of no use."""


class PushOrder:
    """Looks for numbers left out between transactions.

    Args:
        last: id of the last transaction of an earlier run, None if unknown. Some after
            it may have been taken without a trace, so the first gap says little.
    """

    def __init__(self, last: str | None) -> None:
        self._last = None if last is None else _number(last)
        self._refused: int | None = None
        self._refusals = 0
        self._vain = -1

    @property
    def is_waiting(self) -> bool:
        """Tell whether a refused transaction has to come again."""
        return self._refused is not None

    def admits(self, txn: str) -> bool:
        """Tell whether to take a transaction; False: have it repeated."""
        number = _number(txn)
        if number is None or not self._leaves_gap(number) or self._vain >= VAIN_MAX:
            return True
        if self._refused is not None and number <= self._refused:
            return True  # the oldest comes first, so none is before it
        if self._refusals >= REFUSALS_MAX:
            return True
        self._refusals += 1
        self._refused = min(number, self._refused or number)
        return False

    def taken(self, txn: str) -> None:
        """Note a transaction that was taken."""
        number = _number(txn)
        if number is None:
            return
        if self._refused is not None and self._leaves_gap(number):
            self._vain += 1
        self._refused, self._refusals = None, 0
        self._last = max(number, self._last or 0)

    def _leaves_gap(self, number: int) -> bool:
        return self._last is not None and number > self._last + 1


def _number(txn: str) -> int | None:
    return int(txn) if txn.isascii() and txn.isdecimal() and len(txn) <= 18 else None
