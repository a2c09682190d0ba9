"""`sabir log`: whence, whither, how long, what was lost; never the text."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from sabir.cli import log_command
from sabir.cli.log_command import Place, Shown, to_text
from sabir.clock import Instant
from sabir.storage.records import LogLine, PortalId, PortalRecord, PortalState, RoomId
from sabir.testing.memory_network import (
    POOR,
    Echo,
    Rejected,
    Rules,
    SendFault,
)
from tests.unit.agent.bridge import CHAT, bridged
from tests.unit.cli.shell import Shell, first_line, lab

TEXT = "the words of a message"


async def test_each_message_is_a_line_without_its_text(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        for number in range(3):
            running.bridge.a.says(CHAT, "ada", f"{TEXT} {number}")
        await running.bridge.until_sent("b", 3)
        await running.bridge.at_rest()
        shown = await running.sabir.asks("log", "-n", "2")
        objects = await running.sabir.asks("log", "--json")
        other = await running.sabir.asks("log", "--room", "mimi://other")
    assert [line.split()[2] for line in shown.out.splitlines()] == ["#2", "#3"]
    assert f"a:{CHAT} -> b:{CHAT}  sent" in shown.out
    lines = [json.loads(line) for line in objects.out.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert all(line["ms"] >= 0 and line["state"] == "sent" for line in lines)
    assert {line["to"] for line in lines} == {f"b:{CHAT}"}
    assert TEXT not in shown.out + objects.out
    assert (other.code, other.out) == (0, "")


async def test_losses_are_said_in_words(tmp_path: Path) -> None:
    async with lab(tmp_path, capabilities={"b": POOR}) as running:
        first = running.bridge.a.says(CHAT, "ada", "x")
        running.bridge.a.reacts(CHAT, "ada", first, "👍")
        await running.bridge.until_sent("b", 2)
        await running.bridge.at_rest()
        shown = await running.sabir.asks("log")
        objects = await running.sabir.asks("log", "--json")
    losses = [json.loads(line)["loss"] for line in objects.out.splitlines()]
    assert losses[-1]
    assert losses[-1][0] in shown.out


async def test_trouble_is_what_was_ambiguous_or_refused_and_nothing_else(
    tmp_path: Path,
) -> None:
    rules = {"b": Rules(idempotent=False, searchable=False, echo=Echo.NONE)}
    async with lab(tmp_path, rules=rules, window=1) as running:
        bridge = running.bridge
        bridge.b.fail_next_sends(SendFault.DIES_AFTER)
        bridge.a.says(CHAT, "ada", f"{TEXT} one")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        bridge.b.fail_next_sends(Rejected("not here"))
        bridge.a.says(CHAT, "ada", f"{TEXT} two")
        bridge.a.says(CHAT, "ada", f"{TEXT} three")
        await bridge.until_sent("b", 2)
        await bridge.at_rest()
        shown = await running.sabir.asks("log", "--trouble", "--json")
        text = await running.sabir.asks("log", "--trouble")
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert [(line["seq"], line["state"]) for line in lines] == [
        (1, "ambiguous"),
        (2, "refused"),
    ]
    assert "neither a search nor idempotency" in text.out
    assert "not here" in text.out
    assert TEXT not in text.out


async def test_follow_shows_new_lines_as_they_come_each_state_once(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        bridge = running.bridge
        bridge.a.says(CHAT, "ada", "one")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        process = running.sabir.spawn("log", "-f", "--json", stdout=subprocess.PIPE)
        try:
            seen = [json.loads(await asyncio.to_thread(first_line, process))]
            bridge.a.says(CHAT, "ada", "two")
            await bridge.until_sent("b", 2)
            await bridge.at_rest()
            while seen[-1]["seq"] < 2 or seen[-1]["state"] != "sent":
                line = await asyncio.to_thread(first_line, process)
                seen.append(json.loads(line))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.6)  # three looks: nothing is shown again
            process.kill()
            rest, _ = process.communicate()
        finally:
            process.kill()
            process.wait()
    assert seen[0]["seq"] == 1
    assert [line["seq"] for line in seen].count(1) == 1
    assert rest == ""


async def test_a_followed_log_goes_on_when_the_clock_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lab(tmp_path) as running:
        bridge = running.bridge
        bridge.clock.offset = 86_400_000  # as if these came before the jump
        bridge.a.says(CHAT, "ada", "one")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        process = running.sabir.spawn("log", "-f", "--json", stdout=subprocess.PIPE)
        try:
            await asyncio.to_thread(first_line, process)
            await asyncio.sleep(0.5)
            bridge.clock.offset = 0
            bridge.a.says(CHAT, "ada", "two")
            await bridge.until_sent("b", 2)
            line = json.loads(await asyncio.to_thread(first_line, process))
        finally:
            process.kill()
            process.communicate()
    assert line["seq"] == 2


async def test_what_a_followed_log_remembers_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_command, "SEEN_MAX", 2)
    shown = Shown(room=None, trouble=False, as_json=False)
    seen: dict[Place, LogLine] = {}
    async with bridged(tmp_path) as bridge:
        for number in range(5):
            bridge.a.says(CHAT, "ada", f"m{number}")
        await bridge.until_sent("b", 5)
        await bridge.at_rest()
        lines = await bridge.storage.log(count_max=9)
        await shown._print(bridge.storage, lines, seen)
    assert [place[1] for place in seen] == [4, 5]


def test_foreign_ids_and_reasons_cannot_make_lines_of_their_own() -> None:
    record = PortalRecord(
        id=PortalId(1),
        room=RoomId("r"),
        account="a",
        chat="c\n2026 forged",
        name="",
        cursor=0,
        state=PortalState.ACTIVE,
        detail="",
    )
    line = LogLine(
        room=RoomId("r"),
        seq=1,
        kind="said",
        author="u",
        author_name="n",
        origin=PortalId(1),
        portal=None,
        state="accepted",
        detail="",
        loss=None,
        parts=0,
        received_at=Instant(0),
        accepted_at=Instant(0),
        settled_at=None,
    )
    text = to_text(line, {PortalId(1): record})
    assert "\n" not in text
    assert text.startswith("1970-01-01 00:00:00.000 #1")
    assert "-> -  accepted" in text


def test_without_a_database_it_says_how_to_make_one(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    sabir.config.write_text('[agent]\nowner = "a"\ndata_dir = "missing"\n')
    result = sabir("log")
    assert result.code == 2
    assert "sabir init" in result.err
