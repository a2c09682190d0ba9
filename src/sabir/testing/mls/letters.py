"""Application messages on their way, in a model test of MLS."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest

from sabir.mls.errors import MlsMisuse
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.seat import MISSING, Letter, Seat, refusal
from sabir.testing.mls.seeded import SeededEnv

LETTERS_MAX: Final = 24
"""So many letters stay on their way; older ones were lost."""


@dataclass(slots=True)
class Letters:
    """What was said, and by whom it may be read.

    Attributes:
        env: the clock.
        done: counts what happened.
        sent: on their way, oldest first.
        count: of all that were sent.
    """

    env: SeededEnv
    done: Counter[str]
    sent: list[Letter] = field(default_factory=list)
    count: int = 0

    def say(self, seat: Seat, count: int) -> None:
        """Let a member send some, or be told that it must not now."""
        if seat.is_out or seat.group.public.pending:
            before = seat.group.save()
            with pytest.raises(MlsMisuse):
                seat.group.encrypt(self.env, b"not now")
            assert seat.group.save() == before
            self.done["may not send"] += 1
            return
        for _ in range(count):
            self.count += 1
            text = b"letter %d" % self.count
            message = seat.group.encrypt(self.env, text).message
            seat.store()
            leaf = seat.group.own_leaf
            self.sent.append(Letter(self.count, seat, leaf, seat.epoch, text, message))
        del self.sent[:-LETTERS_MAX]

    def read(self, seats: Sequence[Seat], dice: random.Random) -> None:
        """Let letters reach everybody, those who must not read them, too."""
        pairs = [(letter, seat) for letter in self.sent for seat in seats]
        dice.shuffle(pairs)
        for letter, seat in pairs:
            self.show(seat, letter)
            if dice.random() < 0.1:
                self.show(seat, letter)
            if dice.random() < 0.02:
                self._show_to_reloaded(seat, letter)

    def show(self, seat: Seat, letter: Letter) -> None:
        """Show somebody a letter, which is read once or refused as it must."""
        if not seat.may_read(letter, self.env.time):
            seat.refuse(self.env, letter.message, {MISSING})
            seat.cannot_open_by_force(letter)
            self.done[self._why_not(seat, letter)] += 1
        elif letter.number in seat.read:
            seat.refuse(self.env, letter.message, {Rule.D02.name})
            self.done["read twice"] += 1
        else:
            seat.open(self.env, letter)
            self.done["read" if letter.epoch == seat.epoch else "read late"] += 1

    def _show_to_reloaded(self, seat: Seat, letter: Letter) -> None:
        """What the store has cannot open a letter that was read, either."""
        if letter.number not in seat.read:
            return
        seat.store()
        before = dict(seat.rows)
        again = seat.loaded()
        found = refusal(again, self.env, letter.message)
        assert found in {Rule.D02.name, MISSING}, found
        assert seat.rows == before
        self.done["read again from the store"] += 1

    @staticmethod
    def _why_not(seat: Seat, letter: Letter) -> str:
        if letter.epoch < seat.joined:
            return "not yet joined"
        if letter.epoch > seat.epoch:
            return "read by who is removed" if seat.is_out else "read by who is behind"
        return "too late to read"
