"""A whole visit: all checks, in their order, and the table of what they found."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from sabir.testing.mimi.conformance import files, octets, people, rooms, transport
from sabir.testing.mimi.conformance.finding import (
    CHECKS,
    Broken,
    Check,
    Finding,
    NotRun,
    Verdict,
)
from sabir.testing.mimi.conformance.visit import Visit

PARTS: Final = (transport, people, rooms, files, octets)
"""Where checks are."""
NEED_MORE: Final = (
    "MC-003, 006, 014, 017, 018, 020 to 031, 033 to 058, 060 to 066, 069 to 074,"
    " 076 to 079, 082, 083, 085 to 088, 091 to 107"
)
"""Lines of the checklist that need a room with members, two providers, an agent, or a
clock that can be moved; Sabir's own tests have them."""


def ordered(only: Collection[str] = ()) -> Sequence[Check]:
    """Return the checks: the directory first, the errors of all others last.

    Args:
        only: numbers; empty: all.
    """
    order = {transport.directory: 0, octets.flood: 2, octets.errors: 3}
    found = sorted(CHECKS, key=lambda each: order.get(each.run, 1))
    return [
        each
        for each in found
        if not only or each.number in only or each.run is transport.directory
    ]


async def examine(
    visit: Visit,
    only: Collection[str] = (),
    tell: Callable[[Finding], None] = lambda _: None,
) -> Sequence[Finding]:
    """Try everything.

    Args:
        visit: at the provider.
        only: numbers of the checklist; empty: all.
        tell: is told each finding at once.
    """
    found = []
    try:
        for each in ordered(only):
            finding = await _try(visit, each)
            found.append(finding)
            tell(finding)
    finally:
        visit.close()
    return found


async def _try(visit: Visit, each: Check) -> Finding:
    try:
        verdict, evidence = Verdict.KEPT, await each.run(visit)
    except NotRun as reason:
        verdict, evidence = Verdict.NOT_RUN, str(reason)
    except Broken as seen:
        bare = visit.found is not None and visit.found.is_bare
        verdict = Verdict.DEVIATES if each.ours and bare else Verdict.BROKEN
        evidence = str(seen)
    return Finding(
        number=each.number, what=each.what, verdict=verdict, evidence=evidence
    )
