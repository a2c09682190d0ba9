"""Which deliver_sm is one that we have already. Pure.

SMPP gives messages no name, and people do say "ok" twice. An SMSC delivers again only
what it got no answer for. So an identical deliver_sm is the same message if and only if

 * it has the same sequence number in the same session, or
 * the first came in a session that did not live 5 s beyond our answer, or
 * our answer to the first was late.
"""

import hashlib
import json
from collections import OrderedDict
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
    sequence: int
    arrived_ms: float
    answered_ms: float | None = None


def digest_of(octets: bytes) -> str:
    """Return what names a deliver_sm: all but its length, status and number."""
    return hashlib.sha256(octets[HEADER.size :]).hexdigest()[:40]


class Twins:
    """What came lately.

    Args:
        earlier: what an earlier session left open.
        now_ms: when this session was bound; milliseconds that never go back.
    """

    def __init__(self, earlier: list[str], now_ms: float) -> None:
        self._earlier = dict.fromkeys(earlier[-REMEMBERED_MAX:])
        self._since_ms = now_ms
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def is_twin(self, digest: str, sequence: int, arrived_ms: float) -> bool:
        """Tell whether we have it."""
        if self._earlier and arrived_ms > self._since_ms + EARLIER_MS:
            self._earlier.clear()
        if digest in self._earlier:
            del self._earlier[digest]
            self.taken(digest, sequence, arrived_ms)
            return True
        seen = self._seen.get(digest)
        if seen is None:
            return False
        if seen.sequence == sequence:
            return True
        answered = seen.answered_ms or arrived_ms
        was_late = answered - seen.arrived_ms > LATE_MS
        return was_late and arrived_ms - answered < LATE_REPEAT_MS

    def taken(self, digest: str, sequence: int, arrived_ms: float) -> None:
        """Note that a message is about to be committed."""
        self._seen.pop(digest, None)
        self._seen[digest] = _Seen(sequence=sequence, arrived_ms=arrived_ms)
        while len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)

    def answered(self, digest: str, now_ms: float) -> None:
        """Note that the SMSC got our answer, as far as we can know."""
        if digest in self._seen:
            self._seen[digest].answered_ms = now_ms

    def open(self, now_ms: float) -> list[str]:
        """Return what would come again if the session ended now."""
        if now_ms > self._since_ms + EARLIER_MS:
            self._earlier.clear()
        fresh = [
            digest
            for digest, seen in self._seen.items()
            if seen.answered_ms is None or now_ms < seen.answered_ms + SETTLED_MS
        ]
        return [*self._earlier, *fresh]

    def dump(self, now_ms: float) -> str:
        """Return it as text, for the next session."""
        return json.dumps(self.open(now_ms))

    @classmethod
    def load(cls, text: str | None, now_ms: float) -> Self:
        """Return what `dump` wrote, at the beginning of a session."""
        return cls(json.loads(text or "[]"), now_ms)
