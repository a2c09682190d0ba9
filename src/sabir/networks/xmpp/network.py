"""The network `xmpp`: its settings, its login, its connectors."""

from collections.abc import Mapping
from typing import Final

from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError
from sabir.networks.api import Account, AccountId, Connector, Rng, Setting
from sabir.networks.login import Ask, Done, Field, LoginFlow, Step
from sabir.networks.xmpp.account import AccountConnector
from sabir.networks.xmpp.component import ComponentConnector
from sabir.networks.xmpp.stream import AccountLogin, ComponentLogin, Stream, is_loopback

KINDS: Final = ("component", "account")
TLS: Final = ("required", "loopback-plain")
COMPONENT_PORT: Final = 5347
CLIENT_PORT: Final = 5222
_PORT_MAX: Final = 65_535

SETTINGS: Final = (
    Setting(
        name="kind",
        about="component: on your own server, with ghosts; account: any JID",
        choices=KINDS,
    ),
    Setting(
        name="domain",
        about="component: its domain, e.g. sabir.example.org",
        required=False,
    ),
    Setting(
        name="host",
        about="where to connect; component: 127.0.0.1 unless said otherwise",
        required=False,
    ),
    Setting(
        name="port", about="5347 component, 5222 account", kind=int, required=False
    ),
    Setting(
        name="secret",
        about="component: the secret shared with the server",
        required=False,
        secret=True,
    ),
    Setting(name="jid", about="account: e.g. ada@example.org", required=False),
    Setting(
        name="password", about="account: its password", required=False, secret=True
    ),
    Setting(name="nick", about="our name in rooms", required=False, default="Sabir"),
    Setting(
        name="tls",
        about="account: loopback-plain only for tests on this machine",
        required=False,
        default="required",
        choices=TLS,
    ),
    Setting(
        name="ca_file",
        about="account: authority of the server's own CA",
        required=False,
    ),
    Setting(
        name="upload_service",
        about="where files are put up; found by itself when left out",
        required=False,
    ),
    Setting(
        name="allow_private_media_hosts",
        about="fetch files from private addresses and by http (tests)",
        kind=bool,
        required=False,
        default=False,
    ),
)


class XmppNetwork:
    """XMPP."""

    name = "xmpp"
    label = "XMPP"
    settings = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account; see `Network.connector`."""
        values = account.settings
        nick = _text(values, "nick") or "Sabir"
        upload_service = _text(values, "upload_service")
        allow_private = bool(values.get("allow_private_media_hosts", False))
        login = login_of(account)
        if isinstance(login, ComponentLogin):
            return ComponentConnector(
                login,
                clock=clock,
                rng=rng,
                nick=nick,
                upload_service=upload_service,
                allow_private_media_hosts=allow_private,
            )
        return AccountConnector(
            login,
            clock=clock,
            rng=rng,
            nick=nick,
            upload_service=upload_service,
            allow_private_media_hosts=allow_private,
        )

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue by which a person adds an account."""
        return XmppLogin(rng=rng)


def login_of(account: Account) -> ComponentLogin | AccountLogin:
    """Read the settings of an account.

    Raises:
        ConfigInvalid: names the setting and a valid form.
    """
    values = account.settings
    kind = _text(values, "kind")
    if kind == "component":
        return ComponentLogin(
            domain=_domain(values),
            host=_text(values, "host") or "127.0.0.1",
            port=_port(values, COMPONENT_PORT),
            secret=_secret(account, "secret"),
        )
    if kind == "account":
        return _account_login(account)
    raise ConfigInvalid(f"kind = {kind!r}: write one of {', '.join(KINDS)}")


def _account_login(account: Account) -> AccountLogin:
    values = account.settings
    jid = _text(values, "jid").lower()
    local, at, domain = jid.partition("@")
    if not (local and at and domain) or "/" in jid:
        raise ConfigInvalid(f"jid = {jid!r}: write it like ada@example.org")
    tls = _text(values, "tls") or "required"
    host = _text(values, "host")
    if tls not in TLS:
        raise ConfigInvalid(f"tls = {tls!r}: write one of {', '.join(TLS)}")
    if tls == "loopback-plain" and not is_loopback(host):
        raise ConfigInvalid(
            'tls = "loopback-plain" needs host = "127.0.0.1": write tls = "required"'
        )
    return AccountLogin(
        jid=jid,
        password=_secret(account, "password"),
        host=host,
        port=_port(values, CLIENT_PORT),
        ca_file=_text(values, "ca_file"),
        plain=tls == "loopback-plain",
    )


def _text(values: Mapping[str, str | int | bool], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise ConfigInvalid(f"{name} = {value!r}: write it in quotes")
    return value.strip()


def _domain(values: Mapping[str, str | int | bool]) -> str:
    domain = _text(values, "domain").lower()
    if "." not in domain.strip(".") or "@" in domain or "/" in domain:
        raise ConfigInvalid(f"domain = {domain!r}: write it like sabir.example.org")
    return domain


def _port(values: Mapping[str, str | int | bool], default: int) -> int:
    port = values.get("port", default)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= _PORT_MAX:
        raise ConfigInvalid(f"port = {port!r}: write a number from 1 to {_PORT_MAX}")
    return port


def _secret(account: Account, name: str) -> Secret:
    secret = account.secrets.get(name)
    if secret is None:
        raise ConfigInvalid(f"{name} is missing: add the account again with its {name}")
    return secret


# ---- login

_KIND = Ask(
    title="What do you have?",
    fields=(
        Field(
            name="kind",
            label="Kind of account",
            help="component: you run the server; account: you have a JID anywhere",
            default="account",
            choices=KINDS,
        ),
    ),
)
_COMPONENT = Ask(
    title="The component, as your server knows it",
    fields=(
        Field(name="domain", label="Domain", help="e.g. sabir.example.org"),
        Field(name="host", label="Host of the server", default="127.0.0.1"),
        Field(name="port", label="Component port", default=str(COMPONENT_PORT)),
        Field(name="secret", label="Shared secret", secret=True),
    ),
)
_ACCOUNT = Ask(
    title="The account",
    fields=(
        Field(name="jid", label="JID", help="e.g. ada@example.org"),
        Field(name="password", label="Password", secret=True),
        Field(name="host", label="Host", help="empty: found by the JID"),
        Field(name="port", label="Port", default=str(CLIENT_PORT)),
        Field(
            name="ca_file",
            label="Authority file",
            help="only for a server with a certificate of its own authority",
        ),
        Field(name="tls", label="TLS", default="required", choices=TLS),
    ),
)
_SECRETS: Final = ("secret", "password")


class XmppLogin:
    """Asks for the kind, then for what that kind needs, then tries it."""

    def __init__(self, *, rng: Rng) -> None:
        self._rng = rng
        self._kind = ""
        self._last: Ask | None = None

    async def begin(self) -> Step:
        """Return the first step."""
        self._last = _KIND
        return _KIND

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Take answers; see `LoginFlow.answer`."""
        if self._last is None:
            raise LocalError("this login has not begun: call begin() first")
        if self._last is _KIND:
            self._kind = values.get("kind", "").strip()
            if self._kind not in KINDS:
                raise ConfigInvalid(f"answer one of {', '.join(KINDS)}")
            self._last = _COMPONENT if self._kind == "component" else _ACCOUNT
            return self._last
        return await self._try(values)

    async def close(self) -> None:
        """Forget the dialogue."""
        self._last = None

    async def _try(self, values: Mapping[str, str]) -> Done:
        """Log in once with these answers, and log out again."""
        settings: dict[str, str | int | bool] = {"kind": self._kind}
        secrets: dict[str, Secret] = {}
        for name, value in values.items():
            if name in _SECRETS:
                secrets[name] = Secret.from_text(value)
            elif name == "port":
                settings[name] = _number(value)
            elif value.strip():
                settings[name] = value.strip()
        login = login_of(
            Account(
                id=AccountId("login"),
                network="xmpp",
                settings=settings,
                secrets=secrets,
            )
        )
        stream = Stream(login, rng=self._rng)
        await stream.open(lambda _stanza: None)
        await stream.close()
        who = login.domain if isinstance(login, ComponentLogin) else login.jid
        return Done(
            settings=settings, secrets=secrets, welcome=f"We are {who} on XMPP."
        )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigInvalid(f"port = {text!r}: write a number") from None


NETWORK: Final = XmppNetwork()
