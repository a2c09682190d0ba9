"""The settings of an account, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account

URL_DEFAULT: Final = "http://127.0.0.1:1234"
SOCKET: Final = "socket"
WEBHOOK: Final = "webhook"
POLLING: Final = "polling"
RECEIVE: Final = (SOCKET, WEBHOOK, POLLING)
WEBHOOK_URL_DEFAULT: Final = "http://127.0.0.1:29370"
LISTEN_HOST_DEFAULT: Final = "127.0.0.1"
LISTEN_PORT_DEFAULT: Final = 29_370
PASSWORD_CHARACTERS_MAX: Final = 256

_HOOK: Final = re.compile(r"[A-Za-z0-9_-]{32,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Where BlueBubbles calls us."""

    url: str
    """As the Mac sees it, without the secret."""
    listen_host: str
    listen_port: int
    secret: Secret
    """The last part of the path; BlueBubbles signs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MacConfig:
    """What the connector needs to know."""

    url: str
    password: Secret
    receive: str = SOCKET
    webhook: WebhookConfig | None = None
    read_receipts: bool = False
    allow_sms: bool = False


def mac_config(account: Account) -> MacConfig:
    """Check the settings of an account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    settings = account.settings
    receive = _text(settings, "receive", SOCKET)
    if receive not in RECEIVE:
        raise ConfigInvalid(f"receive = {receive!r} is not one of {', '.join(RECEIVE)}")
    webhook = None
    if receive == WEBHOOK:
        port = settings.get("listen_port", LISTEN_PORT_DEFAULT)
        webhook = WebhookConfig(
            url=webhook_url(_text(settings, "webhook_url", WEBHOOK_URL_DEFAULT)),
            listen_host=_text(settings, "listen_host", LISTEN_HOST_DEFAULT),
            listen_port=listen_port(str(port)),
            secret=_hook_secret(account),
        )
    return MacConfig(
        url=server_url(_text(settings, "url", URL_DEFAULT)),
        password=password(_secret(account, "password").reveal_text()),
        receive=receive,
        webhook=webhook,
        read_receipts=settings.get("read_receipts") is True,
        allow_sms=settings.get("allow_sms") is True,
    )


def password(text: str) -> Secret:
    """Return the server's password.

    Raises:
        ConfigInvalid: it is none; it is not shown.
    """
    found = text.strip()
    if not found or len(found) > PASSWORD_CHARACTERS_MAX or not found.isprintable():
        raise ConfigInvalid(
            "password is empty or not one line of text; it stands in the settings of"
            " BlueBubbles on the Mac. Best are 32 letters and digits"
        )
    return Secret.from_text(found)


def server_url(text: str) -> str:
    """Return the address of BlueBubbles without a final slash.

    Raises:
        ConfigInvalid: no address, or plain HTTP to a public host: the password would
            be readable on the way, and every message.
    """
    found = text.strip().rstrip("/")
    parts = urlsplit(found)
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ConfigInvalid(
            "url is not the address of a server; write it without a password, e.g."
            f" {URL_DEFAULT} or https://mac.example.org"
        )
    if parts.scheme == "http" and not _is_near(host):
        raise ConfigInvalid(
            f"url = {found!r} would send the password and every message in clear; use"
            " https://, or http:// only for this machine or a private network"
        )
    return found


def webhook_url(text: str) -> str:
    """Return the address that BlueBubbles is to call, without a final slash.

    Raises:
        ConfigInvalid: not an address.
    """
    found = text.strip().rstrip("/")
    parts = urlsplit(found)
    near = parts.scheme == "http" and _is_near(parts.hostname or "")
    if not parts.hostname or parts.query or (parts.scheme != "https" and not near):
        raise ConfigInvalid(
            f"webhook_url = {found!r} is not an address that the Mac can call; write"
            f" {WEBHOOK_URL_DEFAULT} if Sabir runs on it, else https://..."
        )
    return found


def listen_port(text: str) -> int:
    """Return a port.

    Raises:
        ConfigInvalid: it is none.
    """
    if not text.isdecimal() or int(text) > 65_535:
        raise ConfigInvalid(f"listen_port = {text!r} is not a port; use 1 to 65535")
    return int(text)


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine, a private address or a name without dots."""
    if "." not in host and ":" not in host:
        return bool(host)
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith((".localhost", ".local"))
    return address.is_private or address.is_loopback


def _text(settings: Mapping[str, str | int | bool], name: str, default: str) -> str:
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


def _hook_secret(account: Account) -> Secret:
    secret = _secret(account, "webhook_secret")
    if not _HOOK.fullmatch(secret.reveal_text()):
        raise ConfigInvalid(
            "webhook_secret must have 32 to 128 of A-Z a-z 0-9 _ -; add this account"
            " again to make one"
        )
    return secret
