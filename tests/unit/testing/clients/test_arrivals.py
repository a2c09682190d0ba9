"""Waiting for what arrives."""

import asyncio

import pytest

from sabir.errors import Unavailable
from sabir.testing.clients.arrivals import Arrivals


async def test_what_is_there_already_is_returned() -> None:
    arrivals: Arrivals[int] = Arrivals("anna")
    for number in range(5):
        arrivals.add(number)
    assert await arrivals.wait_for(lambda number: number > 2) == 3
    assert await arrivals.wait_for(lambda number: number > 2, mark=4) == 4
    assert arrivals.since(3) == [3, 4]


async def test_what_comes_later_is_waited_for() -> None:
    arrivals: Arrivals[int] = Arrivals("anna")
    asyncio.get_running_loop().call_later(0.01, arrivals.add, 7)
    assert await arrivals.wait_for(lambda number: number == 7) == 7


async def test_a_wait_that_ends_in_vain_shows_what_did_arrive() -> None:
    arrivals: Arrivals[str] = Arrivals("anna")
    arrivals.add("something else")
    with pytest.raises(TimeoutError, match=r"anna: .*\n'something else'"):
        await arrivals.wait_for(lambda text: text == "hello", timeout_s=0.01)


async def test_a_count_is_waited_for() -> None:
    arrivals: Arrivals[int] = Arrivals("anna")
    arrivals.add(2)
    loop = asyncio.get_running_loop()
    for number in (3, 4, 6):
        loop.call_later(0.01, arrivals.add, number)
    even = await arrivals.wait_for_count(lambda number: number % 2 == 0, 3, 1.0)
    assert even == [2, 4, 6]
    with pytest.raises(TimeoutError, match="1 of 2 came"):
        await arrivals.wait_for_count(lambda number: number % 2 == 1, 2, 0.01)


async def test_a_wait_ends_when_nothing_more_can_come() -> None:
    arrivals: Arrivals[int] = Arrivals("anna")
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, arrivals.fail, Unavailable("the server is gone"))
    with pytest.raises(Unavailable):
        await arrivals.wait_for(lambda _: True)
    with pytest.raises(Unavailable):
        await arrivals.wait_for(lambda _: True)
