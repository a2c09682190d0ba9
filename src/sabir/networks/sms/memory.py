"""The last messages of a chat, so that a text which quotes one finds it. Pure."""

import json
from collections import deque
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Self

from sabir.clock import Instant
from sabir.networks.api import NativeId
from sabir.networks.sms.forms import Answer, Correction, Form, without_name

MESSAGES_MAX: Final = 100
"""Of one chat: two weeks of a lively one, and 30 KiB."""
CHARS_MAX: Final = 200
"""Of one message: quotations are of 40 or 80, or whole and then compared so far."""
DAYS_14_MS: Final = 14 * 24 * 3_600_000
EDIT_WINDOW_MS: Final = 16 * 60_000
"""iMessage edits for 15 minutes (CONVERSION.md section 5); one for the way."""
SIMILAR_MIN: Final = 0.5
"""An edit leaves half of the message as it was, or it is not recognised as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One message."""

    native_id: NativeId
    at: Instant
    ours: bool
    text: str
    """In one line, at most `CHARS_MAX` characters."""
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a form refers to."""

    form: Form
    target: NativeId


class Memory:
    """The messages of one chat, newest last."""

    def __init__(self) -> None:
        self._messages: deque[Remembered] = deque(maxlen=MESSAGES_MAX)

    def add(self, native_id: NativeId, text: str, *, ours: bool, now: Instant) -> None:
        """Remember a message."""
        line = _line(text)
        self._messages.append(
            Remembered(
                native_id=native_id,
                at=now,
                ours=ours,
                text=line[:CHARS_MAX],
                whole=len(line) <= CHARS_MAX,
            )
        )

    def meaning_of(self, form: Form, now: Instant) -> Meant | None:
        """Return what a form refers to; None unless it is one message for certain."""
        if isinstance(form, Correction) and not form.quoted:
            found = self._edited(form.text, now)
        else:
            found = self._quoted(form.quoted, now)
        if isinstance(form, Correction) and found is not None and found.ours:
            # Nobody corrects what somebody else said: it is an answer.
            form = Answer(quoted=form.quoted, text=form.text)
        return None if found is None else Meant(form=form, target=found.native_id)

    def _recent(self, now: Instant, within_ms: int) -> list[Remembered]:
        return [each for each in self._messages if now - each.at <= within_ms]

    def _quoted(self, quoted: str, now: Instant) -> Remembered | None:
        wanted = {_line(quoted), _line(without_name(quoted))}
        found = [
            each
            for each in self._recent(now, DAYS_14_MS)
            if any(_matches(quotation, each) for quotation in wanted)
        ]
        return found[0] if len(found) == 1 else None

    def _edited(self, text: str, now: Instant) -> Remembered | None:
        line = _line(text)[:CHARS_MAX]
        rated = [
            (SequenceMatcher(None, each.text, line, autojunk=False).ratio(), each)
            for each in self._recent(now, EDIT_WINDOW_MS)
            if not each.ours
        ]
        alike = [each for ratio, each in rated if ratio >= SIMILAR_MIN]
        return alike[0] if len(alike) == 1 else None

    # ---- on disk

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps(
            [
                [each.native_id, each.at, each.ours, each.text, each.whole]
                for each in self._messages
            ],
            ensure_ascii=False,
        )

    @classmethod
    def load(cls, text: str | None) -> Self:
        """Return what `dump` wrote."""
        memory = cls()
        for native_id, at, ours, words, whole in json.loads(text or "[]"):
            memory._messages.append(
                Remembered(
                    native_id=NativeId(native_id),
                    at=Instant(at),
                    ours=ours,
                    text=words,
                    whole=whole,
                )
            )
        return memory


def _line(text: str) -> str:
    return " ".join(text.split())


def _matches(quotation: str, message: Remembered) -> bool:
    start = quotation.removesuffix("…").removesuffix("...").rstrip()
    if not start:
        return False
    if start != quotation:
        return message.text.startswith(start[:CHARS_MAX])
    if message.whole:
        return message.text == quotation
    return quotation.startswith(message.text)
