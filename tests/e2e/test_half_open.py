"""Thousands of connections that never say who they are keep nobody out."""

import asyncio
import socket
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sabir.testing.hub_load import LOADER, Line, Ring
from sabir.testing.servers.ports import LOOPBACK

MESSAGES = 40
BATCH = 250
"""Connections opened before the loop may do something else: fewer than the backlog."""
WORDS = (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n")
"""How they begin: not at all, with a piece of a handshake, without TLS."""


@asynccontextmanager
async def half_open(port: int, count: int) -> AsyncIterator[list[socket.socket]]:
    """Open connections from many addresses of this machine, and say next to nothing."""
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    try:
        for number in range(count):
            found = socket.socket()
            found.setblocking(False)
            opened.append(found)
            found.bind((f"127.0.{1 + number // 200 % 200}.{1 + number % 200}", 0))
            await loop.sock_connect(found, (LOOPBACK, port))
            if words := WORDS[number % len(WORDS)]:
                found.send(words)
            if number % BATCH == 0:
                await asyncio.sleep(0.01)
        yield opened
    finally:
        for each in opened:
            each.close()


async def flooded(folder: Path, count: int) -> None:
    async with Ring(folder, 4) as ring:
        rooms = await ring.rooms([LOADER])
        await ring.start()
        requests = [room.seal(MESSAGES) for room in rooms]
        before_mb = ring.resident_mb()
        times: list[float] = []

        async def talk(line: Line, work: list[bytes]) -> None:
            for request in work:
                begun_s = time.perf_counter()
                await line.submit(request)
                times.append(time.perf_counter() - begun_s)
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            for line, work in zip(list(ring.lines), requests, strict=True):
                group.create_task(talk(line, work))
            async with half_open(ring.port, count) as opened:
                assert len(opened) == count
                async with asyncio.timeout(20):
                    late = await ring.connect()  # amid all of them
                await late.submit(rooms[0].seal(1)[0])
                grown_mb = ring.resident_mb() - before_mb
        assert len(times) == 4 * MESSAGES
        print(f"{count}: p50 {statistics.median(times):.4f} s, max {max(times):.3f} s")
        print(f"memory +{grown_mb:.1f} MB")
        assert max(times) < 10
        assert grown_mb < 150


@pytest.mark.timeout(400)
async def test_a_thousand_half_open_connections_keep_nobody_out(tmp_path: Path) -> None:
    await flooded(tmp_path, 1_000)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_ten_thousand_half_open_connections_keep_nobody_out(
    tmp_path: Path,
) -> None:
    await flooded(tmp_path, 10_000)
