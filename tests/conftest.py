"""What all tests share: the fixtures of the real servers and of the MLS vectors."""

import logging
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["sabir.testing.pytest_plugin", "sabir.testing.mls.pytest_plugin"]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Undo what a command that ran inside a test set up for the whole process."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers
