"""Files of others: through hubs, from hosts that do not behave, once for many."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from sabir.errors import StorageFailed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider import download, download_source
from sabir.provider.assets_ranges import Span
from sabir.provider.config import Address, AssetSettings, PeerSettings
from sabir.provider.download import Downloads
from sabir.provider.http import Streamed
from sabir.provider.tls import server_context
from tests.unit.provider.test_assets import all_of, pieces
from tests.unit.provider.test_doors import problem_of
from tests.unit.provider.town import LOOPBACK, RawAnswer, RawClient, Site, Town, request

Raw = Callable[..., RawClient]
HOST = "assets.b.example"
URL = f"https://{HOST}/v1/x"
FROM_C = "From: mimi@c.example"


@dataclass
class Host:
    """A web server that answers what a test says, octet by octet."""

    answer: bytes = b""
    heads: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    port: int = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        first, _, rest = self.answer.partition(b"<hold>")
        writer.write(first)
        await writer.drain()
        if self.hold is not None:
            await self.hold.wait()
        writer.write(rest)
        await writer.drain()
        writer.close()

    def says(self, body: bytes, *fields: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", *fields, "", ""]
        if not any(each.startswith("Content-Length") for each in fields):
            length = len(body.replace(b"<hold>", b""))
            lines.insert(1, f"Content-Length: {length}")
        self.answer = "\r\n".join(lines).encode() + body


@asynccontextmanager
async def open_host(town: Town, *names: str) -> AsyncIterator[Host]:
    host = Host()
    identity = town.authority.identity(*names)
    server = await asyncio.start_server(
        host.serve, LOOPBACK, 0, ssl=server_context(identity, shared=False)
    )
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        yield host


@pytest.fixture
async def host(town: Town) -> AsyncIterator[Host]:
    async with open_host(town, HOST) as opened:
        yield opened


async def hub_of(town: Town, port: int, **more: object) -> Site:
    there = PeerSettings(address=Address(host=LOOPBACK, port=port), asset_hosts=(HOST,))
    return await town.open(
        "a.example", knows=("c.example",), peers={"b.example": there}, **more
    )


@pytest.fixture
async def hub(town: Town, host: Host) -> Site:
    return await hub_of(town, host.port)


def downloads_of(site: Site) -> Downloads:
    return site.provider.core.downloads


async def fetch(site: Site, url: str = URL, **more: str) -> bytes:
    answer = await downloads_of(site).from_host(url, **{"client": "c.example", **more})
    return await all_of(answer)


async def all_done(site: Site) -> None:
    """Wait until what was fetched is on record; readers have it a moment earlier."""
    async with asyncio.timeout(5):
        while downloads_of(site)._shares:
            await asyncio.sleep(0.01)


async def refused(work: Awaitable[object]) -> ProblemCode:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value.problem


async def upload(site: Site, octets: bytes) -> str:
    assets = site.provider.core.assets
    size = len(octets)
    record = await assets.take(
        f"mimi://{site.domain}/d/x/y", "key", Span(0, size, size), pieces(octets, 9_999)
    )
    assert record is not None
    return assets.url(record.name)


# ---- between providers


async def test_a_file_comes_through_the_hub_of_a_room(town: Town) -> None:
    hub = await town.open("a.example", knows=("b.example", "c.example"))
    keeper = await town.open("b.example", knows=("a.example",))
    reader = await town.open("c.example", knows=("a.example",))
    octets = os.urandom(300_000)
    url = await upload(keeper, octets)
    ours = downloads_of(reader)
    answer = await ours.from_hub("a.example", url, client="phone")
    assert await all_of(answer) == octets
    part = await ours.from_hub("a.example", url, client="phone", range_="bytes=299990-")
    assert (part.status, await all_of(part)) == (206, octets[299_990:])
    # the hub has it, and needs nobody for its own devices
    keeper.provider.stop()
    assert await fetch(hub, url) == octets
    again = await downloads_of(hub).from_hub("a.example", url, client="phone")
    assert await all_of(again) == octets
    # whoever is not on the hub's list of asset hosts does not even exist
    strange = "https://c.example/v1/" + "x" * 43
    through = ours.from_hub("a.example", strange.replace("c.", "d."), client="phone")
    assert await refused(through) is ProblemCode.ASSET_TARGET_NOT_ALLOWED
    unknown = ours.from_hub("b.example", url, client="phone")
    assert await refused(unknown) is ProblemCode.UNKNOWN_PEER


async def test_the_hubs_own_files_need_no_proxy(town: Town, raw: Raw) -> None:
    hub = await town.open("a.example", knows=("c.example",))
    url = await upload(hub, b"ciphertext")
    async with raw(hub, "c.example") as client:
        answer = await ask(client, url)
        assert (answer.status, answer.body) == (200, b"ciphertext")
        direct = await client.ask(request("GET", url.removeprefix("https://a.example")))
        assert (direct.status, direct.body) == (200, b"ciphertext")
        assert direct.headers["x-content-type-options"] == "nosniff"
        other = await client.ask(
            request("GET", url.removeprefix("https://a.example"), host="b.example")
        )
        assert problem_of(other) == "misdirected"
        gone = await client.ask(request("GET", "/v1/" + "x" * 43))
        assert problem_of(gone) == "not-found"


async def ask(client: RawClient, url: str, *fields: str) -> RawAnswer:
    path = "/v1/proxyDownload/" + quote(url, safe="")
    return await client.ask(request("GET", path, FROM_C, *fields))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/x",
        "http://assets.b.example/v1/x",
        "https://assets.b.example:8443/v1/x",
        "https://user@assets.b.example/v1/x",
        "https://127.0.0.1/v1/x",
        "https://[::1]/v1/x",
        "https://assets.b.example/v1/x#y",
        "file:///etc/passwd",
        "https://169.254.169.254/latest/meta-data/",
    ],
)
async def test_mc_090_targets_that_are_refused(
    hub: Site, raw: Raw, host: Host, url: str
) -> None:
    async with raw(hub, "c.example") as client:
        assert problem_of(await ask(client, url)) == "asset-target-not-allowed"
    assert not host.heads


async def test_mc_090_nothing_of_the_asker_goes_to_the_host_and_nothing_comes_back(
    hub: Site, raw: Raw, host: Host
) -> None:
    host.says(
        b"ciphertext",
        "Set-Cookie: track=me",
        "X-Secret: yes",
        "Content-Type: text/html",
        "Cache-Control: public, max-age=77",
        "Server: evil",
    )
    async with raw(hub, "c.example") as client:
        answer = await ask(
            client, URL, "Cookie: a=b", "X-User: alice", "Range: bytes=0-0"
        )
    assert (answer.status, answer.body) == (200, b"ciphertext")
    assert set(answer.headers) <= {
        "content-type",
        "content-length",
        "cache-control",
        "accept-ranges",
        "x-content-type-options",
        "server",
        "date",
    }
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] in {"max-age=76", "max-age=77"}
    assert answer.headers["server"] == "sabir"
    (head,) = host.heads
    first, *fields = head.strip().split("\r\n")
    assert first == "GET /v1/x HTTP/1.1"
    assert sorted(fields) == [
        "Accept: application/octet-stream",
        "Connection: close",
        "Host: assets.b.example",
    ]


async def test_the_url_goes_out_as_it_came(hub: Site, host: Host) -> None:
    host.says(b"x")
    await fetch(hub, f"https://{HOST}/v1/%2F%41+a/./b?c=%2f&d=ä".replace("ä", "%C3"))
    assert host.heads[0].startswith("GET /v1/%2F%41+a/./b?c=%2f&d=%C3 HTTP/1.1")


# ---- hosts that do not behave


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("301 Moved", ProblemCode.ASSET_TARGET_NOT_ALLOWED),
        ("302 Found", ProblemCode.ASSET_TARGET_NOT_ALLOWED),
        ("307 Temporary Redirect", ProblemCode.ASSET_TARGET_NOT_ALLOWED),
        ("403 Forbidden", ProblemCode.ASSET_TARGET_NOT_ALLOWED),
        ("404 Not Found", ProblemCode.NOT_FOUND),
        ("410 Gone", ProblemCode.NOT_FOUND),
        ("204 No Content", ProblemCode.UPSTREAM_FAILED),
        ("206 Partial Content", ProblemCode.UPSTREAM_FAILED),
        ("500 Oops", ProblemCode.UPSTREAM_FAILED),
        ("503 Later", ProblemCode.UPSTREAM_FAILED),
    ],
)
async def test_mc_090_an_answer_that_is_no_file(
    hub: Site, host: Host, status: str, code: ProblemCode
) -> None:
    location = "Location: https://127.0.0.1/v1/x"
    host.says(b"" if status.startswith("204") else b"no", location, status=status)
    assert await refused(fetch(hub)) is code
    assert len(host.heads) == 1


async def test_mc_090_a_file_that_says_it_is_too_large(hub: Site, host: Host) -> None:
    host.says(b"x", f"Content-Length: {(128 << 20) + 1}")
    assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_FAILED


async def test_mc_090_a_file_that_does_not_say_how_large_it_is(
    hub: Site, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "OCTETS_MAX", 1_000)
    host.answer = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_000)
    assert await fetch(hub) == bytes(1_000)
    host.answer += b"x"
    assert await refused(fetch(hub, URL + "y")) is ProblemCode.UPSTREAM_FAILED
    await all_done(hub)
    downloads_of(hub).sweep()
    assert not list(downloads_of(hub)._folder.iterdir())


async def test_a_file_shorter_than_it_says_is_none(hub: Site, host: Host) -> None:
    host.says(b"short", "Content-Length: 10")
    answer = await downloads_of(hub).from_host(URL, client="c.example")
    with pytest.raises(Problem):
        await all_of(answer)


async def test_a_client_never_takes_part_of_a_file_for_all(
    hub: Site, raw: Raw, host: Host
) -> None:
    host.says(b"short", "Content-Length: 10")
    async with raw(hub, "c.example") as client:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await ask(client, URL)


async def test_what_is_coded_is_not_wanted(hub: Site, host: Host) -> None:
    host.says(b"x", "Content-Encoding: gzip")
    assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_FAILED


async def test_what_is_no_http_is_not_wanted(hub: Site, host: Host) -> None:
    host.answer = b"SSH-2.0-OpenSSH\r\n\r\n"
    assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_FAILED


async def test_mc_090_a_host_has_its_time(
    hub: Site, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_source, "TOTAL_S", 0.3)
    host.says(b"<hold>x")
    host.hold = asyncio.Event()
    answer = await downloads_of(hub).from_host(URL, client="c.example")
    assert await refused(all_of(answer)) is ProblemCode.UPSTREAM_TIMEOUT
    host.answer = b"<hold>"
    assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_TIMEOUT
    host.hold.set()


async def test_a_host_that_is_not_there(town: Town) -> None:
    hub = await hub_of(town, 1)
    assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_FAILED


@pytest.mark.parametrize(
    ("names", "good"),
    [((HOST,), True), (("*.b.example",), True), (("b.example",), False)],
)
async def test_a_host_is_who_its_certificate_says(
    town: Town, names: tuple[str, ...], good: bool
) -> None:
    async with open_host(town, *names) as host:
        host.says(b"x")
        hub = await hub_of(town, host.port)
        if good:
            assert await fetch(hub) == b"x"
        else:
            assert await refused(fetch(hub)) is ProblemCode.UPSTREAM_FAILED
            assert not host.heads


# ---- once for many


async def test_all_who_want_a_file_share_one_request_and_get_it_as_it_comes(
    hub: Site, host: Host
) -> None:
    host.hold = asyncio.Event()
    host.says(b"first<hold>second", "Cache-Control: max-age=60")
    ours = downloads_of(hub)
    answers = [await ours.from_host(URL, client=name) for name in ("c", "d", "e")]
    async with aclosing(answers[0].chunks) as chunks, asyncio.timeout(5):
        assert await anext(chunks) == b"first"
        host.hold.set()
        assert b"".join([each async for each in chunks]) == b"second"
    for answer in answers[1:]:
        assert await all_of(answer) == b"firstsecond"
    assert await fetch(hub) == b"firstsecond"
    assert len(host.heads) == 1
    await all_done(hub)


@pytest.mark.parametrize(
    "field", ["Cache-Control: no-store, max-age=60", "Cache-Control: max-age=0", "X: y"]
)
async def test_what_is_not_to_be_kept_is_fetched_again(
    hub: Site, host: Host, field: str
) -> None:
    host.says(b"x", field)
    await fetch(hub)
    await all_done(hub)
    await fetch(hub)
    assert len(host.heads) == 2


async def test_after_a_failure_the_next_one_tries_again(hub: Site, host: Host) -> None:
    host.says(b"", status="500 Oops")
    await refused(fetch(hub))
    host.says(b"x")
    assert await fetch(hub) == b"x"


async def test_what_was_used_longest_ago_makes_room(town: Town, host: Host) -> None:
    hub = await hub_of(town, host.port, assets=AssetSettings(cache_octets=250))
    host.says(bytes(100), "Cache-Control: max-age=60")
    for name in ("1", "2", "1", "3"):
        await fetch(hub, URL + name)
        await all_done(hub)
    assert len(host.heads) == 3
    await fetch(hub, URL + "1")
    assert len(host.heads) == 3
    await fetch(hub, URL + "2")
    await all_done(hub)
    assert len(host.heads) == 4
    ours = downloads_of(hub)
    assert len(list(ours._folder.iterdir())) == len(ours._files) == 2
    host.says(bytes(251))
    assert await refused(fetch(hub, URL + "4")) is ProblemCode.UNAVAILABLE


async def test_small_files_have_a_limit_too(
    hub: Site, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FILES_MAX", 3)
    host.says(b"x", "Cache-Control: max-age=60")
    for number in range(10):
        await fetch(hub, f"{URL}{number}")
        await all_done(hub)
    assert len(downloads_of(hub)._files) <= 3


async def test_housekeeping_drops_what_is_too_old(hub: Site, host: Host) -> None:
    host.says(b"x", "Cache-Control: max-age=60")
    await fetch(hub)
    host.says(b"x")
    await fetch(hub, URL + "2")
    ours = downloads_of(hub)
    await all_done(hub)
    ours.sweep()
    assert len(list(ours._folder.iterdir())) == 1
    await ours.open()  # as with the next start
    assert not list(ours._folder.iterdir())


async def test_one_client_cannot_keep_the_others_out(
    hub: Site, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "UNDER_WAY_SHARE", 2)
    monkeypatch.setattr(download, "UNDER_WAY_MAX", 3)
    host.hold = asyncio.Event()
    host.says(b"<hold>x")
    ours = downloads_of(hub)
    opened = [await ours.from_host(f"{URL}{each}", client="c") for each in "12"]
    busy = ours.from_host(URL + "3", client="c")
    assert await refused(busy) is ProblemCode.UNAVAILABLE
    opened.append(await ours.from_host(URL + "3", client="d"))
    busy = ours.from_host(URL + "4", client="e")
    assert await refused(busy) is ProblemCode.UNAVAILABLE
    host.hold.set()
    for answer in opened:
        assert await all_of(answer) == b"x"


async def test_no_room_on_the_disk_is_said_so(town: Town, host: Host) -> None:
    hub = await hub_of(town, host.port, assets=AssetSettings(free_octets_min=1 << 62))
    host.says(b"x")
    assert await refused(fetch(hub)) is ProblemCode.UNAVAILABLE


async def test_a_disk_that_fails_is_said_so(
    hub: Site, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StorageFailed("the disk is full")

    monkeypatch.setattr(download, "_append", fails)
    host.says(b"x")
    answer: Streamed = await downloads_of(hub).from_host(URL, client="c")
    assert await refused(all_of(answer)) is ProblemCode.UNAVAILABLE
    monkeypatch.undo()
    assert await fetch(hub) == b"x"


async def test_a_hub_that_offers_no_proxy(town: Town) -> None:
    await town.open("a.example", knows=("c.example",), services=lambda _: {})
    reader = await town.open("c.example", knows=("a.example",))
    asked = downloads_of(reader).from_hub("a.example", URL, client="phone")
    assert await refused(asked) is ProblemCode.NOT_FOUND
    long = downloads_of(reader).from_hub("a.example", URL + "x" * 3_000, client="phone")
    assert await refused(long) is ProblemCode.ASSET_TARGET_NOT_ALLOWED
