"""A full disk: nothing is acknowledged, and afterwards everything arrives once."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sabir.errors import StorageFailed
from sabir.storage.records import NewEvent
from sabir.testing.memory_network import Echo, Rules
from tests.unit.agent.bridge import CHAT, Bridge, bridged

BEFORE, DURING, AFTER = 5, 20, 5
FILLING = " " + "x" * 2_000
"""So that a few messages need more room than the last page has."""

NETWORKS = [
    pytest.param(Rules(), id="idempotent"),
    pytest.param(
        Rules(idempotent=False, searchable=True, echo=Echo.NONE), id="searchable"
    ),
]


def _words(bridge: Bridge, side: str) -> list[str]:
    return [each["text"].split()[0] for each in bridge.sent(side)]


def _expected(side: str) -> list[str]:
    return [f"{side}{number}" for number in range(BEFORE + DURING + AFTER)]


def _say(bridge: Bridge, start: int, count: int) -> None:
    for number in range(start, start + count):
        bridge.a.says(CHAT, "ada", f"a{number}{FILLING}")
        bridge.b.says(CHAT, "xan", f"b{number}{FILLING}")


async def _until_full(bridge: Bridge) -> str:
    account = bridge.agent.account("a")
    assert account is not None
    await bridge.until(lambda: "full" in account.status.detail)
    return account.status.detail


async def _is_refused(bridge: Bridge) -> None:
    event = NewEvent(
        chat=CHAT, native_id="big", revision="", payload=b"x" * 500_000, late=False
    )
    with pytest.raises(StorageFailed, match=r"full.*free some space"):
        await bridge.storage.take("a", [event], {}, now=bridge.clock.now())


async def _all_there_once_in_order(bridge: Bridge) -> None:
    total = BEFORE + DURING + AFTER
    await bridge.until_sent("b", total)
    await bridge.until_sent("a", total)
    await bridge.at_rest()
    assert _words(bridge, "b") == _expected("a")
    assert _words(bridge, "a") == _expected("b")
    lines = await bridge.storage.log(count_max=1_000)
    assert len(lines) == 2 * total
    assert {line.state for line in lines} == {"sent"}


@pytest.mark.parametrize("rules", NETWORKS)
async def test_while_the_disk_is_full_nothing_is_acknowledged_and_later_all_comes(
    tmp_path: Path, rules: Rules
) -> None:
    async with bridged(tmp_path, rules={"a": rules, "b": rules}) as bridge:
        _say(bridge, 0, BEFORE)
        await bridge.until_sent("b", BEFORE)
        await bridge.until_sent("a", BEFORE)
        await bridge.at_rest()
        await bridge.storage._database.write(_allow_no_more_pages)
        _say(bridge, BEFORE, DURING)
        detail = await _until_full(bridge)
        await _is_refused(bridge)
        acknowledged = bridge.a.acknowledged("bridge")
        assert "free some space" in detail
        assert acknowledged < len(bridge.a.log(CHAT))
        assert len(bridge.sent("b")) <= acknowledged
        await _give_room(bridge)
        _say(bridge, BEFORE + DURING, AFTER)
        await _all_there_once_in_order(bridge)


async def _give_room(bridge: Bridge) -> None:
    for _ in range(100):
        # It fails together with whatever it shares its commit with.
        with suppress(StorageFailed):
            await bridge.storage._database.write(_allow_many_pages)
            return
    raise AssertionError("the limit could not be lifted")


def _allow_no_more_pages(db: sqlite3.Connection) -> None:
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")


def _allow_many_pages(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount 16 MiB (SQLite's own log takes 4); skip the test if that is forbidden."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for octets in (65_536, 4_096):
            with suppress(OSError):
                while True:
                    file.write(b"x" * octets)
        with pytest.raises(OSError, match="No space"):
            file.write(b"x" * 4_096)
    return filler


@pytest.mark.parametrize("rules", NETWORKS)
async def test_a_file_system_that_is_really_full_loses_nothing(
    tmp_path: Path, rules: Rules
) -> None:
    with _small_disk(tmp_path / "disk") as folder:
        async with bridged(folder, rules={"a": rules, "b": rules}) as bridge:
            _say(bridge, 0, BEFORE)
            await bridge.until_sent("b", BEFORE)
            await bridge.until_sent("a", BEFORE)
            await bridge.at_rest()
            filler = _fill(folder)
            _say(bridge, BEFORE, DURING)
            await _until_full(bridge)
            await _is_refused(bridge)
            assert bridge.a.acknowledged("bridge") < len(bridge.a.log(CHAT))
            filler.unlink()
            _say(bridge, BEFORE + DURING, AFTER)
            await _all_there_once_in_order(bridge)
