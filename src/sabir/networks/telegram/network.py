"""The entry point `telegram`: settings and login."""

from typing import Final

from sabir.clock import Clock
from sabir.networks.api import Account, Connector, Network, Rng, Setting
from sabir.networks.login import LoginFlow
from sabir.networks.telegram.config import (
    API_URL_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    POLLING,
    RECEIVE,
    bot_config,
)
from sabir.networks.telegram.connector import TelegramBot
from sabir.networks.telegram.login import TelegramLogin

SETTINGS: Final = (
    Setting(
        name="receive",
        about="polling: Sabir asks for updates; webhook: Telegram calls us",
        required=False,
        default=POLLING,
        choices=RECEIVE,
    ),
    Setting(
        name="api_url",
        about="address of the Bot API, other than Telegram's only for a server of "
        "your own",
        required=False,
        default=API_URL_DEFAULT,
    ),
    Setting(
        name="webhook_url",
        about="webhook: our address as Telegram sees it",
        required=False,
    ),
    Setting(
        name="listen_host",
        about="webhook: address to listen on",
        required=False,
        default=LISTEN_HOST_DEFAULT,
    ),
    Setting(
        name="listen_port",
        about="webhook: port to listen on",
        kind=int,
        required=False,
        default=LISTEN_PORT_DEFAULT,
    ),
    Setting(name="token", about="the bot's token, from @BotFather", secret=True),
    Setting(
        name="webhook_secret",
        about="webhook: what Telegram proves itself with",
        required=False,
        secret=True,
    ),
)


class TelegramNetwork:
    """Telegram, by its Bot API."""

    name = "telegram"
    label = "Telegram"
    settings: tuple[Setting, ...] = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account (see `Network.connector`)."""
        return TelegramBot(bot_config(account))

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue that adds a bot."""
        return TelegramLogin(rng)


NETWORK: Final[Network] = TelegramNetwork()
