"""`sabir doctor`: every trouble has a line that says what to do."""

import asyncio
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sabir.agent.agent import ChatAddress
from sabir.cli import doctor_command
from sabir.networks.registry import broken_plugins
from sabir.storage.records import PortalState
from sabir.testing.memory_network import Rejected
from tests.unit.agent.bridge import CHAT
from tests.unit.cli.shell import CANARY, Result, Shell, call, lab, matrix_account


def _troubles(result: Result) -> str:
    lines = result.out.splitlines()
    return "\n".join(
        f"{line} {lines[number + 1]}"
        for number, line in enumerate(lines)
        if line.startswith("TROUBLE")
    )


def test_a_sound_installation_has_no_trouble(tmp_path: Path) -> None:
    sabir = Shell(tmp_path, matrix_account(tmp_path))
    sabir("init")
    result = sabir("doctor")
    assert result.code == 0, result.out
    assert _troubles(result) == ""
    assert "not running" in result.out
    assert CANARY not in result.out


def test_a_wrong_configuration_is_the_first_thing_to_mend(tmp_path: Path) -> None:
    result = call("--config", str(tmp_path / "sabir.toml"), "doctor")
    assert result.code == 1
    assert "sabir init" in _troubles(result)


def test_a_missing_data_directory_key_and_database_are_named(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    sabir.config.write_text('[agent]\nowner = "a"\ndata_dir = "missing"\n')
    result = sabir("doctor")
    assert result.code == 1
    for name in ("key", "data directory", "database"):
        assert f"TROUBLE  {name}" in result.out


def test_a_secret_that_is_not_there_names_its_file(tmp_path: Path) -> None:
    sabir = Shell(tmp_path, matrix_account(tmp_path))
    sabir("init")
    (tmp_path / "token").unlink()
    result = sabir("doctor")
    assert result.code == 1
    assert "accounts and their secrets" in _troubles(result)
    assert "token cannot be read" in _troubles(result)


def test_a_full_disk_is_seen_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabir = Shell(tmp_path)
    sabir("init")
    free = shutil.disk_usage(tmp_path)._replace(free=5 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    result = sabir("doctor")
    assert result.code == 1
    assert "5 MiB free" in result.out
    assert "free some space" in _troubles(result)


def test_a_damaged_database_says_how_to_recover(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    sabir("init")
    file = tmp_path / "sabir.db"
    octets = bytearray(file.read_bytes())
    octets[8192:] = b"\xff" * (len(octets) - 8192)
    file.write_bytes(octets)
    result = sabir("doctor")
    assert result.code == 1
    assert "TROUBLE  database" in _troubles(result)
    assert ".recover" in _troubles(result)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    sabir("init")
    (tmp_path / "sabir.db").write_bytes(b"no database" * 1000)
    result = sabir("doctor")
    assert result.code == 1
    assert "not a Sabir database" in _troubles(result)
    assert (tmp_path / "sabir.db").read_bytes().startswith(b"no database")


def test_a_broken_plug_in_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint(name="odd", value="no.such:module", group="sabir.networks")
    broken = broken_plugins([point])
    monkeypatch.setattr(doctor_command, "broken_plugins", lambda: broken)
    sabir = Shell(tmp_path)
    sabir("init")
    result = sabir("doctor")
    assert result.code == 1
    assert "plug-in odd" in _troubles(result)


async def test_the_running_agents_accounts_and_portals_are_looked_at(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        Shell(tmp_path)("init")
        well = await running.sabir.asks("doctor")
        running.bridge.b.fail_next_sends(Rejected("not here"))
        running.bridge.a.says(CHAT, "ada", "x")
        while not await running.bridge.storage.log(count_max=1, trouble=True):
            await asyncio.sleep(0.01)
        running.bridge.b.credentials_refused = True
        running.bridge.b.drop_sessions()
        account = running.bridge.agent.account("b")
        assert account is not None
        await running.bridge.until(lambda: account.status.state == "bad_credentials")
        ill = await running.sabir.asks("doctor")
    assert well.code == 0, well.out
    assert "agent: running" in well.out
    assert ill.code == 1
    assert "account b: bad_credentials" in _troubles(ill)
    assert "1 refused" in _troubles(ill)
    assert "sabir log --trouble" in _troubles(ill)


async def test_a_stopped_portal_is_trouble_with_its_reason(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        Shell(tmp_path)("init")
        running.bridge.a.chat("second", name="Cake")
        _, [portal] = await running.bridge.agent.link(
            [ChatAddress(account="a", chat="second")],
            room=running.bridge.portals[0].room,
        )
        await running.bridge.storage.set_portal_state(
            portal.id, PortalState.STOPPED, "banned; ask its moderators"
        )
        result = await running.sabir.asks("doctor")
    assert result.code == 1
    assert f"portal {portal.id}: stopped" in _troubles(result)
    assert "ask its moderators" in _troubles(result)
