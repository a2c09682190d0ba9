"""Whether one network in trouble slows another: Matrix to Matrix while XMPP is ill.

    python bench/isolation.py [messages] [rounds]

Two Matrix rooms are linked with each other, a third with an XMPP room. XMPP
hangs (its server is stopped in its tracks, connections open) or refuses (no server),
with messages waiting for it; well and ill take turns. Progress goes to standard error,
one JSON object to the last line.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.ground import percentile_95
from sabir.testing.lab import PREFIX, Lab

PAUSE_S = 0.02


class Ward:
    """The rooms, and how to make XMPP ill and well."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._count = 0
        self._speaker: MatrixClient
        self._watcher: MatrixClient
        self._near = ""

    async def link(self) -> None:
        """Link a Matrix room with XMPP, and two Matrix rooms with each other."""
        lab = self._lab
        host = await lab.xmpp_person("host")
        speaker = self._speaker = await lab.matrix_person("speaker")
        watcher = self._watcher = await lab.matrix_person("watcher")
        await lab.link(speaker, [], host)
        # Nobody but Sabir may spend time on a server that is away.
        await host.__aexit__(None, None, None)
        bot = f"@{PREFIX}bot:{lab.synapse.server_name}"
        near = self._near = await speaker.create_room("near", invite=[bot])
        far = await watcher.create_room("far", invite=[bot])
        for person, room in ((speaker, near), (watcher, far)):
            while bot not in await person.members(room):
                await asyncio.sleep(0.05)
        await asyncio.to_thread(
            lab.sabir.call, "link", f"matrix:{near}", f"matrix:{far}"
        )
        await self._one("the ghost is made now")

    async def _one(self, text: str) -> float:
        begun_s = time.monotonic()
        await self._speaker.send_text(self._near, text)
        seen = await self._watcher.wait_for(lambda seen: seen.body == text)
        return (seen.arrived_s - begun_s) * 1000

    async def times(self, messages: int) -> list[float]:
        """Send; return each message's milliseconds. As many wait for XMPP."""
        times = []
        for _ in range(messages):
            self._count += 1
            load = f"load {self._count}"
            await self._speaker.send_text(self._lab.matrix_room, load)
            await asyncio.sleep(PAUSE_S)
            times.append(await self._one(f"isolation {self._count}"))
            await asyncio.sleep(PAUSE_S)
        return times

    def hang(self) -> None:
        """Stop the XMPP server in its tracks."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = self._lab.prosody.pid
        assert pid is not None
        os.kill(pid, number)

    async def rest(self) -> None:
        """Wait until nothing waits and everybody is connected."""
        sabir = self._lab.sabir
        while True:
            status = await sabir.status()
            counts = [portal["counts"] or {} for portal in status["portals"]]
            waits = any(
                each.get("waiting_in") or each.get("waiting_out") for each in counts
            )
            if not waits and await sabir.is_connected():
                return
            await asyncio.sleep(0.2)


def _figures(well: list[float], ill: list[float]) -> dict[str, Any]:
    return {
        "well_p50_ms": round(statistics.median(well), 1),
        "ill_p50_ms": round(statistics.median(ill), 1),
        "well_p95_ms": round(percentile_95(well), 1),
        "ill_p95_ms": round(percentile_95(ill), 1),
        "p95_ratio": round(percentile_95(ill) / percentile_95(well), 3),
    }


async def _main(messages: int, rounds: int) -> None:
    well: dict[str, list[float]] = {"hangs": [], "refuses": []}
    ill: dict[str, list[float]] = {"hangs": [], "refuses": []}
    with tempfile.TemporaryDirectory() as folder:
        async with Lab(Path(folder)) as lab:
            ward, prosody = Ward(lab), lab.prosody
            await ward.link()
            for number in range(rounds):
                for name in ("hangs", "refuses"):
                    await ward.rest()
                    well[name] += await ward.times(messages)
                    if name == "hangs":
                        ward.hang()
                    else:
                        prosody.kill()
                    try:
                        ill[name] += await ward.times(messages)
                    finally:
                        if name == "hangs":
                            ward.wake()
                        else:
                            await prosody.start()
                    print(
                        f"round {number + 1}, {name}:",
                        _figures(well[name], ill[name]),
                        file=sys.stderr,
                        flush=True,
                    )
            await ward.rest()
    print(json.dumps({name: _figures(well[name], ill[name]) for name in well}))


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    asyncio.run(_main(*(numbers + [60, 3][len(numbers) :])))
