"""Enlistment of one person in third-party chats: who may write to them, and since when.

Meta's published offer wants a person to opt in and to prove that they hold the
number under which others find them. What is public says no more; states and rules
are ours:

 * Only the person's own act leads to CONSENTED.
 * A withdrawal, by either side, is final for this enlistment: the portals close, the
   history stays, and a new one begins with a new offer.
 * Every step is kept, with its time and what proves it.
 * A fact that comes twice changes nothing; one that does not fit is refused and has
   changed nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused


class State(StrEnum):
    """Where an enlistment stands."""

    NOT_OFFERED = "not_offered"
    OFFERED = "offered"
    CONSENTED = "consented"
    ENLISTING = "enlisting"
    ENLISTED = "enlisted"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Fact(StrEnum):
    """Something that happened."""

    OFFERED = "offered"
    """We showed the person what third-party chats are."""
    CONSENTED = "consented"
    """The person agreed, in our interface."""
    SUBMITTED = "submitted"
    """Their proof is on its way to WhatsApp."""
    ACCEPTED = "accepted"
    """WhatsApp took it."""
    REFUSED = "refused"
    """WhatsApp did not; `evidence` says why."""
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    EXPIRED = "expired"
    """What WhatsApp gave is no longer valid; to be submitted again."""
    WITHDRAWN = "withdrawn"
    """The person, or WhatsApp for them, wants no more of it."""


TRANSITIONS: Final[Mapping[State, Mapping[Fact, State]]] = {
    State.NOT_OFFERED: {Fact.OFFERED: State.OFFERED},
    State.OFFERED: {
        Fact.CONSENTED: State.CONSENTED,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.CONSENTED: {
        Fact.SUBMITTED: State.ENLISTING,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.ENLISTING: {
        Fact.ACCEPTED: State.ENLISTED,
        Fact.REFUSED: State.REFUSED,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.ENLISTED: {
        Fact.SUSPENDED: State.SUSPENDED,
        Fact.EXPIRED: State.EXPIRED,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.SUSPENDED: {
        Fact.RESUMED: State.ENLISTED,
        Fact.EXPIRED: State.EXPIRED,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.EXPIRED: {
        Fact.SUBMITTED: State.ENLISTING,
        Fact.WITHDRAWN: State.WITHDRAWN,
    },
    State.REFUSED: {Fact.OFFERED: State.OFFERED, Fact.WITHDRAWN: State.WITHDRAWN},
    State.WITHDRAWN: {Fact.OFFERED: State.OFFERED},
}
"""The whole machine; a pair that is absent is refused."""

_REPEATS: Final[Mapping[State, Fact]] = {
    State.OFFERED: Fact.OFFERED,
    State.CONSENTED: Fact.CONSENTED,
    State.ENLISTING: Fact.SUBMITTED,
    State.ENLISTED: Fact.ACCEPTED,
    State.SUSPENDED: Fact.SUSPENDED,
    State.EXPIRED: Fact.EXPIRED,
    State.REFUSED: Fact.REFUSED,
    State.WITHDRAWN: Fact.WITHDRAWN,
}
"""The fact that led into a state; once more, it changes nothing."""

STEPS_MAX: Final = 200
"""Of one person's history; more means that something turns in circles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transition."""

    fact: Fact
    state: State
    """The state after it."""
    at: Instant
    evidence: str
    """What proves it, named and never secret: `button in the console`, a request id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlistment:
    """One person's enlistment and how it came about."""

    person: str
    """The room participant's URI."""
    state: State = State.NOT_OFFERED
    steps: tuple[Step, ...] = ()

    def after(self, fact: Fact, *, at: Instant, evidence: str) -> "Enlistment":
        """Return the enlistment after a fact.

        Raises:
            PolicyRefused: the fact does not fit the state; nothing has changed.
        """
        if _REPEATS.get(self.state) is fact:
            return self
        state = TRANSITIONS[self.state].get(fact)
        if state is None:
            possible = ", ".join(TRANSITIONS[self.state]) or "nothing"
            raise PolicyRefused(
                f"an enlistment that is {self.state} cannot become {fact}; possible "
                f"now: {possible}"
            )
        if not evidence:
            raise PolicyRefused(f"{fact} without evidence is not recorded; name it")
        if len(self.steps) >= STEPS_MAX:
            raise PolicyRefused("this enlistment has turned too often; look at its log")
        step = Step(fact=fact, state=state, at=at, evidence=evidence)
        return replace(self, state=state, steps=(*self.steps, step))

    @property
    def carries_messages(self) -> bool:
        """Tell whether messages may go to and fro."""
        return self.state is State.ENLISTED

    @property
    def closes_portals(self) -> bool:
        """Tell whether portals of this person have to be closed."""
        return self.state is State.WITHDRAWN
