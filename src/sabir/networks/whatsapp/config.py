"""The settings of a WhatsApp business number, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, Rng

GRAPH_URL_DEFAULT: Final = "https://graph.facebook.com"
GRAPH_VERSION_DEFAULT: Final = "v23.0"
LISTEN_HOST_DEFAULT: Final = "127.0.0.1"
LISTEN_PORT_DEFAULT: Final = 29_360
LANGUAGE_DEFAULT: Final = "en_US"
DOUBT_S_DEFAULT: Final = 600
"""So long a status may still tell of a message whose answer was lost."""
DOUBT_S_MAX: Final = 86_400
PATH_START: Final = "/whatsapp/"
"""Of the webhook's path; the secret follows."""
TOKEN_OCTETS: Final = 20
"""160 bits: nobody finds the path, or the verify token, by trying."""

_NUMBER: Final = re.compile(r"[0-9]{5,20}")
_VERSION: Final = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")
_PATH: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")
_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """What the connector needs to know."""

    number_id: str
    """Meta's id of the phone number, not the number itself."""
    access_token: Secret
    app_secret: Secret
    """Key of the webhook's signatures."""
    verify_token: Secret
    """Meta repeats it once, when the webhook is set up."""
    path_secret: Secret
    """Last segment of the webhook's path."""
    graph_url: str = GRAPH_URL_DEFAULT
    graph_version: str = GRAPH_VERSION_DEFAULT
    listen_host: str = LISTEN_HOST_DEFAULT
    listen_port: int = LISTEN_PORT_DEFAULT
    template: str = ""
    """Approved template with one body variable, for texts after 24 hours."""
    template_language: str = LANGUAGE_DEFAULT
    doubt_s: int = DOUBT_S_DEFAULT

    @property
    def path(self) -> str:
        """Return the webhook's path."""
        return PATH_START + self.path_secret.reveal_text()


def new_secret(rng: Rng) -> Secret:
    """Return a random word of letters and digits."""
    return Secret.from_text("".join(_LETTERS[o & 31] for o in rng(TOKEN_OCTETS * 2)))


def cloud_config(account: Account) -> CloudConfig:
    """Check the settings of an account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    settings = account.settings
    path = _secret(account, "webhook_path")
    if not _PATH.fullmatch(path.reveal_text()):
        raise ConfigInvalid(
            "webhook_path has to be 16 to 128 letters, digits, - or _; add this "
            "account again to have one made"
        )
    return CloudConfig(
        number_id=number_id(_text(settings, "phone_number_id")),
        access_token=_secret(account, "access_token"),
        app_secret=_secret(account, "app_secret"),
        verify_token=_secret(account, "verify_token"),
        path_secret=path,
        graph_url=graph_url(_text(settings, "graph_url", GRAPH_URL_DEFAULT)),
        graph_version=_matching(
            _text(settings, "graph_version", GRAPH_VERSION_DEFAULT),
            _VERSION,
            "graph_version",
            "v23.0",
        ),
        listen_host=_text(settings, "listen_host", LISTEN_HOST_DEFAULT),
        listen_port=port(settings.get("listen_port", LISTEN_PORT_DEFAULT)),
        template=template_name(str(settings.get("template") or "")),
        template_language=template_language(
            _text(settings, "template_language", LANGUAGE_DEFAULT)
        ),
        doubt_s=_doubt_s(settings.get("doubt_seconds", DOUBT_S_DEFAULT)),
    )


def number_id(text: str) -> str:
    """Return a phone number id.

    Raises:
        ConfigInvalid: not digits, or a phone number with its plus sign.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ConfigInvalid(
            "phone_number_id has to be digits only: it is the id that stands beside "
            "the number in WhatsApp > API Setup, not the phone number"
        )
    return text.strip()


def graph_url(text: str) -> str:
    """Return the Graph API's base address without a final slash.

    Raises:
        ConfigInvalid: not an address, or plain HTTP to another machine: the token
            would be readable on the way.
    """
    text = text.strip().rstrip("/")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query:
        raise ConfigInvalid(
            f"graph_url = {text!r} is not an address; leave it out for Meta's own, "
            f"{GRAPH_URL_DEFAULT}"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigInvalid(
            f"graph_url = {text!r} would send the token in clear; use https://"
        )
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def port(value: object) -> int:
    """Return a port to listen on.

    Raises:
        ConfigInvalid: not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ConfigInvalid(f"listen_port = {value!r} is not a port; use 1 to 65535")
    return value


def _doubt_s(value: object) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not (1 <= value <= DOUBT_S_MAX)
    ):
        raise ConfigInvalid(
            f"doubt_seconds = {value!r} is not a time; use 1 to {DOUBT_S_MAX}, or "
            "leave it out"
        )
    return value


def template_name(text: str) -> str:
    """Return the name of a template, empty if there is none.

    Raises:
        ConfigInvalid: not a name that Meta gives.
    """
    return _matching(text, _TEMPLATE, "template", "sabir_message") if text else ""


def template_language(text: str) -> str:
    """Return the language of a template.

    Raises:
        ConfigInvalid: not one of Meta's.
    """
    return _matching(text, _LANGUAGE, "template_language", "en_US or de")


def _matching(text: str, form: re.Pattern[str], name: str, example: str) -> str:
    if not form.fullmatch(text):
        raise ConfigInvalid(f"{name} = {text!r} has a wrong form; write e.g. {example}")
    return text


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
