"""Providers and agents die in a bad network: all have everything once, in one order."""

from pathlib import Path

import pytest

from sabir.testing.town.kills import TownKills, TownPlan

SEED = 20261126


@pytest.mark.timeout(400)
async def test_kills_at_three_providers_lose_double_and_move_nothing(
    tmp_path: Path,
) -> None:
    plan = TownPlan(seed=SEED, kills=7, messages=160)
    report = await TownKills(tmp_path, plan).run()
    print(report.figures())
    assert sum(report.killed.values()) == plan.kills
    assert all(each.arrived == plan.messages for each in report.everybody.values())
    assert report.is_clean
