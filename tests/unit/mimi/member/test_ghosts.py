"""People of other networks in a real room: participants without clients."""

import pytest

from sabir.mimi.ghosts import ghost_uri
from sabir.mimi.member.events import ParticipantsChanged, SendingFrozen, Violation
from sabir.mimi.member.intents import (
    Ban,
    Invite,
    Invitee,
    RemoveGhosts,
    RemoveUser,
    SetRole,
)
from sabir.mimi.policy.errors import PolicyDenied
from sabir.testing.mimi.member_harness import MemberHarness
from sabir.testing.mimi.people import user_named

ANN, BEN = user_named("ann"), user_named("ben")
ZOE = ghost_uri(BEN, "matrix", "@zoe:example.org")
YAN = ghost_uri(BEN, "xmpp", "yan@example.org")


def bridged() -> MemberHarness:
    """A room of ann, ben and cat, to which ben links two networks."""
    house = MemberHarness.of()
    house.invite("ann", "ben", "b.example:cat")
    house.perform("ann", SetRole(BEN, 3))
    house.perform("ben", Invite((Invitee(ZOE), Invitee(YAN)), 2))
    return house


def test_ghosts_are_listed_and_have_no_device() -> None:
    house = bridged()
    house.check_agreement()
    for agent in house.members:
        view = agent.room.view
        assert view.role_index(ZOE) == view.role_index(YAN) == 2
        assert not view.leaves_of(ZOE)
        assert not agent.all(Violation)
        assert not agent.all(SendingFrozen)
    (change, _) = house["ann"].all(ParticipantsChanged)[-1].changes
    assert (change.user, change.by) == (ZOE, BEN)
    house.send("b.example:cat", "who is Zoe?")
    assert house["ben"].texts[-1] == "who is Zoe?"


def test_nobody_lists_a_ghost_in_anothers_name() -> None:
    house = bridged()
    with pytest.raises(PolicyDenied, match="another's ghost"):
        house.perform("ann", Invite((Invitee(ghost_uri(BEN, "sms", "+1555")),), 2))


def test_who_brings_people_takes_them_out_apart_from_the_banned() -> None:
    house = bridged()
    house.perform("ann", Ban(ZOE))
    house.perform("ben", RemoveGhosts((ZOE, YAN)))
    for agent in house.members:
        assert agent.room.view.is_banned(ZOE)
        assert not agent.room.view.is_listed(YAN)
    assert house["ben"].room.perform(house.env, RemoveGhosts((ZOE,))) is None


@pytest.mark.parametrize("intent", [RemoveUser(BEN), Ban(BEN)])
def test_who_is_put_out_takes_the_people_of_their_chats_along(
    intent: RemoveUser | Ban,
) -> None:
    house = bridged()
    house.perform("ann", SetRole(user_named("b.example:cat"), 3))
    house.perform("ann", intent)
    for name in ("ann", "b.example:cat"):
        view = house[name].room.view
        assert not view.is_listed(ZOE)
        assert not view.is_listed(YAN)
    house.check_agreement()
