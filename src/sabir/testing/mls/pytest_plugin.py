"""Tests of MLS: the fixture `vector`, and the checks that nothing is left out.

A test of `sabir.testing.mls.vectors.for_each` fails if it leaves a key of its vector
unread. When the folder of the vector tests is run as a whole, the session fails if a
vector of any file was not run to the end: skipped, deselected, or without a test. So
with the folder that breaks the rules: its `conftest.py` says by `note_rules` which it
has seen broken, and the session fails if one is left.

All this holds when tests run in several processes (`-n`), none of which sees it all:
each tells the first one what it saw, and that one judges.
"""

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from sabir.mls.validation.rules import Rule
from sabir.testing.mls.vectors import EXPECTED, Case, Strict, load

_PASSED: Final = pytest.StashKey[set[Case]]()
_MISSING: Final = pytest.StashKey[dict[str, list[str]]]()
_TOLD: Final = pytest.StashKey[list[dict[str, Any]]]()
_RULES: Final = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture
def vector(request: pytest.FixtureRequest) -> Strict:
    """Return the vector that `for_each` chose."""
    case = request.param
    assert isinstance(case, Case), "use sabir.testing.mls.vectors.for_each"
    return load(case)


def missing(passed: set[Case]) -> list[str]:
    """Say which vectors were not run, by file and suite."""
    ran = Counter((case.file, case.suite) for case in passed)
    return [
        f"{file}, {'no suite' if suite is None else f'suite {suite}'}: "
        f"{ran[file, suite]} of {count} vectors were run to the end"
        for file, by_suite in EXPECTED.items()
        for suite, count in by_suite.items()
        if ran[file, suite] != count
    ]


def untested(seen: Collection[str], excused: Collection[str]) -> list[str]:
    """Say which rules no test broke, and whose excuse is none because one did.

    Args:
        seen: names of the rules that were broken.
        excused: names of those for which there is a reason.
    """
    lines = [
        f"no test breaks {rule.name}: {rule.value}"
        for rule in Rule
        if rule.name not in seen and rule.name not in excused
    ]
    lines += [
        f"{name} is broken, so needs no excuse" for name in excused if name in seen
    ]
    return lines


def _case(item: pytest.Item) -> Case | None:
    """Return the vector that counts as run when this test passes."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("vector") if callspec else None
    return case if isinstance(case, Case) and case.whole else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """After a test that passed: no key is unread."""
    yield
    case = _case(item)
    if case is None:
        return
    assert isinstance(item, pytest.Function)
    vector = item.funcargs["vector"]
    assert isinstance(vector, Strict)
    unread = vector.unread()
    if unread:
        pytest.fail(f"{case}: never read: {', '.join(unread)}", pytrace=False)
    item.config.stash.setdefault(_PASSED, set()).add(case)


def _as_a_whole(config: pytest.Config, folders: Sequence[Path]) -> bool:
    """Tell whether these folders were run without choosing tests inside."""
    if config.option.keyword or getattr(config.option, "lf", False):
        return False
    bases = (config.invocation_params.dir, config.rootpath)
    roots = [(base / argument).resolve() for argument in config.args for base in bases]
    return all(any(folder.is_relative_to(root) for root in roots) for folder in folders)


def note_rules(
    config: pytest.Config, seen: Iterable[str], excused: Iterable[str]
) -> None:
    """Say that the folder that breaks the rules was run as a whole here.

    Args:
        config: of the session.
        seen: names of the rules that tests of this process broke.
        excused: names of those that need not be.
    """
    config.stash[_RULES] = {"seen": sorted(seen), "excused": sorted(excused)}


def _seen_here(session: pytest.Session) -> dict[str, Any]:
    """Return what this process knows, of types that go from one to another."""
    passed = session.config.stash.get(_PASSED, set())
    return {
        "folders": sorted(
            {str(item.path.parent) for item in session.items if _case(item)}
        ),
        "passed": [(case.file, case.suite, case.number) for case in passed],
        "rules": session.config.stash.get(_RULES, None),
    }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from another process what it has seen."""
    told = getattr(node, "workeroutput", {}).get("mls")
    if told is not None:
        node.config.stash.setdefault(_TOLD, []).append(told)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that left out vectors or rules."""
    config = session.config
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["mls"] = _seen_here(session)
        return
    finished = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    stopped = session.shouldstop or session.shouldfail or not finished
    if stopped or config.option.collectonly:
        return
    told = config.stash.get(_TOLD, None) or [_seen_here(session)]
    found = {
        "MLS vectors that were not run": _vectors_left(config, told),
        "MLS rules without a test": [] if exitstatus else _rules_left(told),
    }
    if any(found.values()):
        config.stash[_MISSING] = found
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _vectors_left(config: pytest.Config, told: Sequence[dict[str, Any]]) -> list[str]:
    folders = sorted({Path(folder) for each in told for folder in each["folders"]})
    if not folders or not _as_a_whole(config, folders):
        return []
    passed = {
        Case(file=file, suite=suite, number=number, whole=True)
        for each in told
        for file, suite, number in each["passed"]
    }
    return missing(passed)


def _rules_left(told: Sequence[dict[str, Any]]) -> list[str]:
    rules = [each["rules"] for each in told]
    if None in rules:
        return []
    seen = {name for each in rules for name in each["seen"]}
    return untested(seen, sorted({name for each in rules for name in each["excused"]}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out."""
    for title, lines in config.stash.get(_MISSING, {}).items():
        if lines:
            terminalreporter.section(title, red=True)
        for line in lines:
            terminalreporter.line(line)
