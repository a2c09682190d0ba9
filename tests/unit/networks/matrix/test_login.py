"""The dialogue that adds a Matrix account."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sabir.errors import ConfigInvalid, LocalError, PeerIncompatible
from sabir.networks.api import Account, AccountId
from sabir.networks.login import Ask, Done, ShowText
from sabir.networks.matrix.login import MatrixLogin
from sabir.networks.matrix.network import NETWORK
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng


@asynccontextmanager
async def homeserver(answers: dict[str, tuple[int, Any]]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        status, body = answers.get(request.path.rsplit("/", 1)[1], (404, {}))
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_service_gets_its_file_and_settings_that_make_a_connector() -> None:
    answers = {"whoami": (200, {"user_id": "@sabir_bot:e.org"})}
    async with homeserver(answers) as url:
        flow = NETWORK.login(rng=SeededRng())
        assert isinstance(await flow.begin(), Ask)
        assert isinstance(await flow.answer({"kind": "appservice"}), Ask)
        shown = await flow.answer(
            {"homeserver_url": url, "server_name": "e.org", "listen_port": "4000"}
        )
        assert isinstance(shown, ShowText)
        assert json.loads(shown.text)["url"] == "http://127.0.0.1:4000"
        assert shown.filename.endswith(".yaml")
        done = await flow.answer({})
        assert isinstance(done, Done)
        account = Account(
            id=AccountId("m"),
            network="matrix",
            settings=done.settings,
            secrets=done.secrets,
        )
        NETWORK.connector(account, clock=VirtualClock(), rng=SeededRng())
        token = done.secrets["as_token"].reveal_text()
        assert json.loads(shown.text)["as_token"] == token
        await flow.close()


async def test_a_homeserver_of_another_name_is_noticed() -> None:
    answers = {"whoami": (200, {"user_id": "@sabir_bot:other.org"})}
    async with homeserver(answers) as url:
        flow = MatrixLogin(SeededRng())
        await flow.answer({"kind": "appservice"})
        await flow.answer({"homeserver_url": url, "server_name": "e.org"})
        with pytest.raises(ConfigInvalid, match="right server_name"):
            await flow.answer({})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"listen_port": "0"}, "1 to 65535"),
        ({"listen_port": "x"}, "1 to 65535"),
        ({"server_name": "e.org", "homeserver_url": "e"}, "https://matrix"),
        ({"homeserver_url": "https://e.org"}, "server_name"),
    ],
)
async def test_a_wrong_answer_can_be_given_again(
    values: dict[str, str], words: str
) -> None:
    flow = MatrixLogin(SeededRng())
    with pytest.raises(ConfigInvalid, match="appservice, account"):
        await flow.answer({"kind": "x"})
    await flow.answer({"kind": "appservice"})
    with pytest.raises(ConfigInvalid, match=words):
        await flow.answer(values)
    good = {"homeserver_url": "https://e.org", "server_name": "e.org"}
    assert isinstance(await flow.answer(good), ShowText)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"errcode": "M_UNKNOWN"}), PeerIncompatible),
        ((200, {}), PeerIncompatible),
    ],
)
async def test_a_homeserver_without_passwords_is_told(
    answer: tuple[int, Any], error: type[Exception]
) -> None:
    async with homeserver({"login": answer}) as url:
        flow = MatrixLogin(SeededRng())
        await flow.answer({"kind": "account"})
        with pytest.raises(ConfigInvalid, match="@ada:example"):
            await flow.answer({"user_id": "ada"})
        with pytest.raises(error, match="token"):
            await flow.answer({"user_id": "@a:e.org", "homeserver_url": url})


async def test_an_answer_after_the_end_is_our_own_mistake() -> None:
    flow = MatrixLogin(SeededRng())
    flow._step = Ask(title="other", fields=())
    with pytest.raises(LocalError):
        await flow.answer({})
