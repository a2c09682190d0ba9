import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.media import fetch
from sabir.networks.signal.verdicts import RpcError
from sabir.testing.servers.ports import LOOPBACK

DATA = bytes(range(256)) * 3_000
BASE64 = base64.b64encode(DATA)
ANSWER = b'{"jsonrpc":"2.0","result":{"data":"' + BASE64 + b'"},"id":1}\n'
NOTICE = json.dumps({"method": "receive", "params": {"x": "y" * 90_000}}).encode()


@asynccontextmanager
async def saying(*parts: bytes) -> AsyncIterator[Endpoint]:
    """Answer a request with these octets, then close."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readline()
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Endpoint(host=LOOPBACK, port=port)


async def fetched(*parts: bytes, octets_max: int = len(DATA)) -> list[bytes]:
    async with saying(*parts) as where:
        pieces = fetch(where, "getAttachment", {"id": "x"}, octets_max=octets_max)
        return [piece async for piece in pieces]


@pytest.mark.parametrize("cut", [1, 30, 35, 36, 37, 40_000, len(ANSWER) - 5])
async def test_a_large_file_comes_in_small_pieces_wherever_it_is_cut(cut: int) -> None:
    pieces = await fetched(ANSWER[:cut], ANSWER[cut:])
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= 65_536


async def test_messages_that_come_in_between_are_passed_over() -> None:
    pieces = await fetched(b'{"method":"receive"}\n' + NOTICE + b"\n", ANSWER)
    assert b"".join(pieces) == DATA


async def test_a_file_beyond_the_limit_stops_there() -> None:
    with pytest.raises(PolicyRefused, match="larger than 1000"):
        await fetched(ANSWER, octets_max=1_000)


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER[:5_000],
        ANSWER[:200_000],
        b"",
        b'{"id":1,"result":{}}\n',
        b'{"id":1,"result":{"data":"*"}}\n',
        b"no json\n",
    ],
)
async def test_half_a_file_is_no_file(answer: bytes) -> None:
    with pytest.raises(Unavailable):
        await fetched(answer)


async def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(RpcError):
        await fetched(b'{"id":1,"error":{"code":-1,"message":"no","data":null}}\n')
