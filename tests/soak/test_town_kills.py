"""50 SIGKILLs of providers and agents amid 5,000 messages, badly connected."""

import os
from pathlib import Path

import pytest

from sabir.testing.town.kills import TownKills, TownPlan

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2_400)]


async def test_fifty_kills_at_three_providers(tmp_path: Path) -> None:
    seed = int(os.environ.get("SABIR_SEED") or int.from_bytes(os.urandom(2), "big"))
    print(f"SABIR_SEED={seed}")
    plan = TownPlan(seed=seed, kills=50, messages=5_000)
    report = await TownKills(tmp_path, plan).run()
    print(report.figures())
    assert sum(report.killed.values()) == 50
    assert all(each.arrived == 5_000 for each in report.everybody.values())
    assert report.is_clean
