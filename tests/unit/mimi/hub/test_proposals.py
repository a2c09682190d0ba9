"""Nothing waits that no commit could cover: it would stop the room for good."""

from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE, room_client, room_services
from sabir.mimi.hub.outcome import EventKind
from sabir.mimi.hub.proposals import WAITS_S_MIN
from sabir.mimi.hub.room import refs_wanted
from sabir.mimi.structs.update import ProposalBundle
from sabir.mls.client import Identity
from sabir.mls.credentials import BasicCredential
from sabir.mls.framing import decode_message
from sabir.mls.proposals import Remove, SelfRemove
from sabir.testing.mimi.hub_harness import HubHarness, listed
from sabir.testing.mimi.people import NO_AAD, Player, device_of
from sabir.testing.mls.clients import PskTable
from tests.unit.mimi.hub.scenes import ANN, BEN, CAL, denied, invalid, of_four


def same_key(hub: HubHarness, name: str, other: str) -> Player:
    """Make somebody who signs with another client's key."""
    theirs = hub[other].identity
    credential = BasicCredential(device_of(name).encode())
    identity = Identity(SUITES[SUITE], credential, theirs.public, theirs.private)
    client = room_client(room_services(), PskTable(), [identity])
    player = hub.players[name] = Player(name, client)
    return player


def test_mc_066_a_waiting_add_came_through_the_hub() -> None:
    hub = of_four()
    elsewhere = hub.player("ann/2").key_package(hub.env)
    assert denied(hub.refused_proposals(ANN, elsewhere), "limit.exceeded")
    hub.commit(ANN)
    hub.propose(ANN, hub.package("ann/2"))
    hub.commit(BEN)
    hub.check_agreement()


def test_what_is_wanted_to_know_of_proposals() -> None:
    hub = of_four()
    add = hub.package("ann/2")
    reference = add.key_package.reference(SUITES[SUITE])
    assert refs_wanted(hub.proposed(ANN, SelfRemove(), add)) == (reference,)


def test_a_waiting_add_is_good_for_a_while() -> None:
    hub = of_four()
    add = hub.package("ann/2")
    lifetime = add.key_package.leaf_node.lifetime
    assert lifetime is not None
    hub.env.time = lifetime.not_after - WAITS_S_MIN + 1
    assert denied(hub.refused_proposals(ANN, add), "limit.exceeded")
    hub.env.time -= 1
    hub.propose(ANN, add)
    hub.env.time += WAITS_S_MIN
    hub.commit(BEN)
    assert hub["ann/2"].is_member


def test_what_the_hub_forgot_about_a_waiting_add_stops_nobody() -> None:
    """The same KeyPackage was used up in another room."""
    hub = of_four()
    hub.propose(ANN, hub.package("hub.example:cal/2"), hub.package("ann/2"))
    hub.refs.clear()
    hub.commit(BEN)
    (welcome,) = [event for event in hub.log if event.kind is EventKind.WELCOME][-1:]
    assert welcome.domains == {"a.example"}
    assert welcome.devices == frozenset({device_of("hub.example:cal/2")})
    hub.check_agreement()
    assert hub["hub.example:cal/2"].is_member
    assert hub["ann/2"].is_member


def test_two_new_clients_with_one_key_do_not_wait_together() -> None:
    hub = of_four()
    hub.player("ann/2")
    same_key(hub, "ann/3", "ann/2")
    hub.propose(ANN, hub.package("ann/2"))
    refused = hub.refused_proposals(ANN, hub.package("ann/3"))
    assert denied(refused, "pending.conflict")
    hub.commit(CAL)
    hub.check_agreement()


def test_nor_in_one_bundle_nor_with_a_members_key() -> None:
    hub = of_four()
    hub.player("ann/2")
    same_key(hub, "ann/3", "ann/2")
    same_key(hub, "ann/4", ANN)
    bundle = hub.package("ann/2"), hub.package("ann/3")
    assert invalid(hub.refused_proposals(ANN, *bundle))
    assert invalid(hub.refused_proposals(ANN, hub.package("ann/4")))
    hub.commit(CAL)
    hub.check_agreement()


def update(hub: HubHarness, by: str) -> None:
    """Let a member propose an Update of its own leaf."""
    sent = hub[by].member.propose_update(hub.env, as_public=True, aad=NO_AAD)
    bundle = ProposalBundle(message=decode_message(sent.message))
    hub.take(hub.update(hub[by].domain, bundle))


def test_who_proposes_updates_can_be_banned_all_the_same() -> None:
    hub = of_four()
    update(hub, CAL)
    hub.commit(ANN, listed(changed=[(hub.place(CAL), 1)]), Remove(hub.leaf(CAL)))
    assert not hub["hub.example:cal"].is_member
    hub.check_agreement()


def test_mc_045_an_update_of_who_stays_is_covered() -> None:
    hub = of_four()
    update(hub, CAL)
    refused = hub.refused(ANN, Remove(hub.leaf(BEN)), references=[])
    assert denied(refused, "pending.missing")
    hub.commit(CAL)
    hub.check_agreement()
