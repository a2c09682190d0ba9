"""Sabir dies between a phone and a room, and neither notices."""

from pathlib import Path

import pytest

from sabir.testing.pytest_plugin import need
from sabir.testing.sms_kills import OURS, PHONE, SmsKillRun, SmsLab

pytestmark = pytest.mark.interop

MESSAGES = 40


async def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    need("prosody")
    need("smpp")
    async with SmsLab(tmp_path) as lab:
        run = SmsKillRun(lab, seed=8, kills=4, messages=MESSAGES)
        report = await run.run()
        log = (lab.sabir.folder / "sabir.log").read_text(errors="replace")
    print(report.figures())
    for findings in (report.from_room, report.to_room):
        assert findings.sent == MESSAGES
        assert findings.is_clean
        assert findings.arrived + len(findings.ambiguous) == MESSAGES
    assert "connection" in log
    assert "kill8" not in log, "a text in the log"
    assert PHONE not in log, "a phone number in the log"
    assert OURS not in log, "our number in the log"
