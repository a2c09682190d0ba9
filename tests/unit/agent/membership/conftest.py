"""A street with people for every test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.unit.agent.membership.people import Street, a_street
from tests.unit.agent.membership.resident import ANYWHERE, Resident
from tests.unit.provider.town import Town


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with a_street(tmp_path) as opened:
        yield opened


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(tmp_path, stack)


@pytest.fixture
async def people(town: Town, tmp_path: Path) -> AsyncIterator[dict[str, Resident]]:
    a = await town.open("a.example", knows=("b.example",), agents=ANYWHERE)
    b = await town.open("b.example", knows=("a.example",), agents=ANYWHERE)
    found = {
        "ann": Resident(a, town, "ann", tmp_path),
        "ben": Resident(b, town, "ben", tmp_path),
        "cleo": Resident(b, town, "cleo", tmp_path),
        "phone": Resident(b, town, "ben", tmp_path, "phone"),
    }
    yield found
    for person in found.values():
        await person.stop()
