"""What we can do, and what we know of other providers."""

from collections.abc import Callable
from typing import Final

from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import IN_FLIGHT_MAX, WAIT_S_MAX
from sabir.mimi.agent_api.key_packages import KEY_PACKAGES_MAX
from sabir.mimi.agent_api.overview import Capabilities, DeviationEntry, PeerAnswer
from sabir.mimi.directory import Directory, Endpoint
from sabir.mimi.genesis import ASSET_OCTETS_MAX
from sabir.mimi.key_stock import LOW_WATER
from sabir.mimi.problems import Problem
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.template_names import TemplateName
from sabir.provider.admission import PROFILES
from sabir.provider.agent_api.devices import DEVICES_MAX
from sabir.provider.agent_api.key_packages import STOCK_MAX
from sabir.provider.agent_api.operations import Ask, Operation, json_answer
from sabir.provider.core import Core
from sabir.provider.http import Answer

FEATURES: Final = ("websocket", "long-poll", "assets", "resumable-upload")
"""Parts of the agent API that a provider may lack."""

_LIMITS: Final = {
    "update_octets": MIMI06_A.request_octets_max[Endpoint.UPDATE],
    "message_octets": MIMI06_A.request_octets_max[Endpoint.SUBMIT_MESSAGE],
    "asset_octets": ASSET_OCTETS_MAX,
    "keypackages_per_upload": KEY_PACKAGES_MAX,
    "keypackages_in_stock": STOCK_MAX,
    "keypackages_low_water": LOW_WATER,
    "devices": DEVICES_MAX,
    "events_in_flight": IN_FLIGHT_MAX,
    "poll_wait_s": WAIT_S_MAX,
}


class Overview:
    """Tells our devices about providers."""

    def __init__(self, core: Core, directory: Callable[[], Directory]) -> None:
        """Tell.

        Args:
            core: of the provider.
            directory: ours, as peers get it.
        """
        self._core = core
        self._directory = directory

    def operations(self) -> tuple[Operation, ...]:
        """Return what devices ask about providers."""
        return (
            Operation(method="GET", template=paths.PEER, answer=self.peer),
            Operation(
                method="GET", template=paths.CAPABILITIES, answer=self.capabilities
            ),
        )

    async def capabilities(self, _ask: Ask) -> Answer:
        """`GET /capabilities`."""
        return json_answer(
            Capabilities(
                domain=self._core.config.domain,
                profiles=PROFILES,
                suites=MIMI06_A.suites,
                templates=tuple(TemplateName),
                features=FEATURES,
                limits=_LIMITS,
            )
        )

    async def peer(self, ask: Ask) -> Answer:
        """`GET /peers/{domain}`; its directory is fetched if it is not at hand."""
        domain, core = ask.domain(), self._core
        if domain == core.config.domain:
            return json_answer(_of(domain, self._directory()))
        if not core.config.admits(domain):
            return json_answer(PeerAnswer(domain=domain, known=False))
        try:
            directory = await core.peers.directory(domain)
        except Problem:
            directory = Directory(templates={})
        record = await core.store.peer(domain)
        return json_answer(
            _of(
                domain,
                directory,
                last_ok_ms=None if record is None else record.last_ok_at,
                deviations=tuple(
                    DeviationEntry(what=each.what, count=each.count)
                    for each in await core.store.deviations(domain)
                ),
            )
        )


def _of(
    domain: str,
    directory: Directory,
    *,
    last_ok_ms: int | None = None,
    deviations: tuple[DeviationEntry, ...] = (),
) -> PeerAnswer:
    return PeerAnswer(
        domain=domain,
        known=True,
        profiles=directory.profiles,
        endpoints=tuple(sorted(endpoint.value for endpoint in directory.templates)),
        asset_domains=directory.asset_domains,
        last_ok_ms=last_ok_ms,
        deviations=deviations,
    )
