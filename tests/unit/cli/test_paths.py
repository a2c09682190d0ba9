"""Where things lie, by command line, environment and convention."""

from pathlib import Path

import pytest

from sabir.cli.paths import DataDir, config_path, default_data_dir, expand

HOME = Path("/home/alice")


def _found(working_dir: Path, *, given: str | None = None, **environ: str) -> Path:
    return config_path(given=given, environ=environ, working_dir=working_dir, home=HOME)


def test_the_command_line_comes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "sabir.toml").touch()
    assert _found(tmp_path, given="a.toml", SABIR_CONFIG="b") == tmp_path / "a.toml"
    assert _found(tmp_path, SABIR_CONFIG="~/b.toml") == HOME / "b.toml"


def test_a_file_in_the_working_directory_comes_before_the_owners(
    tmp_path: Path,
) -> None:
    assert _found(tmp_path) == HOME / ".config/sabir/sabir.toml"
    (tmp_path / "sabir.toml").touch()
    assert _found(tmp_path) == tmp_path / "sabir.toml"


def test_xdg_directories_are_followed_when_absolute(tmp_path: Path) -> None:
    assert _found(tmp_path, XDG_CONFIG_HOME="/etc/x") == Path("/etc/x/sabir/sabir.toml")
    assert _found(tmp_path, XDG_CONFIG_HOME="x") == HOME / ".config/sabir/sabir.toml"
    assert default_data_dir(environ={"XDG_DATA_HOME": "/d"}, home=HOME) == Path(
        "/d/sabir"
    )
    assert default_data_dir(environ={}, home=HOME) == HOME / ".local/share/sabir"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~", "/home/alice"),
        ("~/data", "/home/alice/data"),
        ("/abs", "/abs"),
        ("rel/x", "/etc/sabir/rel/x"),
        ("~bob", "/etc/sabir/~bob"),
    ],
)
def test_paths_are_read_as_an_owner_writes_them(written: str, meant: str) -> None:
    assert expand(written, base=Path("/etc/sabir"), home=HOME) == Path(meant)


def test_everything_to_back_up_lies_in_the_data_directory() -> None:
    data = DataDir(Path("/d"))
    for path in (
        data.key_file,
        data.database_file,
        data.media_spool,
        data.control_socket,
    ):
        assert path.parent == Path("/d")
