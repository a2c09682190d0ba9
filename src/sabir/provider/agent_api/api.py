"""The agent API: every operation behind its door."""

from collections.abc import Callable, Sequence

from sabir.mimi.directory import Directory
from sabir.provider.agent_api.devices import OwnDevices, Registration
from sabir.provider.agent_api.doors import Doors
from sabir.provider.agent_api.events import Events
from sabir.provider.agent_api.key_packages import OwnKeyPackages
from sabir.provider.agent_api.overview import Overview
from sabir.provider.agent_api.people import AgentPeople
from sabir.provider.agent_api.rates import AgentRates
from sabir.provider.agent_api.rooms import AgentRooms
from sabir.provider.agent_api.tokens import Tokens
from sabir.provider.assets_doors import AssetDoors
from sabir.provider.http import Route
from sabir.provider.services import Services


def agent_routes(
    services: Services, directory: Callable[[], Directory]
) -> Sequence[Route]:
    """Return all that our users' agents may ask.

    Args:
        services: of the provider.
        directory: ours, as peers get it.
    """
    core, rates = services.core, AgentRates()
    tokens = Tokens(core.store, core.clock, core.rng)
    return (
        *Registration(core, tokens, rates).routes(),
        *Doors(core, tokens, rates).routes(
            (
                *OwnDevices(core, rates).operations(),
                *OwnKeyPackages(services).operations(),
                *AgentRooms(services, rates).operations(),
                *AgentPeople(services, rates).operations(),
                *Events(core).operations(),
                *Overview(core, directory).operations(),
                *AssetDoors(core).operations(),
            )
        ),
    )
