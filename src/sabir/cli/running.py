"""The parts that run: an agent and our home, from the configuration and the database.

Only `sabir up` loads them: other commands ask it through its socket, and start fast.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from sabir.agent.agent import AccountConnector, Agent
from sabir.agent.limits import Budget
from sabir.agent.membership.desk import Desk
from sabir.agent.membership.home import open_home
from sabir.cli.composition import Installation
from sabir.cli.system import SystemClock, system_rng
from sabir.networks.api import Network
from sabir.networks.registry import network as find_network
from sabir.storage.records import RoomId
from sabir.storage.sqlite.store import SqliteStorage

DAY_MS: Final = 24 * 3_600_000


async def make_agent(installation: Installation, storage: SqliteStorage) -> Agent:
    """Put an agent together, not yet running.

    Raises:
        ConfigInvalid: of an account; names what is wrong.
        KeyDoesNotFit, SealBroken: the owner's key does not open a stored secret.
    """
    clock = SystemClock()
    connectors = []
    for account in await installation.accounts(storage):
        network: Network = find_network(account.network)
        connector = network.connector(account, clock=clock, rng=system_rng)
        connectors.append(
            AccountConnector(
                id=account.id, network=account.network, connector=connector
            )
        )
    section = installation.config.agent
    return Agent(
        storage,
        connectors,
        spool_folder=section.data_dir.media_spool,
        owner=section.owner,
        clock=clock,
        rng=system_rng,
        budget=Budget(
            spool_octets=section.media_spool_bytes_max,
            file_octets=installation.config.limits.media_file_bytes_max,
            keep_ms=installation.config.limits.raw_event_keep_days * DAY_MS,
        ),
    )


def our_home(
    installation: Installation,
    storage: SqliteStorage,
    *,
    on_entries: Callable[[RoomId], None],
) -> AbstractAsyncContextManager[Desk]:
    """Open our device at its provider; as `open_home`."""
    return open_home(
        storage,
        name=installation.config.agent.owner,
        key=installation.key(),
        clock=SystemClock(),
        rng=system_rng,
        on_entries=on_entries,
    )
