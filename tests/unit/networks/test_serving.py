import asyncio
import gc
import socket
import warnings

import aiohttp
import pytest
from aiohttp import web

from sabir.errors import ConfigInvalid
from sabir.networks.serving import HttpDoor, listening
from sabir.testing.servers.ports import LOOPBACK


def application() -> web.Application:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/{path:.*}", slow)
    return app


async def open_for(turns: int) -> list[str]:
    """Be called five times, so many turns of the loop before the end."""
    door = HttpDoor(application(), shutdown_s=0.05)
    port = await door.start(LOOPBACK, 0)
    callers = [socket.create_connection((LOOPBACK, port)) for _ in range(5)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(turns):
            await asyncio.sleep(0)
        await door.stop()
        await asyncio.sleep(0.01)
        gc.collect()
    for caller in callers:
        caller.close()
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_of_the_last_moment_is_closed(turns: int) -> None:
    assert await open_for(turns) == []


async def cancelled_after(turns: int, port: int) -> bool:
    """Open a door, cancel that so many turns later; return whether it was in time."""

    async def opened() -> None:
        async with listening(
            application(), LOOPBACK, port, shutdown_s=0.05, also_in="x"
        ):
            await asyncio.Event().wait()

    task = asyncio.create_task(opened())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("turns", range(12))
async def test_a_door_that_is_cancelled_while_it_opens_is_closed(turns: int) -> None:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        port = found.getsockname()[1]
    assert await cancelled_after(turns, port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


async def test_what_is_under_way_is_finished() -> None:
    async with aiohttp.ClientSession() as session:
        app = application()
        async with listening(app, LOOPBACK, 0, shutdown_s=1, also_in="x") as port:
            url = f"http://{LOOPBACK}:{port}/hello"
            call = asyncio.create_task(session.get(url))
            await asyncio.sleep(0.02)
        async with await call as answer:
            assert await answer.text() == "/hello"


async def test_a_taken_port_is_named_with_the_other_place_to_change() -> None:
    app = application()
    async with listening(app, LOOPBACK, 0, shutdown_s=0, also_in="x") as port:
        with pytest.raises(ConfigInvalid, match=r"another program.*in webhook_url"):
            async with listening(
                application(), LOOPBACK, port, shutdown_s=0, also_in="webhook_url"
            ):
                pass


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match=r"listen_host = '192\.0\.2\.1'"):
        async with listening(
            application(), "192.0.2.1", 0, shutdown_s=0, also_in="webhook_url"
        ):
            pass


async def test_a_door_that_never_opened_closes() -> None:
    await HttpDoor(application(), shutdown_s=0).stop()
