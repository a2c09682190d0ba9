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


def _programs(folder: Path, scripts: dict[str, str]) -> None:
    for name, script in scripts.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)


def test_the_peer_of_mls_needs_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = install.available("ts-mls")
    assert reason is not None
    assert "node is missing" in reason
    assert "python -m sabir.testing.install ts-mls" in reason


@pytest.mark.parametrize("version", ["v17.9.1", "", "odd"])
def test_an_old_node_is_no_node(
    version: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _programs(tmp_path, {"node": f"echo {version}", "npm": "exit 1"})
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    reason = install.available("ts-mls")
    assert reason is not None
    assert "is too old, 18 is needed" in reason
    assert install.main(["ts-mls"]) == ConfigInvalid.exit_code
    assert "Put a newer one first in PATH" in capsys.readouterr().err


def test_the_peer_of_mls_is_installed_by_npm(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for npm, which would need a package index."""
    tools = home / "tools"
    tools.mkdir()
    _programs(tools, {"node": "echo v18.20.4", "npm": f'echo "$@" >"{home}/asked"'})
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    assert install.main(["ts-mls"]) == 0
    asked = (home / "asked").read_text()
    assert asked.startswith(f"ci --prefix {install.tsmls_home()}")
    assert "--ignore-scripts" in asked
    assert install.available("ts-mls") is None
    (next(install.tsmls_home().glob("ready-*"))).rename(
        install.tsmls_home() / "ready-0123456789abcdef"
    )
    assert install.available("ts-mls") is not None, "marks of other versions count not"


def test_the_peer_of_mls_names_no_package_index() -> None:
    lock = (install._PEER / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "http" not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


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
