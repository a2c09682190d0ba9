import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import AccountId, Network, Setting
from sabir.networks.registry import (
    GROUP,
    broken_plugins,
    check_account,
    check_secrets,
    check_settings,
    network,
    networks,
    survey,
)
from sabir.testing.clock import VirtualClock
from sabir.testing.memory_network import MemoryNetwork, MemoryServer

PLUGINS = """
from sabir.testing.clock import VirtualClock
from sabir.testing.memory_network import MemoryNetwork, MemoryServer

SERVER = MemoryServer(VirtualClock())
PIGEON = MemoryNetwork(SERVER, name="pigeon")
SMOKE = MemoryNetwork(SERVER, name="smoke")
MISNAMED = MemoryNetwork(SERVER, name="owl")
LESS = object()
"""


class Site:
    """A directory in which distributions are installed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, distribution: str, **points: str) -> None:
        info = self.path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))

    @property
    def points(self) -> list[EntryPoint]:
        found = distributions(path=[str(self.path)])
        return [point for one in found for point in one.entry_points]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "sabir_test_plugins.py").write_text(PLUGINS)
    (tmp_path / "sabir_test_ill.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield Site(tmp_path)
    sys.modules.pop("sabir_test_plugins", None)


def test_a_broken_plugin_is_reported_and_hides_no_other(site: Site) -> None:
    site.install("sabir-ill", ill="sabir_test_ill:NETWORK")
    site.install("sabir-gone", gone="sabir_test_nowhere:NETWORK")
    site.install("sabir-less", less="sabir_test_plugins:LESS")
    site.install("sabir-birds", pigeon="sabir_test_plugins:PIGEON")
    site.install("sabir-misnamed", kestrel="sabir_test_plugins:MISNAMED")
    found = survey(site.points)
    assert list(found.networks) == ["pigeon"]
    assert list(networks(site.points)) == ["pigeon"]
    assert broken_plugins(site.points) == found.broken
    told = {broken.name: broken for broken in found.broken}
    assert told["ill"].distribution == "sabir-ill"
    assert "ZeroDivisionError" in told["ill"].reason
    assert "ModuleNotFoundError" in told["gone"].reason
    assert "lacks name, label, settings, connector, login" in told["less"].reason
    assert "calls itself 'owl'" in told["kestrel"].reason
    for broken in found.broken:
        assert "uninstall" in str(broken)
        assert broken.distribution in str(broken)


def test_of_two_with_one_name_the_first_by_distribution_stays(site: Site) -> None:
    site.install("sabir-zeppelin", smoke="sabir_test_plugins:SMOKE")
    site.install("sabir-apache", smoke="sabir_test_plugins:SMOKE")
    found = survey(site.points)
    assert list(found.networks) == ["smoke"]
    (hidden,) = found.broken
    assert hidden.distribution == "sabir-zeppelin"
    assert "uninstall one of them" in hidden.way_out


def test_our_own_network_wins_over_others_of_its_name(site: Site) -> None:
    site.install("a-other", smoke="sabir_test_plugins:SMOKE")
    site.install("sabir", smoke="sabir_test_plugins:SMOKE")
    (hidden,) = broken_plugins(site.points)
    assert hidden.distribution == "a-other"


def test_one_network_is_loaded_without_the_others(site: Site) -> None:
    site.install("sabir-birds", pigeon="sabir_test_plugins:PIGEON")
    site.install("sabir-ill", ill="sabir_test_ill:NETWORK")
    assert network("pigeon", site.points).name == "pigeon"
    assert "sabir_test_ill" not in sys.modules


def test_an_unknown_network_names_the_nearest_one(site: Site) -> None:
    site.install("sabir-birds", pigeon="sabir_test_plugins:PIGEON")
    with pytest.raises(ConfigInvalid, match="did you mean 'pigeon'"):
        network("pidgeon", site.points)
    with pytest.raises(ConfigInvalid, match="valid are 'pigeon'"):
        network("xyz", site.points)
    with pytest.raises(ConfigInvalid, match="nothing to choose from"):
        network("xyz", [])


def test_a_network_that_cannot_be_used_says_why(site: Site) -> None:
    site.install("sabir-ill", ill="sabir_test_ill:NETWORK")
    with pytest.raises(ConfigInvalid, match=r"'sabir-ill' .* ZeroDivisionError"):
        network("ill", site.points)


def test_a_working_one_stands_in_for_a_broken_one_of_its_name(site: Site) -> None:
    site.install("a-broken", smoke="sabir_test_ill:NETWORK")
    site.install("b-fine", smoke="sabir_test_plugins:SMOKE")
    assert network("smoke", site.points).label == "Smoke"
    assert list(networks(site.points)) == ["smoke"]


def test_an_entry_point_without_a_distribution_is_still_reported() -> None:
    (broken,) = broken_plugins([EntryPoint("x", "sabir_test_nowhere:X", GROUP)])
    assert broken.distribution == "unknown"


def test_what_is_installed_here_can_be_asked_without_arguments() -> None:
    found = survey()
    assert {"matrix", "xmpp"} <= set(found.networks)
    assert network("matrix").label == "Matrix"


# ---- settings


class Probe(MemoryNetwork):
    """A network with one setting of each sort."""

    settings: tuple[Setting, ...] = (
        Setting(name="user", about="Who we are."),
        Setting(name="port", about="A port.", kind=int, default=6697),
        Setting(name="tls", about="Whether.", kind=bool, required=False),
        Setting(
            name="mode",
            about="How.",
            choices=("ghosts", "relay"),
            default="relay",
        ),
        Setting(name="token", about="Its token.", secret=True),
        Setting(name="pin", about="Its PIN.", secret=True, required=False),
    )


@pytest.fixture
def probe() -> Network:
    return Probe(MemoryServer(VirtualClock()), name="probe")


def test_settings_are_completed_with_defaults(probe: Network) -> None:
    assert check_settings(probe, {"user": "ada"}) == {
        "user": "ada",
        "port": 6697,
        "mode": "relay",
    }
    given = {"user": "ada", "port": 1, "tls": False, "mode": "ghosts"}
    assert check_settings(probe, given) == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "'user' is missing: Who we are."),
        ({"user": "a", "prot": 1}, "no setting 'prot'; did you mean 'port'?"),
        ({"user": "a", "colour": 1}, "valid are 'mode', 'pin', 'port', 'tls'"),
        ({"user": 5}, "'user' must be a text"),
        ({"user": "a", "port": "1"}, "'port' must be a whole number"),
        ({"user": "a", "port": True}, "'port' must be a whole number"),
        ({"user": "a", "tls": 1}, "'tls' must be true or false"),
        ({"user": "a", "mode": "relais"}, "'relais'; did you mean 'relay'?"),
        ({"user": "a", "token": "x"}, "'token' is a secret"),
        ({"usr": "a"}, "'usr'; did you mean 'user'?; 'user' is missing"),
    ],
)
def test_a_wrong_setting_is_named_with_a_valid_form(
    probe: Network, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        check_settings(probe, settings)
    assert message in str(caught.value)
    assert "network 'probe'" in str(caught.value)


def test_secrets_are_checked_and_never_shown(probe: Network) -> None:
    token = Secret(b"sesame")
    assert check_secrets(probe, {"token": token})["token"] is token
    with pytest.raises(ConfigInvalid, match="secret 'token' is missing"):
        check_secrets(probe, {"pin": token})
    with pytest.raises(ConfigInvalid, match="did you mean 'token'") as caught:
        check_secrets(probe, {"tokn": token})
    assert "sesame" not in str(caught.value)


def test_an_account_has_checked_settings_and_secrets(probe: Network) -> None:
    token = Secret(b"sesame")
    account = check_account(
        probe, id=AccountId("home"), settings={"user": "a"}, secrets={"token": token}
    )
    assert (account.id, account.network) == ("home", "probe")
    assert account.settings["port"] == 6697
    with pytest.raises(ConfigInvalid, match="'token' is missing"):
        check_account(probe, id=AccountId("home"), settings={"user": "a"})
