"""What must hold over the whole conversation: order, nothing twice, nothing refused."""

import asyncio
import time
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, Final

from sabir.testing.demo.stage import SIGHT_TIMEOUT_S, Stage
from sabir.testing.demo.step import Step, Way, Wrong, same

_LINES: Final = 10
"""So many from each side at once: enough to see order, and not to bury the rest."""


async def _both_at_once(stage: Stage) -> float:
    from_matrix = [f"Alice counts {number}" for number in range(1, _LINES + 1)]
    from_xmpp = [f"Xenia counts {number}" for number in range(1, _LINES + 1)]
    sent_s = time.monotonic()
    await asyncio.gather(
        _count_on_matrix(stage, from_matrix), _count_on_xmpp(stage, from_xmpp)
    )
    on_xmpp = await stage.xenia.messages.wait_for_count(
        lambda seen: (seen.body or "").startswith("Alice counts"),
        _LINES,
        SIGHT_TIMEOUT_S,
    )
    on_matrix = await stage.alice.events.wait_for_count(
        lambda seen: seen.body.startswith("Xenia counts"), _LINES, SIGHT_TIMEOUT_S
    )
    same("order on XMPP", [seen.body for seen in on_xmpp], from_matrix)
    same("order on Matrix", [seen.body for seen in on_matrix], from_xmpp)
    return max(on_xmpp[-1].arrived_s, on_matrix[-1].arrived_s) - sent_s


async def _count_on_matrix(stage: Stage, bodies: Iterable[str]) -> None:
    for body in bodies:
        await stage.alice.send_text(stage.matrix_room, body)


async def _count_on_xmpp(stage: Stage, bodies: Iterable[str]) -> None:
    for body in bodies:
        await stage.xenia.say(stage.xmpp_room, body)


async def _nothing_twice(stage: Stage) -> float:
    """Look at what the servers have stored; no person said the same thing twice."""
    began_s = time.monotonic()
    await stage.rest()
    events = await stage.alice.history(stage.matrix_room)
    said = [
        (event["sender"], event["content"]["body"])
        for event in events
        if event["type"] == "m.room.message" and "body" in event["content"]
    ]
    _refuse_repeated("the Matrix room", said)
    stanzas = await stage.xenia.archive(stage.xmpp_room)
    # a retraction's text is for old clients, and always the same
    heard = [(one.nick, one.body) for one in stanzas if one.body and not one.retracts]
    _refuse_repeated("the XMPP room", heard)
    return time.monotonic() - began_s


def _refuse_repeated(where: str, said: Iterable[Hashable]) -> None:
    repeated = [what for what, times in Counter(said).items() if times > 1]
    if repeated:
        raise Wrong(f"stored more than once in {where}: {repeated}")


async def _all_delivered(stage: Stage) -> float:
    began_s = time.monotonic()
    await stage.rest()
    lines: list[dict[str, Any]] = await asyncio.to_thread(stage.lab.log_lines)
    bad = [
        f"#{line['seq']} {line['kind']}: {line['state']} {line['detail']}"
        for line in lines
        if line["state"] != "sent"
    ]
    same("deliveries that are not `sent`", bad, [])
    portals = await stage.lab.portals()
    rejected = sum(portal["counts"]["rejected_in"] for portal in portals)
    same("events that Sabir could not read", rejected, 0)
    return time.monotonic() - began_s


STEPS: Final = (
    Step(
        way=Way.BOTH,
        name="both sides at once",
        natively=f"{_LINES} lines from each side, all there, in order",
        play=_both_at_once,
    ),
    Step(
        way=Way.BOTH,
        name="what the servers stored",
        natively="nothing twice in the Matrix history and in the XMPP archive",
        play=_nothing_twice,
    ),
    Step(
        way=Way.BOTH,
        name="`sabir log`",
        natively="every delivery `sent`: none refused, withheld or ambiguous",
        play=_all_delivered,
    ),
)
