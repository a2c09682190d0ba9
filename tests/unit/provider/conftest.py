"""A town of providers for every test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sabir.provider.tls import Identity
from tests.unit.provider.town import Authority, RawClient, Site, Town, client_tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(tmp_path, stack)


@pytest.fixture
def raw(town: Town) -> Callable[..., RawClient]:
    """Make a raw client to a site, with a certificate of some domains, or without."""

    def make(site: Site, *domains: str, identity: Identity | None = None) -> RawClient:
        shown = identity or (town.authority.identity(*domains) if domains else None)
        context = client_tls(shown, town.authority.roots)
        return RawClient(site.address, context, site.domain)

    return make
