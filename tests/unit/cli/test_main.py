"""Exit codes, one paragraph per error, and no surprise at a closed pipe."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sabir.cli.main import COMMANDS
from tests.unit.cli.shell import Shell, call, lab

ESC = "\x1b[2J"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    result = call(name, "--help")
    assert result.code == 0
    assert "Usage:" in result.out


def test_the_list_of_commands_is_shown_without_importing_them() -> None:
    program = (
        "import sys; from sabir.cli.main import main\n"
        "try: main(['--help'])\n"
        "finally: print([m for m in sys.modules if m.endswith('_command')])"
    )
    listed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert all(name in listed.stdout for name in COMMANDS)
    assert listed.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "wrong", [["nonsense"], ["log", "-n", "x"], ["log", "-n", "0"], ["unlink", "x"]]
)
def test_wrong_usage_is_2_and_says_how_to_get_help(wrong: list[str]) -> None:
    result = call(*wrong)
    assert result.code == 2
    assert "--help" in result.err
    assert not result.out


def _corrupt(sabir: Shell) -> None:
    (sabir.folder / "sabir.db").write_bytes(b"no database" * 1000)


def _nothing(_: Shell) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "arguments", "code", "cause", "way_out"),
    [
        (_corrupt, ["log"], 1, "not a Sabir database", "check data_dir"),
        (_nothing, ["account", "add", "x", "matrx"], 2, "no network", "did you mean"),
        (_nothing, ["link", "a:b"], 2, "two chats", "--room"),
        (_nothing, ["chats", "a"], 3, "not running", "sabir up"),
    ],
)
def test_an_error_is_one_paragraph_with_cause_way_out_and_code(
    tmp_path: Path,
    before: Callable[[Shell], None],
    arguments: list[str],
    code: int,
    cause: str,
    way_out: str,
) -> None:
    sabir = Shell(tmp_path)
    before(sabir)
    result = sabir(*arguments)
    assert result.code == code
    assert result.err.startswith("sabir: ")
    assert result.err.count("\n") == 1
    assert cause in result.err
    assert way_out in result.err
    assert not result.out


async def test_what_policy_forbids_is_4(tmp_path: Path) -> None:
    async with lab(tmp_path) as running:
        result = await running.sabir.asks("link", "a:chat", "b:chat")
    assert result.code == 4
    assert "linked already" in result.err
    assert "sabir unlink" in result.err


def test_an_error_that_repeats_foreign_text_cannot_clear_the_screen(
    tmp_path: Path,
) -> None:
    result = Shell(tmp_path)("link", f"{ESC}no colon", "a:b")
    assert result.code == 2
    assert "\x1b" not in result.err
    assert "\\x1b[2J" in result.err


def wait_until_it_follows(pid: int) -> None:
    """Wait until a `sabir log --follow` has read the database and sleeps."""
    opened = Path(f"/proc/{pid}/fd")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError):  # closed while we look
            if any("sabir.db" in str(each.readlink()) for each in opened.iterdir()):
                break
        time.sleep(0.05)
    time.sleep(0.5)


def test_interrupting_is_130_and_no_traceback(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    assert sabir("init").code == 0
    # A shell's background job ignores SIGINT, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = sabir.spawn("log", "--follow", stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    try:
        wait_until_it_follows(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert (process.returncode, err.strip()) == (130, "sabir: stopped")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    sabir = Shell(tmp_path)
    process = sabir.spawn(
        "config", "example", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=20)
    assert "Traceback" not in err
