"""50 SIGKILLs of Sabir and 3 restarts of each server amid 2,000 messages each way.

Once of one Sabir, and once of two agents and two providers in turn.
"""

import os
from pathlib import Path

import pytest

from sabir.testing.kills import KillRun, Plan
from sabir.testing.lab import Lab
from sabir.testing.pytest_plugin import need
from sabir.testing.rooms_lab import RoomsLab

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

MESSAGES = 2_000


@pytest.mark.parametrize("make", [Lab, RoomsLab])
async def test_fifty_kills_lose_double_and_move_nothing(
    tmp_path: Path, make: type[Lab]
) -> None:
    need("synapse")
    need("prosody")
    seed = int(os.environ.get("SABIR_SEED") or int.from_bytes(os.urandom(2), "big"))
    print(f"SABIR_SEED={seed}")
    plan = Plan(seed=seed, kills=50, restarts=3, messages=MESSAGES)
    async with make(tmp_path) as lab:
        report = await KillRun(lab, plan).run()
    print(report.figures())
    assert report.kills == 50
    assert report.restarts == {"synapse": 3, "prosody": 3}
    for findings in (report.to_xmpp, report.to_matrix):
        assert findings.sent == MESSAGES
        assert findings.is_clean
        assert findings.displaced == 0
        assert findings.arrived + len(findings.ambiguous) == MESSAGES
