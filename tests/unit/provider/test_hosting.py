"""Rooms at a hub, with members at other providers: everything real but the network."""

import pytest

from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.member.errors import RoomMisuse
from sabir.mimi.member.events import Violation
from sabir.mimi.member.intents import (
    AddClients,
    Ban,
    CommitPending,
    Leave,
    RemoveUser,
    Rotate,
)
from sabir.mimi.template_names import TemplateName
from sabir.storage.provider.records import EventKind
from sabir.testing.mimi.people import user_named
from tests.unit.provider.town import Town
from tests.unit.provider.village import Village

ANN, BEN, CAT = "ann", "b.example:ben", "c.example:cat"
DAN = "dan"
"""He is at the hub, like Ann."""


@pytest.fixture
async def village(town: Town) -> Village:
    domains = ("a.example", "b.example", "c.example")
    for domain in domains:
        await town.open(domain, knows=tuple(each for each in domains if each != domain))
    village = Village(town)
    await village.settle_in(ANN, DAN, BEN, CAT)
    return village


async def three(village: Village) -> Village:
    """Ann makes a room and lets Ben in, who lets Cat in."""
    await village.found(ANN)
    await village.invite(ANN, BEN, role=4)
    await village.quiet()
    await village.invite(BEN, CAT)
    await village.quiet()
    return village


async def test_two_providers_pass_messages_both_ways(village: Village) -> None:
    await village.found(ANN)
    response = await village.invite(ANN, BEN)
    assert response.code == UpdateCode.SUCCESS, response
    await village.send(ANN, "hello Ben")
    await village.until(lambda: village.texts(BEN) == ["hello Ben"])
    await village.send(BEN, "hello Ann")
    await village.until(lambda: village.texts(ANN) == ["hello Ben", "hello Ann"])
    await village.quiet()
    assert village.texts(BEN) == ["hello Ben", "hello Ann"]
    assert village[ANN].of_room == [
        EventKind.HANDSHAKE,
        EventKind.OWN,
        EventKind.MESSAGE,
    ]
    await village.check_memory()


async def test_three_providers_pass_messages_through_the_hub(village: Village) -> None:
    await three(village)
    for name in (ANN, BEN, CAT):
        await village.send(name, f"from {name}")
    await village.quiet()
    said = [f"from {name}" for name in (ANN, BEN, CAT)]
    for name in (ANN, BEN, CAT):
        assert village.texts(name) == said
        assert not village[name].agent.all(Violation)
    await village.check_memory()


@pytest.mark.parametrize("name", [DAN, BEN])
async def test_nothing_is_lost_between_a_welcome_and_its_reading(
    village: Village, name: str
) -> None:
    await village.found(ANN)
    await village.invite(ANN, name)
    for number in range(3):
        await village.send(ANN, f"{number}")
    assert village[name].agent.member is None
    await village.until(lambda: village.texts(name) == ["0", "1", "2"])
    assert village[name].of_room[0] is EventKind.WELCOME


async def test_mc_105_a_leaver_is_out_at_once_and_somebody_commits_it(
    village: Village,
) -> None:
    await three(village)
    await village.perform(CAT, Leave())
    await village.send(ANN, "she has left")
    await village.quiet()
    assert "she has left" not in village.texts(CAT)
    assert village.texts(BEN) == ["she has left"]
    assert (await village.perform(BEN, CommitPending())).code == UpdateCode.SUCCESS
    await village.quiet()
    assert not village[CAT].agent.is_in
    heard = len(village[CAT].stream)
    await village.send(BEN, "just us")
    await village.quiet()
    assert village.texts(ANN) == ["she has left", "just us"]
    assert len(village[CAT].stream) == heard, "her provider gets nothing any more"
    await village.check_memory()


@pytest.mark.parametrize("name", [DAN, CAT])
async def test_mc_071_who_is_banned_hears_that_and_nothing_more(
    village: Village, name: str
) -> None:
    await three(village)
    if name == DAN:
        await village.invite(ANN, DAN)
        await village.quiet()
    await village.perform(ANN, Ban(user_named(name)))
    await village.quiet()
    person = village[name]
    assert not person.agent.is_in
    heard = len(person.stream)
    await village.send(ANN, "unheard of")
    await village.quiet()
    assert len(person.stream) == heard
    with pytest.raises(RoomMisuse):
        person.agent.room.perform(village.env, Rotate())
    await village.check_memory()


@pytest.mark.parametrize("name", ["ann/2", "b.example:ben/2"])
async def test_another_device_joins_from_outside(village: Village, name: str) -> None:
    await three(village)
    await village.settle_in(name)
    assert (await village.join(name)).code == UpdateCode.SUCCESS
    await village.quiet()
    await village.send(CAT, "welcome")
    await village.send(name, "thanks")
    await village.quiet()
    for each in (ANN, BEN, CAT, name):
        assert village.texts(each) == ["welcome", "thanks"], each
    await village.check_memory()


async def test_a_second_device_gets_what_the_first_sends(village: Village) -> None:
    await village.found(ANN)
    await village.settle_in("ann/2")
    await village.publish("ann/2")
    user = user_named(ANN)
    found = village[ANN].agent.room.key_material(
        village.env, user, await village.key_material(ANN, user)
    )
    await village.perform(ANN, AddClients(found.fitting))
    await village.send(ANN, "to myself")
    await village.quiet()
    assert village.texts("ann/2") == ["to myself"]
    assert village["ann/2"].of_room == [EventKind.WELCOME, EventKind.MESSAGE]
    assert village[ANN].of_room == [EventKind.HANDSHAKE, EventKind.OWN]


async def test_who_was_removed_can_be_let_in_again(village: Village) -> None:
    await three(village)
    await village.perform(ANN, RemoveUser(user_named(CAT)))
    await village.quiet()
    await village.send(ANN, "without her")
    await village.invite(ANN, CAT)
    await village.send(ANN, "with her")
    await village.quiet()
    assert village.texts(CAT) == ["with her"]
    await village.check_memory()


async def test_a_direct_conversation_of_two_providers(village: Village) -> None:
    await village.found(ANN, TemplateName.DM, (BEN,))
    await village.publish(BEN)
    await village.consent(BEN, ANN)
    user = user_named(BEN)
    found = village[ANN].agent.room.key_material(
        village.env, user, await village.key_material(ANN, user)
    )
    await village.perform(ANN, AddClients(found.fitting))
    await village.send(ANN, "just the two of us")
    await village.until(lambda: village.texts(BEN) == ["just the two of us"])
    policy = village[BEN].agent.room.room.asset_policy
    assert policy is not None
    hosts = {each.provider: each.destinations for each in policy.upload_domains}
    assert hosts == {"a.example": ("a.example",), "b.example": ("b.example",)}


async def test_mc_105_a_hub_starts_again(village: Village) -> None:
    await three(village)
    await village.send(ANN, "before")
    await village.quiet()
    await village.town.restart("a.example")
    await village.send(BEN, "after")
    await village.perform(CAT, Rotate())
    await village.quiet()
    await village.send(ANN, "at the end")
    await village.quiet()
    for name in (ANN, BEN, CAT):
        assert village.texts(name) == ["before", "after", "at the end"]
    await village.check_memory()


async def test_mc_105_a_follower_that_was_down_gets_all_in_order(
    village: Village,
) -> None:
    await three(village)
    await village.town.sites["b.example"].stop()
    for number in range(4):
        await village.send(ANN, f"{number}")
    await village.perform(ANN, Rotate())
    await village.town.restart("b.example")
    await village.until(lambda: village.texts(BEN) == ["0", "1", "2", "3"])
    await village.send(BEN, "here again")
    await village.quiet()
    assert village.texts(ANN)[-1] == "here again"
    await village.check_memory()


async def test_mc_073_nothing_that_is_fanned_out_names_the_sender(
    village: Village,
) -> None:
    await three(village)
    await village.send(BEN, "who said that?")
    await village.quiet()
    kind, octets = village[CAT].stream[-1]
    assert kind is EventKind.MESSAGE
    assert user_named(BEN).encode() not in octets
    assert b"who said that?" not in octets


async def test_a_message_of_the_last_epoch_is_on_its_way(village: Village) -> None:
    await three(village)
    await village.perform(ANN, Rotate())
    late = await village.send_badly(CAT, "late")
    assert late.code == SubmitCode.ACCEPTED
    await village.perform(ANN, Rotate())
    later = await village.send_badly(CAT, "later")
    assert later.code == SubmitCode.EPOCH_TOO_OLD
    assert later.current_epoch == village[ANN].agent.room.epoch
