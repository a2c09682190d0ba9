"""Sabir dies again and again, servers restart, and people notice nothing."""

from pathlib import Path

import pytest

from sabir.testing.kills import KillRun, Plan
from sabir.testing.lab import Lab
from sabir.testing.pytest_plugin import need
from sabir.testing.rooms_lab import RoomsLab

pytestmark = pytest.mark.interop

SEED = 20
"""A failing run is repeated with its seed; the machine's own timing differs."""


async def test_kills_and_restarts_lose_double_and_move_nothing(tmp_path: Path) -> None:
    need("synapse")
    need("prosody")
    plan = Plan(seed=SEED, kills=4, restarts=1, messages=120)
    async with Lab(tmp_path) as lab:
        report = await KillRun(lab, plan).run()
    print(report.figures())
    assert report.kills == 4
    assert report.restarts == {"synapse": 1, "prosody": 1}
    for findings in (report.to_xmpp, report.to_matrix):
        assert findings.sent == 120
        assert findings.is_clean
        assert findings.displaced == 0
        assert findings.arrived + len(findings.ambiguous) == 120


@pytest.mark.timeout(400)
async def test_kills_of_agents_and_providers_lose_double_and_move_nothing(
    tmp_path: Path,
) -> None:
    need("synapse")
    need("prosody")
    plan = Plan(seed=SEED, kills=4, restarts=0, messages=60)
    async with RoomsLab(tmp_path) as lab:
        report = await KillRun(lab, plan).run()
    print(report.figures())
    assert len(report.killed) == 4  # each agent and each provider
    for findings in (report.to_xmpp, report.to_matrix):
        assert findings.sent == 60
        assert findings.is_clean
        assert findings.displaced == 0
        assert findings.arrived + len(findings.ambiguous) == 60
