import pytest

from sabir.errors import ConfigInvalid, PolicyRefused
from sabir.networks.api import Account, AccountId, ChatId
from sabir.networks.signal import names
from sabir.networks.signal.config import account_config
from sabir.networks.signal.endpoint import endpoint
from tests.unit.networks.signal.events import BOB, GROUP


def test_a_person_is_an_account_id_in_one_form() -> None:
    assert names.person_id(BOB.upper()) == BOB
    assert names.person_id(f"PNI:{BOB}") == f"PNI:{BOB}"
    for other in ("+12025550102", "", None, 5, f"{BOB}x"):
        assert names.person_id(other) is None


def test_a_message_is_its_author_and_time() -> None:
    assert names.message_of(names.message_id(BOB, 5)) == (BOB, 5)
    for other in ("5", f"{BOB}|0", f"{BOB}|x", f"seen.1.joined.{BOB}"):
        assert names.message_of(other) is None


def test_chats_have_two_forms() -> None:
    assert names.place(ChatId(f"dm:{BOB}")).person == BOB
    assert names.place(ChatId(f"group:{GROUP}")).group == GROUP
    for other in ("dm:+12025550102", "group:x", "", "dm"):
        with pytest.raises(PolicyRefused) as caught:
            names.place(ChatId(other))
        assert "+1202" not in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 2**60, True, "5", None, 1.5])
def test_a_time_is_a_whole_number_of_milliseconds(value: object) -> None:
    assert names.timestamp(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "unix:/run/signal/s",
        "tcp:127.0.0.1:7583",
        "tcp:[::1]:7583",
        "tcp:localhost:1",
        "http://127.0.0.1:8080",
    ],
)
def test_a_daemon_on_this_machine_is_an_endpoint(text: str) -> None:
    assert endpoint(str(endpoint(text))) == endpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "tcp:192.0.2.1:1",
        "tcp:example.org:1",
        "tcp:127.0.0.1",
        "x",
        "tcp:localhost:99999",
    ],
)
def test_another_machine_and_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        endpoint(text)


@pytest.mark.parametrize(
    "settings",
    [
        {"number": "0151 234"},
        {"number": "+12025550101", "aci": "x"},
        {"number": "+12025550101", "files_dir": "here"},
    ],
)
def test_wrong_settings_are_named_and_a_number_is_not_repeated(
    settings: dict[str, str | int | bool],
) -> None:
    account = Account(id=AccountId("s"), network="signal", settings=settings)
    with pytest.raises(ConfigInvalid) as caught:
        account_config(account)
    assert "0151" not in str(caught.value)
