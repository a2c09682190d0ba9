"""Settings and login, without a server."""

from collections.abc import Mapping

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError, Unavailable
from sabir.networks.api import Account, AccountId
from sabir.networks.login import Ask
from sabir.networks.sms.config import sms_config
from sabir.networks.sms.network import NETWORK, SETTINGS
from sabir.networks.sms.render import Consent
from sabir.testing.clock import VirtualClock
from sabir.testing.rng import SeededRng

GOOD: dict[str, str | int | bool] = {
    "host": "smpp.example.org",
    "system_id": "gw",
    "number": "+15550002222",
}


def account(
    settings: Mapping[str, str | int | bool] | None = None, password: str = "pw"
) -> Account:
    return Account(
        id=AccountId("sms"),
        network="sms",
        settings={**GOOD, **(settings or {})},
        secrets={"password": Secret.from_text(password)} if password else {},
    )


def test_what_is_left_out_is_safe() -> None:
    config = sms_config(account())
    assert config.port == 3550
    assert config.tls == "required"
    assert config.writing.consent is Consent.EACH_MESSAGE
    assert not config.writing.reactions
    assert "pw" not in repr(config)
    assert sms_config(account({"tls": "plain"})).port == 2775


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("host", "smpp example"),
        ("host", 5),
        ("port", 70_000),
        ("port", True),
        ("tls", "maybe"),
        ("system_id", "x" * 16),
        ("number", "0151 234"),
        ("number", "a name that is too long"),
        ("country_code", "0049"),
        ("window", 0),
        ("messages_per_second", 100_000),
        ("validity_hours", 10_000),
        ("doubt_seconds", 0),
        ("default_alphabet", "ebcdic"),
        ("consent", "never"),
        ("about", "x" * 301),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str | int | bool) -> None:
    with pytest.raises(ConfigInvalid, match=name):
        sms_config(account({name: value}))


@pytest.mark.parametrize("password", ["", "longer than eight", "ünï"])
def test_passwords_have_eight_characters(password: str) -> None:
    with pytest.raises(ConfigInvalid, match="password") as refused:
        sms_config(account(password=password))
    assert not password or password not in str(refused.value)


def test_every_setting_is_one_that_is_read() -> None:
    names = {setting.name for setting in SETTINGS}
    assert names >= set(GOOD)
    assert {s.name for s in SETTINGS if s.required} == {*GOOD, "password"}


async def test_a_login_needs_its_beginning_and_a_server() -> None:
    flow = NETWORK.login(rng=SeededRng("sms"))
    with pytest.raises(LocalError):
        await flow.answer({})
    assert isinstance(await flow.begin(), Ask)
    with pytest.raises(ConfigInvalid, match="port"):
        await flow.answer({"host": "127.0.0.1", "port": "x"})
    answers = {
        "host": "127.0.0.1",
        "port": "9",
        "tls": "plain",
        "system_id": "gw",
        "password": "pw",
    }
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        await flow.answer(answers)
    await flow.close()


async def test_an_authority_file_that_is_not_there_is_named() -> None:
    flow = NETWORK.login(rng=SeededRng("sms"))
    await flow.begin()
    with pytest.raises(ConfigInvalid, match="ca_file"):
        await flow.answer(
            {
                "host": "127.0.0.1",
                "system_id": "gw",
                "password": "pw",
                "ca_file": "absent.pem",
            }
        )


def test_a_connector_is_made_without_any_io() -> None:
    connector = NETWORK.connector(account(), clock=VirtualClock(), rng=SeededRng("sms"))
    assert connector.send_window == 10
