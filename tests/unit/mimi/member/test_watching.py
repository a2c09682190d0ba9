"""A hub that drops, reorders or forks leaves signs, and an honest one none."""

from dataclasses import replace

from sabir.mimi.hub.outcome import FanoutEvent
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.member.events import Irregular, ResyncNeeded, Sign, Violation
from sabir.mimi.member.intents import Rotate
from sabir.mimi.member.memory import FORMAT_VERSION, read_memory
from sabir.mimi.structs.fanout import read_fanout_messages
from sabir.testing.mimi.member_harness import Agent, MemberHarness
from sabir.testing.mimi.people import device_of

CAT = "b.example:cat"


def three() -> MemberHarness:
    """Ann, Ben and Cat, of whom Cat is at another provider; nobody reads at once."""
    house = MemberHarness.of()
    house.invite("ann", "ben", CAT)
    house.prompt = False
    return house


def signs(agent: Agent) -> list[tuple[Sign, str, int]]:
    return [(e.sign, e.client, e.count) for e in agent.all(Irregular)]


def at(event: FanoutEvent, accepted_at: int) -> FanoutEvent:
    """Let a hub say another time."""
    (message,) = read_fanout_messages(event.octets)
    late = replace(message, accepted_at=accepted_at)
    return replace(event, accepted_at=accepted_at, octets=late.encode())


def test_an_honest_hub_leaves_no_sign() -> None:
    house = three()
    for round_ in range(3):
        for name in house.agents:
            house.send(name, f"{round_} of {name}")
        house.deliver()
        house.perform("ann", Rotate())
        house.deliver()
    assert not any(signs(agent) for agent in house.members)


def test_messages_that_a_hub_holds_back_are_counted_at_the_next_one() -> None:
    house = three()
    for number in range(4):
        house.send("ann", f"line {number}")
    del house[CAT].queue[1]
    del house[CAT].queue[1]
    house.deliver()
    assert house[CAT].texts == ["line 0", "line 3"]
    assert signs(house[CAT]) == [(Sign.MISSING, device_of("ann"), 2)]
    assert signs(house["ben"]) == []


def test_messages_in_another_order_are_noticed_by_sender_and_by_time() -> None:
    house = three()
    for number in range(3):
        house.env.time += 1
        house.send("ann", f"line {number}")
    queue = house[CAT].queue
    queue[0], queue[1] = queue[1], queue[0]
    house.deliver()
    assert sorted(house[CAT].texts) == ["line 0", "line 1", "line 2"]
    assert signs(house[CAT]) == [
        (Sign.MISSING, device_of("ann"), 1),
        (Sign.REORDERED, device_of("ann"), 0),
        (Sign.TIME_BACK, "", 0),
    ]


def test_another_order_with_times_to_match_is_still_seen_at_the_sender() -> None:
    house = three()
    for number in range(2):
        house.env.time += 1
        house.send("ann", f"line {number}")
    first, second = house[CAT].queue
    house[CAT].queue.clear()
    house[CAT].queue += [
        at(second, first.accepted_at),
        at(first, second.accepted_at),
    ]
    house.deliver()
    assert (Sign.REORDERED, device_of("ann"), 0) in signs(house[CAT])


def test_the_order_between_senders_is_seen_by_its_times() -> None:
    house = three()
    for name in ("ann", "ben"):
        house.env.time += 1
        house.send(name, f"of {name}")
    house[CAT].queue.reverse()
    house.deliver()
    assert signs(house[CAT]) == [(Sign.TIME_BACK, "", 0)]


def test_who_is_shown_another_room_cannot_read_the_others_and_says_so() -> None:
    house = three()
    other = HubRoom.load(house.keys, house.room.encode(), house.now_ms)
    house.perform("ann", Rotate())
    house[CAT].queue.clear()
    house.deliver()
    honest, house.room = house.room, other
    house.perform(CAT, Rotate())
    house["ann"].queue.clear()
    house["ben"].queue.clear()
    house.deliver()
    house.room = honest
    ann, cat = house["ann"].room, house[CAT].room
    assert ann.epoch == cat.epoch
    mine, theirs = ann.group.epoch_authenticator, cat.group.epoch_authenticator
    assert mine.reveal() != theirs.reveal(), "their fingerprints differ"
    house.send("ann", "are you there?")
    house.deliver()
    assert house["ben"].texts == ["are you there?"]
    assert house[CAT].texts == []
    assert signs(house[CAT]) == [(Sign.NO_KEY, "", 0)]


def test_a_commit_of_the_other_room_is_evidence_and_no_way_on() -> None:
    house = three()
    other = HubRoom.load(house.keys, house.room.encode(), house.now_ms)
    house.perform("ann", Rotate())
    house[CAT].queue.clear()
    honest, house.room = house.room, other
    house.perform(CAT, Rotate())
    house.deliver(CAT)
    house.room = honest
    house.deliver("ann", "ben")
    house.perform("ann", Rotate())
    house.deliver(CAT)
    assert house[CAT].all(Violation)
    assert house[CAT].all(ResyncNeeded)


def test_what_was_stored_before_there_were_times_is_read() -> None:
    memory = three()["ann"].room._state.memory
    octets = memory.encode()
    old = octets[:4] + (1).to_bytes(2, "big") + octets[6:-8]
    assert FORMAT_VERSION == 2
    assert read_memory(old) == replace(memory, streamed_ms=0)
    assert read_memory(octets) == memory
