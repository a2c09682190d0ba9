"""Application messages at the hub: who, when, and the hub's mark (7.4, 7.6)."""

from dataclasses import replace
from typing import Final

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.codepoints import Capability, ComponentId, SubmitCode
from sabir.mimi.components.participants import BANNED
from sabir.mimi.franking import FrankContext, verify_frank
from sabir.mimi.hub.keys import HubKeys, MacKeys
from sabir.mimi.hub.outcome import EventKind
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.mimi.structs.submit import OtherSubmitMessageRequest, SubmitMessageRequest
from sabir.mimi.template_names import TemplateName
from sabir.mls.codepoints import ContentType
from sabir.mls.components import encode_safe_aad
from sabir.mls.framing import MlsMessageIn, PrivateMessage
from sabir.mls.proposals import Remove
from sabir.testing.mimi.hub_harness import HUB, ROOM, HubHarness, listed
from tests.unit.mimi.hub.scenes import (
    ADMIN,
    ANN,
    BEN,
    CAL,
    DEE,
    ORDINARY,
    of_four,
    role_of,
    roles_with,
)

GUEST: Final = 2
"""Of moderated rooms: may react and not send."""


def code_of(hub: HubHarness, source: str, request: SubmitMessageRequest) -> int:
    outcome = hub.submit(source, request)
    assert not outcome.fanout or outcome.change is not None
    return outcome.response.code


def altered(request: SubmitMessageRequest, **change: object) -> SubmitMessageRequest:
    """Change the outside of a message, which is all that a hub sees."""
    body = request.message.body
    assert isinstance(body, PrivateMessage)
    body = replace(body, raw=b"", **change)  # type: ignore[arg-type]  # as given
    return replace(request, message=MlsMessageIn(body))


# ---- accepted


def test_a_message_is_franked_and_reaches_everybody() -> None:
    hub = of_four()
    response = hub.send(ANN, b"tea?")
    assert response.code == SubmitCode.ACCEPTED
    assert response.accepted_at == hub.room.last_at
    for name in (BEN, CAL, DEE):
        assert hub[name].read[-1].endswith(b"tea?")
    event = hub.log[-1]
    assert event.kind is EventKind.MESSAGE
    assert event.domains == {"a.example", "b.example", "c.example"}, "with the echo"
    (message,) = read_fanout_messages(event.octets)
    assert message.frank == response.frank
    agent, frank = hub.room.state.franking_agent, response.frank
    assert agent is not None
    assert frank is not None
    about = FrankContext(
        sender=hub[ANN].user, room=ROOM, accepted_at=response.accepted_at
    )
    assert verify_frank(SUITES[1], agent.signature_key, frank, about)


def test_d_39_who_may_react_may_send_as_far_as_a_hub_can_tell() -> None:
    hub = HubHarness.of(ANN, TemplateName.MODERATED)
    hub.commit(ANN, listed(added=[(BEN, GUEST)]), hub.package(BEN))
    role = role_of(TemplateName.MODERATED, GUEST)
    assert not role.may(Capability.CAN_SEND_MESSAGE)
    assert hub.send(BEN).code == SubmitCode.ACCEPTED


# ---- MC-059


def test_mc_059_a_sender_of_another_provider_is_refused() -> None:
    hub = of_four()
    request = hub.message(BEN)
    assert code_of(hub, "c.example", request) == SubmitCode.NOT_ALLOWED
    assert code_of(hub, "b.example", request) == SubmitCode.ACCEPTED


def test_mc_059_a_sender_who_is_not_listed_is_refused() -> None:
    hub = of_four()
    request = replace(hub.message(BEN), sending_uri="mimi://b.example/u/eve")
    assert code_of(hub, "b.example", request) == SubmitCode.NOT_ALLOWED


def test_mc_059_a_sender_without_clients_is_refused() -> None:
    hub = of_four()
    hub.commit(ANN, listed(added=[("b.example:eve", ORDINARY)]))
    user = hub.player("b.example:eve").user
    assert hub.room.view.is_listed(user)
    request = replace(hub.message(BEN), sending_uri=user)
    assert code_of(hub, "b.example", request) == SubmitCode.NOT_ALLOWED


def test_mc_059_who_is_banned_or_leaves_is_refused_at_once() -> None:
    hub = of_four()
    ben, cal = hub.message(BEN), hub.message(CAL)
    hub.leave(CAL)
    hub.propose(ANN, listed(changed=[(hub.place(BEN), BANNED)]), Remove(hub.leaf(BEN)))
    assert code_of(hub, "b.example", ben) == SubmitCode.NOT_ALLOWED
    assert code_of(hub, HUB, cal) == SubmitCode.NOT_ALLOWED


def test_mc_059_a_role_that_may_neither_send_nor_react_is_refused() -> None:
    mute = role_of(TemplateName.GROUP, ORDINARY)
    silent = {Capability.CAN_SEND_MESSAGE, Capability.CAN_REACT_TO_MESSAGE}
    mute = replace(
        mute, capabilities=tuple(c for c in mute.capabilities if c not in silent)
    )
    hub = HubHarness.of(ANN, roles=roles_with(TemplateName.GROUP, mute))
    hub.commit(ANN, listed(added=[(BEN, ORDINARY)]), hub.package(BEN))
    assert code_of(hub, "b.example", hub.message(BEN)) == SubmitCode.NOT_ALLOWED


def test_other_wire_formats_groups_and_protocols_are_refused() -> None:
    hub = of_four()
    request = hub.message(ANN)
    handshake = replace(request, message=hub.committed(ANN).message)
    other_group = altered(request, group_id=b"mimi://hub.example/g/other")
    proposal = altered(request, content_type=ContentType.PROPOSAL)
    for wrong in (handshake, other_group, proposal):
        assert code_of(hub, "a.example", wrong) == SubmitCode.NOT_ALLOWED
    other = OtherSubmitMessageRequest(2, b"?")
    outcome = hub.room.submit(hub.now_ms, "a.example", other)
    assert outcome.response.encode() == bytes.fromhex("0101")
    assert outcome.change is None


def test_a_closed_room_takes_no_message() -> None:
    hub = of_four()
    request = hub.message(ANN)
    hub.take(hub.room.close(hub.now_ms, hub[ANN].user))
    assert code_of(hub, "a.example", request) == SubmitCode.NOT_ALLOWED


# ---- MC-060


def test_mc_060_messages_of_the_last_epoch_are_taken_for_ten_seconds() -> None:
    hub = of_four()
    request = hub.message(ANN)
    hub.commit(BEN)
    since = hub.room.last_at
    hub.ahead_ms = since + 10_000 - hub.env.now() * 1_000
    assert code_of(hub, "a.example", request) == SubmitCode.ACCEPTED
    hub.ahead_ms += 1
    response = hub.submit("a.example", request).response
    assert response.code == SubmitCode.EPOCH_TOO_OLD
    assert response.current_epoch == 2


def test_mc_060_messages_of_older_epochs_are_too_old() -> None:
    hub = of_four()
    request = hub.message(ANN)
    hub.commit(BEN)
    hub.commit(BEN)
    response = hub.submit("a.example", request).response
    assert (response.code, response.current_epoch) == (SubmitCode.EPOCH_TOO_OLD, 3)


def test_mc_060_messages_of_an_epoch_to_come_are_refused() -> None:
    hub = of_four()
    request = altered(hub.message(ANN), epoch=2)
    assert code_of(hub, "a.example", request) == SubmitCode.NOT_ALLOWED


# ---- MC-086


@pytest.mark.parametrize("octets", [0, 31, 33])
def test_mc_086_a_tag_of_another_length_is_refused(octets: int) -> None:
    hub = of_four()
    aad = encode_safe_aad({ComponentId.FRANK_AAD: bytes(octets)})
    request = altered(hub.message(ANN), authenticated_data=aad)
    assert code_of(hub, "a.example", request) == SubmitCode.NOT_ALLOWED


def test_mc_086_what_is_no_safe_aad_is_refused() -> None:
    hub = of_four()
    request = altered(hub.message(ANN), authenticated_data=b"tea")
    assert code_of(hub, "a.example", request) == SubmitCode.NOT_ALLOWED


def test_mc_086_no_tag_no_frank() -> None:
    hub = of_four()
    request = altered(hub.message(ANN), authenticated_data=encode_safe_aad({}))
    response = hub.submit("a.example", request).response
    assert response.code == SubmitCode.ACCEPTED
    assert response.frank is None


def test_no_key_for_that_time_no_frank() -> None:
    hub = of_four()
    keys = HubKeys(
        external=hub.keys.external, franking=hub.keys.franking, mac=MacKeys({})
    )
    room = HubRoom(keys, hub.room.memory, hub.room.last_at)
    outcome = room.submit(hub.now_ms, "a.example", hub.message(ANN))
    assert outcome.response.code == SubmitCode.ACCEPTED
    assert outcome.response.frank is None


# ---- who gets it


def test_mc_071_who_leaves_gets_no_more_messages_and_the_commit() -> None:
    hub = of_four()
    hub.leave(BEN)
    hub.leave(CAL)
    late = hub.message_of_an_unaware(ANN)
    hub.take(hub.submit("a.example", late))
    message = hub.log[-1]
    assert message.domains == {"a.example", "c.example"}
    assert message.withheld_users == {hub[CAL].user}
    hub.commit(ANN)
    commit = hub.log[-1]
    assert "b.example" in commit.domains
    assert hub[CAL].user not in commit.withheld_users
    for name in (BEN, CAL):
        assert not hub[name].is_member, "the commit reached them"
    heard = len(hub[BEN].heard), len(hub[CAL].heard)
    hub.send(ANN)
    hub.commit(DEE)
    assert (len(hub[BEN].heard), len(hub[CAL].heard)) == (heard[0], heard[1] + 2)
    assert all("b.example" not in event.domains for event in hub.log[-2:])


def test_mc_072_who_may_not_receive_gets_no_messages() -> None:
    deaf = role_of(TemplateName.GROUP, ORDINARY)
    deaf = replace(
        deaf,
        capabilities=tuple(
            each for each in deaf.capabilities if each != Capability.CAN_RECEIVE_MESSAGE
        ),
    )
    hub = HubHarness.of(ANN, roles=roles_with(TemplateName.GROUP, deaf))
    eve = "c.example:eve"
    hub.commit(
        ANN,
        listed(added=[(BEN, ORDINARY), (CAL, ORDINARY), (DEE, ADMIN), (eve, ORDINARY)]),
        *(hub.package(name) for name in (BEN, CAL, DEE, eve)),
    )
    hub.send(ANN)
    message = hub.log[-1]
    assert message.domains == {"a.example", "c.example"}
    assert message.withheld_users == {hub[CAL].user}
    hub.commit(BEN)
    assert hub.log[-1].domains == {"a.example", "b.example", "c.example"}
    assert hub.log[-1].withheld_users == frozenset()


def test_mc_073_the_sender_is_in_nothing_that_is_sent() -> None:
    hub = of_four()
    for name in (ANN, BEN, CAL, DEE):
        begun = len(hub.log)
        hub.send(name)
        for event in hub.log[begun:]:
            assert hub[name].user.encode() not in event.octets
            assert b"/u/" not in event.octets
