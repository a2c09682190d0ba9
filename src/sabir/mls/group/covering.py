"""Which proposals a commit of ours covers (RFC 9420 sections 12.2 and 12.4).

All that wait should be, as far as they fit together and with what the committer adds.
A member can propose what no commit may have, so what does not fit is left out, not the
commit: `choose` leaves out what is known by its kind, `fitting` what is found by
trying.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sabir.errors import PeerMisbehaved
from sabir.mls.codepoints import ProposalKind, SenderType
from sabir.mls.commit import ProposalOrRef, ProposalReference
from sabir.mls.errors import MlsMissing
from sabir.mls.framing import Sender
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import Proposal, ReInit, Remove, SelfRemove
from sabir.mls.transition import Applied


def choose(
    pending: Mapping[bytes, Proposed], own: int, new: tuple[Proposal, ...]
) -> list[Proposed]:
    """Choose which waiting proposals a commit of ours covers (12.2 and 12.4).

    Our own Updates are not: the path does their work. Of several changes to one leaf a
    SelfRemove wins over a Remove, that over the latest Update. A ReInit that waits is
    left for later where anything else is to be done; one by value stands alone.

    Args:
        pending: what waits, in the order it came.
        own: our leaf.
        new: proposals that the commit will have by value.

    Returns:
        Those to be covered, in the order they came.
    """
    if any(isinstance(item, ReInit) for item in new):
        return []
    rank = {ProposalKind.SELF_REMOVE: 3, ProposalKind.REMOVE: 2, ProposalKind.UPDATE: 1}
    best: dict[int, tuple[int, int, Proposed]] = {}
    for removed in (item.removed for item in new if isinstance(item, Remove)):
        best[removed] = (4, 0, Proposed(Remove(removed), Sender.member(own)))
    rest: list[tuple[int, Proposed]] = []
    for place, item in enumerate(pending.values()):
        target = item.target
        if target == own:
            continue
        if target is None:
            rest.append((place, item))
            continue
        known = best.get(target)
        score = rank[ProposalKind(item.proposal.kind)]
        if known is None or score >= known[0]:
            best[target] = (score, place, item)
    chosen = rest + [
        (place, item) for score, place, item in best.values() if score <= 3
    ]
    chosen.sort(key=lambda found: found[0])
    items = [item for _, item in chosen]
    others = [item for item in items if not isinstance(item.proposal, ReInit)]
    if others or new:
        return others
    return items[:1]


def at_most(count: int, items: Sequence[Proposed]) -> Sequence[Proposed]:
    """Return no more than so many, in their order: the rest waits on."""
    if len(items) <= count:
        return items
    first = [item for part in _fairly(items) for item in part][:count]
    kept = {item.reference for item in first}
    return [item for item in items if item.reference in kept]


def _fairly(items: Iterable[Proposed]) -> list[list[Proposed]]:
    """Order proposals so that nobody's many come before another's first.

    Returns:
        In this order: who leaves; what other members, external senders, and those who
        want to join propose. In each part come first the first ones of all senders,
        then the second ones, and so on.
    """
    turns: Counter[Sender] = Counter()
    parts: list[list[tuple[int, Proposed]]] = [[], [], [], []]
    for item in items:
        if isinstance(item.proposal, SelfRemove):
            parts[0].append((0, item))
        else:
            parts[_RANKS[item.sender.kind]].append((turns[item.sender], item))
            turns[item.sender] += 1
    return [
        [item for _, item in sorted(part, key=lambda each: each[0])]
        for part in parts
        if part
    ]


_RANKS: Final = {
    SenderType.MEMBER: 1,
    SenderType.EXTERNAL: 2,
    SenderType.NEW_MEMBER_PROPOSAL: 3,
}


def as_items(
    covered: Sequence[Proposed], new: tuple[Proposal, ...]
) -> list[ProposalOrRef]:
    """Return proposals as a commit has them: references first, then by value."""
    references: list[ProposalOrRef] = [
        ProposalReference(item.reference)
        for item in covered
        if item.reference is not None
    ]
    return [*references, *new]


@dataclass(frozen=True, slots=True)
class Covering:
    """What a commit covers, and the group after it.

    Attributes:
        covered: those of the waiting proposals that fit.
        applied: the group after them and after what the committer adds.
    """

    covered: Sequence[Proposed]
    applied: Applied


ATTEMPTS_MAX: Final = 64
"""Tries to leave out what is bad: a few bad ones among thousands."""

Attempt = Callable[[Sequence[Proposed]], Applied]
"""Applies waiting proposals together with what the committer adds."""


def fitting(chosen: Sequence[Proposed], attempt: Attempt) -> Covering:
    """Leave out what does not fit.

    Where all fits, as it nearly always does, there is one attempt. Else proposals are
    tried by turns of their senders, who leaves before all others, so that whoever sends
    nonsense harms little but what comes later: two attempts for each bad one, times the
    logarithm of their number, up to `ATTEMPTS_MAX`. What was not tried waits on.

    Raises:
        PeerMisbehaved, MlsMissing: of `attempt`, with no waiting proposal at all.
    """
    try:
        return Covering(chosen, attempt(chosen))
    except (PeerMisbehaved, MlsMissing):
        if not chosen:
            raise
    best = Covering((), attempt(()))
    waiting = [*reversed(_fairly(chosen))]
    for _ in range(ATTEMPTS_MAX):
        if not waiting:
            break
        part = waiting.pop()
        together = [*best.covered, *part]
        try:
            best = Covering(together, attempt(together))
        except (PeerMisbehaved, MlsMissing):
            half = len(part) // 2
            if half:
                waiting += [part[half:], part[:half]]
    return best
