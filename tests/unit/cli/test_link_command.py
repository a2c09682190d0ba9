"""`sabir link`."""

from pathlib import Path

import pytest

from sabir.cli.link_command import chat_address
from sabir.errors import ConfigInvalid
from tests.unit.cli.shell import Shell, lab


def test_only_the_first_colon_separates() -> None:
    assert chat_address("matrix:!a:b.org") == {"account": "matrix", "chat": "!a:b.org"}


@pytest.mark.parametrize("wrong", ["", "matrix", ":chat", "matrix:"])
def test_what_is_no_address_is_shown_how_to_write_it(wrong: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"ACCOUNT:CHAT, e\.g\."):
        chat_address(wrong)


async def test_two_chats_become_one_room(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        for server in (running.bridge.a, running.bridge.b):
            server.chat("second", name="Cake")
        shown = await running.sabir.asks("link", "a:second", "b:second")
        running.bridge.a.says("second", "ada", "hello")
        await running.bridge.until(lambda: running.bridge.b.sent("second"))
    assert shown.code == 0
    assert "portal 3  a:second" in shown.out
    assert "Readable by:" in shown.out


async def test_a_third_chat_joins_a_room_and_json_is_json(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        running.bridge.a.chat("second", name="Cake")
        room = running.bridge.portals[0].room
        made = await running.sabir.asks("link", "a:second", "--room", room, "--json")
    assert made.json["room"] == room
    assert [portal["chat"] for portal in made.json["portals"]] == ["second"]


async def test_a_chat_we_may_not_enter_links_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        running.bridge.b.chat("second", name="Cake")
        refused = await running.sabir.asks("link", "a:missing", "b:second")
        unknown = await running.sabir.asks("link", "z:x", "b:second")
        portals = (await running.sabir.asks("status", "--json")).json["portals"]
    assert refused.code == 4
    assert "missing" in refused.err
    assert unknown.code == 4
    assert "there are: a, b" in unknown.err
    assert len(portals) == 2


def test_without_a_running_agent_it_says_how_to_start_it(tmp_path: Path) -> None:
    result = Shell(tmp_path)("link", "a:x", "b:y")
    assert result.code == 3
    assert "sabir up" in result.err
