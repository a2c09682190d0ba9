"""Saying what is missing, and leaving alone what is there."""

from pathlib import Path

import pytest

from sabir.errors import ConfigInvalid
from sabir.testing import install


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SABIR_LAB_HOME", str(tmp_path))
    return tmp_path


def test_the_lab_home_is_configurable(home: Path) -> None:
    assert install.lab_home() == home
    assert install.synapse_python() == home / "synapse-venv" / "bin" / "python"


def test_without_a_setting_the_lab_home_is_in_the_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SABIR_LAB_HOME")
    assert install.lab_home().name == ".lab"
    assert (install.lab_home().parent / "pyproject.toml").exists()


def test_a_missing_homeserver_names_the_command_that_installs_it() -> None:
    reason = install.available("synapse")
    assert reason is not None
    assert install.SYNAPSE_VERSION in reason
    assert "python -m sabir.testing.install synapse" in reason


def test_an_installation_that_was_interrupted_does_not_count(home: Path) -> None:
    python = install.synapse_python()
    python.parent.mkdir(parents=True)
    python.touch()
    assert install.available("synapse") is not None
    (home / "synapse-venv" / f"synapse-{install.SYNAPSE_VERSION}").touch()
    assert install.available("synapse") is None


def test_what_is_there_is_left_alone(home: Path) -> None:
    (home / "synapse-venv").mkdir()
    (home / "synapse-venv" / f"synapse-{install.SYNAPSE_VERSION}").touch()
    assert install.main(["synapse"]) == 0
    assert not (home / "install.lock").exists()


def test_missing_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tmp_path / "dpkg-query"
    query.write_text("#!/bin/sh\necho prosody installed\necho lua-sec config-files\n")
    query.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    reason = install.available("prosody")
    assert reason is not None
    assert "lua-sec" in reason
    assert "missing: prosody-modules" in reason


def test_packages_are_installed_in_one_go_by_apt_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package tools: they change the machine, so they do not run."""
    state = tmp_path / "installed"
    for name, script in {
        "dpkg-query": f'cat "{state}" 2>/dev/null\nexit 0',
        "apt-get": (
            f'[ "$1" = install ] || exit 0\nshift 4\n'
            f'for package; do echo "$package installed" >>"{state}"; done'
        ),
        "id": "echo 0",
        "systemctl": "exit 0",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(
        install,
        "_APT_SCRIPT",
        install._APT_SCRIPT.replace("/usr/sbin/policy-rc.d", str(policy)),
    )
    assert install.main(["ejabberd"]) == 0
    assert state.read_text().split() == [
        *("ejabberd", "installed"),
        *("erlang-p1-sqlite3", "installed"),
    ]
    assert not policy.exists()


def test_who_may_not_install_is_told_what_to_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, script in {"dpkg-query": "exit 0", "apt-get": "exit 1"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert install.main(["ejabberd"]) == ConfigInvalid.exit_code
    told = capsys.readouterr().err
    assert "sudo apt-get install --no-install-recommends ejabberd" in told


def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="synapse, prosody, ejabberd"):
        install.available("exchange")
