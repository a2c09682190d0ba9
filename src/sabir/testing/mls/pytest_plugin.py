"""Vector tests: the fixture `vector`, and the checks that none is left out.

A test of `sabir.testing.mls.vectors.for_each` fails if it leaves a key of its vector
unread. When the folder of the vector tests is run as a whole, the session fails if a
vector of any file was not run to the end: skipped, deselected, or without a test.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import pytest

from sabir.testing.mls.vectors import EXPECTED, Case, Strict, load

_PASSED: Final = pytest.StashKey[set[Case]]()
_MISSING: Final = pytest.StashKey[list[str]]()


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that left out vectors."""
    finished = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    stopped = session.shouldstop or session.shouldfail or not finished
    if stopped or session.config.option.collectonly:
        return
    folders = sorted({item.path.parent for item in session.items if _case(item)})
    if not folders or not _as_a_whole(session.config, folders):
        return
    lines = missing(session.config.stash.get(_PASSED, set()))
    if lines:
        session.config.stash[_MISSING] = lines
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which vectors were left out."""
    lines = config.stash.get(_MISSING, [])
    if lines:
        terminalreporter.section("MLS vectors that were not run", red=True)
        for line in lines:
            terminalreporter.line(line)
