"""Which deliver_sm is one that we have already. Pure.

SMPP gives messages no name, and people do say "ok" twice. An SMSC delivers again only
what it got no answer for, and one person's messages in their order. So an identical
deliver_sm is the same message if and only if

 * it has the same sequence number in the same session, or
 * the first came in a session that did not live 5 s beyond our answer, and nothing new
   has come from its sender since, or
 * our answer to the first was late.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from sabir.networks.sms.pdu import HEADER

SETTLED_MS: Final = 5_000
"""A session that lives so long after an answer has carried it."""
LATE_MS: Final = 5_000
"""SMSCs wait 10 s or more for an answer; one within 5 s was in time."""
LATE_REPEAT_MS: Final = 120_000
"""In which a message comes again whose answer was late."""
EARLIER_MS: Final = 300_000
"""Life of a new session in which what an earlier one left open comes again: retries
are within seconds to minutes of a bind."""
REMEMBERED_MAX: Final = 1_000
"""More are not under way within seconds."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    sender: str
    digest: str
    sequence: int
    arrived_ms: float
    answered_ms: float | None = None

    def is_again(self, sequence: int, arrived_ms: float) -> bool:
        """Tell whether an identical delivery is this one once more."""
        if self.sequence == sequence:
            return True
        if self.answered_ms is None:
            return arrived_ms - self.arrived_ms > LATE_MS
        was_late = self.answered_ms - self.arrived_ms > LATE_MS
        return was_late and arrived_ms - self.answered_ms < LATE_REPEAT_MS

    def is_settled(self, now_ms: float) -> bool:
        """Tell whether the SMSC surely has our answer."""
        return self.answered_ms is not None and now_ms >= self.answered_ms + SETTLED_MS


def digest_of(octets: bytes) -> str:
    """Return what names a deliver_sm: all but its length, status and number."""
    return hashlib.sha256(octets[HEADER.size :]).hexdigest()[:40]


class Twins:
    """What came lately.

    Args:
        earlier: senders and digests that an earlier session left open.
        now_ms: when this session was bound; milliseconds that never go back.
    """

    def __init__(self, earlier: Iterable[tuple[str, str]], now_ms: float) -> None:
        self._earlier: dict[str, Counter[str]] = {}
        for sender, digest in earlier:
            self._earlier.setdefault(sender, Counter())[digest] += 1
        self._since_ms = now_ms
        self._seen: deque[_Seen] = deque(maxlen=REMEMBERED_MAX)

    def is_twin(
        self, sender: str, digest: str, sequence: int, arrived_ms: float
    ) -> bool:
        """Tell whether we have it; note it as taken in any case."""
        self._forget(arrived_ms)
        earlier = self._earlier.get(sender, Counter())
        again = earlier[digest] > 0
        if again:
            earlier[digest] -= 1
        else:
            again = any(
                seen.digest == digest and seen.is_again(sequence, arrived_ms)
                for seen in self._seen
            )
            if not again:  # what was open before it had been answered
                self._earlier.pop(sender, None)
        self._seen.append(
            _Seen(
                sender=sender, digest=digest, sequence=sequence, arrived_ms=arrived_ms
            )
        )
        return again

    def answered(self, digest: str, now_ms: float) -> None:
        """Note that the SMSC got our answer, as far as we can know."""
        for seen in self._seen:
            if seen.digest == digest and seen.answered_ms is None:
                seen.answered_ms = now_ms

    def open(self, now_ms: float) -> list[tuple[str, str]]:
        """Return what would come again if the session ended now, each so often."""
        self._forget(now_ms)
        left = [
            (sender, digest)
            for sender, digests in self._earlier.items()
            for digest in digests.elements()
        ]
        fresh = [
            (seen.sender, seen.digest)
            for seen in self._seen
            if not seen.is_settled(now_ms)
        ]
        return (left + fresh)[-REMEMBERED_MAX:]

    def _forget(self, now_ms: float) -> None:
        if now_ms > self._since_ms + EARLIER_MS:
            self._earlier.clear()

    def dump(self, now_ms: float) -> str:
        """Return it as text, for the next session."""
        return json.dumps(self.open(now_ms))

    @classmethod
    def load(cls, text: str | None, now_ms: float) -> Self:
        """Return what `dump` wrote, at the beginning of a session."""
        return cls([(s, d) for s, d in json.loads(text or "[]")], now_ms)
