"""The settings of a Matrix account, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account
from sabir.networks.matrix.html import is_user_id

PREFIX_DEFAULT: Final = "sabir_"
BOT_DEFAULT: Final = "sabir_bot"
ID_DEFAULT: Final = "sabir"
LISTEN_HOST_DEFAULT: Final = "127.0.0.1"
LISTEN_PORT_DEFAULT: Final = 29_350

_LOCALPART: Final = re.compile(r"[a-z0-9._=/+-]{1,64}")
_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,230}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppServiceConfig:
    """What the application service needs to know."""

    homeserver_url: str
    server_name: str
    as_token: Secret
    hs_token: Secret
    appservice_id: str = ID_DEFAULT
    listen_host: str = LISTEN_HOST_DEFAULT
    listen_port: int = LISTEN_PORT_DEFAULT
    prefix: str = PREFIX_DEFAULT
    bot: str = BOT_DEFAULT
    """Localpart of the bot."""

    @property
    def bot_id(self) -> str:
        """Return the bot's user id."""
        return f"@{self.bot}:{self.server_name}"

    def is_ours(self, user: str) -> bool:
        """Tell whether this is the bot or a ghost of ours."""
        return user == self.bot_id or (
            user.startswith(f"@{self.prefix}") and user.endswith(f":{self.server_name}")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """What the plain account needs to know."""

    homeserver_url: str
    user_id: str
    access_token: Secret


def appservice_config(account: Account) -> AppServiceConfig:
    """Check the settings of an application service.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    settings = account.settings
    prefix = _text(settings, "prefix", PREFIX_DEFAULT)
    bot = _text(settings, "bot", BOT_DEFAULT)
    for name, value in (("prefix", prefix), ("bot", bot)):
        if not _LOCALPART.fullmatch(value):
            raise ConfigInvalid(
                f"{name} = {value!r} is not usable in a user id; use up to 64 of "
                "a-z 0-9 . _ = - / +, for example sabir_"
            )
    port = settings.get("listen_port", LISTEN_PORT_DEFAULT)
    if not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ConfigInvalid(f"listen_port = {port!r} is not a port; use 1 to 65535")
    return AppServiceConfig(
        homeserver_url=homeserver_url(_text(settings, "homeserver_url")),
        server_name=server_name(_text(settings, "server_name")),
        as_token=_secret(account, "as_token"),
        hs_token=_secret(account, "hs_token"),
        appservice_id=_text(settings, "appservice_id", ID_DEFAULT),
        listen_host=_text(settings, "listen_host", LISTEN_HOST_DEFAULT),
        listen_port=port,
        prefix=prefix,
        bot=bot,
    )


def account_config(account: Account) -> AccountConfig:
    """Check the settings of a plain account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    user = _text(account.settings, "user_id")
    if not is_user_id(user):
        raise ConfigInvalid(
            f"user_id = {user!r} is not a Matrix user id; write it as @ada:example.org"
        )
    return AccountConfig(
        homeserver_url=homeserver_url(_text(account.settings, "homeserver_url")),
        user_id=user,
        access_token=_secret(account, "access_token"),
    )


def homeserver_url(text: str) -> str:
    """Return the homeserver's base address without a final slash.

    Raises:
        ConfigInvalid: not an address, or plain HTTP to a public host: the token
            would be readable on the way.
    """
    text = text.strip().rstrip("/")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.query
        or parts.username
    ):
        raise ConfigInvalid(
            f"homeserver_url = {text!r} is not an address; write it like "
            "https://matrix.example.org"
        )
    if parts.scheme == "http" and not _is_near(host):
        raise ConfigInvalid(
            f"homeserver_url = {text!r} would send the token in clear; use https://, "
            "or http:// only for this machine or a private network"
        )
    return text


def server_name(text: str) -> str:
    """Return the server name (the part after the colon of its user ids).

    Raises:
        ConfigInvalid: not a server name.
    """
    if not _SERVER_NAME.fullmatch(text):
        raise ConfigInvalid(
            f"server_name = {text!r} is not a server name; write it like example.org, "
            "as in @ada:example.org"
        )
    return text


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine, a private address or a container's name."""
    if "." not in host and ":" not in host:
        return True
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
