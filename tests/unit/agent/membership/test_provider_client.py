"""What a provider's answers mean, and whom we believe to be it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sabir.agent.membership.api import ApiRefused
from sabir.agent.membership.device import (
    NO_TOKENS,
    DeviceKey,
    Tokens,
    registered_home,
)
from sabir.agent.membership.limits import REFUSED_FOR_MS
from sabir.agent.membership.provider_client import (
    Line,
    Place,
    ProviderClient,
    Reception,
)
from sabir.agent.membership.tokens import TokenKeeper
from sabir.agent.membership.vault import Vault
from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Instant
from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, Error, PeerMisbehaved, Unavailable
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.agent_api.registration import (
    Challenge,
    DeviceAnswer,
    TokenAnswer,
    TokenRequest,
)
from sabir.mls.credentials import BasicCredential
from sabir.provider.tls import agents_context
from sabir.storage.membership import HomeRecord
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.clock import VirtualClock
from tests.unit.provider.town import LOOPBACK, Authority

DEVICE = "mimi://a.example/d/ann/1"
USER = "mimi://a.example/u/ann"
KEY = Secret(bytes(32))


@asynccontextmanager
async def serving(
    authority: Authority, handler: Any, domain: str = "a.example"
) -> AsyncIterator[Place]:
    """Answer all requests in one way."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    context = agents_context(authority.identity(domain))
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=context)
    await site.start()
    assert runner.addresses
    port = runner.addresses[0][1]
    try:
        yield Place(
            domain="a.example",
            address=f"https://{LOOPBACK}:{port}",
            roots=authority.roots.read_text(),
        )
    finally:
        await runner.cleanup()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


async def asked(place: Place, **how: Any) -> bytes:
    line = Line(place)
    try:
        return await line.ask("POST", "/agent/v1/x", b"body", **how)
    finally:
        await line.close()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, CredentialsRefused),
        (403, ApiRefused),
        (404, ApiRefused),
        (408, Unavailable),
        (409, ApiRefused),
        (302, ApiRefused),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
@pytest.mark.parametrize("document", [b'{"code": "some", "detail": "words"}', b"<p>"])
async def test_a_status_says_who_has_to_act(
    authority: Authority, status: int, expected: type[Error], document: bytes
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        headers = {"Retry-After": "7", "Location": "https://elsewhere.example/"}
        return web.Response(status=status, body=document, headers=headers)

    async with serving(authority, handler) as place:
        with pytest.raises(expected) as caught:
            await asked(place)
    if isinstance(caught.value, Unavailable):
        assert caught.value.retry_after_ms == 7_000


async def test_a_request_has_token_key_and_octets(authority: Authority) -> None:
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.headers)
        seen["body"] = (await request.read()).decode()
        return web.Response(body=b"good")

    async with serving(authority, handler) as place:
        assert await asked(place, token=Secret(b"t"), key="k") == b"good"
    assert seen["Authorization"] == "Bearer t"
    assert seen["Idempotency-Key"] == "k"
    assert seen["Host"] == "a.example"
    assert seen["Content-Type"] == "application/octet-stream"
    assert seen["body"] == "body"


async def test_nobody_else_is_the_provider(authority: Authority) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b"good")

    async with serving(authority, handler, domain="evil.example") as place:
        with pytest.raises(Unavailable, match="by its certificate"):
            await asked(place)
    async with serving(authority, handler) as place:
        with pytest.raises(Unavailable, match="by its certificate"):
            await asked(replace(place, roots=""))


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await asked(Place(domain="a.example", address=f"https://{LOOPBACK}:1"))


async def test_an_endless_answer_ends(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sabir.agent.membership.provider_client.ANSWER_OCTETS_MAX", 1_000
    )

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(2_000))

    async with serving(authority, handler) as place:
        with pytest.raises(Unavailable, match="octets"):
            await asked(place)


# ---- tokens


class Giver:
    """Gives tokens, and counts them."""

    def __init__(self) -> None:
        self.given = 0

    async def challenge(self, account_token: Secret | None = None) -> Challenge:
        assert account_token is None
        return Challenge(challenge=Octets(bytes(32)), expires_ms=0)

    async def renew(self, request: TokenRequest) -> TokenAnswer:
        assert request.refresh_token == "refresh"
        assert request.signature
        self.given += 1
        later = SystemClock().now() + 3_600_000
        return TokenAnswer(token=f"token {self.given}", token_expires_ms=later)


def a_home(vault: Vault, expires_at: int) -> HomeRecord:
    tokens = Tokens(Secret(b"old"), Secret(b"refresh"), Instant(expires_at))
    return HomeRecord(
        domain="a.example",
        address="",
        roots="",
        name="",
        user=USER,
        device=DEVICE,
        signature=DeviceKey.generate(system_rng).sealed(vault),
        tokens=tokens.sealed(vault),
        cursor=0,
    )


@pytest.fixture
def storage(tmp_path: Path) -> Any:
    opened = SqliteStorage.open(tmp_path / "sabir.db")
    yield opened
    opened.close()


async def test_a_token_is_renewed_before_its_end_and_kept(
    storage: SqliteStorage,
) -> None:
    vault, giver, clock = Vault(KEY, system_rng), Giver(), SystemClock()
    home = a_home(vault, clock.now() + 1_000)
    await storage.set_home(home, now=clock.now())
    keeper = TokenKeeper(home, storage, vault, clock, giver)
    first, second = await asyncio.gather(keeper.token(), keeper.token())
    assert first.ct_equal(b"token 1")
    assert second.ct_equal(first)
    stored = await storage.home()
    assert stored is not None
    assert Tokens.open(vault, stored.tokens).access.ct_equal(b"token 1")


async def test_a_token_that_was_refused_is_replaced_once(
    storage: SqliteStorage,
) -> None:
    vault, giver, clock = Vault(KEY, system_rng), Giver(), SystemClock()
    home = a_home(vault, clock.now() + 3_600_000)
    await storage.set_home(home, now=clock.now())
    keeper = TokenKeeper(home, storage, vault, clock, giver)
    old = await keeper.token()
    assert old.ct_equal(b"old")
    renewed = await asyncio.gather(*(keeper.token(refused=old) for _ in range(3)))
    assert {each.reveal() for each in renewed} == {b"token 1"}


class Refuser(Giver):
    """Knows our device no more, and counts how often it was asked."""

    async def renew(self, request: TokenRequest) -> TokenAnswer:
        self.given += 1
        raise CredentialsRefused("the provider says: no such device")


async def test_who_was_removed_asks_once_an_hour_and_is_told_what_to_do(
    storage: SqliteStorage,
) -> None:
    vault, giver, clock = Vault(KEY, system_rng), Refuser(), VirtualClock()
    home = a_home(vault, 0)
    await storage.set_home(home, now=clock.now())
    keeper = TokenKeeper(home, storage, vault, clock, giver)
    for _ in range(50):
        with pytest.raises(CredentialsRefused, match="another data directory"):
            await keeper.token()
    assert giver.given == 1
    await clock.advance(REFUSED_FOR_MS)
    with pytest.raises(CredentialsRefused):
        await keeper.token()
    assert giver.given == 2


async def test_a_call_is_made_again_with_a_new_token(
    storage: SqliteStorage, authority: Authority
) -> None:
    shown: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        shown.append(request.headers["Authorization"])
        status = 401 if len(shown) == 1 else 200
        return web.json_response({"stock": 1, "low_water": 5}, status=status)

    vault, clock = Vault(KEY, system_rng), SystemClock()
    home = a_home(vault, clock.now() + 3_600_000)
    await storage.set_home(home, now=clock.now())
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(serving(authority, handler))
        line = Reception(place)
        stack.push_async_callback(line.close)
        keeper = TokenKeeper(home, storage, vault, clock, Giver())
        assert (await ProviderClient(line, keeper).stock()).stock == 1
    assert shown == ["Bearer old", "Bearer token 1"]


# ---- registration


def an_answer(**more: Any) -> DeviceAnswer:
    fields: dict[str, Any] = {
        "device_uri": DEVICE,
        "user": USER,
        "credential": Octets(BasicCredential(DEVICE.encode()).encode()),
        "token": "t",
        "token_expires_ms": 1,
        "refresh_token": "r",
    }
    return DeviceAnswer(**{**fields, **more})


def test_a_registration_is_taken() -> None:
    vault = Vault(KEY, system_rng)
    key = DeviceKey.generate(system_rng)
    home = replace(a_home(vault, 0), user="", device="")
    found = registered_home(home, key, an_answer(), vault)
    assert (found.user, found.device) == (USER, DEVICE)
    assert Tokens.open(vault, found.tokens).access.ct_equal(b"t")
    assert not NO_TOKENS.access.reveal()


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_uri": USER},
        {"device_uri": "mimi://b.example/d/ann/1"},
        {"user": "mimi://a.example/u/ben"},
        {"credential": Octets(b"")},
    ],
)
def test_a_registration_of_somebody_else_is_refused(wrong: dict[str, Any]) -> None:
    vault = Vault(KEY, system_rng)
    key = DeviceKey.generate(system_rng)
    with pytest.raises(PeerMisbehaved) as caught:
        registered_home(a_home(vault, 0), key, an_answer(**wrong), vault)
    assert caught.value.rule == "MIMI-390"
