"""What people look at."""

from sabir.clock import Instant
from sabir.storage.records import (
    Attempt,
    DeliveryState,
    InboxState,
    InboxVerdict,
    RoomId,
    Settlement,
)
from sabir.storage.sqlite.store import SqliteStorage
from tests.unit.storage.sqlite.samples import (
    NOW,
    ROOM,
    add_portal,
    entry_id,
    new_entry,
    new_event,
    with_room,
)


async def _two_portals(storage: SqliteStorage) -> tuple[int, int]:
    await with_room(storage)
    first = await add_portal(storage, "x", "chat", "X")
    second = await add_portal(storage, "m", "room", "M")
    entries = [
        new_entry("a", origin=first.id, native_ids=("1",)),
        new_entry("b", origin=first.id, native_ids=("2",)),
    ]
    await storage.append(ROOM, entries, now=NOW)
    return first.id, second.id


async def test_a_line_per_leg_with_its_state_and_times(storage: SqliteStorage) -> None:
    _, out = await _two_portals(storage)
    attempts = [Attempt(seq=1, part=n, key=f"k{n}", loss=b"l") for n in range(2)]
    await storage.begin(out, attempts, now=NOW)  # type: ignore[arg-type]
    done = Settlement(
        seq=1,
        part=0,
        key="k0",
        state=DeliveryState.SENT,
        entry=entry_id("a"),
        native_ids=("$1",),
    )
    await storage.settle(out, [done], cursor=None, now=Instant(NOW + 7))  # type: ignore[arg-type]
    first, second = await storage.log(count_max=10)
    assert (first.seq, first.portal, first.state) == (1, out, "sending")
    assert first.settled_at is None
    assert (first.parts, first.loss) == (2, b"l")
    assert (second.seq, second.portal, second.state) == (2, None, "accepted")
    rest = Settlement(seq=1, part=1, key="k1", state=DeliveryState.SENT)
    await storage.settle(out, [rest], cursor=1, now=Instant(NOW + 9))  # type: ignore[arg-type]
    first, _ = await storage.log(count_max=10)
    assert (first.state, first.settled_at) == ("sent", NOW + 9)


async def test_the_log_can_be_narrowed(storage: SqliteStorage) -> None:
    _, out = await _two_portals(storage)
    bad = Settlement(
        seq=1, part=0, key="k", state=DeliveryState.AMBIGUOUS, detail="who knows"
    )
    await storage.settle(out, [bad], cursor=1, now=Instant(NOW + 50))  # type: ignore[arg-type]
    (line,) = await storage.log(count_max=10, trouble=True)
    assert (line.state, line.detail) == ("ambiguous", "who knows")
    assert len(await storage.log(count_max=1)) == 1
    assert await storage.log(count_max=9, room=RoomId("mimi://x/r/none")) == []
    (line,) = await storage.log(count_max=9, after=NOW + 49)
    assert line.seq == 1


async def test_counts_say_how_portals_stand(storage: SqliteStorage) -> None:
    first, out = await _two_portals(storage)
    await storage.take("x", [new_event("n"), new_event("bad")], {}, now=NOW)
    bad = (await storage.pending("x", "chat", count_max=9))[1]
    await storage.dismiss([InboxVerdict(seq=bad.seq, state=InboxState.REJECTED)])
    sent = Settlement(seq=1, part=0, key="k", state=DeliveryState.SENT)
    refused = Settlement(seq=2, part=0, key="l", state=DeliveryState.REFUSED)
    await storage.settle(out, [sent], cursor=1, now=NOW)  # type: ignore[arg-type]
    mine, theirs = await storage.counts()
    assert (mine.portal, mine.waiting_in, mine.rejected_in) == (first, 1, 1)
    assert mine.waiting_out == 0  # its own entries do not go back
    assert (theirs.portal, theirs.waiting_out, theirs.sent) == (out, 1, 1)
    await storage.settle(out, [refused], cursor=2, now=NOW)  # type: ignore[arg-type]
    assert (await storage.counts())[1].refused == 1


async def test_pruning_keeps_identities_and_what_waits(storage: SqliteStorage) -> None:
    await storage.take("x", [new_event("1"), new_event("2")], {}, now=NOW)
    first, _ = await storage.pending("x", "chat", count_max=9)
    await storage.dismiss([InboxVerdict(seq=first.seq, state=InboxState.IGNORED)])
    assert await storage.prune(before=Instant(NOW + 1)) == 1
    assert await storage.prune(before=Instant(NOW + 1)) == 0
    assert await storage.take("x", [new_event("1")], {}, now=NOW) == 0
    (left,) = await storage.pending("x", "chat", count_max=9)
    assert left.payload == b"{}"


async def test_a_sound_file_checks_clean(storage: SqliteStorage) -> None:
    assert await storage.check() == []
