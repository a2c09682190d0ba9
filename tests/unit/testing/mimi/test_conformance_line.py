"""HTTP of providers that are not ours, as a visit reads it."""

import asyncio

import pytest

from sabir.testing.mimi.conformance.line import Reply, host_and_path, read_reply

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def read(octets: bytes) -> Reply:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    return await read_reply(reader)


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", b"abc"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (
            CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            b"abc0123456789",
        ),
    ],
)
async def test_bodies_end_in_several_ways(octets: bytes, body: bytes) -> None:
    assert (await read(octets)).body == body


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
async def test_what_is_no_answer(octets: bytes) -> None:
    with pytest.raises((OSError, EOFError)):
        await read(octets)


async def test_a_problem_is_shown_by_its_code() -> None:
    for body, shown in (
        (b'{"code": "not-found"}', "404 not-found"),
        (b"[]", "404"),
        (b"no JSON", "404"),
    ):
        head = f"HTTP/1.1 404 No\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert str(await read(head + body)) == shown


def test_urls_are_cut_as_they_stand() -> None:
    assert host_and_path("https://a.example/v1/%2F?x=/y") == (
        "a.example",
        443,
        "/v1/%2F?x=/y",
    )
    assert host_and_path("https://a.example:8443") == ("a.example", 8443, "/")
