"""The group that is attacked: one a module and suite, and it works to the end."""

from collections.abc import Iterator

import pytest

from sabir.testing.mls.forger import Forger
from sabir.testing.mls.world import World
from tests.unit.mls.negative.judges import SUITES_TRIED


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
