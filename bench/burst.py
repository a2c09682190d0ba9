"""Bursts over Sabir, beside what its two servers take without it.

    python bench/burst.py [messages] [rounds]

Each round measures the floor and the bridge in turn, in each direction, from one sender
and from eight. Towards Matrix there are two floors: of ghosts that speak all at once,
and of ghosts that take turns, which is what keeps a room's order (ADR 0005). Progress
goes to standard error, one JSON object to the last line.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from sabir.testing.ground import Ground, Way

SENDERS = (1, 8)


async def _measure(
    ground: Ground, direction: str, senders: int, messages: int, rounds: int
) -> dict[str, Any]:
    bridge, legs, ordered, check = {
        "matrix_to_xmpp": (
            ground.matrix_to_xmpp,
            (ground.matrix_out, ground.xmpp_in),
            ground.xmpp_in,
            ground.check_to_xmpp,
        ),
        "xmpp_to_matrix": (
            ground.xmpp_to_matrix,
            (ground.xmpp_out, ground.matrix_in),
            ground.matrix_in_turn,
            ground.check_to_matrix,
        ),
    }[direction]
    floors, in_order, rates, findings = [], [], [], []
    for number in range(rounds):
        first, last = [await _rate(ground, leg, senders, messages) for leg in legs]
        turns = last
        if ordered is not legs[1] and senders > 1:
            turns = await _rate(ground, ordered, senders, messages)
        floors.append(min(first, last))
        in_order.append(min(first, turns))
        shot, tag = await ground.burst(bridge, senders, messages)
        rates.append(shot.per_s)
        findings.append(await check(tag))
        print(
            f"{direction} {senders} senders, round {number + 1}: floor"
            f" {floors[-1]:.1f}/s, in order {in_order[-1]:.1f}/s,"
            f" bridge {rates[-1]:.1f}/s, {findings[-1].figures()}",
            file=sys.stderr,
            flush=True,
        )
    floor, rate = statistics.median(floors), statistics.median(rates)
    ordered_floor = statistics.median(in_order)
    return {
        "direction": direction,
        "senders": senders,
        "messages": messages,
        "rounds": rounds,
        "floor_per_s": round(floor, 1),
        "ordered_floor_per_s": round(ordered_floor, 1),
        "bridge_per_s": round(rate, 1),
        "share_of_floor": round(rate / floor, 3),
        "share_of_ordered_floor": round(rate / ordered_floor, 3),
        "lost": sum(len(each.lost) for each in findings),
        "duplicated": sum(len(each.duplicated) for each in findings),
        "inversions": sum(each.inversions for each in findings),
        "displaced": sum(each.displaced for each in findings),
    }


async def _rate(ground: Ground, way: Way, senders: int, messages: int) -> float:
    shot, _ = await ground.burst(way, senders, messages)
    return shot.per_s


async def _main(messages: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Ground(Path(folder)) as ground:
            results = [
                await _measure(ground, direction, senders, messages, rounds)
                for direction in ("matrix_to_xmpp", "xmpp_to_matrix")
                for senders in SENDERS
            ]
    print(json.dumps(results))


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    asyncio.run(_main(*(numbers + [1000, 3][len(numbers) :])))
