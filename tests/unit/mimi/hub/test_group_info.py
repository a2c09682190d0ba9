"""Joining from outside (7.5): who is shown the group, and who may come in then."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.authentication import RoomAuthentication
from sabir.mimi.client_settings import room_services
from sabir.mimi.codepoints import Capability
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.participants import BANNED
from sabir.mimi.components.roles import RoleChange
from sabir.mimi.hub.group_info import (
    PERMITS_MAX,
    PERMITS_PER_PROVIDER_MAX,
    not_authorized,
)
from sabir.mimi.hub.join_codes import (
    CODE_OCTETS,
    JoinCode,
    as_text,
    digest_of,
    new_join_code,
)
from sabir.mimi.hub.memory import JoinPermit
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.structs.group_info import (
    GroupInfoRequest,
    OtherGroupInfoRequest,
    SealedGroupInfo,
    sign_request,
)
from sabir.mimi.template_names import TemplateName
from sabir.mls.components import CommitContext
from sabir.mls.credentials import BasicCredential, X509Credential
from sabir.mls.framing import PublicMessage
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.proposals import AppDataUpdate, Remove, SelfRemove
from sabir.testing.mimi.hub_harness import HUB, ROOM, HubHarness, listed
from sabir.testing.mimi.people import Player
from sabir.wire.errors import Malformed
from tests.unit.mimi.hub.scenes import (
    ADMIN,
    ANN,
    BEN,
    CAL,
    ORDINARY,
    denied,
    of_four,
    role_of,
    roles_with,
)

EVE: Final = "e.example:eve"
BEN2: Final = f"{BEN}/2"
CODE: Final = bytes(range(CODE_OCTETS))


def managed(*others: tuple[str, int]) -> HubHarness:
    """Return a room that is entered by code."""
    hub = HubHarness.of(ANN, TemplateName.MANAGED)
    if others:
        hub.commit(
            ANN, listed(added=others), *(hub.package(name) for name, _ in others)
        )
    hub.player(EVE)
    return hub


def code(hub: HubHarness, **changed: Any) -> JoinCode:
    return replace(
        JoinCode(
            digest=digest_of(CODE),
            room=ROOM,
            role=ORDINARY,
            uses_left=1,
            expires_at=hub.now_ms + 60_000,
        ),
        **changed,
    )


def open_room() -> HubHarness:
    """Return a room that anybody may enter."""
    outside = replace(
        role_of(TemplateName.GROUP, 0),
        capabilities=(Capability.CAN_OPEN_JOIN,),
        changes=(RoleChange(0, (ORDINARY,)),),
    )
    hub = HubHarness.of(ANN, roles=roles_with(TemplateName.GROUP, outside))
    hub.player(EVE)
    return hub


def refused(hub: HubHarness, source: str, request: GroupInfoRequest) -> bool:
    outcome = hub.ask_group_info(source, request)
    return outcome.response == not_authorized(ROOM) and outcome.change is None


# ---- MC-075


def test_mc_075_a_wrong_signature_is_not_authorized() -> None:
    hub = of_four()
    hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    assert refused(hub, "b.example", replace(request, signature=bytes(64)))
    assert refused(hub, "b.example", replace(request, join_code=b"?"))
    assert not refused(hub, "b.example", request)


def test_mc_075_a_foreign_credential_is_not_authorized() -> None:
    hub = of_four()
    hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    assert refused(hub, "c.example", request)


@pytest.mark.parametrize(
    "credential",
    [
        BasicCredential("mimi://b.example/d/bén/1".encode()),
        BasicCredential(b"mimi://b.example/d/ben"),
        BasicCredential(b"mimi://b.example"),
        X509Credential((b"certificate",)),
    ],
)
def test_mc_075_other_credentials_are_not_authorized(credential: Any) -> None:
    hub = of_four()
    player = hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    request = sign_request(
        replace(request, credential=credential),
        SUITES[1],
        player.identity.private.reveal(),
    )
    assert refused(hub, "b.example", request)


def test_mc_075_another_suite_or_protocol_is_not_authorized() -> None:
    hub = of_four()
    player = hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    other = sign_request(
        replace(request, suite=2), SUITES[1], player.identity.private.reveal()
    )
    assert refused(hub, "b.example", other)
    outcome = hub.room.group_info(
        hub.now_ms, "b.example", OtherGroupInfoRequest(2, b"?")
    )
    assert outcome.response == hub.room.not_authorized


def test_mc_075_who_is_not_listed_gets_the_octets_of_no_room() -> None:
    hub = of_four()
    hub.player(EVE)
    request, _ = hub.group_info_request(EVE)
    assert refused(hub, "e.example", request)
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    assert refused(hub, "b.example", request)


def test_a_key_that_is_none_is_malformed() -> None:
    hub = of_four()
    player = hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    request = sign_request(
        replace(request, public_key=b"?"),
        SUITES[1],
        player.identity.private.reveal(),
    )
    with pytest.raises(Malformed, match="MIMI-015"):
        hub.room.group_info(hub.now_ms, "b.example", request)


# ---- what is shown


def test_the_group_is_shown_as_it_is_with_all_that_waits() -> None:
    hub = of_four()
    hub.leave(CAL)
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    memory = hub.room.memory
    assert seen.group_info.raw == memory.group_info.raw
    assert seen.tree.tree == memory.group.tree.encode()
    assert [each.accepted_at for each in seen.pending] == [hub.room.last_at] * 2
    bodies = [each.message.body for each in seen.pending]
    assert all(isinstance(body, PublicMessage) for body in bodies)
    (bundle,) = memory.bundles
    assert [each.message for each in seen.pending] == [
        item.message for item in bundle.items
    ]


def test_the_answer_names_the_groups_external_sender() -> None:
    hub = of_four()
    hub.player(BEN2)
    request, _ = hub.group_info_request(BEN2)
    response = hub.ask_group_info("b.example", request).response
    assert isinstance(response, SealedGroupInfo)
    assert response.hub_sender == hub.room.state.hub


# ---- MC-077: who may come in


def test_mc_077_a_new_device() -> None:
    hub = of_four()
    hub.player(BEN2)
    hub.join(BEN2)
    hub.check_agreement()


def test_mc_077_a_user_without_clients() -> None:
    hub = of_four()
    hub.commit(ANN, listed(added=[(EVE, ORDINARY)]))
    hub.player(EVE)
    hub.join(EVE)
    hub.check_agreement()
    assert "e.example" in hub.log[-1].domains
    assert hub.room.view.is_active(hub[EVE].user)


def test_a_joiners_provider_gets_what_follows_again() -> None:
    hub = of_four()
    hub.commit(ANN, listed(added=[(EVE, ORDINARY)]))
    hub.player(EVE)
    seen = hub.see(EVE)
    assert seen is not None
    outcome = hub.update("e.example", hub.joining(EVE, seen))
    assert outcome.change is not None
    assert outcome.change.reopened == {"e.example"}


def test_mc_077_an_open_room() -> None:
    hub = open_room()
    hub.join(EVE, listed(added=[(EVE, ORDINARY)]))
    hub.check_agreement()
    assert hub.room.view.role_index(hub[EVE].user) == ORDINARY


def test_mc_077_an_open_room_does_not_give_any_role() -> None:
    hub = open_room()
    seen = hub.see(EVE)
    assert seen is not None
    bundle = hub.joining(EVE, seen, listed(added=[(EVE, ADMIN)]))
    assert denied(hub.update("e.example", bundle).response, "policy.denied")


def test_mc_077_a_join_code() -> None:
    hub = managed((BEN, ADMIN))
    known = code(hub)
    request, _ = hub.group_info_request(EVE, CODE)
    outcome = hub.ask_group_info("e.example", request, known)
    assert outcome.change is not None
    assert outcome.change.spent_codes == (digest_of(CODE),)
    hub.take(outcome)
    seen = hub.see(EVE, CODE, replace(known, uses_left=0))
    assert seen is not None, "within ten minutes it is the same use"
    bundle = hub.joining(EVE, seen, listed(added=[(EVE, ORDINARY)]))
    hub.take(hub.update("e.example", bundle))
    hub.check_agreement()
    assert hub.room.view.role_index(hub[EVE].user) == ORDINARY
    assert hub.room.memory.permits == ()


def test_a_code_shown_again_in_time_spends_nothing() -> None:
    hub = managed()
    known = code(hub, uses_left=5)
    assert hub.see(EVE, CODE, known) is not None
    request, _ = hub.group_info_request(EVE, CODE)
    again = hub.ask_group_info("e.example", request, known)
    assert again.change is not None
    assert again.change.spent_codes == ()
    hub.ahead_ms = 600_001
    late = hub.ask_group_info("e.example", request, replace(known, expires_at=10**15))
    assert late.change is not None
    assert late.change.spent_codes == (known.digest,)


@pytest.mark.parametrize(
    "changed",
    [
        {"expires_at": 0},
        {"uses_left": 0},
        {"bound_user": "mimi://e.example/u/fay"},
        {"room": "mimi://hub.example/r/other"},
        {"digest": digest_of(b"another code")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_mc_077_a_code_that_does_not_open(changed: dict[str, Any]) -> None:
    hub = managed()
    assert hub.see(EVE, CODE, code(hub, **changed)) is None


def test_mc_077_an_unknown_code_and_none() -> None:
    hub = managed()
    assert hub.see(EVE, CODE) is None
    assert hub.see(EVE) is None
    bound = code(hub, bound_user=hub[EVE].user)
    assert hub.see(EVE, CODE, bound) is not None


def test_mc_077_a_code_gives_its_role_and_no_other() -> None:
    hub = managed((BEN, ADMIN))
    seen = hub.see(EVE, CODE, code(hub))
    assert seen is not None
    bundle = hub.joining(EVE, seen, listed(added=[(EVE, ADMIN)]))
    assert denied(hub.update("e.example", bundle).response, "policy.denied")


def test_mc_077_who_is_banned_does_not_come_in() -> None:
    hub = managed((BEN, ADMIN), (CAL, ORDINARY))
    hub.propose(ANN, listed(changed=[(hub.place(CAL), BANNED)]), Remove(hub.leaf(CAL)))
    assert hub.see(CAL, CODE, code(hub)) is None


def test_mc_077_who_is_banned_meanwhile_does_not_come_in() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    bundle = hub.joining(BEN2, seen)
    hub.propose(ANN, listed(changed=[(hub.place(BEN), BANNED)]), Remove(hub.leaf(BEN)))
    assert denied(hub.update("b.example", bundle).response, "sender.removed")


# ---- MC-078


def test_mc_078_who_was_not_shown_the_group_does_not_join() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    other_device = f"{BEN}/3"
    hub.player(other_device)
    bundle = hub.joining(other_device, seen)
    assert denied(hub.update("b.example", bundle).response, "sender.unknown")


def test_mc_078_another_key_than_in_the_request_does_not_join() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    hub.players[BEN2] = Player.of(hub.env, BEN2)
    bundle = hub.joining(BEN2, seen)
    assert denied(hub.update("b.example", bundle).response, "sender.unknown")


def test_mc_078_after_ten_minutes_nobody_joins() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    bundle = hub.joining(BEN2, seen)
    hub.ahead_ms = 600_001
    assert denied(hub.update("b.example", bundle).response, "sender.unknown")
    hub.ahead_ms = 600_000
    hub.take(hub.update("b.example", bundle))
    hub.check_agreement()


def test_mc_078_a_provider_of_nobody_is_known_by_its_permit() -> None:
    hub = open_room()
    seen = hub.see(EVE)
    assert seen is not None
    bundle = hub.joining(EVE, seen, listed(added=[(EVE, ORDINARY)]))
    hub.ahead_ms = 600_001
    response = hub.update("e.example", bundle).response
    assert denied(response, "room.unknown")
    hub.ahead_ms = 0
    response = hub.update("f.example", bundle).response
    assert denied(response, "room.unknown")


def test_mc_078_a_permit_is_used_once() -> None:
    hub = of_four()
    hub.player(BEN2)
    hub.join(BEN2)
    assert hub.room.memory.permits == ()


def crowded(*providers: tuple[str, int]) -> HubHarness:
    """Return a room whose group was shown to so many of these providers."""
    hub = of_four()
    crowd = tuple(
        JoinPermit(
            identity=f"mimi://{domain}/d/x/{number}",
            signature_key=b"key",
            given_at=hub.now_ms,
        )
        for domain, count in providers
        for number in range(count)
    )
    memory = replace(hub.room.memory, permits=crowd)
    hub.room = HubRoom(hub.keys, memory, hub.room.last_at)
    hub.player(BEN2)
    assert hub.see(BEN2) is not None
    assert hub.room.memory.permits[-1].identity == hub[BEN2].device
    return hub


def test_only_so_many_are_shown_the_group_at_a_time() -> None:
    eight = [(f"p{number}.example", PERMITS_PER_PROVIDER_MAX) for number in range(8)]
    permits = crowded(*eight).room.memory.permits
    assert len(permits) == PERMITS_MAX
    assert permits[0].identity == "mimi://p0.example/d/x/1", "the oldest asks again"


def test_a_provider_crowds_out_nobody_but_its_own() -> None:
    permits = crowded(
        ("e.example", 1), ("b.example", PERMITS_PER_PROVIDER_MAX)
    ).room.memory.permits
    assert len(permits) == PERMITS_PER_PROVIDER_MAX + 1
    assert permits[0].identity == "mimi://e.example/d/x/0"
    assert permits[1].identity == "mimi://b.example/d/x/1"


# ---- MC-079


def test_mc_079_a_self_remove_that_waits_is_covered() -> None:
    hub = of_four()
    hub.propose(CAL, SelfRemove())
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    without = hub.joining(BEN2, seen, cover=False)
    response = hub.update("b.example", without).response
    assert denied(response, "pending.missing")
    hub.take(hub.update("b.example", hub.joining(BEN2, seen)))
    assert not hub[CAL].is_member
    hub.check_agreement()


def test_mc_079_a_resync_replaces_the_old_leaf_once_in_an_hour() -> None:
    hub = of_four()
    hub.join(BEN, resync=hub.leaf(BEN))
    hub.check_agreement()
    assert hub.see(BEN) is None
    hub.env.time += 3_599
    assert hub.see(BEN) is None
    hub.env.time += 1
    hub.join(BEN, resync=hub.leaf(BEN))
    hub.check_agreement()
    (resync,) = hub.room.memory.resyncs
    assert resync.identity == hub[BEN].device


def test_mc_079_two_permits_do_not_make_two_resyncs() -> None:
    """The client has fresh keys, and asked before it came back with the old ones."""
    hub = of_four()
    old = hub[BEN]
    fresh = Player.of(hub.env, BEN)
    hub.players[BEN] = fresh
    seen = hub.see(BEN)
    assert seen is not None
    hub.players[BEN] = old
    hub.join(BEN, resync=hub.leaf(BEN))
    hub.players[BEN] = fresh
    current = hub.room.memory
    shown = replace(
        seen,
        group_info=current.group_info,
        tree=replace(seen.tree, tree=current.group.tree.encode()),
    )
    bundle = hub.joining(BEN, shown, resync=hub.leaf(BEN))
    response = hub.update("b.example", bundle).response
    assert denied(response, "limit.exceeded")


class Replacing(RoomAuthentication):
    """Believes that anybody may take anybody's place."""

    def may_replace(self, old: LeafNodeIn, new: LeafNodeIn) -> bool:
        return True


def test_a_joiner_removes_no_other_client() -> None:
    hub = of_four()
    player = hub.player(BEN2)
    player.client.services = room_services(Replacing())
    seen = hub.see(BEN2)
    assert seen is not None
    bundle = hub.joining(BEN2, seen, Remove(hub.leaf(BEN)))
    response = hub.update("b.example", bundle).response
    assert response.description == "proposal.invalid: rule X06"


def test_a_joiner_proposes_nothing_else() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    named = AppDataUpdate(0x23, RoomMetadata(ROOM, name="tea").encode())
    response = hub.update("b.example", hub.joining(BEN2, seen, named)).response
    assert response.description == "policy.denied: external commit"


def test_of_a_joiners_proposals_the_invalid_one_is_named() -> None:
    hub = of_four()
    hub.player(BEN2)
    seen = hub.see(BEN2)
    assert seen is not None
    twice = listed(added=[(BEN, ORDINARY)])
    forging = room_services()
    forging = replace(forging, components={0x22: Accepting()})
    hub[BEN2].client.services = forging
    response = hub.update("b.example", hub.joining(BEN2, seen, twice)).response
    assert response.description == "proposal.invalid: inline=1"


class Accepting:
    """A component that swallows anything."""

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        return old or b""

    def ephemeral(self, data: bytes, commit: CommitContext) -> None:
        raise AssertionError


# ---- codes


def test_codes_are_made_by_who_adds_participants_for_roles_it_gives() -> None:
    hub = managed((BEN, ADMIN), (CAL, ORDINARY))
    hub.room.check_may_make_join_code(hub[ANN].user, ORDINARY)
    for user, role in (
        (hub[CAL].user, ORDINARY),
        (hub[BEN].user, 0),
        (hub[EVE].user, ORDINARY),
    ):
        with pytest.raises(PolicyDenied) as wrong:
            hub.room.check_may_make_join_code(user, role)
        assert wrong.value.slug is Slug.POLICY_DENIED
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    with pytest.raises(PolicyDenied) as wrong:
        hub.room.check_may_make_join_code(hub[ANN].user, ORDINARY)
    assert wrong.value.slug is Slug.ROOM_CLOSED


def test_codes_are_random_and_written_for_links() -> None:
    made = new_join_code(lambda size: bytes(range(size)))
    assert made == CODE
    assert as_text(made) == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert digest_of(made) != digest_of(made[1:])
    assert HUB in ROOM
