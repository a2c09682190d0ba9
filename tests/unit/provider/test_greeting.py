import asyncio
import socket
from collections.abc import Iterator

import pytest

from sabir.provider.greeting import greets_in_tls

HELLO = b"\x16\x03\x01\x00\x08" + b"12345678"
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    client, server = socket.socketpair()
    server.setblocking(False)
    yield client, server
    client.close()
    server.close()


async def test_a_whole_hello_is_seen_and_left(pair: Pair) -> None:
    client, server = pair
    client.send(HELLO + b"more")
    assert await greets_in_tls(server)
    assert server.recv(100) == HELLO + b"more"


@pytest.mark.parametrize("cut", [1, 4, 5, 12])
async def test_a_hello_in_pieces_is_waited_for(pair: Pair, cut: int) -> None:
    client, server = pair
    client.send(HELLO[:cut])
    greeting = asyncio.create_task(greets_in_tls(server))
    await asyncio.sleep(0.05)
    assert not greeting.done()
    client.send(HELLO[cut:])
    assert await greeting


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n", b"\x15\x03\x01\x00\x02"])
async def test_other_words_are_no_greeting(pair: Pair, words: bytes) -> None:
    client, server = pair
    client.send(words)
    assert not await greets_in_tls(server)


async def test_who_hangs_up_does_not_greet(pair: Pair) -> None:
    client, server = pair
    client.shutdown(socket.SHUT_WR)
    assert not await greets_in_tls(server)


async def test_who_is_silent_is_waited_for_and_can_be_given_up(pair: Pair) -> None:
    _, server = pair
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await greets_in_tls(server)
    assert asyncio.get_running_loop().remove_reader(server) is False
