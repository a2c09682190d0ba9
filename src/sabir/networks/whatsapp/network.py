"""The entry point `whatsapp`: settings and login of a business number."""

from typing import Final

from sabir.clock import Clock
from sabir.networks.api import Account, Connector, Network, Rng, Setting
from sabir.networks.login import LoginFlow
from sabir.networks.whatsapp.cloud import CloudNumber
from sabir.networks.whatsapp.config import (
    DOUBT_S_DEFAULT,
    GRAPH_URL_DEFAULT,
    GRAPH_VERSION_DEFAULT,
    LANGUAGE_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    cloud_config,
)
from sabir.networks.whatsapp.login import CloudLogin

SETTINGS: Final = (
    Setting(name="phone_number_id", about="Meta's id of the number"),
    Setting(
        name="graph_url",
        about="address of the Graph API",
        required=False,
        default=GRAPH_URL_DEFAULT,
    ),
    Setting(
        name="graph_version",
        about="its version",
        required=False,
        default=GRAPH_VERSION_DEFAULT,
    ),
    Setting(
        name="listen_host",
        about="address to listen on for webhooks",
        required=False,
        default=LISTEN_HOST_DEFAULT,
    ),
    Setting(
        name="listen_port",
        about="port to listen on for webhooks",
        kind=int,
        required=False,
        default=LISTEN_PORT_DEFAULT,
    ),
    Setting(
        name="template",
        about="approved template with one body variable: texts go in it when the "
        "person has not written for 24 hours; empty: they are refused with the reason",
        required=False,
        default="",
    ),
    Setting(
        name="template_language",
        about="language of the template",
        required=False,
        default=LANGUAGE_DEFAULT,
    ),
    Setting(
        name="doubt_seconds",
        about="how long to wait for a status when an answer was lost",
        kind=int,
        required=False,
        default=DOUBT_S_DEFAULT,
    ),
    Setting(name="access_token", about="token of a system user", secret=True),
    Setting(name="app_secret", about="key of the webhook's signatures", secret=True),
    Setting(
        name="verify_token", about="word by which Meta sets the webhook up", secret=True
    ),
    Setting(
        name="webhook_path",
        about="secret end of the webhook's address",
        secret=True,
    ),
)


class WhatsAppNetwork:
    """WhatsApp, by a business number."""

    name = "whatsapp"
    label = "WhatsApp (business number)"
    settings: tuple[Setting, ...] = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account (see `Network.connector`)."""
        return CloudNumber(cloud_config(account), clock=clock)

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue that adds an account."""
        return CloudLogin(rng)


NETWORK: Final[Network] = WhatsAppNetwork()
