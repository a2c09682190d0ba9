"""Proposals that come in by themselves, of every type and also of our own."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from sabir.mls.codepoints import SenderType
from sabir.mls.limits import Limits
from sabir.mls.proposals import (
    STANDARD_PROPOSALS,
    PreSharedKey,
    Proposal,
    ProposalType,
    ReInit,
    Remove,
)
from sabir.mls.psk_ids import ExternalPsk, ResumptionPsk, ResumptionUsage
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from sabir.wire.tls import Reader, opaque
from tests.unit.mls.group.world import Room, client


@dataclass(frozen=True, slots=True, eq=False)
class Vote(Proposal):
    """A type of proposal that only this application knows."""

    kind: ClassVar[int] = 0xF001

    choice: bytes
    raw: bytes = field(default=b"", repr=False)

    def body(self) -> bytes:
        return opaque(self.choice)


def read_vote(reader: Reader, limits: Limits) -> Vote:
    del limits
    return Vote(reader.opaque())


VOTES = STANDARD_PROPOSALS.with_types(
    ProposalType(0xF001, read_vote, frozenset({SenderType.MEMBER}))
)


def test_a_type_of_the_application_is_proposed_and_committed() -> None:
    room = Room.of("ann", "ben", make=lambda name, _: client(name, proposals=VOTES))
    sent = room["ben"].propose(room.env, Vote(b"yes"), as_public=True)
    room.hear(sent.message, "ben")
    pending = room.commit("ann", Vote(b"no"))
    assert pending.effects.proposals.of(Vote) == [Vote(b"yes"), Vote(b"no")]
    assert not pending.effects.updated  # it needs no path


def test_a_type_that_somebody_does_not_support_is_not_committed() -> None:
    def make(name: str, suite: int) -> object:
        registry = STANDARD_PROPOSALS if name == "old" else VOTES
        return client(name, suite, proposals=registry)

    room = Room.of("ann", "ben", "old", make=make)  # type: ignore[arg-type]  # a client
    with violates(Rule.Q10):
        room["ann"].commit(room.env, [Vote(b"yes")])
    del room.groups["old"]  # who need not be able to read what removes them
    room.commit("ann", Remove(2), Vote(b"yes"))


@pytest.mark.parametrize(
    ("proposal", "rule"),
    [
        (Remove(7), Rule.P03),
        (PreSharedKey(ExternalPsk(b"id", b"short")), Rule.P04),
        (
            PreSharedKey(ResumptionPsk(ResumptionUsage.BRANCH, b"g", 0, bytes(32))),
            Rule.P05,
        ),
        (ReInit(b"n", 1, version=0), Rule.P06),
    ],
)
def test_bad_proposals_are_not_sent(proposal: Proposal, rule: Rule) -> None:
    room = Room.of("ann", "ben")
    with violates(rule):
        room["ann"].propose(room.env, proposal)
    assert not room["ann"].public.pending


def test_good_ones_wait() -> None:
    room = Room.of("ann", "ben", "cat")
    for proposal in (
        Remove(1),
        PreSharedKey(ExternalPsk(b"id", bytes(32))),
        ReInit(b"n", 1),
    ):
        sent = room["cat"].propose(room.env, proposal, as_public=True)
        room.hear(sent.message, "cat")
    assert len(room["ann"].public.pending) == 3
