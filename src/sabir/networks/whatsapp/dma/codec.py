"""Enlistments as text, to be kept over a restart. Pure."""

import json
from typing import Any

from sabir.clock import Instant
from sabir.errors import LocalError
from sabir.networks.whatsapp.dma.enlistment import Enlistment, Fact, State, Step


def encode(enlistment: Enlistment) -> str:
    """Return an enlistment as JSON."""
    return json.dumps(
        {
            "person": enlistment.person,
            "state": enlistment.state.value,
            "steps": [
                [step.fact.value, step.state.value, step.at, step.evidence]
                for step in enlistment.steps
            ],
        }
    )


def decode(text: str) -> Enlistment:
    """Read what `encode` wrote, and check that the steps lead to the state.

    Raises:
        LocalError: it is not what we wrote.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        steps = tuple(
            Step(fact=Fact(fact), state=State(state), at=Instant(at), evidence=evidence)
            for fact, state, at, evidence in found["steps"]
        )
        kept = Enlistment(
            person=found["person"], state=State(found["state"]), steps=steps
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError("a stored enlistment cannot be read") from error
    if (steps[-1].state if steps else State.NOT_OFFERED) is not kept.state:
        raise LocalError("a stored enlistment is not where its steps lead")
    return kept
