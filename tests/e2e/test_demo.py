"""`make demo CHECK=1`, as people run it; and the same over one Sabir."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from sabir.testing.demo import report, words_to_xmpp
from sabir.testing.demo.stage import Stage
from sabir.testing.demo.step import play
from sabir.testing.lab import Lab
from sabir.testing.pytest_plugin import need

pytestmark = pytest.mark.interop

EVENTS_MIN = 30
RUN_TIMEOUT_S = 110
VERDICT = re.compile(r"(\d+) of (\d+) events right, \d+ checks over all: all right")


async def shown(*options: str) -> str:
    """Run the demo; return what it printed once all was right."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sabir.testing.demo",
        "--check",
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            octets, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    printed = octets.decode()
    assert process.returncode == 0, printed
    verdict = VERDICT.search(printed)
    assert verdict is not None, printed
    right, events = int(verdict[1]), int(verdict[2])
    assert right == events >= EVENTS_MIN
    assert "As Matrix saw it" in printed
    assert "As XMPP saw it" in printed
    # each kind of event in both directions, with its latency and its losses
    for name in ("reply", "edit", "deletion", "reaction removed", "20 MB file"):
        rows = re.findall(rf"(M→X|X→M)  {name} +\d+ ms +\d+ ms  \S", printed)
        assert rows == ["M→X", "X→M"], name
    return printed


@pytest.mark.timeout(400)
async def test_a_conversation_over_two_providers_with_somebody_on_neither_network() -> (
    None
):
    need("synapse")
    need("prosody")
    printed = await shown()
    assert "Cannot read: the two providers" in printed
    for way in ("A→*", "*→A"):
        for name in ("text", "reply", "reaction", "1 MB image"):
            assert re.search(rf"{re.escape(way)}  {name}.* +\d+ ms", printed), (
                way,
                name,
            )


@pytest.mark.timeout(400)
async def test_the_same_conversation_over_one_sabir_with_typing_and_receipts() -> None:
    need("synapse")
    need("prosody")
    printed = await shown("--direct")
    assert "Can read: both servers, Sabir" in printed
    for name in ("typing", "receipt"):
        rows = re.findall(rf"(M→X|X→M)  {name} +\d+ ms +", printed)
        assert set(rows) == {"M→X", "X→M"}, name


async def test_the_check_notices_what_does_not_come_or_comes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("synapse")
    need("prosody")
    async with Lab(tmp_path) as lab:
        stage = Stage(lab)
        await stage.set()
        lab.sabir.stop()  # from here on nothing crosses, except by the hand of Zoe
        monkeypatch.setattr("sabir.testing.demo.stage.SIGHT_TIMEOUT_S", 1.0)
        missing = await play(stage, 1, words_to_xmpp.FIRST)
        assert "did not come" in missing.complaint
        await stage.zoe.join(lab.xmpp_room, "Alice")
        async with asyncio.TaskGroup() as tasks:
            played = tasks.create_task(play(stage, 2, words_to_xmpp.FIRST))
            await asyncio.sleep(0.1)
            await stage.zoe.say(lab.xmpp_room, "Good mourning!")
        assert "'Good mourning!'" in played.result().complaint
        assert "'Good morning!'" in played.result().complaint
        pointless = await play(stage, 3, words_to_xmpp.EDIT)
        assert "has not arrived" in pointless.complaint
        steps = [missing, played.result(), pointless]
        assert report.summary(steps, [])[-1].endswith("3 WRONG")
