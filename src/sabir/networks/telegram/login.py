"""How a person adds a Telegram bot: paste its token, choose how updates come."""

from collections.abc import Mapping
from typing import Any, Final

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, LocalError
from sabir.networks.api import Rng
from sabir.networks.login import Ask, Done, Field, Step
from sabir.networks.telegram.client import BotApi, http_session
from sabir.networks.telegram.config import (
    API_URL_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    POLLING,
    RECEIVE,
    WEBHOOK,
    api_url,
    bot_token,
    listen_port,
    webhook_url,
)

SECRET_OCTETS: Final = 32

_BOT: Final = Ask(
    title="The Telegram bot. To make one, write /newbot to @BotFather in Telegram",
    fields=(
        Field(
            name="token",
            label="Token",
            help="the line like 123456789:AAE... that @BotFather gives",
            secret=True,
        ),
        Field(
            name="receive",
            label="How updates come",
            help="polling: Sabir asks, works everywhere. webhook: Telegram calls a "
            "public address of yours",
            choices=RECEIVE,
            default=POLLING,
        ),
        Field(
            name="api_url",
            label="Address of the Bot API",
            help="other only with your own Bot API server",
            default=API_URL_DEFAULT,
        ),
    ),
)
_HOOK: Final = Ask(
    title="Where Telegram calls. A reverse proxy with a certificate passes it on",
    fields=(
        Field(
            name="webhook_url",
            label="Public address",
            help="e.g. https://example.org/telegram; port 443, 80, 88 or 8443",
        ),
        Field(
            name="listen_host",
            label="Listen on address",
            help="127.0.0.1 if the reverse proxy runs on this machine",
            default=LISTEN_HOST_DEFAULT,
        ),
        Field(
            name="listen_port", label="Listen on port", default=str(LISTEN_PORT_DEFAULT)
        ),
    ),
)


class TelegramLogin:
    """One login in progress (see `LoginFlow`)."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._done: Done | None = None
        self._is_over = False

    async def begin(self) -> Step:
        """Return the first step."""
        return _BOT

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take the answers to the last step and return the next."""
        if self._is_over:
            raise LocalError("a login was answered after its end")
        if self._done is None:
            return await self._bot(values)
        step = self._with_webhook(self._done, values)
        self._is_over = True
        return step

    async def close(self) -> None:
        """Forget what was typed."""
        self._done = None
        self._is_over = True

    async def _bot(self, values: Mapping[str, str]) -> Step:
        receive = values.get("receive", "") or POLLING
        if receive not in RECEIVE:
            raise ConfigInvalid(
                f"receive = {receive!r} is not one of {', '.join(RECEIVE)}"
            )
        base = api_url(values.get("api_url", "") or API_URL_DEFAULT)
        token = bot_token(values.get("token", ""))
        async with http_session() as http:
            me = await BotApi(base, http, token).call("getMe")
        done = Done(
            settings={"receive": receive, "api_url": base},
            secrets={"token": token},
            welcome=_welcome(me),
        )
        if receive == WEBHOOK:
            self._done = done
            return _HOOK
        self._is_over = True
        return done

    def _with_webhook(self, done: Done, values: Mapping[str, str]) -> Done:
        settings = {
            **done.settings,
            "webhook_url": webhook_url(values.get("webhook_url", "")),
            "listen_host": values.get("listen_host", "") or LISTEN_HOST_DEFAULT,
            "listen_port": listen_port(
                values.get("listen_port", "") or str(LISTEN_PORT_DEFAULT)
            ),
        }
        secret = Secret.from_text(self._rng(SECRET_OCTETS).hex())
        return Done(
            settings=settings,
            secrets={**done.secrets, "webhook_secret": secret},
            welcome=done.welcome,
        )


def _welcome(me: Any) -> str:
    if not isinstance(me, dict) or me.get("is_bot") is not True:
        raise CredentialsRefused("this token is not a bot's; ask @BotFather for one")
    text = f"You are @{me.get('username', '?')} on Telegram. "
    if me.get("can_join_groups") is False:
        text += "It may not join groups: allow it at @BotFather (/setjoingroups). "
    if me.get("can_read_all_group_messages") is not True:
        text += (
            "Its privacy mode is on, so it sees only commands in groups: turn it off "
            "at @BotFather (/setprivacy, Disable) before adding it to a group. "
        )
    return text + "Add it to a group, or write to it; then see `sabir chats`."
