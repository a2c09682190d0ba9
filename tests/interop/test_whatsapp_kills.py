"""Sabir dies between a business number and a room, and neither notices."""

from pathlib import Path

import pytest

from sabir.testing.pytest_plugin import need
from sabir.testing.whatsapp_kills import (
    PERSON,
    SECRETS,
    WhatsAppKillRun,
    WhatsAppLab,
)

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

MESSAGES = 40


async def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    need("prosody")
    async with WhatsAppLab(tmp_path) as lab:
        run = WhatsAppKillRun(lab, seed=5, kills=4, messages=MESSAGES)
        report = await run.run()
        log = (lab.sabir.folder / "sabir.log").read_text(errors="replace")
        assert lab.api.violations == []
    print(report.figures())
    for findings in (report.from_room, report.to_room):
        assert findings.sent == MESSAGES
        assert findings.is_clean
        assert findings.arrived + len(findings.ambiguous) == MESSAGES
    assert "connection" in log
    assert "kill5" not in log, "a text in the log"
    assert PERSON not in log, "a phone number in the log"
    for secret in SECRETS.values():
        assert secret not in log, "a secret in the log"
