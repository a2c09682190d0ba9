"""Fetching files whose address a stranger has chosen."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.xmpp.media import REDIRECTS_MAX, download


@pytest_asyncio.fixture
async def base() -> AsyncIterator[str]:
    """A web server that sends a file, redirects, and breaks off."""

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["size"]))

    async def hop(request: web.Request) -> web.Response:
        left = int(request.query["left"])
        to = f"/hop?left={left - 1}" if left else "/file?size=3"
        raise web.HTTPFound(to)

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_get("/file", file)
    app.router.add_get("/hop", hop)
    app.router.add_get("/cut", cut)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def fetch(url: str, *, most: int = 1_000_000, private: bool = True) -> bytes:
    chunks = [c async for c in download(url, octets_max=most, allow_private=private)]
    return b"".join(chunks)


async def test_a_file_comes_whole_and_in_pieces(base: str) -> None:
    assert await fetch(f"{base}/file?size=200000") == b"x" * 200_000


async def test_a_file_over_the_ceiling_is_refused(base: str) -> None:
    with pytest.raises(PolicyRefused, match="1000 octets"):
        await fetch(f"{base}/file?size=1000", most=999)


async def test_redirects_end(base: str) -> None:
    assert await fetch(f"{base}/hop?left={REDIRECTS_MAX - 1}") == b"xxx"
    with pytest.raises(PolicyRefused, match="redirects"):
        await fetch(f"{base}/hop?left={REDIRECTS_MAX}")


async def test_a_broken_or_absent_file_may_be_tried_again(base: str) -> None:
    with pytest.raises(Unavailable):
        await fetch(f"{base}/cut")
    with pytest.raises(Unavailable, match="404"):
        await fetch(f"{base}/absent")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.1.2.3/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://0/x",
        "http://example.org/x",
        "file:///etc/passwd",
        "aesgcm://example.org/x#00",
        "https://",
        "https://[",
    ],
)
async def test_addresses_we_do_not_visit(url: str) -> None:
    with pytest.raises(PolicyRefused):
        await fetch(url, private=False)
