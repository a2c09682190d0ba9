"""Calling other providers: directories, moves, failures, and what is not followed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from sabir.mimi.directory import Directory, Endpoint, our_templates
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider import peers
from sabir.provider.config import Address, PeerSettings
from sabir.provider.federation import Call, Service
from sabir.provider.http import Answer
from sabir.provider.peers import PeerAnswer, PeerFailed
from sabir.provider.services import Services
from tests.unit.provider.town import LOOPBACK, Site, Town

ROOM = "mimi://b.example/r/clubhouse"


class Echo:
    """A peer that notes its calls."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.calls: list[Call] = []
        self.answer = answer

    def services(self, _: Services) -> Mapping[Endpoint, Service]:
        return dict.fromkeys(Endpoint, self.serve)

    async def serve(self, call: Call) -> bytes | Answer:
        self.calls.append(call)
        return self.answer or call.body[::-1]


async def pair(town: Town, echo: Echo) -> Site:
    await town.open("b.example", knows=("a.example",), services=echo.services)
    return await town.open("a.example", knows=("b.example",))


async def update(
    site: Site, body: bytes = b"body", octets_max: int = 100
) -> PeerAnswer:
    return await site.provider.core.peers.call(
        "b.example", Endpoint.UPDATE, {"roomId": ROOM}, body, octets_max=octets_max
    )


async def test_mc_006_templates_of_the_directory_are_followed(town: Town) -> None:
    echo = Echo()
    site = await pair(town, echo)
    answer = await update(site)
    assert (answer.status, answer.body) == (200, b"ydob")
    (call,) = echo.calls
    assert (call.source, call.about, call.body) == ("a.example", ROOM, b"body")
    known = await site.store.peer("b.example")
    assert known is not None
    assert known.expires_at - known.fetched_at == 3_600_000
    assert known.last_ok_at is not None


async def test_a_get_has_no_body(town: Town) -> None:
    echo = Echo()
    site = await pair(town, echo)
    url = "https://assets.b.example/v1/x"
    answer = await site.provider.core.peers.call(
        "b.example", Endpoint.PROXY_DOWNLOAD, {"downloadUrl": url}, None, octets_max=9
    )
    assert answer.status == 200
    assert [call.about for call in echo.calls] == [url]


async def test_a_directory_is_fetched_once_and_outlives_a_restart(town: Town) -> None:
    echo = Echo()
    site = await pair(town, echo)
    caller = site.provider.core.peers
    found = await asyncio.gather(*(caller.directory("b.example") for _ in range(20)))
    assert all(each is found[0] for each in found)
    await caller.close()
    town.sites["b.example"].provider.stop()
    await asyncio.sleep(0.05)
    assert await caller.directory("b.example") == found[0]


async def test_mc_013_redirects_are_not_followed(town: Town) -> None:
    echo = Echo(Answer(status=307, headers={"Location": "https://c.example/"}))
    site = await pair(town, echo)
    assert (await update(site)).status == 307
    assert len(echo.calls) == 1


async def test_what_a_peer_says_has_a_limit(town: Town) -> None:
    echo = Echo(Answer(body=bytes(101)))
    site = await pair(town, echo)
    with pytest.raises(PeerFailed) as caught:
        await update(site)
    assert "more than 100 octets" in caught.value.reason
    echo.answer = Answer(status=500, body=bytes(10_000))
    assert len((await update(site)).body) == 4_096


async def test_retry_after_is_read_within_reason(town: Town) -> None:
    seen = []
    echo = Echo()
    site = await pair(town, echo)
    for value in ("7", "999999999999", "Fri, 31 Dec 1999 23:59:59 GMT", "-1"):
        echo.answer = Answer(status=503, headers={"Retry-After": value})
        seen.append((await update(site)).retry_after_s)
    assert seen == [7, 86_400, None, None]


async def test_a_peer_that_is_down_is_502_and_noted(town: Town) -> None:
    site = await town.open("a.example", knows=("b.example",))
    site.config.peers["b.example"] = PeerSettings(  # type: ignore[index]
        address=Address(host=LOOPBACK, port=1)
    )
    with pytest.raises(PeerFailed) as caught:
        await update(site)
    assert caught.value.problem is ProblemCode.UPSTREAM_FAILED
    assert not caught.value.reached
    noted = await site.store.peer("b.example")
    assert noted is not None
    assert noted.last_error
    with pytest.raises(PeerFailed) as again:
        await update(site)
    assert again.value.reason == "its directory could not be had"


async def test_a_peer_that_is_slow_is_504(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "REQUEST_S", 0.3)

    class Slow(Echo):
        async def serve(self, call: Call) -> bytes | Answer:
            await asyncio.sleep(1)
            return b""

    site = await pair(town, Slow())
    with pytest.raises(PeerFailed) as caught:
        await update(site)
    assert caught.value.problem is ProblemCode.UPSTREAM_TIMEOUT


async def test_d_09_a_moved_endpoint_is_looked_up_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "REFETCH_MS", 0)
    echo = Echo()
    site = await pair(town, echo)
    caller = site.provider.core.peers
    await caller.directory("b.example")
    link = caller._links["b.example"]
    old = {
        endpoint: url.replace("/v1/", "/v0/")
        for endpoint, url in our_templates("https://b.example").items()
    }
    link.directory = Directory(templates=old)
    assert (await update(site)).status == 200
    assert link.directory.templates == our_templates("https://b.example")
    echo.answer = Answer(status=404)
    assert (await update(site)).status == 404
    assert len(echo.calls) == 2, "at the same place it is not asked again"


async def test_a_host_that_vanished_is_looked_up_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "REFETCH_MS", 0)
    site = await pair(town, Echo())
    caller = site.provider.core.peers
    await caller.directory("b.example")
    caller._links["b.example"].directory = Directory(
        templates=our_templates("https://old.b.example")
    )
    assert (await update(site)).status == 200


async def test_mc_003_a_delegated_host_needs_both_names(
    town: Town, tmp_path: Path
) -> None:
    del tmp_path
    echo = Echo()
    both = town.authority.identity("b.example", "mimi.b.example")
    await town.open(
        "b.example",
        knows=("a.example",),
        services=echo.services,
        identity=both,
        host="mimi.b.example",
    )
    site = await town.open("a.example", knows=("b.example",))
    assert (await update(site)).status == 200


async def test_what_is_not_offered_is_404_and_not_a_failure(town: Town) -> None:
    await town.open("b.example", knows=("a.example",), services=lambda _: {})
    site = await town.open("a.example", knows=("b.example",))
    with pytest.raises(Problem) as caught:
        await update(site)
    assert caught.value.problem is ProblemCode.NOT_FOUND


@pytest.mark.parametrize(
    "document",
    [b"no JSON", b"[]", b'{"update": "http://b.example/{roomId}"}'],
)
async def test_a_directory_that_is_none_is_a_deviation(
    town: Town, document: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(*_: object) -> Answer:
        return Answer(body=document, content_type="application/json")

    monkeypatch.setattr("sabir.provider.provider.Provider._serve_directory", serve)
    site = await pair(town, Echo())
    with pytest.raises(PeerFailed):
        await update(site)
    noted = await site.store.deviations("b.example")
    assert [each.what[:14] for each in noted] == ["directory MIMI"]


async def test_a_directory_that_is_refused(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(*_: object) -> Answer:
        return Answer(status=403)

    monkeypatch.setattr("sabir.provider.provider.Provider._serve_directory", serve)
    site = await pair(town, Echo())
    with pytest.raises(PeerFailed) as caught:
        await update(site)
    assert caught.value.reason == "directory: status 403"


async def test_links_have_a_limit(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LINKS_MAX", 1)
    await town.open("b.example", knows=("a.example",))
    await town.open("c.example", knows=("a.example",))
    site = await town.open("a.example", knows=("b.example", "c.example"))
    caller = site.provider.core.peers
    for domain in ("b.example", "c.example", "b.example"):
        await caller.directory(domain)
        assert list(caller._links) == [domain]
