"""One hub beside Synapse and Prosody on the same machine: what it takes, and how fast.

    python bench/hub.py [--short]

A message counts once the hub has answered, which it does when the message, its place in
the order and the followers' queues are on the disk. Messages are real: MLS, sealed
beforehand by members, sent by another provider over mutual TLS, sixteen at a time. That
provider runs, too, and takes what is fanned out to it. Synapse gets as many clients,
which send into rooms of their own; Prosody a component whose eight ghosts talk in a
room, as fast as a listener hears them. They take turns, and medians count.

Fan-out: rooms with one follower beside rooms with a hundred, all but one of which are
paused, as this machine could not be a hundred more. Latency is measured at half of the
best rate, from when each message was due. Memory is the growth of the hub's resident
set over 200,000 messages, after all that went before.

Progress goes to standard error, one JSON object to the last line; exit code 1 if a gate
is missed.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from sabir.testing.hub_load import LOADER, Ring, prosody_rate, synapse_rate

LINES: Final = 16
FOLLOWERS: Final = 100
GATES: Final = {
    "synapse_ratio": (20.0, "at least"),
    "prosody_ratio": (1.0, "at least"),
    "fanout_100_ratio": (3.0, "at most"),
    "p99_ms_half_load": (50.0, "at most"),
    "rss_growth_mb": (64.0, "at most"),
}
"""Flat memory: no more than the page caches of both connections and their slack."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _measure(folder: Path, *, short: bool) -> dict[str, Any]:
    each = 25 if short else 400
    rounds = 1 if short else 5
    others = [f"f{number}.example" for number in range(FOLLOWERS - 1)]
    rates: dict[str, list[float]] = {
        name: [] for name in ("hub", "fanout_1", "fanout_100", "synapse", "prosody")
    }
    async with Ring(folder, LINES) as ring:
        near = await ring.rooms([LOADER])
        wide = await ring.rooms([LOADER, *others])
        await ring.start()
        await ring.rate(near, each // 4)  # a warm-up
        for number in range(rounds):
            rates["hub"].append(await ring.rate(near, each))
            rates["fanout_1"].append(await ring.rate(near, each // 4))
            rates["fanout_100"].append(await ring.rate(wide, each // 4))
            found = await synapse_rate(folder / f"s{number}", LINES, each // 8)
            rates["synapse"].append(found)
            found = await prosody_rate(folder / f"p{number}", each * 5)
            rates["prosody"].append(found)
            _say(
                f"round {number + 1}: { ({k: round(v[-1]) for k, v in rates.items()}) }"
            )
        middle = {name: statistics.median(found) for name, found in rates.items()}
        times = await ring.paced(near, each, middle["hub"] / 2)
        before = ring.resident_mb()
        for number in range(1 if short else 50):
            await ring.rate(near, 25 if short else 250)
            _say(f"{(number + 1) * LINES * 250} messages: {ring.resident_mb():.1f} MB")
        growth = ring.resident_mb() - before
    return {
        "hub_per_s": round(middle["hub"]),
        "synapse_per_s": round(middle["synapse"], 1),
        "prosody_per_s": round(middle["prosody"]),
        "synapse_ratio": round(middle["hub"] / middle["synapse"], 1),
        "prosody_ratio": round(middle["hub"] / middle["prosody"], 2),
        "fanout_100_ratio": round(middle["fanout_1"] / middle["fanout_100"], 2),
        "p50_ms_half_load": round(statistics.median(times), 1),
        "p99_ms_half_load": round(statistics.quantiles(times, n=100)[98], 1),
        "rss_growth_mb": round(growth, 1),
    }


def _missed(figures: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {figures[name]}, {how} {limit}"
        for name, (limit, how) in GATES.items()
        if (figures[name] < limit) is (how == "at least")
    ]


def main() -> int:
    """Measure, print, and say whether all gates hold."""
    with tempfile.TemporaryDirectory() as folder:
        short = "--short" in sys.argv[1:]
        figures = asyncio.run(_measure(Path(folder), short=short))
    missed = _missed(figures)
    for each in missed:
        _say(f"MISSED: {each}")
    print(json.dumps(figures))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
