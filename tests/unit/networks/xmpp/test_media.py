"""Fetching files whose address a stranger has chosen, and putting files up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from xml.etree.ElementTree import Element, SubElement

import pytest
import pytest_asyncio
from aiohttp import web

from sabir.crypto.secrets import Secret
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.xmpp import media as module
from sabir.networks.xmpp import names
from sabir.networks.xmpp.media import REDIRECTS_MAX, NoUpload, download, upload
from sabir.networks.xmpp.stream import ComponentLogin, Stream
from sabir.testing.rng import SeededRng


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

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "40000"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(40):
                await response.write(b"x" * int(request.query["octets"]))
                await asyncio.sleep(0.05)
        return response

    async def put(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=int(request.query["status"]))

    app = web.Application()
    app.router.add_get("/drip", drip)
    app.router.add_put("/put", put)
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


async def test_a_file_that_drips_is_refused_in_time(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_TIMEOUT_S", 0.2)
    begun = time.monotonic()
    with pytest.raises(PolicyRefused, match="slower than 8000"):
        await fetch(f"{base}/drip?octets=1")
    assert time.monotonic() - begun < 10  # of a file that drips for ever


async def test_a_slow_but_steady_file_may_take_longer_than_a_window(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_TIMEOUT_S", 0.5)
    assert await fetch(f"{base}/drip?octets=1000") == b"x" * 40_000


async def test_headers_that_drip_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    monkeypatch.setattr(module, "IDLE_TIMEOUT_S", 0.2)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(5), server:
        with pytest.raises(Unavailable):
            await fetch(f"http://127.0.0.1:{port}/x")
        await gone.wait()


class SlotWire(Stream):
    """An upload service that gives a slot, or answers with an error."""

    def __init__(self, url: str, condition: str = "") -> None:
        login = ComponentLogin(
            domain="gw.x", host="127.0.0.1", port=1, secret=Secret.from_text("s")
        )
        super().__init__(login, rng=SeededRng())
        self._url = url
        self._condition = condition

    async def ask(self, iq: Element, *, timeout_s: float = 1) -> Element:
        if self._condition:
            answer = Element("iq", {"type": "error"})
            error = SubElement(answer, "error")
            SubElement(error, f"{{{names.STANZAS}}}{self._condition}")
            return answer
        answer = Element("iq", {"type": "result"})
        slot = SubElement(answer, f"{{{names.UPLOAD}}}slot")
        SubElement(slot, f"{{{names.UPLOAD}}}put", {"url": self._url})
        SubElement(slot, f"{{{names.UPLOAD}}}get", {"url": "https://x/f"})
        return answer


class ThreeOctets:
    """A file of ours."""

    size = 3
    sha256 = b""

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"abc"


async def put_up(url: str, condition: str = "") -> str:
    return await upload(
        SlotWire(url, condition),
        ThreeOctets(),
        service="files.x",
        sender="sabir@gw.x/sabir",
        filename="f",
        content_type="text/plain",
    )


async def test_a_file_is_put_up(base: str) -> None:
    assert await put_up(f"{base}/put?status=201") == "https://x/f"


@pytest.mark.parametrize("status", [302, 400, 403, 411, 413, 507])
async def test_an_upload_refused_for_good_is_not_tried_for_ever(
    base: str, status: int
) -> None:
    with pytest.raises(NoUpload, match=f"{status}.*: have"):
        await put_up(f"{base}/put?status={status}")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_upload_that_may_succeed_later_is_tried_again(
    base: str, status: int
) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        await put_up(f"{base}/put?status={status}")


async def test_a_full_upload_service_names_its_quota() -> None:
    with pytest.raises(NoUpload, match=r"quota.*raise it"):
        await put_up("", "resource-constraint")
    with pytest.raises(Unavailable):
        await put_up("", "internal-server-error")


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
