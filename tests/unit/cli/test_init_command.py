"""What `sabir init` makes, and what it leaves alone."""

from pathlib import Path

import pytest

from tests.unit.cli.shell import call, mode


def _init(folder: Path, *more: str) -> tuple[int, str, str]:
    done = call("--config", str(folder / "sabir.toml"), "init", *more)
    return done.code, done.out, done.err


def test_everything_is_made_for_its_owner_only(tmp_path: Path) -> None:
    code, out, _ = _init(tmp_path, "--owner", "ada", "--data-dir", "data")
    assert code == 0
    assert "sabir up" in out
    data = tmp_path / "data"
    assert mode(data) == 0o700
    for file in (tmp_path / "sabir.toml", data / "key", data / "sabir.db"):
        assert mode(file) == 0o600, file
    assert call("--config", str(tmp_path / "sabir.toml"), "status").code == 0


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    _init(tmp_path, "--data-dir", "data")
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "sabir.toml", tmp_path / "data" / "key")
    }
    code, out, _ = _init(tmp_path)
    assert code == 0
    assert "made" not in out
    assert before == {path: path.read_bytes() for path in before}


def test_options_for_a_configuration_that_is_there_are_not_ignored(
    tmp_path: Path,
) -> None:
    _init(tmp_path, "--data-dir", "data")
    code, _, err = _init(tmp_path, "--owner", "other")
    assert code == 2
    assert "is there already" in err
    assert "--config" in err


def test_a_wrong_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    code, _, err = _init(tmp_path, "--owner", "Ada L.", "--data-dir", "data")
    assert code == 2
    assert '"owner"' in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("user", ["", "Ada.Lovelace", "x" * 50])
def test_without_options_the_owner_is_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    monkeypatch.setenv("USER", user)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert _init(tmp_path)[0] == 0
    assert (tmp_path / "share" / "sabir" / "sabir.db").is_file()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("--config", str(tmp_path / "file" / "sabir.toml"), "init")
    assert done.code == 2
    assert "--config" in done.err
    code, _, err = _init(tmp_path, "--data-dir", "file/data")
    assert code == 1
    assert "choose another data_dir" in err
