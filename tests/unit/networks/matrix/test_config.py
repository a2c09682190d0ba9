"""Settings of Matrix accounts: what is wrong is named, with a valid form."""

import json
from typing import Any

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, AccountId
from sabir.networks.matrix.account import PlainAccount
from sabir.networks.matrix.appservice import AppService
from sabir.networks.matrix.config import appservice_config, homeserver_url
from sabir.networks.matrix.network import NETWORK
from sabir.networks.matrix.registration import new_token, registration
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng

SERVICE = {
    "kind": "appservice",
    "homeserver_url": "https://matrix.example.org/",
    "server_name": "example.org",
}
TOKENS = {"as_token": Secret(b"a"), "hs_token": Secret(b"h")}
PERSON = {
    "kind": "account",
    "homeserver_url": "https://matrix.example.org",
    "user_id": "@ada:example.org",
}


def account(settings: dict[str, Any], **secrets: Secret) -> Account:
    return Account(
        id=AccountId("m"), network="matrix", settings=settings, secrets=secrets
    )


def make(made: Account) -> object:
    return NETWORK.connector(made, clock=VirtualClock(), rng=SeededRng())


def test_both_kinds_are_made_from_their_settings() -> None:
    assert isinstance(make(account(SERVICE, **TOKENS)), AppService)
    token = {"access_token": Secret(b"t")}
    assert isinstance(make(account(PERSON, **token)), PlainAccount)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": "bridge"}, "appservice, account"),
        ({"homeserver_url": "matrix.example.org"}, "https://matrix.example.org"),
        ({"homeserver_url": "http://matrix.example.org"}, "https://"),
        ({"homeserver_url": "https://u@h"}, "https://matrix.example.org"),
        ({"homeserver_url": ""}, "homeserver_url is missing"),
        ({"server_name": "exam ple"}, "example.org"),
        ({"prefix": "Sabir"}, "prefix = 'Sabir'"),
        ({"bot": "b@t"}, "bot = 'b@t'"),
        ({"listen_port": 65_536}, "1 to 65535"),
        ({"listen_port": "x"}, "1 to 65535"),
    ],
)
def test_a_wrong_setting_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        make(account(SERVICE | changed, **TOKENS))


def test_a_missing_secret_and_a_wrong_user_are_named() -> None:
    with pytest.raises(ConfigInvalid, match="as_token"):
        make(account(SERVICE))
    with pytest.raises(ConfigInvalid, match="write it as @ada"):
        make(account(PERSON | {"user_id": "ada"}, access_token=Secret(b"t")))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8008",
        "http://[::1]:8008",
        "http://synapse:8008",
        "http://10.0.0.2",
        "http://mx.lab.localhost",
        "https://matrix.example.org/base",
    ],
)
def test_plain_http_is_for_near_hosts(url: str) -> None:
    assert homeserver_url(url + "/") == url


def test_ours_are_the_ghosts_and_the_bot() -> None:
    config = appservice_config(account(SERVICE | {"bot": "bridge"}, **TOKENS))
    assert config.is_ours("@sabir_x:example.org")
    assert config.is_ours("@bridge:example.org")
    assert not config.is_ours("@sabir_x:example.com")
    assert not config.is_ours("@ada:example.org")


def test_the_registration_is_what_synapse_wants() -> None:
    config = appservice_config(account(SERVICE, **TOKENS))
    made = json.loads(registration(config, url="http://10.0.0.1:29350"))
    assert made == {
        "id": "sabir",
        "url": "http://10.0.0.1:29350",
        "as_token": "a",
        "hs_token": "h",
        "sender_localpart": "sabir_bot",
        "rate_limited": False,
        "namespaces": {
            "users": [{"exclusive": True, "regex": "@sabir_.*:example\\.org"}],
            "aliases": [],
            "rooms": [],
        },
        "receive_ephemeral": True,
        "de.sorunome.msc2409.push_ephemeral": True,
        "io.element.msc4190": True,
    }


def test_tokens_are_long_and_differ() -> None:
    rng = SeededRng()
    one, other = new_token(rng).reveal_text(), new_token(rng).reveal_text()
    assert len(one) == 43
    assert one != other


def test_every_setting_is_described() -> None:
    names = {setting.name for setting in NETWORK.settings}
    assert set(SERVICE) | set(PERSON) | set(TOKENS) <= names
    assert all(setting.about for setting in NETWORK.settings)
