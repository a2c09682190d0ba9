"""Two providers with agents, and people with phones."""

import time
from collections.abc import AsyncIterator

import pytest

from sabir.provider.agent_api import rates
from sabir.provider.config import Address
from sabir.provider.rates import Rate
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.provider.agent_api.phone import Street
from tests.unit.provider.town import LOOPBACK, Site, Town

ANYWHERE = Address(host=LOOPBACK, port=0)


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let requests be few, so that time does not matter; must come before providers."""
    few = Rate(count=20, per_ms=24 * 3_600_000)
    monkeypatch.setattr(rates, "STRANGERS", few)
    monkeypatch.setattr(rates, "REQUESTS", few)
    monkeypatch.setattr(rates, "QUERIES", Rate(count=19, per_ms=few.per_ms))
    return few.count


@pytest.fixture
async def street(town: Town) -> AsyncIterator[Street]:
    env = SeededEnv(29)
    env.time = int(time.time())
    street = Street(town, env)
    yield street
    await street.close()


@pytest.fixture
async def a(town: Town, street: Street) -> Site:
    return await town.open("a.example", knows=("b.example",), agents=ANYWHERE)


@pytest.fixture
async def b(town: Town, a: Site) -> Site:
    return await town.open("b.example", knows=("a.example",), agents=ANYWHERE)
