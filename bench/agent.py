"""The whole pipeline over in-memory networks, with a durable database on disk.

    python bench/agent.py [MESSAGES]

Messages go from one network through inbox, room, timeline and delivery to
another. First at full speed (throughput and growth of the process), then one at
a time (latency), then one file of 100 MB. Prints progress to standard error and
one JSON object as its last line.
"""

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import structlog

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.cli.system import SystemClock, system_rng
from sabir.networks.api import Outgoing
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.memory_network import MemoryConnector, MemoryServer, Rules

CHAT = "chat"
BURST = 200
"""Messages put into the source at a time: what a busy room brings in a second."""
FILE_OCTETS = 100 * 1024 * 1024
CHUNK = b"\x5a" * 65536
LATENCY_SAMPLES = 500


class StreamingConnector(MemoryConnector):
    """Makes and swallows the octets of a large file instead of keeping them."""

    swallowed = 0

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        for _ in range(FILE_OCTETS // len(CHUNK)):
            yield CHUNK
            await asyncio.sleep(0)

    async def _upload(self, session: object, outgoing: Outgoing) -> str:
        if outgoing.media is None:
            return ""
        async for chunk in outgoing.media.chunks():
            StreamingConnector.swallowed += len(chunk)
        return "file"


def rss_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1024**2


def forget_peak() -> None:
    """Let the kernel measure the peak from now on (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        rules = Rules(keep_log=False)
        self.source = MemoryServer(clock, rules)
        self.target = MemoryServer(clock, rules)
        for server in (self.source, self.target):
            server.chat(CHAT, name="Bench")
        self.storage = SqliteStorage.open(folder / "sabir.db")
        self.agent = Agent(
            self.storage,
            [
                AccountConnector(
                    id="a",
                    network="memory-a",
                    connector=StreamingConnector(self.source, "bridge", send_window=50),
                ),
                AccountConnector(
                    id="b",
                    network="memory-b",
                    connector=StreamingConnector(self.target, "bridge", send_window=50),
                ),
            ],
            spool_folder=folder / "media",
            owner="bench",
            clock=clock,
            rng=system_rng,
        )
        self.said = 0

    async def link(self) -> None:
        await self.agent.started.wait()
        await self.agent.link(
            [ChatAddress(account="a", chat=CHAT), ChatAddress(account="b", chat=CHAT)]
        )

    @property
    def arrived(self) -> int:
        return self.target.tally(CHAT).received

    def say(self) -> None:
        self.said += 1
        self.source.says(CHAT, "ada", f"Message number {self.said}")

    async def until_arrived(self) -> None:
        while self.arrived < self.said:
            await asyncio.sleep(0.0005)

    async def throughput(self, messages: int) -> float:
        begun = time.perf_counter()
        for start in range(0, messages, BURST):
            for _ in range(min(BURST, messages - start)):
                self.say()
            # At most two bursts on the way: a source that waits, as servers do.
            while self.said - self.arrived > BURST:
                await asyncio.sleep(0.0005)
        await self.until_arrived()
        return messages / (time.perf_counter() - begun)

    async def latency(self) -> list[float]:
        times = []
        for _ in range(LATENCY_SAMPLES):
            begun = time.perf_counter()
            self.say()
            while self.arrived < self.said:
                await asyncio.sleep(0)
            times.append((time.perf_counter() - begun) * 1000)
        return times

    async def file(self) -> tuple[float, float]:
        """Return the peak growth in MB, as the kernel saw it, and the seconds."""
        before = rss_mb()
        forget_peak()
        begun = time.perf_counter()
        self.source.sends_file(CHAT, "ada", b"", filename="large.bin")
        while StreamingConnector.swallowed < FILE_OCTETS:
            await asyncio.sleep(0.01)
        return peak_mb() - before, time.perf_counter() - begun


async def main(messages: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(dir=".") as name:
        bench = Bench(Path(name))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bench.agent.run())
            await bench.link()
            report("warming up ...")
            await bench.throughput(5_000)
            before = rss_mb()
            report(f"{messages} messages ...")
            rate = await bench.throughput(messages)
            growth = rss_mb() - before
            report("latency ...")
            times = await bench.latency()
            lost = bench.said - bench.arrived
            report("a file of 100 MB ...")
            file_growth, file_s = await bench.file()
            running.cancel()
        bench.storage.close()
    quantiles = statistics.quantiles(times, n=20)
    print(
        json.dumps(
            {
                "messages": messages,
                "msgs_per_s": round(rate),
                "rss_growth_mb": round(growth, 1),
                "file_rss_growth_mb": round(file_growth, 1),
                "file_s": round(file_s, 2),
                "latency_p50_ms": round(statistics.median(times), 2),
                "latency_p95_ms": round(quantiles[18], 2),
                "lost": lost,
                "skipped": bench.target.tally(CHAT).skipped,
                "disordered": bench.target.tally(CHAT).disordered,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
