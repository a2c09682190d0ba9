"""Who may ask the hub for KeyPackages (D-16)."""

from dataclasses import replace
from typing import Any, Final

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.genesis import REQUIRED
from sabir.mimi.structs.key_material import KeyMaterialRequest, sign_request
from sabir.mimi.template_names import TemplateName
from sabir.mls.credentials import BasicCredential
from sabir.mls.proposals import SelfRemove
from sabir.testing.mimi.hub_harness import ROOM, HubHarness
from sabir.testing.mimi.people import user_named
from tests.unit.mimi.hub.scenes import ANN, BEN, CAL, of_four

EVE: Final = "e.example:eve"


def request_of(
    hub: HubHarness, by: str, target: str, **changed: Any
) -> KeyMaterialRequest:
    player = hub[by]
    request = KeyMaterialRequest(
        requesting_user=player.user,
        target_user=user_named(target),
        room=ROOM,
        suites=(1,),
        required=REQUIRED,
        signature_key=player.identity.public,
        credential=player.identity.credential,
    )
    request = replace(request, **changed)
    return sign_request(request, SUITES[1], player.identity.private.reveal())


def test_a_member_who_adds_participants_may_ask_for_anybodys() -> None:
    hub = of_four()
    assert hub.room.may_ask("b.example", request_of(hub, BEN, EVE))
    assert hub.room.may_ask("b.example", request_of(hub, BEN, BEN))


def test_mc_017_of_another_provider() -> None:
    hub = of_four()
    assert not hub.room.may_ask("c.example", request_of(hub, BEN, EVE))


@pytest.mark.parametrize(
    "changed",
    [
        {"room": "mimi://hub.example/r/other"},
        {"requesting_user": "mimi://b.example/u/fay"},
        {"credential": BasicCredential(b"mimi://b.example/d/ben/9")},
        {"signature_key": bytes(32)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_mc_017_what_is_not_the_requesters_leaf_here(changed: dict[str, Any]) -> None:
    hub = of_four()
    assert not hub.room.may_ask("b.example", request_of(hub, BEN, EVE, **changed))


def test_mc_017_a_key_that_is_no_leaf() -> None:
    hub = of_four()
    known = hub[BEN]
    hub.players.pop(BEN)
    hub.player(BEN)
    assert not hub.room.may_ask("b.example", request_of(hub, BEN, EVE))
    hub.players[BEN] = known
    assert hub.room.may_ask("b.example", request_of(hub, BEN, EVE))


def test_mc_017_a_wrong_signature() -> None:
    hub = of_four()
    request = replace(request_of(hub, BEN, EVE), signature=bytes(64))
    assert not hub.room.may_ask("b.example", request)


def test_mc_017_a_role_that_may_not_add() -> None:
    hub = HubHarness.of(ANN, TemplateName.DM, [BEN])
    hub.commit(ANN, hub.package(BEN))
    assert hub.room.may_ask("b.example", request_of(hub, BEN, ANN))
    assert not hub.room.may_ask("b.example", request_of(hub, BEN, EVE))


def test_mc_017_who_is_leaving_and_a_closed_room() -> None:
    hub = of_four()
    asking = request_of(hub, CAL, CAL)
    assert hub.room.may_ask("hub.example", asking)
    hub.propose(CAL, SelfRemove())
    assert not hub.room.may_ask("hub.example", asking)
    ben = request_of(hub, BEN, EVE)
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    assert not hub.room.may_ask("b.example", ben)
