"""Long messages on their way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.networks.api import ChatId
from sabir.networks.sms.groups import KEEP_MS, SLOTS_MAX, WAIT_MS, Group, Groups
from sabir.networks.sms.udh import Concatenation

CHAT = ChatId("+1")


def add(
    groups: Groups,
    number: int,
    *,
    total: int = 3,
    ref: int = 7,
    now: int = 0,
    octets: bytes = b"",
) -> list[Group]:
    part = Concatenation(reference=ref, total=total, number=number)
    head = bytes(16)
    return groups.add(
        head + (octets or bytes([number])),
        part,
        chat=CHAT,
        between=("a", "b"),
        now=Instant(now),
    )


@given(st.permutations([1, 2, 3, 4, 5]))
def test_any_order_becomes_the_message(order: list[int]) -> None:
    groups = Groups()
    done = [group for number in order for group in add(groups, number, total=5)]
    assert [pdu and pdu[-1] for pdu in done[0].pdus] == [1, 2, 3, 4, 5]
    assert len(done) == 1
    assert set(groups.changed().values()) == {""}


def test_a_part_that_is_here_is_ignored() -> None:
    groups = Groups()
    assert not add(groups, 1)
    groups.changed()
    assert not add(groups, 1)
    assert not groups.changed()


def test_a_reference_used_again_ends_the_old_message() -> None:
    groups = Groups()
    add(groups, 1)
    (old,) = add(groups, 1, octets=b"other")
    assert old.pdus == (bytes(16) + b"\1", None, None)
    add(groups, 2)
    assert add(groups, 3)[0].pdus[0] == bytes(16) + b"other"


def test_references_of_other_people_are_others() -> None:
    groups = Groups()
    add(groups, 1)
    part = Concatenation(reference=7, total=3, number=2)
    groups.add(b"x", part, chat=CHAT, between=("c", "b"), now=Instant(0))
    assert len(groups.changed()) == 2


def test_after_a_day_what_is_there_is_due_once() -> None:
    groups = Groups()
    add(groups, 1)
    assert not groups.due(Instant(WAIT_MS - 1))
    (group,) = groups.due(Instant(WAIT_MS))
    groups.hand_on(group, "n1")
    assert not groups.due(Instant(WAIT_MS + 1))
    add(groups, 3)
    (late,) = add(groups, 2)
    assert late.handed_on == "n1"
    assert late.is_complete


def test_after_a_week_it_is_forgotten() -> None:
    groups = Groups()
    add(groups, 1)
    groups.hand_on(groups.due(Instant(WAIT_MS))[0], "n1")
    assert not groups.due(Instant(KEEP_MS))
    assert groups.changed() == {"group.0": ""}


def test_one_too_many_hands_the_oldest_on() -> None:
    groups = Groups()
    for ref in range(SLOTS_MAX):
        assert not add(groups, 1, ref=ref, now=ref)
    (oldest,) = add(groups, 1, ref=200, now=999)
    assert oldest.name[2] == 0


def test_one_that_was_handed_on_makes_room_silently() -> None:
    groups = Groups()
    for ref in range(SLOTS_MAX):
        add(groups, 1, ref=ref, now=ref)
    first = groups.due(Instant(WAIT_MS))[0]
    groups.hand_on(first, "n")
    assert not add(groups, 1, ref=200, now=999)


@pytest.mark.parametrize("lost", [True, False])
def test_it_survives_on_disk(lost: bool) -> None:
    groups = Groups()
    add(groups, 1)
    changed = groups.changed()
    if lost:
        groups.again({**changed, "other": ""})
        assert groups.changed() == changed
    loaded = Groups.load({0: changed["group.0"]})
    add(loaded, 3)
    assert add(loaded, 2)[0].is_complete
