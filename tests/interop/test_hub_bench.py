"""The bench of the hub runs, and counts what it says it counts."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from sabir.testing.pytest_plugin import need

BENCH = Path(__file__).parents[2] / "bench" / "hub.py"
FIGURES = {
    "hub_per_s",
    "synapse_per_s",
    "prosody_per_s",
    "fanout_100_ratio",
    "p99_ms_half_load",
    "rss_growth_mb",
}


@pytest.mark.timeout(400)
async def test_the_bench_measures_all_that_it_promises() -> None:
    need("synapse")
    need("prosody")
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCH), "--short", stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await running.communicate()
    assert running.returncode in {0, 1}, "1: a busy machine misses a gate"
    figures = json.loads(printed.decode().splitlines()[-1])
    assert figures.keys() >= FIGURES
    assert all(figures[name] > 0 for name in FIGURES - {"rss_growth_mb"})
