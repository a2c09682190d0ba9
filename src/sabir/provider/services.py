"""Which endpoints we offer, and who answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sabir.mimi.directory import Endpoint
from sabir.provider.assets_doors import proxy_download
from sabir.provider.core import Core
from sabir.provider.federation import Service
from sabir.provider.follower import Follower
from sabir.provider.hosting import Hosting
from sabir.provider.key_material import KeyMaterial
from sabir.provider.people import People


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a provider does, whoever asks: other providers, or our own agents.

    Attributes:
        core: the parts that all share.
        hosting: rooms of which we are the hub.
        key_material: KeyPackages, ours and those that pass through our rooms.
        people: consent and queries.
        follower: rooms of other hubs.
    """

    core: Core
    hosting: Hosting
    key_material: KeyMaterial
    people: People
    follower: Follower

    @classmethod
    def of(cls, core: Core) -> Self:
        """Make the services of a provider."""
        hosting = Hosting(core)
        return cls(
            core=core,
            hosting=hosting,
            key_material=KeyMaterial(core, hosting.may_ask),
            people=People(core),
            follower=Follower(core),
        )


def our_services(services: Services) -> Mapping[Endpoint, Service]:
    """Return what answers other providers."""
    hosting, people = services.hosting, services.people
    return {
        Endpoint.KEY_MATERIAL: services.key_material.serve,
        Endpoint.UPDATE: hosting.serve_update,
        Endpoint.NOTIFY: services.follower.notify,
        Endpoint.SUBMIT_MESSAGE: hosting.serve_submit,
        Endpoint.GROUP_INFO: hosting.serve_group_info,
        Endpoint.REQUEST_CONSENT: people.request_consent,
        Endpoint.UPDATE_CONSENT: people.update_consent,
        Endpoint.IDENTIFIER_QUERY: people.identifier_query,
        Endpoint.REPORT_ABUSE: hosting.serve_report,
        Endpoint.PROXY_DOWNLOAD: proxy_download(services.core),
    }
