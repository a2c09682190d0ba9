"""`sabir chats`."""

from pathlib import Path

from tests.unit.agent.bridge import CHAT
from tests.unit.cli.shell import lab


async def test_chats_are_listed_ready_to_be_linked(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        shown = await running.sabir.asks("chats", "a")
        listed = await running.sabir.asks("chats", "a", "--json")
    assert shown.out.startswith(f"a:{CHAT}  ")
    assert "Tea" in shown.out
    assert [chat["chat"] for chat in listed.json] == [CHAT]


async def test_a_name_full_of_escapes_stays_in_its_line(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        running.bridge.a.chat("odd", name="\x1b[2J\nfake:line")
        await running.sabir.asks(
            "link", "a:odd", "--room", running.bridge.portals[0].room
        )
        shown = await running.sabir.asks("chats", "a")
    assert "\x1b" not in shown.out
    assert "\\x1b[2J\\nfake:line" in shown.out
    assert len(shown.out.splitlines()) == 2


async def test_an_unknown_account_is_refused_with_those_there_are(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        result = await running.sabir.asks("chats", "z")
    assert result.code == 4
    assert "there are: a, b" in result.err
