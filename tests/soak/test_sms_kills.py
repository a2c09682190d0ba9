"""20 SIGKILLs of Sabir between an SMSC and a room, amid 400 messages each way."""

import os
from pathlib import Path

import pytest

from sabir.testing.pytest_plugin import need
from sabir.testing.sms_kills import SmsKillRun, SmsLab

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

MESSAGES = 400


async def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    need("prosody")
    need("smpp")
    seed = int(os.environ.get("SABIR_SEED") or int.from_bytes(os.urandom(2), "big"))
    print(f"SABIR_SEED={seed}")
    async with SmsLab(tmp_path) as lab:
        run = SmsKillRun(lab, seed=seed, kills=20, messages=MESSAGES)
        report = await run.run()
    print(report.figures())
    for findings in (report.from_room, report.to_room):
        assert findings.sent == MESSAGES
        assert findings.is_clean
        assert findings.arrived + len(findings.ambiguous) == MESSAGES
