"""The group that is attacked: one a module and suite, and it works to the end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.pytest_plugin import note_rules
from sabir.testing.mls.rules import BROKEN, UNGUARDED
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
    """Tell the rules that are broken here from those of other folders.

    Here each refusal must be seen to leave no trace: a test fails that breaks a rule
    outside of `unchanged`.
    """
    BROKEN.clear()
    UNGUARDED.clear()
    yield
    _seen.update(BROKEN)
    names = ", ".join(sorted(rule.name for rule in UNGUARDED))
    assert not names, f"nobody watched whether refusing {names} leaves a trace"


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Hear that not all tests of this folder are run."""
    if any(item.path.is_relative_to(_HERE) for item in items):
        items[0].config.stash[_PARTIAL] = True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the plugin what was broken here, when the folder was run as a whole.

    The session fails for a rule that is not, and for a name in `NOT_BROKEN` that is: a
    reason that is none.
    """
    files = {item.path for item in session.items if item.path.is_relative_to(_HERE)}
    whole = files == set(_HERE.glob("test_*.py"))
    if whole and not session.config.stash.get(_PARTIAL, False):
        seen = (rule.name for rule in _seen)
        note_rules(session.config, seen, (rule.name for rule in NOT_BROKEN))
