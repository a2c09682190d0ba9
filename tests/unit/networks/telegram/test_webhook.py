"""The webhook: who may call, what is answered, and what Telegram repeats."""

import socket
from typing import Any

import aiohttp
import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, StorageFailed, Unavailable
from sabir.networks.telegram import webhook
from sabir.networks.telegram.config import WebhookConfig
from sabir.networks.telegram.connector import TelegramBot
from tests.unit.networks.telegram.bench import (
    ANN,
    GROUP,
    Bench,
    bench,
    config,
    ends,
    phrases,
)

SECRET = "a-secret-that-telegram-proves"
UPDATE = {"update_id": 1, "message": {"message_id": 1}}


@pytest.fixture
def hook() -> WebhookConfig:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return WebhookConfig(
        url=f"http://127.0.0.1:{port}/telegram",
        listen_host="127.0.0.1",
        listen_port=port,
        secret=Secret.from_text(SECRET),
    )


async def post(hook: WebhookConfig, secret: str, body: bytes) -> int:
    headers = {webhook.PROOF_HEADER: secret} if secret else {}
    async with (
        aiohttp.ClientSession() as session,
        session.post(hook.url, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_updates_come_by_calls_and_are_answered_after_the_take(
    hook: WebhookConfig,
) -> None:
    async with bench() as at, at.running(hook):
        at.server.says(GROUP, ANN, "one")
        at.server.says(GROUP, ANN, "two")
        assert await at.texts(2) == ["one", "two"]
        await at.host.until(lambda: at.server.updates.hook_answers == [200, 200])
        (asked,) = at.methods("setWebhook")
        assert asked["max_connections"] == 1
        assert "message_reaction" in asked["allowed_updates"]


async def test_who_lacks_the_secret_is_sent_away(hook: WebhookConfig) -> None:
    async with bench() as at, at.running(hook):
        assert await post(hook, "", b"{}") == 403
        assert await post(hook, "a-secret-that-somebody-guesses", b"{}") == 403
        assert await post(hook, SECRET, b"{") == 400
        assert await post(hook, SECRET, b"[" * 100_000) == 400
        assert await post(hook, SECRET, b"7") == 200
        assert not at.host.events


async def test_the_same_update_twice_is_one_event(hook: WebhookConfig) -> None:
    async with bench() as at, at.running(hook):
        at.server.says(GROUP, ANN, "once")
        await at.texts(1)
        at.server.updates.redeliver()
        at.server.says(GROUP, ANN, "then")
        assert await at.texts(2) == ["once", "then"]
        assert len(at.host.events) == 2


async def test_what_cannot_be_stored_is_not_acknowledged_and_ends_the_run(
    hook: WebhookConfig,
) -> None:
    async with bench() as at:
        bot = TelegramBot(config(at.server, hook))
        at.host.fail_takes = 1
        at.server.says(GROUP, ANN, "hello")
        assert isinstance(await ends(bot, at.host), StorageFailed)
        assert at.server.updates.hook_answers[0] == 500
        async with at.running(hook):
            assert await at.texts(1) == ["hello"]


async def test_a_port_in_use_is_named(hook: WebhookConfig) -> None:
    async with bench() as at, at.running(hook):
        error = await ends(TelegramBot(config(at.server, hook)), at.host)
        assert isinstance(error, ConfigInvalid)
        assert f"listen_port = {hook.listen_port}" in str(error)


async def test_an_address_of_another_machine_is_refused() -> None:
    async def nothing(update: Any) -> None:
        raise AssertionError

    secret = Secret.from_text(SECRET)
    with pytest.raises(ConfigInvalid, match="listen_host"):
        async with webhook.listening("192.0.2.1", 4_000, secret=secret, take=nothing):
            pass


class TestWatching:
    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook, "CHECK_MS", 50)

    async def test_a_webhook_taken_by_another_program_ends_the_run(
        self, hook: WebhookConfig
    ) -> None:
        async with bench() as at:
            at.bot = TelegramBot(config(at.server, hook))
            _steal(at)
            error = await ends(at.bot, at.host)
            assert isinstance(error, Unavailable)
            assert "taken this bot's webhook" in str(error)

    async def test_a_webhook_that_telegram_cannot_reach_is_told_of(
        self, hook: WebhookConfig
    ) -> None:
        async with bench() as at, at.running(hook):
            _fail(at, hook, waiting=3)
            await at.host.until(lambda: phrases(at.host.states))
            assert "Wrong response: 502" in phrases(at.host.states)[0]
            _fail(at, hook, waiting=0)
            await at.host.until(lambda: not at.host.states[-1][1])


def _steal(at: Bench) -> None:
    async def answer(method: str, params: Any) -> Any:
        result = await type(at.server).answer(at.server, method, params)
        if method == "getWebhookInfo":
            return {**result, "url": "https://e.org/other"}
        return result

    at.server.answer = answer  # type: ignore[method-assign]  # one method answers otherwise


def _fail(at: Bench, hook: WebhookConfig, *, waiting: int) -> None:
    async def answer(method: str, params: Any) -> Any:
        result = await type(at.server).answer(at.server, method, params)
        if method == "getWebhookInfo":
            failed = {"last_error_message": "Wrong response: 502 Bad Gateway"}
            return {**result, **failed, "pending_update_count": waiting}
        return result

    at.server.answer = answer  # type: ignore[method-assign]  # one method answers otherwise
