"""Settings are checked, and each complaint names the way out."""

from typing import Any

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, AccountId
from sabir.networks.registry import network
from sabir.networks.whatsapp.config import cloud_config, new_secret
from sabir.testing.clock import LoopClock
from sabir.testing.rng import SeededRng

SETTINGS: dict[str, Any] = {"phone_number_id": "106540352242922"}
SECRETS = {
    "access_token": "t",
    "app_secret": "s",
    "verify_token": "v",
    "webhook_path": "0123456789abcdef",
}


def account(settings: dict[str, Any], secrets: dict[str, str]) -> Account:
    return Account(
        id=AccountId("wa"),
        network="whatsapp",
        settings=settings,
        secrets={name: Secret.from_text(text) for name, text in secrets.items()},
    )


def test_defaults_are_metas_and_this_machines() -> None:
    config = cloud_config(account(SETTINGS, SECRETS))
    assert config.graph_url == "https://graph.facebook.com"
    assert config.path == "/whatsapp/0123456789abcdef"
    assert (config.listen_host, config.listen_port) == ("127.0.0.1", 29_360)
    assert config.template == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phone_number_id": "+4915112345678"}, "not the phone number"),
        ({"phone_number_id": ""}, "phone_number_id is missing"),
        ({"graph_url": "graph"}, "not an address"),
        ({"graph_url": "http://graph.example.org"}, "in clear"),
        ({"graph_version": "23"}, "v23.0"),
        ({"listen_port": 70_000}, "not a port"),
        ({"listen_port": True}, "not a port"),
        ({"doubt_seconds": 0}, "doubt_seconds"),
        ({"template": "My Template"}, "sabir_message"),
        ({"template_language": "english"}, "en_US"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        cloud_config(account({**SETTINGS, **change}, SECRETS))


def test_plain_http_is_for_this_machine_only() -> None:
    for url in ("http://127.0.0.1:8080/", "http://localhost:8080", "http://[::1]:1"):
        config = cloud_config(account({**SETTINGS, "graph_url": url}, SECRETS))
        assert not config.graph_url.endswith("/")


def test_a_missing_or_guessable_secret_is_named() -> None:
    for name in SECRETS:
        some = {n: text for n, text in SECRETS.items() if n != name}
        with pytest.raises(ConfigInvalid, match=name):
            cloud_config(account(SETTINGS, some))
    with pytest.raises(ConfigInvalid, match="webhook_path"):
        cloud_config(account(SETTINGS, {**SECRETS, "webhook_path": "short"}))


def test_new_secrets_are_long_and_differ() -> None:
    rng = SeededRng("secrets")
    one, two = new_secret(rng).reveal_text(), new_secret(rng).reveal_text()
    assert one != two
    assert len(one) == 40


def test_the_entry_point_makes_a_connector() -> None:
    found = network("whatsapp")
    made = found.connector(
        account(SETTINGS, SECRETS), clock=LoopClock(), rng=SeededRng("x")
    )
    assert made.send_window == 1
    assert {s.name for s in found.settings if s.secret} == set(SECRETS)
