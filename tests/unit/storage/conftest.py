"""A fresh database per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sabir.storage.sqlite.store import SqliteStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    store = SqliteStorage.open(tmp_path / "sabir.db")
    yield store
    store.close()
