"""The dialogue that adds a bot, and the settings it makes."""

from collections.abc import Mapping
from typing import Any

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, LocalError
from sabir.networks.api import Account, AccountId
from sabir.networks.login import Ask, Done, LoginFlow
from sabir.networks.registry import check_account
from sabir.networks.telegram.config import bot_config, webhook_url
from sabir.networks.telegram.network import NETWORK
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng
from sabir.testing.telegram.fake import FakeTelegram


async def started(server: FakeTelegram, **answers: str) -> tuple[LoginFlow, Any]:
    flow = NETWORK.login(rng=SeededRng())
    assert isinstance(await flow.begin(), Ask)
    known = {"token": server.token, "api_url": server.url}
    return flow, await flow.answer({**known, **answers})


def account(
    settings: Mapping[str, str | int | bool], secrets: Mapping[str, Secret]
) -> Account:
    return check_account(NETWORK, id=AccountId("t"), settings=settings, secrets=secrets)


async def test_a_token_is_enough() -> None:
    async with FakeTelegram() as server:
        flow, done = await started(server)
        assert isinstance(done, Done)
        assert "@sabir_test_bot" in done.welcome
        assert "/setprivacy" not in done.welcome
        NETWORK.connector(
            account(done.settings, done.secrets),
            clock=VirtualClock(),
            rng=SeededRng(),
        )
        with pytest.raises(LocalError):
            await flow.answer({})
        await flow.close()


async def test_a_webhook_asks_where_and_makes_a_secret() -> None:
    async with FakeTelegram() as server:
        flow, step = await started(server, receive="webhook")
        assert isinstance(step, Ask)
        with pytest.raises(ConfigInvalid, match="webhook_url"):
            await flow.answer({"webhook_url": "http://example.org"})
        with pytest.raises(ConfigInvalid, match="listen_port"):
            await flow.answer({"webhook_url": "https://e.org/t", "listen_port": "x"})
        done = await flow.answer({"webhook_url": "https://e.org/t"})
        assert isinstance(done, Done)
        found = bot_config(account(done.settings, done.secrets))
        assert found.webhook is not None
        assert found.webhook.url == "https://e.org/t"
        assert len(found.webhook.secret.reveal_text()) == 64
        await flow.close()
        await flow.close()
        with pytest.raises(LocalError):
            await flow.answer({})


async def test_the_bots_own_limits_are_told() -> None:
    async with FakeTelegram() as server:
        server.bot |= {"can_join_groups": False, "can_read_all_group_messages": False}
        _, done = await started(server)
        assert isinstance(done, Done)
        assert "/setjoingroups" in done.welcome
        assert "/setprivacy" in done.welcome


async def test_a_wrong_token_may_be_typed_again() -> None:
    async with FakeTelegram() as server:
        flow = NETWORK.login(rng=SeededRng())
        known = {"api_url": server.url}
        with pytest.raises(ConfigInvalid, match="looks like") as found:
            await flow.answer({**known, "token": "hunter2"})
        assert "hunter2" not in str(found.value)
        with pytest.raises(CredentialsRefused, match="BotFather"):
            await flow.answer({**known, "token": "4242:not-the-token"})
        assert isinstance(await flow.answer({**known, "token": server.token}), Done)


async def test_a_token_of_no_bot_is_refused() -> None:
    async with FakeTelegram() as server:
        server.bot["is_bot"] = False
        with pytest.raises(CredentialsRefused, match="not a bot's"):
            await started(server)


async def test_the_way_of_receiving_is_one_of_two() -> None:
    async with FakeTelegram() as server:
        with pytest.raises(ConfigInvalid, match="polling, webhook"):
            await started(server, receive="pigeon")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"api_url": "ftp://e.org"}, "not an address"),
        ({"api_url": "http://e.org"}, "in clear"),
        ({"api_url": ""}, "api_url is missing"),
        ({"receive": "webhook"}, "webhook_url is missing"),
        ({"receive": "webhook", "webhook_url": "nowhere"}, "webhook_url"),
        (
            {
                "receive": "webhook",
                "webhook_url": "https://e.org",
                "listen_port": 70_000,
            },
            "listen_port",
        ),
        ({"receive": "pigeon"}, "receive"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], word: str) -> None:
    secrets = {
        "token": Secret.from_text("4242:a-token-of-tests"),
        "webhook_secret": Secret.from_text("x" * 32),
    }
    wrong = Account(
        id=AccountId("t"), network="telegram", settings=settings, secrets=secrets
    )
    with pytest.raises(ConfigInvalid, match=word):
        bot_config(wrong)


def test_a_secret_that_is_missing_or_short_is_named() -> None:
    settings = {"receive": "webhook", "webhook_url": "https://e.org"}
    token = {"token": Secret.from_text("4242:a-token-of-tests")}
    for secrets in ({}, token, {**token, "webhook_secret": Secret.from_text("short")}):
        wrong = Account(
            id=AccountId("t"), network="telegram", settings=settings, secrets=secrets
        )
        with pytest.raises(ConfigInvalid, match="secret"):
            bot_config(wrong)


def test_an_address_near_us_needs_no_tls() -> None:
    for address in (
        "http://localhost:1",
        "http://proxy/t",
        "http://10.0.0.1/t",
        "http://a.localhost",
    ):
        assert webhook_url(address) == address
