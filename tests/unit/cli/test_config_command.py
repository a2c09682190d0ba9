"""`sabir config`."""

import tomllib
from pathlib import Path

from tests.unit.cli.shell import CANARY, Shell, call, matrix_account


def test_a_right_configuration_is_called_fine(tmp_path: Path) -> None:
    result = Shell(tmp_path, matrix_account(tmp_path))("config", "check")
    assert result.code == 0
    assert "fine, 1 accounts" in result.out
    assert CANARY not in result.out + result.err


def test_every_problem_is_named_at_once_with_line_and_nearest_word(
    tmp_path: Path,
) -> None:
    wrong = 'log_levl = "info"\n[accounts.x]\nnetwork = "matrx"\n'
    result = Shell(tmp_path, wrong)("config", "check")
    assert result.code == 2
    assert 'line 5: unknown key "log_levl"' in result.err
    assert "log_level" in result.err
    assert "line 7" in result.err
    assert "matrix" in result.err


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    accounts = matrix_account(tmp_path).replace(
        'access_token_file = "token"', f'access_token = "{CANARY}"'
    )
    result = Shell(tmp_path, accounts)("config", "check")
    assert result.code == 2
    assert "access_token_file" in result.err
    assert CANARY not in result.err


def test_no_configuration_says_how_to_make_one(tmp_path: Path) -> None:
    result = call("--config", str(tmp_path / "sabir.toml"), "config", "check")
    assert result.code == 2
    assert "sabir init" in result.err


def test_the_example_is_a_right_configuration(tmp_path: Path) -> None:
    example = call("config", "example").out
    assert tomllib.loads(example)["agent"]["owner"]
    sabir = Shell(tmp_path)
    sabir.config.write_text(example)
    assert sabir("config", "check").code == 0
