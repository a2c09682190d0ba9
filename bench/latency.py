"""What Sabir adds to the time a message takes, beside its two servers' own times.

    python bench/latency.py [--rooms] [messages]

One message at a time. Floor and bridge take turns message by message, so that all see
the same machine. With `--rooms` each network has an agent and a provider of its own,
and messages go through an encrypted room. Progress goes to standard error, one JSON
object to the last line.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from sabir.testing.ground import Ground, percentile_95

PAUSE_S = 0.02
"""Between two messages: the servers are done with the last one, as among people."""
TOLD_EVERY = 50


async def _measure(ground: Ground, messages: int) -> dict[str, Any]:
    ways = {
        "matrix_to_xmpp": ground.matrix_to_xmpp,
        "xmpp_to_matrix": ground.xmpp_to_matrix,
        "matrix_out": ground.matrix_out,
        "matrix_in": ground.matrix_in,
        "xmpp_out": ground.xmpp_out,
        "xmpp_in": ground.xmpp_in,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(messages):
        for name, way in ways.items():
            times[name].append(await ground.one(way, f"latency {name} {number}"))
            await asyncio.sleep(PAUSE_S)
        if (number + 1) % TOLD_EVERY == 0:
            medians = {n: round(statistics.median(t), 1) for n, t in times.items()}
            print(f"{number + 1} messages each: {medians}", file=sys.stderr, flush=True)
    figures: dict[str, Any] = {
        name: {
            "p50_ms": round(statistics.median(each), 1),
            "p95_ms": round(percentile_95(each), 1),
        }
        for name, each in times.items()
    }
    for name, legs in (
        ("matrix_to_xmpp", ("matrix_out", "xmpp_in")),
        ("xmpp_to_matrix", ("xmpp_out", "matrix_in")),
    ):
        for quantile in ("p50_ms", "p95_ms"):
            floor = sum(figures[leg][quantile] for leg in legs)
            bridged = figures[name][quantile]
            figures[name]["added_" + quantile] = round(bridged - floor, 1)
            figures[name]["ratio_" + quantile.removesuffix("_ms")] = round(
                bridged / floor, 2
            )
    return figures | {"messages": messages}


async def _main(messages: int, *, rooms: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Ground(Path(folder), rooms=rooms) as ground:
            print(json.dumps({"rooms": rooms} | await _measure(ground, messages)))


if __name__ == "__main__":
    given = sys.argv[1:]
    numbers = [int(each) for each in given if each != "--rooms"]
    asyncio.run(_main(*(numbers or [200]), rooms="--rooms" in given))
