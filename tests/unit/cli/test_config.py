"""A configuration is taken whole, or every problem in it is named."""

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.cli.config import (
    ACCOUNTS_MAX,
    CONFIG_OCTETS_MAX,
    PROBLEMS_SHOWN_MAX,
    Config,
    load_config,
    parse_config,
)
from sabir.cli.secret_sources import SecretFile, SecretVariable
from sabir.errors import ConfigInvalid
from sabir.networks.api import AccountId, Setting

HOME = Path("/home/alice")
FILE = Path("/etc/sabir/sabir.toml")
CANARY = "canary-secret-0c3d"

SETTINGS = {
    "pigeon": (
        Setting(name="loft", about="Address of the loft."),
        Setting(name="birds", about="How many.", kind=int, default=2),
        Setting(name="fast", about="Hurry.", kind=bool, required=False),
        Setting(
            name="colour",
            about="Of the birds.",
            default="grey",
            choices=("grey", "white"),
        ),
        Setting(name="password", about="Of the loft.", secret=True),
        Setting(name="second_file", about="A path, by chance.", required=False),
    )
}


def _settings_of(network: str) -> Sequence[Setting]:
    if network not in SETTINGS:
        raise ConfigInvalid(f'no network "{network}"; known: pigeon')
    return SETTINGS[network]


def _parse(text: str) -> Config:
    return parse_config(
        text, file=FILE, environ={}, home=HOME, settings_of=_settings_of
    )


def _problems(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        _parse(text)
    said = str(caught.value)
    assert CANARY not in said
    return [line.removeprefix("/etc/sabir/") for line in said.splitlines()]


def _problem(text: str) -> str:
    [problem] = _problems(text)
    return problem


AGENT = '[agent]\nowner = "alice"\n'


def test_the_smallest_configuration_names_only_the_owner() -> None:
    config = _parse(AGENT)
    data = Path("/home/alice/.local/share/sabir")
    assert config.agent.owner == "alice"
    assert config.agent.data_dir.root == data
    assert config.agent.control_socket == data / "control.sock"
    assert config.agent.media_spool_bytes_max == 20 * 1024**3
    assert (config.agent.log_level, config.agent.log_format) == ("info", "console")
    assert config.secrets.store == "file"
    assert config.limits.media_file_bytes_max == 2 * 1024**3
    assert config.limits.raw_event_keep_days == 30
    assert config.accounts == {}


def test_every_key_can_be_set() -> None:
    config = _parse(
        """
        [agent]
        owner = "bob-2"
        data_dir = "data"
        control_socket = "/run/sabir.sock"
        media_spool_bytes_max = 1048576
        log_level = "debug"
        log_format = "json"
        [secrets]
        store = "keyring"
        [limits]
        media_file_bytes_max = 1024
        raw_event_keep_days = 1
        """
    )
    assert config.agent.owner == "bob-2"
    assert config.agent.data_dir.root == Path("/etc/sabir/data")
    assert config.agent.control_socket == Path("/run/sabir.sock")
    assert config.agent.media_spool_bytes_max == 1024**2
    assert (config.agent.log_level, config.agent.log_format) == ("debug", "json")
    assert config.secrets.store == "keyring"
    assert config.limits.media_file_bytes_max == 1024
    assert config.limits.raw_event_keep_days == 1


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        _parse(AGENT).agent.owner = "eve"  # type: ignore[misc]  # what is tested


# ---- problems


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_word() -> None:
    assert _problem(f'{AGENT}\n\n# note\ndatadir = "x"') == (
        'sabir.toml line 6: unknown key "datadir" in [agent]; did you mean "data_dir"?'
    )


def test_an_unknown_key_near_to_nothing_gets_no_guess() -> None:
    assert _problem(f"{AGENT}zzz = 1") == (
        'sabir.toml line 3: unknown key "zzz" in [agent]'
    )


def test_an_unknown_section_is_named() -> None:
    assert _problem(f"{AGENT}[acounts.x]\n") == (
        'sabir.toml line 3: unknown section "acounts"; did you mean "accounts"?'
    )


def test_a_syntax_error_has_line_and_column() -> None:
    assert _problem(f"{AGENT}data_dir = /srv\n") == (
        "sabir.toml line 3, column 12: not valid TOML: Invalid value"
    )
    assert _problem("[agent").startswith("sabir.toml end of document: not valid TOML")


def test_a_key_given_twice_is_a_syntax_error() -> None:
    assert _problem(f"{AGENT}[agent]\n").startswith("sabir.toml line 3, column 7: ")


def test_senseless_nesting_is_refused() -> None:
    text = f"{AGENT}x = " + "[" * 100_000 + "]" * 100_000
    assert "nested too deeply" in _problem(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("log_level = 3", '"log_level" in [agent] must be text in quotes'),
        (
            'media_spool_bytes_max = "20"',
            '"media_spool_bytes_max" in [agent] must be a whole number',
        ),
        (
            "media_spool_bytes_max = true",
            '"media_spool_bytes_max" in [agent] must be a whole number',
        ),
        (
            "media_spool_bytes_max = 5",
            '"media_spool_bytes_max" in [agent] must be from 1048576 to',
        ),
        (
            'log_level = "warn"',
            '"info", "warning", "error"; did you mean "warning"?',
        ),
        ('data_dir = ""', '"data_dir" in [agent] is empty'),
        ('data_dir = "a\\u0000b"', '"data_dir" in [agent] has control characters'),
        ("[limits]\nraw_event_keep_days = 9999", "must be from 1 to 3650"),
    ],
)
def test_a_wrong_value_says_what_is_right(line: str, said: str) -> None:
    problem = _problem(AGENT + line)
    assert problem.startswith(f"sabir.toml line {3 + line.count(chr(10))}: ")
    assert said in problem


def test_a_missing_owner_is_asked_for_with_its_meaning() -> None:
    assert _problem("[agent]\n").startswith(
        'sabir.toml line 1: [agent] lacks "owner": Short name of the person'
    )
    assert _problem("").startswith('sabir.toml: [agent] lacks "owner"')


@pytest.mark.parametrize("owner", ["Alice", "a b", "x" * 33, "@alice:host"])
def test_an_owner_that_is_no_part_of_a_uri_is_refused(owner: str) -> None:
    problem = _problem(f'[agent]\nowner = "{owner}"')
    assert '"owner" in [agent] has the wrong form. Short name' in problem


def test_a_section_that_is_no_section_says_how_to_write_it() -> None:
    assert _problem(f"secrets = 1\n{AGENT}") == (
        'sabir.toml line 1: "secrets" is a section: write [secrets]'
    )
    assert _problem(f"accounts = 1\n{AGENT}") == (
        'sabir.toml line 1: "accounts" is a section: write [accounts]'
    )


def test_a_socket_path_that_linux_would_cut_is_refused() -> None:
    assert "has 118 octets, and Linux allows 107" in _problem(
        f'{AGENT}control_socket = "/{"x" * 117}"'
    )
    deep = _problem(f'{AGENT}data_dir = "/{"x" * 100}"')
    assert deep.startswith("sabir.toml line 1: ")
    assert "set control_socket in [agent]" in deep


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    problems = _problems("[limits]\nx = 1\n[agent]\nowner = 1\ny = 2\n[z]\n")
    assert [problem.split(":")[0] for problem in problems] == [
        "sabir.toml line 2",
        "sabir.toml line 4",
        "sabir.toml line 5",
        "sabir.toml line 6",
    ]


def test_very_many_problems_are_counted_not_listed() -> None:
    many = "".join(f"unknown{n} = 1\n" for n in range(PROBLEMS_SHOWN_MAX + 7))
    problems = _problems(AGENT + many)
    assert len(problems) == PROBLEMS_SHOWN_MAX + 1
    assert problems[-1] == "... and 7 more"


# ---- accounts

ACCOUNT = f'{AGENT}[accounts.loft-1]\nnetwork = "pigeon"\nloft = "roof"\n'


def test_an_account_has_its_networks_settings_and_their_defaults() -> None:
    account = _parse(f"{ACCOUNT}fast = true\n").accounts[AccountId("loft-1")]
    assert account.id == "loft-1"
    assert account.network == "pigeon"
    assert account.settings == {
        "loft": "roof",
        "birds": 2,
        "colour": "grey",
        "fast": True,
    }
    assert account.secret_sources == {}
    assert account.read_secrets({}) == {}


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(CANARY)
    file = _parse(f'{ACCOUNT}password_file = "{tmp_path}/pw"').accounts
    account = file[AccountId("loft-1")]
    assert account.secret_sources == {"password": SecretFile(tmp_path / "pw")}
    assert account.read_secrets({})["password"].reveal_text() == CANARY

    variable = _parse(f'{ACCOUNT}password_env = "PW"').accounts[AccountId("loft-1")]
    assert variable.secret_sources == {"password": SecretVariable("PW")}
    assert variable.read_secrets({"PW": CANARY})["password"].reveal_text() == CANARY


def test_a_secret_file_lies_beside_the_configuration_unless_absolute() -> None:
    account = _parse(f'{ACCOUNT}password_file = "pw"').accounts[AccountId("loft-1")]
    assert account.secret_sources["password"] == SecretFile(Path("/etc/sabir/pw"))


def test_a_setting_whose_name_ends_in_file_stays_a_setting() -> None:
    account = _parse(f'{ACCOUNT}second_file = "x"').accounts[AccountId("loft-1")]
    assert account.settings["second_file"] == "x"


def test_a_secret_in_the_file_is_refused_without_repeating_it() -> None:
    problem = _problem(f'{ACCOUNT}password = "{CANARY}"')
    assert problem.startswith('sabir.toml line 6: "password" is a secret')
    assert "sabir account add" in problem
    assert "password_file or password_env" in problem


@pytest.mark.parametrize(
    "line",
    [
        f'passwrd = "{CANARY}"',
        f'pasword_file = "{CANARY}"',
        f'loft_file = "{CANARY}"',
        f'password_text = "{CANARY}"',
        f'colour = "{CANARY}"',
        f'birds = "{CANARY}"',
        f'second_file = "{CANARY}\\u0007"',
        f'network2 = "{CANARY}"',
    ],
)
def test_a_value_is_never_repeated_it_may_be_a_secret(line: str) -> None:
    assert _problem(ACCOUNT + line).startswith("sabir.toml line 6: ")


def test_a_misspelt_setting_gets_the_nearest_word() -> None:
    assert _problem(f'{ACCOUNT}pasword_file = "x"') == (
        'sabir.toml line 6: unknown key "pasword_file" in [accounts.loft-1];'
        ' did you mean "password_file"?'
    )
    assert _problem(f"{ACCOUNT}brids = 3") == (
        'sabir.toml line 6: unknown key "brids" in [accounts.loft-1];'
        ' did you mean "birds"?'
    )


def test_a_secret_given_twice_is_refused() -> None:
    problem = _problem(f'{ACCOUNT}password_file = "x"\npassword_env = "X"')
    assert problem.startswith('sabir.toml line 7: "password" is given twice')


def test_a_secret_source_must_be_text() -> None:
    assert "must be text: the path of a file" in _problem(f"{ACCOUNT}password_file = 1")
    assert "must be text: the name of a variable" in _problem(
        f'{ACCOUNT}password_env = ""'
    )


def test_a_missing_setting_is_asked_for_with_its_meaning() -> None:
    assert _problem(f'{AGENT}[accounts.a]\nnetwork = "pigeon"\n') == (
        'sabir.toml line 3: [accounts.a] lacks "loft": Address of the loft.'
    )


def test_a_wrong_setting_is_not_reported_missing_as_well() -> None:
    assert _problem(ACCOUNT.replace('"roof"', "1")).startswith(
        'sabir.toml line 5: "loft" in [accounts.loft-1] must be text'
    )


def test_an_unknown_network_is_the_registrys_to_explain() -> None:
    assert _problem(f'{AGENT}[accounts.a]\nnetwork = "smoke"\n') == (
        'sabir.toml line 4: no network "smoke"; known: pigeon'
    )


@pytest.mark.parametrize(("line", "number"), [("", 3), ("network = 1\n", 4)])
def test_an_account_names_its_network(line: str, number: int) -> None:
    assert _problem(f"{AGENT}[accounts.a]\n{line}").startswith(
        f"sabir.toml line {number}: [accounts.a] needs network"
    )


@pytest.mark.parametrize("name", ["Upper", "-x", '"a b"', "x" * 33, "1st"])
def test_an_account_id_that_no_command_could_name_is_refused(name: str) -> None:
    problem = _problem(ACCOUNT.replace("loft-1", name))
    assert "cannot be an account's id" in problem


def test_an_account_is_a_section() -> None:
    assert _problem(f"{AGENT}[accounts]\nwork = 3") == (
        "sabir.toml line 4: an account is a section: write [accounts.work]"
    )


def test_more_accounts_than_one_agent_runs_are_refused() -> None:
    text = "".join(f"a{n} = 1\n" for n in range(ACCOUNTS_MAX + 1))
    assert "run a second agent" in _problem(f"{AGENT}[accounts]\n{text}")


# ---- files


def _load(path: Path) -> Config:
    return load_config(path, environ={}, home=HOME, settings_of=_settings_of)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sabir.toml"
    path.write_text(f'{AGENT}data_dir = "d"')
    assert _load(path).agent.data_dir.root == tmp_path / "d"


def test_a_missing_file_leads_to_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="run `sabir init`"):
        _load(tmp_path / "none.toml")


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"cannot be read \(Is a directory\)"):
        _load(tmp_path)


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sabir.toml"
    path.write_bytes(b"#" * (CONFIG_OCTETS_MAX + 1))
    with pytest.raises(ConfigInvalid, match="larger than"):
        _load(path)
    path.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigInvalid, match="line 2: not UTF-8"):
        _load(path)


@given(st.text())
def test_any_text_is_a_configuration_or_a_named_problem(text: str) -> None:
    try:
        said = _parse(AGENT + text).agent.owner
    except ConfigInvalid as error:
        said = str(error)
    assert said == "alice" or said.startswith("/etc/sabir/sabir.toml")
