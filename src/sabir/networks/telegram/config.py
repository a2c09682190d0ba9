"""The settings of a Telegram bot, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account

API_URL_DEFAULT: Final = "https://api.telegram.org"
POLLING: Final = "polling"
WEBHOOK: Final = "webhook"
RECEIVE: Final = (POLLING, WEBHOOK)
LISTEN_HOST_DEFAULT: Final = "127.0.0.1"
LISTEN_PORT_DEFAULT: Final = 29_360

_TOKEN: Final = re.compile(r"[1-9]\d{0,19}:[A-Za-z0-9_-]{8,128}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,256}")
"""Bot API, "setWebhook": 1 to 256 characters of this alphabet; fewer can be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Where Telegram calls us."""

    url: str
    """As Telegram sees it, through a reverse proxy with a certificate."""
    listen_host: str
    listen_port: int
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """What the connector needs to know."""

    api_url: str
    token: Secret
    webhook: WebhookConfig | None = None
    """None: long polling."""


def bot_config(account: Account) -> BotConfig:
    """Check the settings of an account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    settings = account.settings
    receive = _text(settings, "receive", POLLING)
    if receive not in RECEIVE:
        raise ConfigInvalid(f"receive = {receive!r} is not one of {', '.join(RECEIVE)}")
    webhook = None
    if receive == WEBHOOK:
        port = settings.get("listen_port", LISTEN_PORT_DEFAULT)
        webhook = WebhookConfig(
            url=webhook_url(_text(settings, "webhook_url")),
            listen_host=_text(settings, "listen_host", LISTEN_HOST_DEFAULT),
            listen_port=listen_port(str(port)),
            secret=_webhook_secret(account),
        )
    return BotConfig(
        api_url=api_url(_text(settings, "api_url", API_URL_DEFAULT)),
        token=bot_token(_secret(account, "token").reveal_text()),
        webhook=webhook,
    )


def bot_token(text: str) -> Secret:
    """Return a bot's token.

    Raises:
        ConfigInvalid: it is none; it is not shown.
    """
    if not _TOKEN.fullmatch(text.strip()):
        raise ConfigInvalid(
            "this is not a bot's token; it looks like 123456789:AAE... Copy the whole "
            "line that @BotFather gives (/newbot, or /token for a bot you have)"
        )
    return Secret.from_text(text.strip())


def api_url(text: str) -> str:
    """Return the base address of the Bot API without a final slash.

    Raises:
        ConfigInvalid: not an address, or plain HTTP to a public host: the token would
            be readable on the way.
    """
    text = text.strip().rstrip("/")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query:
        raise ConfigInvalid(
            f"api_url = {text!r} is not an address; write {API_URL_DEFAULT}, or that "
            "of your own Bot API server"
        )
    if parts.scheme == "http" and not _is_near(host):
        raise ConfigInvalid(
            f"api_url = {text!r} would send the token in clear; use https://, or "
            "http:// only for this machine or a private network"
        )
    return text


def webhook_url(text: str) -> str:
    """Return the address that Telegram is to call.

    Raises:
        ConfigInvalid: not an address.
    """
    text = text.strip()
    parts = urlsplit(text)
    is_near = parts.scheme == "http" and _is_near(parts.hostname or "")
    if not parts.hostname or (parts.scheme != "https" and not is_near):
        raise ConfigInvalid(
            f"webhook_url = {text!r} is not an address that Telegram can call; write "
            "https://example.org/telegram (port 443, 80, 88 or 8443)"
        )
    return text


def listen_port(text: str) -> int:
    """Return a port.

    Raises:
        ConfigInvalid: it is none.
    """
    if not text.isdecimal() or int(text) > 65_535:
        raise ConfigInvalid(f"listen_port = {text!r} is not a port; use 1 to 65535")
    return int(text)


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine, a private address or a container's name."""
    if "." not in host and ":" not in host:
        return bool(host)
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith(".localhost")
    return address.is_private or address.is_loopback


def _text(
    settings: Mapping[str, str | int | bool], name: str, default: str | None = None
) -> str:
    value = settings.get(name, default)
    if not isinstance(value, str) or not value:
        raise ConfigInvalid(f"{name} is missing or not a text; add it to this account")
    return value


def _secret(account: Account, name: str) -> Secret:
    if name not in account.secrets:
        raise ConfigInvalid(
            f"the secret {name} is missing; add this account again to store it"
        )
    return account.secrets[name]


def _webhook_secret(account: Account) -> Secret:
    secret = _secret(account, "webhook_secret")
    if not _SECRET.fullmatch(secret.reveal_text()):
        raise ConfigInvalid(
            "webhook_secret must have 16 to 256 of A-Z a-z 0-9 _ -; add this account "
            "again to make one"
        )
    return secret
