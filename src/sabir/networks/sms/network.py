"""The network `sms`: its settings, its login, its connectors."""

from collections.abc import Mapping
from typing import Final

from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError
from sabir.networks.api import Account, AccountId, Connector, Rng, Setting
from sabir.networks.login import Ask, Done, Field, LoginFlow, Step
from sabir.networks.sms import config
from sabir.networks.sms.config import Tls, sms_config
from sabir.networks.sms.connector import SmsConnector
from sabir.networks.sms.gsm import Alphabet
from sabir.networks.sms.link import LoopTicks, opened
from sabir.networks.sms.render import Consent, Joining

SETTINGS: Final = (
    Setting(name="host", about="the SMSC, as your operator or aggregator names it"),
    Setting(name="port", about="3550 with TLS, 2775 without", kind=int, required=False),
    Setting(
        name="tls",
        about="plain sends password and texts readable: only inside a VPN",
        required=False,
        default=Tls.REQUIRED.value,
        choices=tuple(Tls),
    ),
    Setting(name="ca_file", about="authority of the operator's own CA", required=False),
    Setting(name="system_id", about="our name at the SMSC, at most 15 characters"),
    Setting(name="password", about="at most 8 characters", secret=True),
    Setting(name="system_type", about="if the operator wants one", required=False),
    Setting(name="number", about="where our messages come from, like +491512345678"),
    Setting(
        name="consent",
        about="each-message: only what begins with /sms; portal: everything in a link",
        required=False,
        default=Consent.EACH_MESSAGE.value,
        choices=tuple(Consent),
    ),
    Setting(
        name="reactions",
        about="send reactions as texts, each at the price of one (consent = portal)",
        kind=bool,
        required=False,
        default=False,
    ),
    Setting(
        name="country_code",
        about="of numbers that come without one, e.g. 49",
        required=False,
    ),
    Setting(
        name="default_alphabet",
        about="what the SMSC takes data_coding 0 for",
        required=False,
        default=Alphabet.GSM7.value,
        choices=tuple(Alphabet),
    ),
    Setting(
        name="concatenation",
        about="how parts of a long text say that they belong together",
        required=False,
        default=Joining.UDH.value,
        choices=tuple(Joining),
    ),
    Setting(
        name="window",
        about="messages on their way to the SMSC at once",
        kind=int,
        required=False,
        default=config.WINDOW_DEFAULT,
    ),
    Setting(
        name="messages_per_second",
        about="as agreed with the operator",
        kind=int,
        required=False,
        default=config.RATE_DEFAULT,
    ),
    Setting(
        name="validity_hours",
        about="how long the carrier tries",
        kind=int,
        required=False,
        default=config.VALIDITY_HOURS_DEFAULT,
    ),
    Setting(
        name="doubt_seconds",
        about="how long a receipt is waited for when an answer was lost",
        kind=int,
        required=False,
        default=config.DOUBT_S_DEFAULT,
    ),
    Setting(name="about", about="what HELP is answered with", required=False),
)


class SmsNetwork:
    """SMS."""

    name = "sms"
    label = "SMS"
    settings = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account; see `Network.connector`."""
        return SmsConnector(sms_config(account), clock=clock, rng=rng)

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue by which a person adds an account."""
        return SmsLogin()


_ACCOUNT: Final = Ask(
    title="The account at your operator or aggregator",
    fields=(
        Field(name="host", label="Host of the SMSC", help="e.g. smpp.example.org"),
        Field(
            name="tls",
            label="TLS",
            help="plain sends password and texts readable: only inside a VPN",
            default=Tls.REQUIRED.value,
            choices=tuple(Tls),
        ),
        Field(name="port", label="Port", help="empty: 3550 with TLS, 2775 without"),
        Field(name="system_id", label="System id"),
        Field(name="password", label="Password, at most 8 characters", secret=True),
        Field(name="system_type", label="System type", help="usually empty"),
        Field(
            name="ca_file",
            label="Authority file",
            help="only for a certificate of the operator's own authority",
        ),
    ),
)
_NUMBER: Final = Ask(
    title="SMS is not encrypted: every carrier on the way can read it, and the sender's"
    " number proves nothing",
    fields=(
        Field(
            name="number",
            label="Your number at this SMSC",
            help="with its country's code, like +491512345678",
        ),
        Field(
            name="consent",
            label="What leaves as SMS",
            help="each-message: only messages that begin with /sms. portal: everything"
            " said in a room that is linked to a number; you vouch that the room knows",
            default=Consent.EACH_MESSAGE.value,
            choices=tuple(Consent),
        ),
        Field(
            name="country_code",
            label="Your country's code",
            help="if numbers come in without one, e.g. 49; else empty",
        ),
    ),
)
_LOGGING_IN: Final = AccountId("login")
_ANY_NUMBER: Final = "+10000000"
"""Stands in until the number was asked for; nothing is sent by it."""


class SmsLogin:
    """Asks for the account, tries it, then asks for the number and for consent."""

    def __init__(self) -> None:
        self._last: Ask | None = None
        self._settings: dict[str, str | int | bool] = {}
        self._password: Secret | None = None

    async def begin(self) -> Step:
        """Return the first step."""
        self._last = _ACCOUNT
        return _ACCOUNT

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take answers; see `LoginFlow.answer`."""
        if self._last is _ACCOUNT:
            return await self._try(values)
        if self._last is _NUMBER:
            return self._finish(values)
        raise LocalError("this login has not begun, or is over: call begin() first")

    async def close(self) -> None:
        """Forget what was typed."""
        self._last = self._password = None

    async def _try(self, values: Mapping[str, str]) -> Step:
        """Be bound once, and let go."""
        settings = _settings(values)
        password = Secret.from_text(values.get("password", ""))
        checked = sms_config(_account({**settings, "number": _ANY_NUMBER}, password))
        async with opened(checked, LoopTicks(), lambda _: None):
            pass
        self._settings, self._password = settings, password
        self._last = _NUMBER
        return _NUMBER

    def _finish(self, values: Mapping[str, str]) -> Step:
        assert self._password is not None, "asked for the number after the account"
        settings = {**self._settings, **_settings(values)}
        sms_config(_account(settings, self._password))
        self._last = None
        return Done(
            settings=settings,
            secrets={"password": self._password},
            welcome=f"We are {settings['number']} on SMS.",
        )


def _settings(values: Mapping[str, str]) -> dict[str, str | int | bool]:
    settings: dict[str, str | int | bool] = {}
    for name, value in values.items():
        text = value.strip()
        if not text or name == "password":
            continue
        if name == "port":
            if not text.isdecimal():
                raise ConfigInvalid(f"port = {text!r}: write a number")
            settings[name] = int(text)
        else:
            settings[name] = text
    return settings


def _account(settings: Mapping[str, str | int | bool], password: Secret) -> Account:
    return Account(
        id=_LOGGING_IN,
        network="sms",
        settings=settings,
        secrets={"password": password},
    )


NETWORK: Final = SmsNetwork()
