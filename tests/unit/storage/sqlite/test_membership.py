"""Rooms at a provider in the store: all of a step, or nothing."""

from typing import Any

import pytest

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.storage.membership import (
    HomeRecord,
    InvitationRecord,
    KeyPackageRecord,
    MembershipState,
    Notice,
    PlacedEntry,
    Provenance,
    Receipt,
    Step,
    WishFate,
)
from sabir.storage.records import RoomId
from sabir.storage.sqlite import membership
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import (
    NOW,
    add_portal,
    entry_id,
    new_entry,
    new_event,
)

ROOM = RoomId("mimi://a.example/r/tea")


def home(**more: Any) -> HomeRecord:
    fields: dict[str, Any] = {
        "domain": "a.example",
        "address": "",
        "roots": "",
        "name": "laptop",
        "user": "mimi://a.example/u/ann",
        "device": "mimi://a.example/d/ann/1",
        "signature": b"key",
        "tokens": b"tokens",
        "cursor": 0,
    }
    return HomeRecord(**{**fields, **more})


def begun(**more: Any) -> Step:
    fields: dict[str, Any] = {
        "room": ROOM,
        "place": 0,
        "state": MembershipState.ACTIVE,
        "group_id": b"group",
        "rows": {b"a": b"1", b"b": b"2"},
    }
    return Step(**{**fields, **more})


def placed(name: str, at: int = 5, **more: Any) -> PlacedEntry:
    origin = Provenance(sender="mimi://b.example/u/ben", client="ben", verdict="ok")
    return PlacedEntry(
        new=new_entry(name, **more), accepted_at=Instant(at), provenance=origin
    )


async def test_a_home_is_kept_and_its_cursor_never_goes_back(
    storage: SqliteStorage,
) -> None:
    assert await storage.home() is None
    await storage.set_home(home(), now=NOW)
    await storage.move_cursor(7)
    await storage.move_cursor(3)
    await storage.set_tokens(b"new")
    assert await storage.home() == home(cursor=7, tokens=b"new")


async def test_key_packages_are_there_until_they_are_over(
    storage: SqliteStorage,
) -> None:
    old = KeyPackageRecord(ref=b"1", sealed=b"x", not_after=Instant(10))
    new = KeyPackageRecord(
        ref=b"2", sealed=b"y", not_after=Instant(99), last_resort=True
    )
    await storage.add_key_packages([old, new])
    await storage.key_packages_uploaded([b"2"])
    (found,) = await storage.key_packages([b"2", b"3"])
    assert (found.uploaded, found.last_resort) == (True, True)
    assert await storage.forget_key_packages(before=Instant(50)) == 1
    assert [each.ref for each in await storage.key_packages()] == [b"2"]


async def test_a_step_is_taken_whole(storage: SqliteStorage) -> None:
    await storage.set_home(home(), now=NOW)
    package = KeyPackageRecord(ref=b"1", sealed=b"x", not_after=Instant(10))
    await storage.add_key_packages([package])
    entries = await storage.take_step(
        begun(name="Tea", entries=[placed("one")], cursor=4, used=[b"1"]), now=NOW
    )
    assert [each.seq for each in entries] == [1]
    (record,) = await storage.memberships()
    assert (record.room, record.state) == (ROOM, MembershipState.ACTIVE)
    assert await storage.membership(ROOM) == record
    assert await storage.member_rows(ROOM, 0) == {b"a": b"1", b"b": b"2"}
    assert [each.name for each in await storage.rooms()] == ["Tea"]
    assert not await storage.key_packages()
    found = await storage.home()
    assert found is not None
    assert found.cursor == 4
    origins = await storage.provenance([entry_id("one"), entry_id("two")])
    assert {each.sender for each in origins.values()} == {"mimi://b.example/u/ben"}


async def test_a_step_that_fails_leaves_no_trace(storage: SqliteStorage) -> None:
    with pytest.raises(Exception, match="begins with a state"):
        await storage.take_step(begun(state=None), now=NOW)
    assert not await storage.memberships()
    assert not await storage.member_rows(ROOM, 0)


async def test_rows_are_written_and_deleted(storage: SqliteStorage) -> None:
    await storage.take_step(begun(), now=NOW)
    change = Step(room=ROOM, place=0, rows={b"a": None, b"b": b"3", b"c": b"4"})
    await storage.take_step(change, now=NOW)
    assert await storage.member_rows(ROOM, 0) == {b"b": b"3", b"c": b"4"}


async def test_who_comes_in_anew_keeps_the_old_rows_until_it_is_in(
    storage: SqliteStorage,
) -> None:
    await storage.take_step(begun(), now=NOW)
    wish = await storage.wish(ROOM, b"intent", now=NOW)
    await storage.take_step(Step(room=ROOM, place=0, wish_begun=wish), now=NOW)
    joining = begun(place=1, state=MembershipState.JOINING, rows={b"z": b"9"})
    await storage.take_step(joining, now=NOW)
    assert await storage.member_rows(ROOM, 0)
    assert [each.under_way for each in await storage.wishes(ROOM)] == [False]
    there = Step(room=ROOM, place=1, state=MembershipState.ACTIVE)
    await storage.take_step(there, now=NOW)
    assert not await storage.member_rows(ROOM, 0)
    assert await storage.member_rows(ROOM, 1) == {b"z": b"9"}


async def test_an_entry_is_taken_once(storage: SqliteStorage) -> None:
    await storage.take_step(begun(entries=[placed("one", 5)]), now=NOW)
    again = Step(room=ROOM, place=0, entries=[placed("one", 9), placed("two", 10)])
    entries = await storage.take_step(again, now=NOW)
    assert [(each.seq, each.accepted_at) for each in entries] == [(2, 10)]


async def test_a_draft_becomes_the_entry_with_its_names(
    storage: SqliteStorage,
) -> None:
    await storage.take_step(begun(), now=NOW)
    portal = await add_portal(storage, "x", "chat")
    await storage.take("x", [new_event("n1")], {}, now=NOW)
    (event,) = await storage.pending("x", "chat", count_max=1)
    draft = new_entry(
        "one",
        submission="mine",
        author_name="Zoe",
        origin=portal.id,
        inbox_seq=event.seq,
        native_ids=("n1",),
        target=entry_id("zero"),
    )
    await storage.draft(ROOM, [draft, draft])
    (waiting,) = await storage.drafts(ROOM)
    assert waiting.new == draft
    assert await storage.submitted(ROOM, ["mine"]) == {}
    (entry,) = await storage.take_step(
        Step(room=ROOM, place=0, entries=[placed("one")]), now=NOW
    )
    assert (entry.author_name, entry.origin) == ("Zoe", portal.id)
    assert await storage.submitted(ROOM, ["mine"]) == {"mine": entry}
    assert not await storage.drafts(ROOM)
    assert not await storage.pending("x", "chat", count_max=1)
    await storage.draft(ROOM, [draft])
    assert not await storage.drafts(ROOM), "it was submitted before"


async def test_a_refused_draft_says_why_and_rejects_its_event(
    storage: SqliteStorage,
) -> None:
    await storage.take_step(begun(), now=NOW)
    await add_portal(storage, "x", "chat")
    await storage.take("x", [new_event("n1")], {}, now=NOW)
    (event,) = await storage.pending("x", "chat", count_max=1)
    draft = new_entry("one", submission="mine", inbox_seq=event.seq)
    await storage.draft(ROOM, [draft])
    refusing = Step(room=ROOM, place=0, refused={entry_id("one"): "too loud"})
    await storage.take_step(refusing, now=NOW)
    assert await storage.submitted(ROOM, ["mine"]) == {"mine": "too loud"}
    assert not await storage.drafts(ROOM)
    assert not await storage.pending("x", "chat", count_max=1)


async def test_who_is_out_has_nothing_waiting(storage: SqliteStorage) -> None:
    await storage.take_step(begun(), now=NOW)
    await storage.wish(ROOM, b"intent", now=NOW)
    await storage.draft(ROOM, [new_entry("one", submission="mine")])
    invitation = InvitationRecord(room=ROOM, user="mimi://b.example/u/ben", role=2)
    await storage.invite_later(invitation, now=NOW)
    out = Step(
        room=ROOM, place=0, state=MembershipState.LEFT, detail="kicked", forget=True
    )
    await storage.take_step(out, now=NOW)
    (record,) = await storage.memberships()
    assert (record.state, record.detail) == (MembershipState.LEFT, "kicked")
    assert not await storage.member_rows(ROOM, 0)
    assert not await storage.wishes(ROOM)
    assert not await storage.invitations()
    assert "not in" in str((await storage.submitted(ROOM, ["mine"]))["mine"])
    with pytest.raises(PolicyRefused):
        await storage.draft(ROOM, [new_entry("two")])
    with pytest.raises(PolicyRefused):
        await storage.wish(ROOM, b"intent", now=NOW)


async def test_wishes_are_done_or_wait_again(storage: SqliteStorage) -> None:
    await storage.take_step(begun(), now=NOW)
    first = await storage.wish(ROOM, b"1", now=NOW)
    second = await storage.wish(ROOM, b"2", now=NOW)
    await storage.take_step(Step(room=ROOM, place=0, wish_begun=first), now=NOW)
    await storage.take_step(Step(room=ROOM, place=0, wish=WishFate.AGAIN), now=NOW)
    assert [each.under_way for each in await storage.wishes(ROOM)] == [False, False]
    await storage.take_step(Step(room=ROOM, place=0, wish_begun=first), now=NOW)
    await storage.take_step(Step(room=ROOM, place=0, wish=WishFate.DONE), now=NOW)
    assert [each.id for each in await storage.wishes(ROOM)] == [second]
    await storage.drop_wish(second)
    assert not await storage.wishes(ROOM)


async def test_receipts_follow_the_allowed_steps(storage: SqliteStorage) -> None:
    await storage.take_step(begun(entries=[placed("one")]), now=NOW)
    one = entry_id("one")
    for status in (1, 2, 1):
        receipt = Receipt(entry=one, user="ben", status=status)
        await storage.take_step(Step(room=ROOM, place=0, receipts=[receipt]), now=NOW)
    assert await storage.receipts(one) == {"ben": 2}


async def test_topics_and_deletions_are_known(storage: SqliteStorage) -> None:
    origin = Provenance(sender="s", client="c", topic=b"talk", verdict="ok")
    said = PlacedEntry(new=new_entry("one"), accepted_at=Instant(1), provenance=origin)
    gone = placed("two", 2, kind="deleted", target=entry_id("one"))
    await storage.take_step(begun(entries=[said, gone]), now=NOW)
    assert await storage.is_topic(ROOM, b"talk")
    assert await storage.is_topic(ROOM, entry_id("one"))
    assert not await storage.is_topic(ROOM, b"other")
    assert await storage.is_deleted(entry_id("one"))
    assert not await storage.is_deleted(entry_id("two"))


async def test_notices_are_read_newest_last_and_end(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "NOTICES_MAX", 3)
    await storage.take_step(begun(notices=[Notice(kind="a", detail="")]), now=NOW)
    for kind in "bcde":
        await storage.add_notice(RoomId(""), Notice(kind=kind, detail=""), now=NOW)
    found = await storage.notices(count_max=2)
    assert [each.kind for each in found] == ["d", "e"]
    assert [each.kind for each in await storage.notices(count_max=9)] == ["c", "d", "e"]
    assert not await storage.notices(count_max=9, room=ROOM)
    assert not await storage.notices(count_max=9, after=found[-1].id)


async def test_invitations_wait_until_they_are_dropped(
    storage: SqliteStorage,
) -> None:
    user = "mimi://b.example/u/ben"
    for role in (2, 3):
        invitation = InvitationRecord(room=ROOM, user=user, role=role)
        await storage.invite_later(invitation, now=NOW)
    assert [each.role for each in await storage.invitations()] == [3]
    await storage.drop_invitation(ROOM, user)
    assert not await storage.invitations()


async def test_not_everything_may_wait(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "DRAFTS_MAX", 1)
    monkeypatch.setattr(membership, "WISHES_MAX", 1)
    await storage.take_step(begun(), now=NOW)
    await storage.draft(ROOM, [new_entry("one")])
    await storage.wish(ROOM, b"1", now=NOW)
    with pytest.raises(PolicyRefused, match="wait"):
        await storage.draft(ROOM, [new_entry("two")])
    with pytest.raises(PolicyRefused, match="wait"):
        await storage.wish(ROOM, b"2", now=NOW)


async def test_a_draft_of_the_same_submission_keeps_its_first_id(
    storage: SqliteStorage,
) -> None:
    await storage.take_step(begun(), now=NOW)
    first = await storage.draft(ROOM, [new_entry("one", submission="s")])
    again = await storage.draft(ROOM, [new_entry("other", submission="s")])
    assert first == again == [entry_id("one")]
