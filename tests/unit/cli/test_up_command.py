"""`sabir up` as a process: one per folder, ends at once, comes back after a kill."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sabir.cli.control import NotRunning
from tests.unit.cli.shell import CANARY, PATIENCE_S, Result, Shell, matrix_account

STOP_S = 10.0


@pytest.fixture
def sabir(tmp_path: Path) -> Shell:
    made = Shell(tmp_path, matrix_account(tmp_path))
    assert made("init").code == 0
    return made


def _stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> float:
    begun = time.monotonic()
    process.send_signal(number)
    process.wait(PATIENCE_S)
    return time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_with_0(sabir: Shell, number: int) -> None:
    with sabir.up() as process:
        assert _stop(process, number) < STOP_S
        assert process.returncode == 0
    assert '"event": "stopped"' in sabir.log()
    assert not (sabir.folder / "control.sock").exists()


def test_an_unreachable_server_is_shown_with_the_way_out_and_no_secret(
    sabir: Shell,
) -> None:
    with sabir.up():
        results = [sabir("status", "--json")]
        end = time.monotonic() + PATIENCE_S
        while results[-1].json["accounts"][0]["status"]["attempts"] == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
            results.append(sabir("status", "--json"))
        [account] = results[-1].json["accounts"]
        others = ("status", "account list", "account list --json", "log", "doctor")
        results += [sabir(*each.split()) for each in others]
    assert account["status"]["state"] == "transient_disconnect"
    assert "homeserver_url" in account["status"]["detail"]
    assert CANARY not in sabir.log() + _said(results)


def _said(results: list[Result]) -> str:
    return "".join(each.out + each.err for each in results)


def test_a_second_one_is_refused_with_the_pid_of_the_first(sabir: Shell) -> None:
    with sabir.up() as process:
        second = sabir("up")
        assert second.code == 2
        assert f"process {process.pid}" in second.err
        assert "data_dir" in second.err
        # The first one still answers: its socket was not taken.
        assert sabir("status", "--json").json["pid"] == process.pid


def test_after_a_kill_it_starts_over_stale_socket_and_lock(sabir: Shell) -> None:
    with sabir.up() as process:
        process.kill()
        process.wait()
        assert (sabir.folder / "control.sock").is_socket()
        assert (sabir.folder / "lock").read_text() == str(process.pid)
        assert sabir("status", "--json").json["pid"] is None
        assert sabir("chats", "work").code == NotRunning.exit_code
    with sabir.up() as process:
        assert sabir("status", "--json").json["pid"] == process.pid


def test_somebody_who_waits_for_an_answer_does_not_keep_it_from_ending(
    sabir: Shell,
) -> None:
    with sabir.up() as process:
        link = sabir.spawn(
            "link",
            "work:!a:example.org",
            "work:!b:example.org",
            stderr=subprocess.PIPE,
        )
        try:
            assert link.stderr is not None
            assert "entering the chats" in link.stderr.readline()
            time.sleep(0.3)
            assert _stop(process) < STOP_S
            assert process.returncode == 0
            _, err = link.communicate(timeout=PATIENCE_S)
        finally:
            link.kill()
            link.wait()
    assert link.returncode == 3
    assert "stopped" in err
    assert "Traceback" not in err


@contextmanager
def _busy(folder: Path) -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_busy_port_is_the_accounts_trouble_and_names_the_setting(
    tmp_path: Path,
) -> None:
    with _busy(tmp_path) as port:
        for name in ("as_token", "hs_token"):
            (tmp_path / name).write_text(CANARY)
        sabir = Shell(
            tmp_path,
            "[accounts.work]\n"
            'network = "matrix"\nkind = "appservice"\n'
            'homeserver_url = "http://127.0.0.1:1"\nserver_name = "example.org"\n'
            f"listen_port = {port}\n"
            'as_token_file = "as_token"\nhs_token_file = "hs_token"\n',
        )
        assert sabir("init").code == 0
        with sabir.up() as process:
            end = time.monotonic() + PATIENCE_S
            while "listen_port" not in (said := sabir("status").out):
                assert time.monotonic() < end, said
                time.sleep(0.05)
            assert process.poll() is None
    assert f"listen_port = {port}" in said
    assert "another program" in said
    assert "choose another port" in said
    assert CANARY not in said + sabir.log()


def test_what_keeps_it_from_running_is_said_in_one_paragraph(sabir: Shell) -> None:
    (sabir.folder / "media").write_text("a file where the folder should be")
    ended = sabir.spawn("up", stderr=subprocess.PIPE)
    _, err = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith("sabir: ")
    assert "media" in last
    assert "Traceback" not in err


def test_a_damaged_database_is_named_and_left_as_it_is(sabir: Shell) -> None:
    file = sabir.folder / "sabir.db"
    damaged = file.read_bytes()[:100] + b"\xff" * 50_000
    file.write_bytes(damaged)
    ended = sabir.spawn("up", stderr=subprocess.PIPE)
    _, err = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 1
    last = err.splitlines()[-1]
    assert str(file) in last
    assert "damaged" in last
    assert "restore a backup" in last
    assert "Traceback" not in err
    assert file.read_bytes() == damaged


def test_a_wrong_key_in_the_configuration_is_named_with_its_line(
    sabir: Shell,
) -> None:
    sabir.config.write_text(sabir.config.read_text() + "listen_prt = 1\n")
    result = sabir("up")
    assert result.code == 2
    assert 'unknown key "listen_prt"' in result.err
    assert 'did you mean "listen_port"?' in result.err
    assert "line " in result.err


def test_a_socket_path_that_is_a_file_is_not_deleted(sabir: Shell) -> None:
    precious = sabir.folder / "control.sock"
    precious.write_text("not yours")
    ended = sabir.spawn("up", stderr=subprocess.PIPE)
    _, err = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert "control_socket" in err
    assert precious.read_text() == "not yours"


def test_before_init_it_says_to_run_init(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    sabir.config.write_text('[agent]\nowner = "a"\ndata_dir = "missing"\n')
    result = sabir("up")
    assert result.code == 2
    assert "sabir init" in result.err


def test_a_secret_from_the_environment_is_in_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SABIR_TEST_TOKEN", CANARY)
    accounts = matrix_account(tmp_path).replace(
        'access_token_file = "token"', 'access_token_env = "SABIR_TEST_TOKEN"'
    )
    (tmp_path / "token").unlink()
    sabir = Shell(tmp_path, f'log_level = "debug"\n{accounts}')
    assert sabir("init").code == 0
    assert CANARY in os.environ["SABIR_TEST_TOKEN"]
    with sabir.up() as process:
        _stop(process)
    assert '"event": "connection"' in sabir.log()
    assert CANARY not in sabir.log()
