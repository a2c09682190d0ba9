"""What all tests share: the fixtures of the real servers and of the MLS vectors."""

import logging
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["sabir.testing.pytest_plugin", "sabir.testing.mls.pytest_plugin"]

SHARED_SERVERS = frozenset({"synapse", "prosody", "ejabberd"})
"""Fixtures that run one server for all: their tests stay in one process."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests go to the same process when `make test` runs two (`-n 2`).

    A file stays whole, so that what its fixtures start is started once.
    """
    for item in items:
        needs = getattr(item, "fixturenames", ())
        shared = not SHARED_SERVERS.isdisjoint(needs)
        name = "servers" if shared else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command that ran inside a test set up for the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers
