"""The entry point `matrix`: settings, login, and the two kinds of account."""

from typing import Final

from sabir.clock import Clock
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, Connector, Network, Rng, Setting
from sabir.networks.login import LoginFlow
from sabir.networks.matrix.account import PlainAccount
from sabir.networks.matrix.appservice import AppService
from sabir.networks.matrix.config import (
    BOT_DEFAULT,
    ID_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    PREFIX_DEFAULT,
    account_config,
    appservice_config,
)
from sabir.networks.matrix.login import APPSERVICE, KINDS, MatrixLogin

SETTINGS: Final = (
    Setting(
        name="kind",
        about="appservice: everybody speaks for themselves, the homeserver's "
        "administrator installs a file; account: one account speaks for all",
        choices=KINDS,
    ),
    Setting(name="homeserver_url", about="address of the homeserver's client API"),
    Setting(
        name="server_name",
        about="appservice: the part after the colon of the homeserver's user ids",
        required=False,
    ),
    Setting(
        name="appservice_id",
        about="appservice: id in the registration",
        required=False,
        default=ID_DEFAULT,
    ),
    Setting(
        name="listen_host",
        about="appservice: address to listen on for the homeserver",
        required=False,
        default=LISTEN_HOST_DEFAULT,
    ),
    Setting(
        name="listen_port",
        about="appservice: port to listen on for the homeserver",
        kind=int,
        required=False,
        default=LISTEN_PORT_DEFAULT,
    ),
    Setting(
        name="prefix",
        about="appservice: how the ids of ghosts begin",
        required=False,
        default=PREFIX_DEFAULT,
    ),
    Setting(
        name="bot",
        about="appservice: localpart of the bot",
        required=False,
        default=BOT_DEFAULT,
    ),
    Setting(
        name="as_token",
        about="appservice: our token at the homeserver",
        required=False,
        secret=True,
    ),
    Setting(
        name="hs_token",
        about="appservice: the homeserver's token at our listener",
        required=False,
        secret=True,
    ),
    Setting(
        name="user_id", about="account: whose account, @ada:example.org", required=False
    ),
    Setting(
        name="access_token",
        about="account: token of one login",
        required=False,
        secret=True,
    ),
)


class MatrixNetwork:
    """Matrix."""

    name = "matrix"
    label = "Matrix"
    settings: tuple[Setting, ...] = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account (see `Network.connector`)."""
        kind = account.settings.get("kind")
        if kind not in KINDS:
            raise ConfigInvalid(f"kind = {kind!r} is not one of {', '.join(KINDS)}")
        if kind == APPSERVICE:
            return AppService(appservice_config(account), clock=clock)
        return PlainAccount(account_config(account), clock=clock)

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue that adds an account."""
        return MatrixLogin(rng)


NETWORK: Final[Network] = MatrixNetwork()
