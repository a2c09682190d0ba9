"""The owner's door."""

import stat
from pathlib import Path

import aiohttp
import pytest

from sabir.agent.control import ControlServer
from sabir.errors import ConfigInvalid
from tests.unit.agent.bridge import CHAT, Bridge, bridged


async def _ask(
    path: Path, method: str, url: str, body: object = None
) -> tuple[int, object]:
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"http://sabir{url}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_status_link_and_unlink_through_the_door(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        door = tmp_path / "control.sock"
        server = ControlServer(bridge.agent, door)
        await server.start()
        assert stat.S_IMODE(door.stat().st_mode) == 0o600
        status, view = await _ask(door, "GET", "/status")
        assert status == 200
        assert [p["chat"] for p in view["portals"]] == [CHAT, CHAT]  # type: ignore[index]
        status, closed = await _ask(
            door, "POST", "/unlink", {"portal": bridge.portals[1].id}
        )
        assert (status, closed["chat"]) == (200, CHAT)  # type: ignore[index]
        chats = [{"account": "b", "chat": CHAT}]
        status, made = await _ask(
            door, "POST", "/link", {"chats": chats, "room": bridge.portals[0].room}
        )
        assert (status, made["room"]) == (200, bridge.portals[0].room)  # type: ignore[index]
        status, listed = await _ask(door, "GET", "/chats/a")
        assert [c["chat"] for c in listed] == [CHAT]  # type: ignore[attr-defined]
        await server.stop()
        assert not door.exists()


async def test_refusals_carry_code_text_and_exit(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        door = tmp_path / "control.sock"
        server = ControlServer(bridge.agent, door)
        await server.start()
        status, refusal = await _ask(door, "POST", "/unlink", {"portal": 99})
        assert status == 422
        assert refusal["code"] == "policy_refused"  # type: ignore[index]
        assert refusal["exit"] == 4  # type: ignore[index]
        bodies: tuple[object, ...] = (
            [],
            None,
            {"chats": [{}]},
            {"chats": 5},
            {"portal": "x"},
        )
        for body in bodies:
            path = "/unlink" if body == {"portal": "x"} else "/link"
            status, refusal = await _ask(door, "POST", path, body)
            assert status == 422, body
        await server.stop()


async def test_a_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    server = ControlServer(bridge.agent, tmp_path / "missing" / "control.sock")
    with pytest.raises(ConfigInvalid, match="control_socket"):
        await server.start()
    await server.stop()
    bridge.storage.close()
