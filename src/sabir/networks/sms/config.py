"""The settings of an SMS account, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account
from sabir.networks.sms.decode import Reading
from sabir.networks.sms.gsm import Alphabet
from sabir.networks.sms.numbers import own_address
from sabir.networks.sms.pdu import (
    PASSWORD_OCTETS_MAX,
    SYSTEM_ID_OCTETS_MAX,
    Bind,
)
from sabir.networks.sms.render import Consent, Joining, Writing
from sabir.networks.sms.session import Timers

PORT_PLAIN: Final = 2775
PORT_TLS: Final = 3550
PORT_MAX: Final = 65_535
WINDOW_DEFAULT: Final = 10
WINDOW_MAX: Final = 100
RATE_DEFAULT: Final = 5
RATE_MAX: Final = 1_000
VALIDITY_HOURS_DEFAULT: Final = 24
VALIDITY_HOURS_MAX: Final = 30 * 24
DOUBT_S_DEFAULT: Final = 60
DOUBT_S_MAX: Final = 3_600
ABOUT_CHARS_MAX: Final = 300

_Choice = TypeVar("_Choice", bound=StrEnum)
_OWN: Final = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,6}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}"
)
"""A number, a short code, or a name (GSM: at most 11 characters)."""
_HOST: Final = re.compile(r"[A-Za-z0-9.\-:]{1,253}")


class Tls(StrEnum):
    """Whether the way to the SMSC is encrypted."""

    REQUIRED = "required"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsConfig:
    """One account with one number at one SMSC."""

    host: str
    port: int
    tls: Tls
    system_id: str
    password: Secret = field(repr=False)
    number: str
    reading: Reading
    writing: Writing
    system_type: str = ""
    ca_file: str = ""
    window: int = WINDOW_DEFAULT
    messages_per_second: int = RATE_DEFAULT
    doubt_ms: int = DOUBT_S_DEFAULT * 1_000
    about: str = ""
    timers: Timers = field(default_factory=Timers)

    @property
    def bind(self) -> Bind:
        """Return what we log in with."""
        return Bind(
            system_id=self.system_id,
            password=self.password.reveal_text().encode("latin-1"),
            system_type=self.system_type,
        )


def sms_config(account: Account) -> SmsConfig:
    """Check the settings of an account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    values = account.settings
    number = _text(values, "number")
    if not _OWN.fullmatch(number):
        raise ConfigInvalid(
            "number is not one that messages can come from: write it with its"
            " country's code, like +491512345678; or a short code of 3 to 6 digits; or"
            " a name of up to 11 letters"
        )
    tls = _choice(values, "tls", Tls)
    alphabet = _choice(values, "default_alphabet", Alphabet)
    country = _text(values, "country_code").lstrip("+")
    if country and not re.fullmatch(r"[1-9][0-9]{0,2}", country):
        raise ConfigInvalid(f"country_code = {country!r}: write it like 49")
    about = _text(values, "about")
    if len(about) > ABOUT_CHARS_MAX:
        raise ConfigInvalid(f"about has {len(about)} characters; {ABOUT_CHARS_MAX=}")
    return SmsConfig(
        host=_host(values),
        port=_number(
            values, "port", PORT_TLS if tls is Tls.REQUIRED else PORT_PLAIN, PORT_MAX
        ),
        tls=tls,
        system_id=_system_id(values),
        password=_password(account),
        number=number,
        system_type=_text(values, "system_type")[:12],
        ca_file=_text(values, "ca_file"),
        window=_number(values, "window", WINDOW_DEFAULT, WINDOW_MAX),
        messages_per_second=_number(
            values, "messages_per_second", RATE_DEFAULT, RATE_MAX
        ),
        doubt_ms=1_000 * _number(values, "doubt_seconds", DOUBT_S_DEFAULT, DOUBT_S_MAX),
        about=about,
        reading=Reading(alphabet=alphabet, country=country),
        writing=Writing(
            source=own_address(number),
            alphabet=alphabet,
            consent=_choice(values, "consent", Consent),
            reactions=bool(values.get("reactions", False)),
            joining=_choice(values, "concatenation", Joining),
            validity_hours=_number(
                values, "validity_hours", VALIDITY_HOURS_DEFAULT, VALIDITY_HOURS_MAX
            ),
        ),
    )


def _text(values: Mapping[str, str | int | bool], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise ConfigInvalid(f"{name}: write it in quotes")
    return value.strip()


def _host(values: Mapping[str, str | int | bool]) -> str:
    host = _text(values, "host")
    if not _HOST.fullmatch(host):
        raise ConfigInvalid(f"host = {host!r}: write it like smpp.example.org")
    return host


def _system_id(values: Mapping[str, str | int | bool]) -> str:
    system_id = _text(values, "system_id")
    if not 1 <= len(system_id) <= SYSTEM_ID_OCTETS_MAX or not system_id.isascii():
        raise ConfigInvalid(
            f"system_id must have 1 to {SYSTEM_ID_OCTETS_MAX} ASCII characters; your"
            " operator gave it to you"
        )
    return system_id


def _password(account: Account) -> Secret:
    password = account.secrets.get("password")
    if password is None:
        raise ConfigInvalid("password is missing: add the account again with it")
    text = password.reveal_text()
    if len(text) > PASSWORD_OCTETS_MAX or not text.isascii() or "\0" in text:
        raise ConfigInvalid(
            f"password: SMPP has room for {PASSWORD_OCTETS_MAX} ASCII characters; a"
            " longer one is cut or refused. Ask your operator for a shorter one"
        )
    return password


def _number(
    values: Mapping[str, str | int | bool], name: str, default: int, most: int
) -> int:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigInvalid(f"{name} = {value!r}: write a number from 1 to {most}")
    return value


def _choice(
    values: Mapping[str, str | int | bool], name: str, kind: type[_Choice]
) -> _Choice:
    value = values.get(name) or next(iter(kind)).value
    for each in kind:
        if each.value == value:
            return each
    raise ConfigInvalid(f"{name} = {value!r}: write one of {', '.join(kind)}")
