"""What a peer may try at a listener: real TLS, raw HTTP."""

import asyncio
import json
import resource
import time
from collections.abc import Callable, Mapping, Sized
from urllib.parse import quote

import pytest

from sabir.errors import StorageFailed
from sabir.mimi.directory import Endpoint, decode_directory
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.provider import http, listener
from sabir.provider.federation import Call, Service
from sabir.provider.http import Answer, BodyBudget
from sabir.provider.rates import Rate
from sabir.provider.services import Services
from tests.unit.provider.town import RawAnswer, RawClient, Site, Town, request

Raw = Callable[..., RawClient]
FROM_B = "From: mimi@b.example"
ROOM = "mimi://a.example/r/clubhouse"
UPDATE = "/v1/update/" + quote(ROOM, safe="")


def everything(calls: list[Call]) -> Callable[[Services], Mapping[Endpoint, Service]]:
    """Offer all endpoints; each notes its call and answers `ok`."""

    async def answer(call: Call) -> bytes:
        calls.append(call)
        if call.body == b"fail":
            raise StorageFailed("the disk is full")
        if call.body == b"bug":
            raise RuntimeError("a bug with the canary of a secret")
        return b"ok"

    return lambda _: dict.fromkeys(Endpoint, answer)


@pytest.fixture
def calls() -> list[Call]:
    return []


@pytest.fixture
async def site(town: Town, calls: list[Call]) -> Site:
    return await town.open(
        "a.example", knows=("b.example",), services=everything(calls)
    )


def problem_of(answer: RawAnswer) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.body)
    assert document["status"] == answer.status
    assert ProblemCode(document["code"]).status == answer.status
    return str(document["code"])


async def post(
    client: RawClient, path: str, *fields: str, body: bytes = b"x"
) -> RawAnswer:
    return await client.ask(request("POST", path, FROM_B, *fields, body=body))


async def test_mc_005_the_directory_names_every_endpoint(site: Site, raw: Raw) -> None:
    async with raw(site, "b.example") as client:
        answer = await client.ask(
            request("GET", "/.well-known/mimi-protocol-directory")
        )
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "max-age=3600"
    directory = decode_directory(answer.body)
    assert set(directory.templates) == set(Endpoint)
    assert all(
        url.startswith("https://a.example/v1/") for url in directory.templates.values()
    )
    assert directory.profiles == ("mimi06-a",)
    assert directory.domains == ("a.example",)


@pytest.mark.parametrize(
    ("written", "about"),
    [
        ("mimi%3A%2F%2Fa.example%2Fr%2Fclubhouse", ROOM),
        ("mimi%3a%2f%2fa.example%2fr%2fclubhouse", ROOM),
        ("mimi:%2F%2Fa.example%2Fr%2Fclubhouse", ROOM),
    ],
)
async def test_mc_007_a_path_is_decoded_once(
    site: Site, raw: Raw, calls: list[Call], written: str, about: str
) -> None:
    async with raw(site, "b.example") as client:
        answer = await post(client, f"/v1/update/{written}")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert [call.about for call in calls] == [about]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/update/mimi%253A%252F%252Fa.example%252Fr%252Fx", "path-mismatch"),
        ("/v1/update/mimi%3A%2F%2Fa.example%2Fr%2Fx%zz", "path-mismatch"),
        ("/v1/update/mimi%3A%2F%2Fa.example%2Fr%2F%FF", "path-mismatch"),
        ("/v1/update/mimi%3A%2F%2Fa.example%2Fu%2Falice", "path-mismatch"),
        ("/v1/update/" + "a" * 7_000, "path-mismatch"),
        ("/v1/update/mimi://a.example/r/x", "not-found"),
        ("/v1/update/", "not-found"),
        ("/v1/update/mimi%3A%2F%2Fb.example%2Fr%2Fx", "not-found"),
        ("/v1/notify/mimi%3A%2F%2Fa.example%2Fr%2Fx", "domain-not-authorized"),
        ("/v1/requestConsent/c.example", "not-found"),
        ("/v1/../v1/update/x", "not-found"),
    ],
)
async def test_mc_007_paths_that_name_nothing_of_ours(
    site: Site, raw: Raw, calls: list[Call], path: str, code: str
) -> None:
    async with raw(site, "b.example") as client:
        assert problem_of(await post(client, path)) == code
    assert not calls


async def test_each_endpoint_has_its_method_and_its_status(
    site: Site, raw: Raw, calls: list[Call]
) -> None:
    about = {
        Endpoint.KEY_MATERIAL: "mimi://a.example/u/alice",
        Endpoint.NOTIFY: "mimi://b.example/r/x",
        Endpoint.REQUEST_CONSENT: "a.example",
        Endpoint.UPDATE_CONSENT: "A.example",
        Endpoint.IDENTIFIER_QUERY: "a.example",
        Endpoint.PROXY_DOWNLOAD: "https://assets.b.example/v1/x",
    }
    statuses = {}
    async with raw(site, "b.example") as client:
        for endpoint in Endpoint:
            value = quote(about.get(endpoint, ROOM), safe="")
            path = f"/v1/{endpoint.value}/{value}"
            if endpoint is Endpoint.PROXY_DOWNLOAD:
                answer = await client.ask(request("GET", path, FROM_B))
            else:
                answer = await post(client, path)
            statuses[endpoint] = answer.status
            wrong = "POST" if endpoint is Endpoint.PROXY_DOWNLOAD else "PUT"
            refused = await client.ask(request(wrong, path, FROM_B))
            assert problem_of(refused) == "method-not-allowed"
    bodiless = {"notify", "requestConsent", "updateConsent", "reportAbuse"}
    assert statuses == {
        endpoint: 201 if endpoint.value in bodiless else 200 for endpoint in Endpoint
    }
    assert {call.source for call in calls} == {"b.example"}
    assert len(calls) == len(Endpoint)


async def test_mc_009_a_body_that_says_it_is_too_long_is_not_read(
    site: Site, raw: Raw, calls: list[Call]
) -> None:
    most = MIMI06_A.request_octets_max[Endpoint.SUBMIT_MESSAGE]
    path = UPDATE.replace("update", "submitMessage")
    async with raw(site, "b.example") as client:
        head = request("POST", path, FROM_B, f"Content-Length: {most + 1}")
        assert problem_of(await client.ask(head)) == "body-too-large"
    async with raw(site, "b.example") as client:
        assert (await post(client, path, body=bytes(most))).status == 200
    assert [len(call.body) for call in calls] == [most]


async def test_mc_009_a_body_in_chunks_ends_at_the_limit(
    site: Site, raw: Raw, calls: list[Call]
) -> None:
    path = "/v1/identifierQuery/a.example"
    head = request("POST", path, FROM_B, "Transfer-Encoding: chunked")
    chunk = b"1000\r\n" + bytes(0x1000) + b"\r\n"
    async with raw(site, "b.example") as client:
        answer = await client.ask(head + chunk * 5)
        assert problem_of(answer) == "body-too-large"
    assert not calls


async def test_a_body_that_never_comes_is_given_up(
    site: Site, raw: Raw, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.2)
    async with raw(site, "b.example") as client:
        head = request("POST", UPDATE, FROM_B, "Content-Length: 10")
        assert problem_of(await client.ask(head + b"12345")) == "request-timeout"
    assert not calls


async def test_a_client_may_ask_whether_a_body_is_wanted(
    site: Site, raw: Raw, calls: list[Call]
) -> None:
    async with raw(site, "b.example") as client:
        head = request(
            "POST", UPDATE, FROM_B, "Content-Length: 4", "Expect: 100-continue"
        )
        assert (await client.ask(head)).status == 100
        assert (await client.ask(b"body")).status == 200
    assert [call.body for call in calls] == [b"body"]


async def test_content_codings_are_refused(site: Site, raw: Raw) -> None:
    async with raw(site, "b.example") as client:
        answer = await post(client, UPDATE, "Content-Encoding: gzip")
    assert problem_of(answer) == "malformed-body"


@pytest.mark.parametrize(
    "octets",
    [
        b"this is no HTTP\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
async def test_mc_011_what_is_no_request_gets_a_document_too(
    site: Site, raw: Raw, octets: bytes
) -> None:
    async with raw(site, "b.example") as client:
        assert problem_of(await client.ask(octets)) == "malformed-body"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 200),
        (("Mimi-Profile: mimi06-a",), 200),
        (("Mimi-Profile: mimi07-a, mimi06-a",), 200),
        (("Mimi-Profile: mimi07-a",), 400),
    ],
)
async def test_mc_012_a_profile_that_we_do_not_speak(
    site: Site, raw: Raw, fields: tuple[str, ...], status: int
) -> None:
    async with raw(site, "b.example") as client:
        answer = await post(client, UPDATE, *fields)
    assert answer.status == status
    if status != 200:
        assert problem_of(answer) == "unsupported-profile"


@pytest.mark.parametrize("host", ["c.example", "a.example.evil", "", "127.0.0.1"])
async def test_a_request_for_somebody_else_is_misdirected(
    site: Site, raw: Raw, host: str
) -> None:
    async with raw(site, "b.example") as client:
        answer = await client.ask(request("POST", UPDATE, FROM_B, host=host, body=b"x"))
    assert problem_of(answer) == "misdirected"


async def test_a_port_in_host_is_ignored(site: Site, raw: Raw) -> None:
    async with raw(site, "b.example") as client:
        answer = await client.ask(
            request("POST", UPDATE, FROM_B, host="A.example:8443", body=b"x")
        )
    assert answer.status == 200


async def test_mc_013_too_many_requests_say_when_to_come_again(
    town: Town, raw: Raw, calls: list[Call]
) -> None:
    site = await town.open(
        "a.example",
        knows=("b.example", "c.example"),
        services=everything(calls),
        per_peer=Rate(count=3, per_ms=60_000),
    )
    async with raw(site, "b.example", "c.example") as client:
        answers = [await post(client, UPDATE) for _ in range(4)]
        other = await client.ask(
            request("POST", UPDATE, "From: mimi@c.example", body=b"x")
        )
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert problem_of(answers[3]) == "rate-limited"
    assert int(answers[3].headers["retry-after"]) in range(1, 21)
    assert other.status == 200


async def test_a_failing_disk_is_503_and_nothing_of_it_is_told(
    site: Site, raw: Raw
) -> None:
    async with raw(site, "b.example") as client:
        answer = await post(client, UPDATE, body=b"fail")
    assert problem_of(answer) == "unavailable"
    assert answer.headers["retry-after"] == "5"
    assert b"disk" not in answer.body


async def test_a_bug_is_500_and_nothing_of_it_is_told(site: Site, raw: Raw) -> None:
    async with raw(site, "b.example") as client:
        answer = await post(client, UPDATE, body=b"bug")
    assert problem_of(answer) == "internal"
    assert b"canary" not in answer.body
    async with raw(site, "b.example") as client:
        assert (await post(client, UPDATE)).status == 200


async def test_bodies_in_memory_have_a_limit_over_all_connections() -> None:
    budget = BodyBudget(10, 8)
    budget.take("b", 8)
    for client, octets in (("b", 1), ("c", 3)):
        with pytest.raises(Problem) as caught:
            budget.take(client, octets)
        assert caught.value.problem is ProblemCode.UNAVAILABLE
        assert caught.value.retry_after_s
    budget.take("c", 2)
    budget.give_back("b", 8)
    budget.take("c", 6)
    budget.give_back("c", 8)
    assert budget._left == 10
    assert not budget._shares


async def test_memory_of_bodies_is_given_back(site: Site, raw: Raw) -> None:
    async with raw(site, "b.example") as client:
        for body in (b"good", b"fail", b"good"):
            await post(client, UPDATE, body=body)
    (served,) = site.provider._listeners
    assert served._budget._left == listener.BODIES_OCTETS_MAX


# ---- those who connect and say nothing


async def test_300_half_open_connections_keep_nobody_out(
    town: Town, raw: Raw, calls: list[Call]
) -> None:
    site = await town.open(
        "a.example",
        knows=("b.example",),
        services=everything(calls),
        handshakes_max=50,
    )
    opened = [
        await asyncio.open_connection(site.address.host, site.address.port)
        for _ in range(300)
    ]
    async with asyncio.timeout(5), raw(site, "b.example") as client:
        assert (await post(client, UPDATE)).status == 200
    (served,) = site.provider._listeners
    assert len(served._shaking) <= 50
    closed = 0
    for reader, writer in opened:
        try:
            async with asyncio.timeout(0.001):
                closed += await reader.read(1) == b""
        except TimeoutError:
            pass
        except ConnectionError:
            closed += 1
        writer.transport.abort()
    assert closed >= 200, "the oldest made room"


async def test_a_handshake_that_takes_too_long_is_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.2)
    reader, writer = await asyncio.open_connection(site.address.host, site.address.port)
    async with asyncio.timeout(5):
        assert await reader.read(1) == b""
    writer.close()


async def test_a_connection_that_asks_nothing_is_ended(
    site: Site, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD_S", 0.2)
    async with asyncio.timeout(5), raw(site, "b.example") as client:
        client.writer.write(b"POST /v1/upd")
        assert await client.reader.read(1) == b""


async def test_connections_have_a_limit(
    town: Town, raw: Raw, calls: list[Call]
) -> None:
    site = await town.open(
        "a.example",
        knows=("b.example",),
        services=everything(calls),
        connections_max=2,
    )
    first, second, third = (raw(site, "b.example") for _ in range(3))
    async with first, second:
        assert (await post(first, UPDATE)).status == 200
        assert (await post(second, UPDATE)).status == 200
        with pytest.raises((ConnectionError, OSError)):
            async with third:
                await post(third, UPDATE)
    for _ in range(100):
        (served,) = site.provider._listeners
        if not served._server.connections:
            break
        await asyncio.sleep(0.02)
    async with raw(site, "b.example") as again:
        assert (await post(again, UPDATE)).status == 200


async def test_connections_of_one_client_have_a_limit(
    town: Town, raw: Raw, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CONNECTIONS_PER_CLIENT", 2)
    site = await town.open(
        "a.example", knows=("b.example", "c.example"), services=everything(calls)
    )
    first, second, third = (raw(site, "b.example") for _ in range(3))
    async with first, second:
        assert (await post(first, UPDATE)).status == 200
        assert (await post(second, UPDATE)).status == 200
        with pytest.raises((ConnectionError, OSError, asyncio.IncompleteReadError)):
            async with third:
                await post(third, UPDATE)
        async with raw(site, "c.example") as other:
            answer = await other.ask(
                request("POST", UPDATE, "From: mimi@c.example", body=b"x")
            )
        assert answer.status == 200
    (served,) = site.provider._listeners
    await until_empty(lambda: served._shares._shares)


async def until_empty(look: Callable[[], Sized]) -> None:
    async with asyncio.timeout(5):
        while len(look()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("requests", "limit"), [(1, "IDLE_S"), (3, "WRITE_S")])
async def test_a_client_that_does_not_read_is_let_go(
    town: Town, raw: Raw, monkeypatch: pytest.MonkeyPatch, requests: int, limit: str
) -> None:
    """The first answer lies in the kernel and in TLS; the second has to wait."""
    monkeypatch.setattr(listener, limit, 0.2)
    monkeypatch.setattr(listener, "LINGER_S", 0.2)

    async def much(_: Call) -> bytes:
        return bytes(16 * 1024 * 1024)

    site = await town.open(
        "a.example", knows=("b.example",), services=lambda _: {Endpoint.UPDATE: much}
    )
    async with raw(site, "b.example") as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(requests):
            client.writer.write(request("POST", UPDATE, FROM_B, body=b"x"))
        await asyncio.sleep(0.1)
        (served,) = site.provider._listeners
        assert len(served._server.connections) == 1
        await until_empty(lambda: served._server.connections)


async def test_answers_of_services_pass_as_they_are(town: Town, raw: Raw) -> None:
    async def teapot(call: Call) -> Answer:
        return Answer(status=203, body=b"tea", headers={"X-Tea": call.source})

    site = await town.open(
        "a.example",
        knows=("b.example",),
        services=lambda _: {Endpoint.UPDATE: teapot},
    )
    async with raw(site, "b.example") as client:
        answer = await post(client, UPDATE)
        missing = await post(client, UPDATE.replace("update", "groupInfo"))
    assert (answer.status, answer.headers["x-tea"]) == (203, "b.example")
    assert problem_of(missing) == "not-found"


@pytest.mark.soak
async def test_10_000_half_open_connections_keep_nobody_out(
    town: Town, raw: Raw, calls: list[Call]
) -> None:
    most = 12_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, hard)), hard))
    site = await town.open(
        "a.example", knows=("b.example",), services=everything(calls)
    )
    opened = []
    slowest = 0.0
    for number in range(10_000):
        reader, writer = await asyncio.open_connection(
            site.address.host, site.address.port
        )
        opened.append((reader, writer))
        if number % 500 == 0:
            began = time.monotonic()
            async with asyncio.timeout(5), raw(site, "b.example") as client:
                assert (await post(client, UPDATE)).status == 200
            slowest = max(slowest, time.monotonic() - began)
    (served,) = site.provider._listeners
    assert len(served._shaking) <= listener.HANDSHAKES_MAX
    assert len(calls) == 20
    assert slowest < 2.0
    for _, writer in opened:
        writer.transport.abort()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
