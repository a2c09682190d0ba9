"""Fixtures for tests against the real: `synapse`, `prosody`, `ejabberd`, `tsmls`.

One server of each kind runs for the whole session. A test that needs an application
service or a component adds it and restarts the server; names of users and rooms are a
test's own, so that tests do not meet. Where a server is not installed the test is
skipped with the reason; with CI=true in the environment it fails.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from sabir.testing.install import available
from sabir.testing.mls.tsmls import TsMls
from sabir.testing.servers.ejabberd import Ejabberd
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.smpp import Smsc
from sabir.testing.servers.synapse import Synapse


def need(server: str) -> None:
    """Skip the test when this server cannot run here; in CI, fail it."""
    reason = available(server)
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """Run a homeserver without rate limits for the session."""
    need("synapse")
    async with Synapse(tmp_path_factory.mktemp("synapse")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prosody(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prosody]:
    """Run an XMPP server for the session."""
    need("prosody")
    async with Prosody(tmp_path_factory.mktemp("prosody")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ejabberd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ejabberd]:
    """Run the other XMPP server for the session."""
    need("ejabberd")
    async with Ejabberd(tmp_path_factory.mktemp("ejabberd")) as server:
        yield server


@pytest.fixture(scope="session")
def tsmls() -> Iterator[TsMls]:
    """Run the independent MLS implementation for the session."""
    need("ts-mls")
    with TsMls() as peer:
        yield peer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def smsc(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Smsc]:
    """Run an SMSC for the session."""
    need("smpp")
    async with Smsc(tmp_path_factory.mktemp("smpp")) as server:
        yield server
