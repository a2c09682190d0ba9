"""The group that is attacked: one a module and suite, and it works to the end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import BROKEN
from sabir.testing.mls.world import World
from tests.unit.mls.negative.judges import SUITES_TRIED
from tests.unit.mls.negative.not_broken import NOT_BROKEN

_HERE: Final = Path(__file__).parent


@pytest.fixture(scope="module", params=SUITES_TRIED, ids="suite{}".format)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Return a group that no test may change; after all attacks it still works.

    This is what the existing package fails (fault B4): a refused message made its
    victim unable to send or to follow.
    """
    made = World(request.param)
    yield made
    made.works()


@pytest.fixture
def carol(world: World) -> Forger:
    """Return a member in the wrong hands."""
    return Forger(world, "carol")


@pytest.fixture
def own(request: pytest.FixtureRequest) -> World:
    """Return a group of the test's own, of the suite it is marked with or suite 1."""
    return World(getattr(request, "param", 1))


# ---- no rule without a test that breaks it

_PARTIAL: Final = pytest.StashKey[bool]()

_seen: Final[set[Rule]] = set()
"""The rules that tests of this folder have broken."""


@pytest.fixture(autouse=True)
def _watch_rules() -> Iterator[None]:
    """Tell the rules that are broken here from those of other folders."""
    BROKEN.clear()
    yield
    _seen.update(BROKEN)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Hear that not all tests are run."""
    if items:
        items[0].config.stash[_PARTIAL] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail when this folder was run as a whole and a rule was not broken.

    So do names in `NOT_BROKEN` that a test does break: a reason that is none.
    """
    files = {item.path for item in session.items if item.path.is_relative_to(_HERE)}
    whole = files == set(_HERE.glob("test_*.py"))
    if exitstatus or not whole or session.config.stash.get(_PARTIAL, False):
        return
    wrong = [
        f"no test here breaks {rule.name}: {rule.value}"
        for rule in Rule
        if rule not in _seen and rule not in NOT_BROKEN
    ]
    wrong += [
        f"{rule.name} is broken, so it is none of NOT_BROKEN"
        for rule in NOT_BROKEN
        if rule in _seen
    ]
    if wrong:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for line in wrong:
            if reporter is not None:
                reporter.write_line(line, red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
