"""The webhook: Telegram calls us, and repeats until we answer 200 ("setWebhook").

* Without the secret: 403, compared in constant time.
* 200 only after the update was stored; a storage failure gives 500 and ends the run.
* `max_connections` is 1, so that updates come in their order.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import StorageFailed, Unavailable
from sabir.networks import serving
from sabir.networks.telegram.client import BotApi
from sabir.networks.telegram.config import WebhookConfig
from sabir.networks.telegram.intake import ALLOWED_UPDATES, Intake
from sabir.networks.telegram.notes import WEBHOOK, Notes

BODY_OCTETS_MAX: Final = 4 * 1024 * 1024
"""One update: a message of 4,096 units and the one it answers, with their entities."""
SHUTDOWN_S: Final = 2
"""For an update that is being stored when we stop."""
CHECK_MS: Final = 300_000
"""How often Telegram is asked whether it still calls us, and whether that works."""
PROOF_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"

Take = Callable[[Any], Awaitable[None]]


class WebhookReader:
    """Gets the updates of one bot by webhook."""

    def __init__(
        self,
        api: BotApi,
        intake: Intake,
        clock: Clock,
        notes: Notes,
        config: WebhookConfig,
    ) -> None:
        self._api = api
        self._intake = intake
        self._clock = clock
        self._notes = notes
        self._config = config
        self._one_at_a_time = asyncio.Lock()
        self._failed: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            StorageFailed: an update could not be stored; Telegram repeats it.
            ConfigInvalid: the address cannot be listened on.
            Unavailable, CredentialsRefused: Telegram; as they say.
        """
        self._failed = asyncio.get_running_loop().create_future()
        config = self._config
        secret = config.secret
        async with listening(
            config.listen_host, config.listen_port, secret=secret, take=self._take
        ):
            await self._api.call(
                "setWebhook",
                {
                    "url": config.url,
                    "secret_token": secret.reveal_text(),
                    "allowed_updates": list(ALLOWED_UPDATES),
                    "max_connections": 1,
                },
            )
            self._notes.connected()
            await self._watch(self._failed)

    async def _take(self, update: Any) -> None:
        try:
            async with self._one_at_a_time:  # they come in their order
                await self._intake.take([update], late=False)
        except StorageFailed as error:
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(error)
            raise

    async def _watch(self, failed: asyncio.Future[None]) -> None:
        """Wait for a failure, and ask now and then how Telegram sees us."""
        while True:
            async with asyncio.TaskGroup() as group:
                sleep = group.create_task(self._clock.sleep(CHECK_MS))
                await asyncio.wait({sleep, failed}, return_when=asyncio.FIRST_COMPLETED)
                sleep.cancel()
            if failed.done():
                failed.result()
            await self._check()

    async def _check(self) -> None:
        info = await self._api.call("getWebhookInfo")
        info = info if isinstance(info, dict) else {}
        if info.get("url") != self._config.url:
            raise Unavailable(
                "another program has taken this bot's webhook; stop it, or make a bot "
                "of its own for Sabir at @BotFather"
            )
        error, waiting = (
            info.get("last_error_message"),
            info.get("pending_update_count"),
        )
        if isinstance(waiting, int) and waiting and isinstance(error, str):
            self._notes.note(
                WEBHOOK,
                f"Telegram cannot reach webhook_url ({error[:100]}) and {waiting} "
                "updates wait; check the reverse proxy and its certificate",
            )
        else:
            self._notes.note(WEBHOOK, "")


@asynccontextmanager
async def listening(
    host: str, port: int, *, secret: Secret, take: Take
) -> AsyncIterator[int]:
    """Listen while the context is open; gives the port.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    app = web.Application(client_max_size=BODY_OCTETS_MAX)
    app.router.add_post("/{path:.*}", _Endpoint(secret, take).update)
    async with serving.listening(
        app, host, port, shutdown_s=SHUTDOWN_S, also_in="the reverse proxy"
    ) as bound:
        yield bound


class _Endpoint:
    def __init__(self, secret: Secret, take: Take) -> None:
        self._secret = secret
        self._take = take

    async def update(self, request: web.Request) -> web.Response:
        said = request.headers.get(PROOF_HEADER, "")
        if not self._secret.ct_equal(said.encode("utf-8", "surrogateescape")):
            return web.Response(status=403, text="wrong secret")
        try:
            update = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400, text="no JSON")
        try:
            await self._take(update)
        except StorageFailed:
            return web.Response(status=500, text="not stored; please repeat")
        return web.Response(status=200)
