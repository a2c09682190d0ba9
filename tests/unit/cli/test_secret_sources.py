"""Secrets from files and variables, and clear words when they are not there."""

from pathlib import Path

import pytest

from sabir.cli.secret_sources import SECRET_OCTETS_MAX, SecretFile, SecretVariable
from sabir.errors import ConfigInvalid

CANARY = "canary-password-77aa"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_line_end_behind_the_secret_is_not_part_of_it(
    tmp_path: Path, end: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes((CANARY + end).encode())
    assert SecretFile(path).read().reveal_text() == CANARY


def test_other_white_space_belongs_to_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b" a b \n\n")
    assert SecretFile(path).read().reveal() == b" a b \n"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"gone cannot be read \(No such file"):
        SecretFile(tmp_path / "gone").read()


def test_an_empty_or_endless_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\n")
    with pytest.raises(ConfigInvalid, match="is empty"):
        SecretFile(path).read()
    with pytest.raises(ConfigInvalid, match=f"larger than {SECRET_OCTETS_MAX}"):
        SecretFile(Path("/dev/zero")).read()


def test_a_variable_is_read_from_the_environment_given() -> None:
    source = SecretVariable("SABIR_TOKEN")
    assert source.read({"SABIR_TOKEN": CANARY}).reveal_text() == CANARY
    for environ in ({}, {"SABIR_TOKEN": ""}):
        with pytest.raises(ConfigInvalid, match="SABIR_TOKEN is not set"):
            source.read(environ)
