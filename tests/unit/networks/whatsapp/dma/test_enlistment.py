"""Enlistment: every legal and illegal step, from every state, over a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.networks.whatsapp.dma.codec import decode, encode
from sabir.networks.whatsapp.dma.enlistment import (
    STEPS_MAX,
    TRANSITIONS,
    Enlistment,
    Fact,
    State,
)

NOW = Instant(1_800_000_000_000)

PATHS: dict[State, tuple[Fact, ...]] = {
    State.NOT_OFFERED: (),
    State.OFFERED: (Fact.OFFERED,),
    State.CONSENTED: (Fact.OFFERED, Fact.CONSENTED),
    State.ENLISTING: (Fact.OFFERED, Fact.CONSENTED, Fact.SUBMITTED),
    State.ENLISTED: (Fact.OFFERED, Fact.CONSENTED, Fact.SUBMITTED, Fact.ACCEPTED),
    State.REFUSED: (Fact.OFFERED, Fact.CONSENTED, Fact.SUBMITTED, Fact.REFUSED),
    State.WITHDRAWN: (Fact.OFFERED, Fact.WITHDRAWN),
}
PATHS[State.SUSPENDED] = (*PATHS[State.ENLISTED], Fact.SUSPENDED)
PATHS[State.EXPIRED] = (*PATHS[State.ENLISTED], Fact.EXPIRED)


def led(facts: tuple[Fact, ...]) -> Enlistment:
    enlistment = Enlistment(person="sabir:ada")
    for fact in facts:
        enlistment = enlistment.after(fact, at=NOW, evidence="test")
    return enlistment


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("fact", Fact)
def test_every_pair_is_a_transition_a_repeat_or_refused(
    state: State, fact: Fact
) -> None:
    before = decode(encode(led(PATHS[state])))  # a restart in each state
    assert before.state is state
    expected = TRANSITIONS[state].get(fact)
    if expected is not None:
        after = before.after(fact, at=NOW, evidence="test")
        assert after.state is expected
        assert len(after.steps) == len(before.steps) + 1
    elif PATHS[state] and PATHS[state][-1] is fact:
        assert before.after(fact, at=NOW, evidence="test") is before
    else:
        with pytest.raises(PolicyRefused, match="possible now"):
            before.after(fact, at=NOW, evidence="test")


def test_nothing_is_enlisted_without_the_persons_own_consent() -> None:
    leads_there = [s for s, facts in TRANSITIONS.items() if Fact.CONSENTED in facts]
    assert leads_there == [State.OFFERED]
    into = {s for s, facts in TRANSITIONS.items() if State.CONSENTED in facts.values()}
    assert into == {State.OFFERED}


def test_who_withdraws_is_out_until_a_new_offer() -> None:
    gone = led(PATHS[State.WITHDRAWN])
    assert gone.closes_portals
    assert not gone.carries_messages
    assert set(TRANSITIONS[State.WITHDRAWN]) == {Fact.OFFERED}
    assert led(PATHS[State.ENLISTED]).carries_messages
    assert not led(PATHS[State.SUSPENDED]).carries_messages


def test_a_step_needs_evidence_and_there_is_an_end_to_steps() -> None:
    with pytest.raises(PolicyRefused, match="evidence"):
        Enlistment(person="p").after(Fact.OFFERED, at=NOW, evidence="")
    enlistment = Enlistment(person="p")
    for _ in range(STEPS_MAX // 2):
        enlistment = enlistment.after(Fact.OFFERED, at=NOW, evidence="e")
        enlistment = enlistment.after(Fact.WITHDRAWN, at=NOW, evidence="e")
    with pytest.raises(PolicyRefused, match="too often"):
        enlistment.after(Fact.OFFERED, at=NOW, evidence="e")


@given(st.lists(st.sampled_from(Fact), max_size=30))
def test_a_refused_fact_changes_nothing(facts: list[Fact]) -> None:
    enlistment = Enlistment(person="p")
    for fact in facts:
        before = encode(enlistment)
        try:
            enlistment = enlistment.after(fact, at=NOW, evidence="e")
        except PolicyRefused:
            assert encode(enlistment) == before
    assert decode(encode(enlistment)) == enlistment
    if enlistment.carries_messages:
        assert Fact.CONSENTED in [step.fact for step in enlistment.steps]
