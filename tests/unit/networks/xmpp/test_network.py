"""Settings, and the dialogue that asks for them."""

import socket
from collections.abc import Mapping

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError, Unavailable
from sabir.networks.api import (
    Account,
    AccountId,
    DownloadsMedia,
    ShowsReceipts,
    ShowsTyping,
)
from sabir.networks.login import Ask
from sabir.networks.xmpp.network import NETWORK, login_of
from sabir.networks.xmpp.stream import AccountLogin, ComponentLogin
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng

Settings = Mapping[str, str | int | bool]
COMPONENT: Settings = {"kind": "component", "domain": "Sabir.example.org"}
ACCOUNT: Settings = {"kind": "account", "jid": "Ada@example.org"}


def account(settings: Settings) -> Account:
    return Account(
        id=AccountId("x"),
        network="xmpp",
        settings=settings,
        secrets={name: Secret.from_text("s") for name in ("secret", "password")},
    )


def test_defaults_are_filled_in() -> None:
    component = login_of(account(COMPONENT))
    assert isinstance(component, ComponentLogin)
    assert (component.domain, component.host, component.port) == (
        "sabir.example.org",
        "127.0.0.1",
        5347,
    )
    plain = login_of(account(ACCOUNT))
    assert isinstance(plain, AccountLogin)
    assert (plain.jid, plain.host, plain.port) == ("ada@example.org", "", 5222)
    assert not plain.plain


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "other"}, "kind"),
        ({"kind": 3}, "kind"),
        ({"kind": "component"}, "domain"),
        ({**COMPONENT, "domain": "a@b.c"}, "domain"),
        ({**COMPONENT, "port": 0}, "port"),
        ({**COMPONENT, "port": True}, "port"),
        ({**COMPONENT, "port": "5347"}, "port"),
        ({"kind": "account"}, "jid"),
        ({**ACCOUNT, "jid": "ada@example.org/phone"}, "jid"),
        ({**ACCOUNT, "tls": "never"}, "tls"),
        ({**ACCOUNT, "tls": "loopback-plain", "host": "example.org"}, "tls"),
    ],
)
def test_a_wrong_setting_is_named(settings: Settings, named: str) -> None:
    with pytest.raises(ConfigInvalid, match=named):
        login_of(account(settings))


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(ConfigInvalid, match="secret is missing"):
        login_of(Account(id=AccountId("x"), network="xmpp", settings=COMPONENT))


async def test_only_components_show_typing_and_receipts() -> None:
    clock, rng = VirtualClock(), SeededRng()
    component = NETWORK.connector(account(COMPONENT), clock=clock, rng=rng)
    plain = NETWORK.connector(account(ACCOUNT), clock=clock, rng=rng)
    assert isinstance(component, ShowsTyping)
    assert isinstance(component, ShowsReceipts)
    assert isinstance(component, DownloadsMedia)
    assert isinstance(plain, DownloadsMedia)
    assert not isinstance(plain, ShowsTyping)


async def test_every_setting_of_a_login_is_one_of_the_network() -> None:
    known = {setting.name for setting in NETWORK.settings}
    for kind in ("component", "account"):
        flow = NETWORK.login(rng=SeededRng())
        first = await flow.begin()
        assert isinstance(first, Ask)
        second = await flow.answer({"kind": kind})
        assert isinstance(second, Ask)
        assert {field.name for field in second.fields} <= known
        await flow.close()


async def test_a_login_tells_what_is_wrong_and_can_be_answered_again() -> None:
    flow = NETWORK.login(rng=SeededRng())
    with pytest.raises(LocalError):
        await flow.answer({})
    await flow.begin()
    with pytest.raises(ConfigInvalid):
        await flow.answer({"kind": "pigeon"})
    await flow.answer({"kind": "component"})
    with pytest.raises(ConfigInvalid, match="port"):
        await flow.answer({"domain": "x.example.org", "port": "many", "secret": "s"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answers = {"domain": "x.example.org", "host": "127.0.0.1", "secret": "s"}
    with pytest.raises(Unavailable, match="does not accept connections"):
        await flow.answer({**answers, "port": str(port)})
    await flow.close()
