"""A session that leaves out a vector fails and says which."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sabir.testing.mls.pytest_plugin import missing
from sabir.testing.mls.vectors import EXPECTED, cases

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"

ONE = """
from sabir.testing.mls.vectors import Strict, for_each

@for_each("{file}")
def test_it(vector: Strict) -> None:
    vector.get("cipher_suite")
    {body}
"""


def _run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest on vectors of one key each, in a process of its own."""
    vectors = folder / "vectors"
    vectors.mkdir(exist_ok=True)
    for file, suites in EXPECTED.items():
        made = [
            {"x": "00"} if suite is None else {"cipher_suite": suite, "x": "00"}
            for suite, count in suites.items()
            for _ in range(count)
        ]
        (vectors / f"{file}.json").write_text(json.dumps(made))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "sabir.testing.mls.pytest_plugin", "--import-mode=importlib"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "SABIR_MLS_VECTORS": str(vectors)},
    )
    return done.returncode, done.stdout + done.stderr


def _tests(folder: Path, **bodies: str) -> Path:
    """Write one test module for each file; `bodies` says how some read a vector."""
    tests = folder / "tests"
    tests.mkdir()
    (folder / "pytest.ini").write_text(INI)
    for file in EXPECTED:
        name = file.replace("-", "_")
        body = bodies.get(name, "assert vector.octets('x') == b'\\0'")
        (tests / f"test_{name}.py").write_text(ONE.format(file=file, body=body))
    return tests


def test_the_whole_folder_passes_and_says_nothing(tmp_path: Path) -> None:
    _tests(tmp_path)
    status, said = _run(tmp_path, "tests")
    assert status == 0, said
    assert "785 passed" in said
    assert "not run" not in said


def test_a_file_without_a_test_fails_the_session(tmp_path: Path) -> None:
    tests = _tests(tmp_path)
    (tests / "test_welcome.py").unlink()
    status, said = _run(tmp_path)
    assert status == 1
    assert "778 passed" in said
    assert "welcome, suite 7: 0 of 1 vectors were run to the end" in said


def test_two_processes_see_all_of_it_together(tmp_path: Path) -> None:
    tests = _tests(tmp_path)
    two = ("tests", "-n", "2", "--dist", "loadfile")
    status, said = _run(tmp_path, *two)
    assert status == 0, said
    assert "785 passed" in said
    (tests / "test_welcome.py").unlink()
    status, said = _run(tmp_path, *two)
    assert status == 1
    assert "welcome, suite 7: 0 of 1 vectors were run to the end" in said


BREAKS = """
import pytest
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.pytest_plugin import note_rules

seen = set()

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    note_rules(session.config, seen, {excused})
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_rule_without_a_test_fails_the_session(
    tmp_path: Path, processes: str
) -> None:
    """Half of them in each file, whatever process runs it."""
    (tmp_path / "pytest.ini").write_text(INI)
    for excused, status, text in (
        (["F01"], 0, "2 passed"),
        ([], 1, "no test breaks F01"),
        (["F01", "F02"], 1, "F02 is broken, so needs no excuse"),
    ):
        (tmp_path / "conftest.py").write_text(BREAKS.format(excused=excused))
        for half in (0, 1):
            (tmp_path / f"test_{half}.py").write_text(
                "import conftest\n"
                "def test_it():\n"
                "    names = [rule.name for rule in conftest.Rule]\n"
                f"    conftest.seen |= set(names[{half}::2]) - {{'F01'}}\n"
            )
        found, said = _run(
            tmp_path,
            *("--import-mode=prepend", "-n", processes, "--dist", "loadfile", "."),
        )
        assert found == status, said
        assert text in said


def test_a_skipped_vector_fails_the_session(tmp_path: Path) -> None:
    _tests(tmp_path, psk_secret="__import__('pytest').skip('no time')")
    status, said = _run(tmp_path, "tests")
    assert status == 1
    assert "psk_secret, suite 3: 0 of 11 vectors" in said


def test_a_deselected_vector_fails_the_session(tmp_path: Path) -> None:
    _tests(tmp_path)
    name = "tests/test_psk_secret.py::test_it[psk_secret-suite2-10]"
    status, said = _run(tmp_path, "tests", "--deselect", name)
    assert status == 1
    assert "psk_secret, suite 2: 10 of 11 vectors" in said


def test_a_key_that_is_never_read_fails_the_test(tmp_path: Path) -> None:
    _tests(tmp_path, welcome="pass")
    status, said = _run(tmp_path, "tests")
    assert status == 1
    assert "7 failed, 778 passed" in said
    assert "welcome-suite4-0: never read: x" in said


@pytest.mark.parametrize(
    "chosen", [["tests/test_welcome.py"], ["tests", "-k", "test_welcome"]], ids=str
)
def test_who_runs_a_part_is_not_told_of_the_rest(
    chosen: list[str], tmp_path: Path
) -> None:
    _tests(tmp_path)
    status, said = _run(tmp_path, *chosen)
    assert status == 0, said
    assert "7 passed" in said


def test_all_vectors_run_leave_nothing_missing() -> None:
    ran = {case for file in EXPECTED for case in cases(file)}
    assert missing(ran) == []
    assert missing(ran - {cases("tree-math")[4]}) == [
        "tree-math, no suite: 9 of 10 vectors were run to the end"
    ]
