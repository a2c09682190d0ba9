"""`sabir status`, with and without a running agent."""

import json
from pathlib import Path
from typing import Any

from sabir.cli.status_command import lines
from tests.unit.agent.bridge import CHAT
from tests.unit.cli.shell import CANARY, Shell, lab, matrix_account


async def test_a_running_agent_tells_of_accounts_links_and_what_waits(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        running.bridge.a.says(CHAT, "ada", "hello")
        await running.bridge.until_sent("b", 1)
        await running.bridge.at_rest()
        shown = await running.sabir.asks("status")
        status = (await running.sabir.asks("status", "--json")).json
    assert shown.code == 0
    assert "Sabir is running" in shown.out
    assert "room Tea  (1 entries)" in shown.out
    assert "1 sent" in shown.out
    assert [each["status"]["state"] for each in status["accounts"]] == ["connected"] * 2
    assert [each["counts"]["sent"] for each in status["portals"]] == [0, 1]
    assert "hello" not in shown.out + json.dumps(status)


async def test_when_it_does_not_run_the_database_tells_the_same_links(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        before = (await running.sabir.asks("status", "--json")).json
    sabir = Shell(tmp_path, matrix_account(tmp_path))
    after = (await sabir.asks("status", "--json")).json
    assert after["pid"] is None
    assert after["portals"] == before["portals"]
    assert after["rooms"] == before["rooms"]
    assert [each["id"] for each in after["accounts"]] == ["work"]
    shown = await sabir.asks("status")
    assert "Sabir is not running" in shown.out
    assert CANARY not in shown.out + json.dumps(after)


def test_a_new_installation_says_what_to_do_next(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    shown = sabir("status")
    assert shown.code == 0
    assert "accounts  none yet" in shown.out
    assert "sabir link" in shown.out


def _status(**portal: Any) -> dict[str, Any]:
    room = {"id": "mimi://x/r/1", "name": "Tea\x1b[2J\nfake line", "last_seq": 3}
    whole = {
        "id": 1,
        "room": "mimi://x/r/1",
        "account": "a",
        "chat": "c\nfake",
        "state": "active",
        "detail": "",
        "counts": None,
    }
    account = {
        "id": "a",
        "network": "x",
        "last_in": 9_000,
        "status": {"state": "bad_credentials", "since": 8_000, "detail": "renew it"},
    }
    return {
        "pid": 1,
        "rooms": [room],
        "portals": [whole | portal],
        "accounts": [account],
    }


def test_a_foreign_name_stays_in_its_line() -> None:
    shown = lines(_status(), now=10_000)
    assert "room Tea\\x1b[2J\\nfake line  (3 entries)" in shown
    assert not any(line.startswith("fake") for line in "\n".join(shown).splitlines())


def test_what_is_wrong_is_shown_with_its_reason() -> None:
    counts = {"ambiguous": 2, "waiting_in": 0}
    text = "\n".join(
        lines(_status(state="stopped", detail="banned", counts=counts), now=10_000)
    )
    assert "STOPPED" in text
    assert "2 ambiguous, banned" in text
    assert "waiting in" not in text
    assert "bad_credentials      for 2 s, last event 1 s ago" in text
    assert "renew it" in text


def test_a_clock_that_was_put_back_gives_no_negative_ages() -> None:
    assert "for 0 s, last event 0 s ago" in "\n".join(lines(_status(), now=1))
