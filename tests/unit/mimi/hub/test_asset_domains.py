"""Which providers' directories are looked up for a handshake (D-37)."""

from dataclasses import replace

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import UploadDomains
from sabir.mimi.hub.asset_domains import providers_named
from sabir.mls.proposals import AppDataUpdate, Remove
from sabir.testing.mimi.hub_harness import HubHarness
from tests.unit.mimi.hub.scenes import ANN, BEN, of_four


def naming(hub: HubHarness, *providers: str) -> AppDataUpdate:
    policy = hub.room.state.asset_policy
    assert policy is not None
    domains = tuple(UploadDomains(each, (each,)) for each in providers)
    changed = replace(policy, upload_domains=domains)
    return AppDataUpdate(ComponentId.ASSET_POLICY, changed.encode())


def test_proposals_and_commits_name_providers() -> None:
    hub = of_four()
    proposed = hub.proposed(ANN, Remove(hub.leaf(BEN)), naming(hub, "e.example"))
    assert providers_named(proposed) == {"e.example"}
    hub["ann"].forget({})
    committed = hub.committed(ANN, naming(hub, "e.example", "f.example"))
    assert providers_named(committed) == {"e.example", "f.example"}


def test_what_cannot_be_read_names_nobody() -> None:
    hub = of_four()
    damaged = AppDataUpdate(ComponentId.ASSET_POLICY, b"\xff\xff")
    assert providers_named(hub.proposed(ANN, damaged)) == frozenset()
    removed = AppDataUpdate(ComponentId.ASSET_POLICY, None)
    hub["ann"].forget({})
    bundle = hub.proposed(ANN, removed)
    assert providers_named(bundle) == frozenset()
    private = replace(bundle, message=hub.message(BEN).message)
    assert providers_named(private) == frozenset()
