"""The entry point `imessage`: settings and login."""

from typing import Final

from sabir.clock import Clock
from sabir.networks.api import Account, Connector, Network, Rng, Setting
from sabir.networks.imessage.config import (
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    RECEIVE,
    SOCKET,
    URL_DEFAULT,
    WEBHOOK_URL_DEFAULT,
    mac_config,
)
from sabir.networks.imessage.connector import Mac
from sabir.networks.imessage.login import MacLogin
from sabir.networks.login import LoginFlow

SETTINGS: Final = (
    Setting(
        name="url",
        about="address of the BlueBubbles server on your Mac",
        required=False,
        default=URL_DEFAULT,
    ),
    Setting(
        name="receive",
        about="how news come: socket (Sabir connects), webhook (the Mac calls us), or"
        " polling (every 30 seconds)",
        required=False,
        default=SOCKET,
        choices=RECEIVE,
    ),
    Setting(
        name="webhook_url",
        about="webhook: our address as the Mac sees it",
        required=False,
        default=WEBHOOK_URL_DEFAULT,
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
    Setting(
        name="read_receipts",
        about="mark chats as read, which people may see",
        kind=bool,
        required=False,
        default=False,
    ),
    Setting(
        name="allow_sms",
        about="send to chats that are SMS or RCS, which the carrier can read",
        kind=bool,
        required=False,
        default=False,
    ),
    Setting(name="password", about="the password of BlueBubbles", secret=True),
    Setting(
        name="webhook_secret",
        about="webhook: the secret part of our address",
        required=False,
        secret=True,
    ),
)


class IMessageNetwork:
    """iMessage, through the owner's own Mac."""

    name = "imessage"
    label = "iMessage"
    settings: tuple[Setting, ...] = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account (see `Network.connector`)."""
        return Mac(mac_config(account))

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue that adds a Mac."""
        return MacLogin(rng)


NETWORK: Final[Network] = IMessageNetwork()
