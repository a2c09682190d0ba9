"""What became of our last sends, durably: the daemon knows no idempotency keys.

Before a request goes out a note says so; after the answer it says what came of it. So
after a crash only a send whose answer never came is in doubt, and only that.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import Final

from sabir.networks.api import Host, IdempotencyKey

SLOTS: Final = 128
"""Sends remembered; more than can be under way, or wait for being written down by the
agent, at one time."""


class State(StrEnum):
    """What is known of a send."""

    OPEN = "open"
    """Under way, or its answer was lost."""
    SENT = "sent"
    NOT_SENT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One send."""

    key: IdempotencyKey
    slot: int
    sent_at: int
    """The time that we asked for, then the one that the daemon gave; it names it."""
    state: State = State.OPEN
    has_id: bool = False
    """The daemon took our time, or gave one."""
    tries: int = 1
    lost: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the note."""
        return json.dumps(
            {
                "key": self.key,
                "at": self.sent_at,
                "state": self.state,
                "id": self.has_id,
                "tries": self.tries,
                "lost": self.lost,
            }
        )


class Attempts:
    """The notes of one account."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._by_key: dict[IdempotencyKey, Attempt] = {}
        self._slots: list[IdempotencyKey | None] = [None] * SLOTS
        self._next = count()
        self.last_sent_at = 0

    async def load(self) -> None:
        """Read the notes of earlier lives."""
        for slot in range(SLOTS):
            note = await self._host.recall(_name(slot))
            if note is not None:
                self._keep(_read(note, slot))

    def find(self, key: IdempotencyKey) -> Attempt | None:
        """Return what is known of a send, None if it never began."""
        return self._by_key.get(key)

    def knows_time(self, sent_at: int) -> bool:
        """Tell whether a message of this time is one of these sends."""
        return any(
            each.sent_at == sent_at and each.state is not State.NOT_SENT
            for each in self._by_key.values()
        )

    async def begin(self, key: IdempotencyKey, *, now: int) -> Attempt:
        """Note that a send goes out, and by which time it is named.

        A send that is tried again keeps its time, so that a daemon which knows it
        by that sends nothing twice.
        """
        known = self._by_key.get(key)
        if known is not None:
            attempt = replace(known, state=State.OPEN, tries=known.tries + 1)
        else:
            sent_at = max(now, self.last_sent_at + 1)
            attempt = Attempt(key=key, slot=self._free_slot(), sent_at=sent_at)
        await self._write(attempt)
        return attempt

    async def settle(
        self,
        attempt: Attempt,
        state: State,
        *,
        sent_at: int | None = None,
        lost: tuple[str, ...] = (),
    ) -> Attempt:
        """Note what came of a send."""
        attempt = replace(
            attempt,
            state=state,
            sent_at=sent_at or attempt.sent_at,
            has_id=sent_at is not None,
            lost=lost,
        )
        await self._write(attempt)
        return attempt

    def _free_slot(self) -> int:
        """Return the oldest slot whose send is not open; open ones are kept longest."""
        for _ in range(SLOTS):
            slot = next(self._next) % SLOTS
            key = self._slots[slot]
            if key is None or self._by_key[key].state is not State.OPEN:
                return slot
        return next(self._next) % SLOTS

    async def _write(self, attempt: Attempt) -> None:
        self._keep(attempt)
        await self._host.remember(_name(attempt.slot), attempt.to_json())

    def _keep(self, attempt: Attempt) -> None:
        before = self._slots[attempt.slot]
        if before is not None and before != attempt.key:
            self._by_key.pop(before, None)
        self._slots[attempt.slot] = attempt.key
        self._by_key[attempt.key] = attempt
        self.last_sent_at = max(self.last_sent_at, attempt.sent_at)


def _name(slot: int) -> str:
    return f"attempt/{slot:03}"


def _read(note: str, slot: int) -> Attempt:
    fields = json.loads(note)
    return Attempt(
        key=IdempotencyKey(fields["key"]),
        slot=slot,
        sent_at=fields["at"],
        state=State(fields["state"]),
        has_id=fields["id"],
        tries=fields["tries"],
        lost=tuple(fields["lost"]),
    )
