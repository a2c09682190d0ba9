"""What became of our last sends, durably: BlueBubbles knows no idempotency keys.

Before a request goes out a note says so; after the answer it says which message it
made. A note holds no text: a mark (see `rows`) is enough to know the message again.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import Any, Final

from sabir.networks.api import ChatId, Host, IdempotencyKey, NativeId

SLOTS: Final = 256
"""Sends remembered; more than can wait for being written down by the agent at one
time, and more changes than one message can have."""


class State(StrEnum):
    """What is known of a send."""

    OPEN = "open"
    """Under way, or its answer was lost."""
    SENT = "sent"
    NOT_SENT = "not"
    DOUBT = "doubt"
    """Nobody can tell; it was reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One send."""

    key: IdempotencyKey
    slot: int
    chat: ChatId
    action: str
    """What it does: a value of `render.Action`."""
    mark: str
    """Of the message it makes, or of the new text of the message it changes."""
    target: str = ""
    """The message that it changes."""
    temp: str = ""
    """The mark that its echo carries."""
    after_row: int = 0
    """Its message has a higher row."""
    at: int = 0
    """When it went out, ms since 1970."""
    state: State = State.OPEN
    guid: str = ""
    """The message it made, as far as known."""
    tries: int = 1
    lost: tuple[str, ...] = ()
    why: str = ""
    """Why nobody can tell."""

    def to_json(self) -> str:
        """Return the note."""
        return json.dumps(
            {
                "key": self.key,
                "chat": self.chat,
                "action": self.action,
                "mark": self.mark,
                "target": self.target,
                "temp": self.temp,
                "after": self.after_row,
                "at": self.at,
                "state": self.state,
                "guid": self.guid,
                "tries": self.tries,
                "lost": self.lost,
                "why": self.why,
            }
        )


class Attempts:
    """The notes of one account."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._by_key: dict[IdempotencyKey, Attempt] = {}
        self._slots: list[IdempotencyKey | None] = [None] * SLOTS
        self._next = count()

    async def load(self) -> None:
        """Read the notes of earlier lives."""
        newest = -1
        latest = -1
        for slot in range(SLOTS):
            note = await self._host.recall(_name(slot))
            if note is None:
                continue
            attempt = _read(json.loads(note), slot)
            self._keep(attempt)
            if attempt.at > latest:
                latest, newest = attempt.at, slot
        self._next = count(newest + 1)

    # ---- reading

    def find(self, key: IdempotencyKey) -> Attempt | None:
        """Return what is known of a send, None if it never began."""
        return self._by_key.get(key)

    def made(self, guid: NativeId) -> Attempt | None:
        """Return the send that made a message, if it was one of ours."""
        for attempt in self._by_key.values():
            if attempt.guid == guid:
                return attempt
        return None

    def changes(self, guid: NativeId, action: str) -> list[Attempt]:
        """Return our changes of a message that are not known to have failed."""
        return [
            attempt
            for attempt in self._by_key.values()
            if attempt.target == guid
            and attempt.action == action
            and attempt.state is not State.NOT_SENT
        ]

    def of_chat(self, chat: ChatId) -> list[Attempt]:
        """Return the sends to a chat."""
        return [each for each in self._by_key.values() if each.chat == chat]

    # ---- writing

    async def begin(self, attempt: Attempt) -> Attempt:
        """Note that a send goes out; its slot is chosen here."""
        known = self._by_key.get(attempt.key)
        slot = self._free_slot() if known is None else known.slot
        attempt = replace(attempt, slot=slot)
        await self._write(attempt)
        return attempt

    async def settle(
        self, attempt: Attempt, state: State, *, guid: str = "", why: str = ""
    ) -> Attempt:
        """Note what came of a send."""
        attempt = replace(
            attempt, state=state, guid=guid or attempt.guid, why=why or attempt.why
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


def _name(slot: int) -> str:
    return f"attempt/{slot:03}"


def _read(note: dict[str, Any], slot: int) -> Attempt:
    return Attempt(
        key=IdempotencyKey(note["key"]),
        slot=slot,
        chat=ChatId(note["chat"]),
        action=note["action"],
        mark=note["mark"],
        target=note["target"],
        temp=note["temp"],
        after_row=note["after"],
        at=note["at"],
        state=State(note["state"]),
        guid=note["guid"],
        tries=note["tries"],
        lost=tuple(note["lost"]),
        why=note["why"],
    )
