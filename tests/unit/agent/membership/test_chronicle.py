"""What a room's machine reports, as pages of its chronicle."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sabir.agent.membership.chronicle import Chronicle, Page
from sabir.clock import Instant
from sabir.content import codec
from sabir.content.meaning import RoomEvent, Said
from sabir.content.model import (
    PLAIN_TEXT,
    Content,
    Disposition,
    ExtensionKey,
    MessageId,
    MultiPart,
    PartSemantics,
    SinglePart,
)
from sabir.content.reading import read
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.member.events import (
    ClientsChanged,
    CommitWanted,
    Discarded,
    Duplicate,
    Event,
    ForeignReceived,
    Franked,
    FrankVerdict,
    Joined,
    MessageReceived,
    MessageRefused,
    MetadataChanged,
    NotForUs,
    OperationSettled,
    Outcome,
    ParticipantsChanged,
    PolicyChanged,
    RemovedFromRoom,
    ResyncNeeded,
    RoleChanged,
    SendingFrozen,
    StatusReceived,
    Violation,
    Why,
)
from sabir.mimi.member.intents import Leave, Rotate
from sabir.mimi.policy.view import Client, RoomView
from sabir.mls.components import MediaType
from sabir.storage.membership import MembershipState, Step, WishFate
from sabir.storage.records import RoomId
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.mimi.hub_harness import ROOM, HubHarness
from sabir.testing.mimi.people import user_named

NOW = Instant(1_800_000_000_000)
ANN, BEN = user_named("ann"), user_named("b.example:ben")
ID = MessageId(b"\x01" + bytes(31))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    opened = SqliteStorage.open(tmp_path / "sabir.db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def view() -> RoomView:
    """A room in which ann is alone."""
    return HubHarness.of().room.view


def a_message(view: RoomView, content: Content, **more: Any) -> MessageReceived:
    fields: dict[str, Any] = {
        "accepted_at": NOW,
        "digest": bytes(32),
        "message_id": ID,
        "sender": ANN,
        "client": "client",
        "content": content,
        "octets": codec.encode(content),
        "franked": Franked(verdict=FrankVerdict.ACCOUNTABLE, tag=b"t"),
        "role": view.role(ANN),
    }
    return MessageReceived(**{**fields, **more})


def words(text: str, **more: Any) -> Content:
    extensions = {int(ExtensionKey.SENDER_URI): ANN, **more.pop("extensions", {})}
    part = SinglePart(content_type=PLAIN_TEXT, content=text.encode())
    return Content(salt=bytes(16), body=part, extensions=extensions, **more)


async def page_of(storage: SqliteStorage, view: RoomView, *events: Event) -> Page:
    return await Chronicle(RoomId(ROOM), storage).page(events, view, now=NOW)


def lines(page: Page) -> list[tuple[str, str]]:
    """Return kinds and words of entries."""
    found = []
    for placed in page.entries:
        meaning = read(codec.decode(placed.new.content))
        if isinstance(meaning, RoomEvent):
            found.append((meaning.kind.value, meaning.value))
        else:
            found.append((placed.new.kind, type(meaning).__name__))
    return found


async def test_a_message_is_an_entry_with_its_provenance(
    storage: SqliteStorage, view: RoomView
) -> None:
    content = words("hi", extensions={3: {1: 1_700_000_000, -3: 5}})
    page = await page_of(storage, view, a_message(view, content))
    (placed,) = page.entries
    assert (placed.new.kind, placed.new.author) == ("said", ANN)
    assert placed.new.sent_at == 1_700_000_000_005
    assert placed.provenance is not None
    assert (placed.provenance.sender, placed.provenance.tag) == (ANN, b"t")


@pytest.mark.parametrize("said", [2**60, -5, "soon", True])
async def test_a_time_that_cannot_be_is_the_hubs(
    storage: SqliteStorage, view: RoomView, said: Any
) -> None:
    content = words("hi", extensions={3: {1: said}})
    page = await page_of(storage, view, a_message(view, content))
    assert page.entries[0].new.sent_at in {NOW, Instant(1_000)}


async def test_several_reactions_at_once_are_reactions(
    storage: SqliteStorage, view: RoomView
) -> None:
    smiles = tuple(
        SinglePart(
            content_type=PLAIN_TEXT,
            content=each.encode(),
            disposition=Disposition.REACTION,
        )
        for each in "😀😃"
    )
    body = MultiPart(semantics=PartSemantics.PROCESS_ALL, parts=smiles)
    content = Content(salt=bytes(16), body=body, in_reply_to=ID)
    received = a_message(view, content, message_id=MessageId(b"\x01" + b"r" * 31))
    page = await page_of(storage, view, received)
    assert [each.new.kind for each in page.entries] == ["reacted"]


async def test_what_the_sender_may_not_is_discarded_and_our_own_is_refused(
    storage: SqliteStorage, view: RoomView
) -> None:
    nobody = view.room.roles.role(1)
    received = a_message(view, words("hi"), role=nobody, own=True)
    page = await page_of(storage, view, received)
    assert not page.entries
    assert "canSendMessage" in page.refused[ID]
    assert [each.kind for each in page.notices] == ["discarded"]


async def test_a_message_that_is_there_is_passed_over_in_silence(
    storage: SqliteStorage, view: RoomView
) -> None:
    first = await page_of(storage, view, a_message(view, words("hi")))
    step = Step(
        room=RoomId(ROOM),
        place=0,
        state=MembershipState.ACTIVE,
        group_id=b"",
        entries=first.entries,
    )
    await storage.take_step(step, now=NOW)
    page = await page_of(storage, view, a_message(view, words("hi")))
    assert (page.entries, page.notices, page.refused) == ([], [], {})


async def test_what_nobody_here_can_read_is_shown_as_such(
    storage: SqliteStorage, view: RoomView
) -> None:
    foreign = ForeignReceived(
        accepted_at=NOW,
        digest=bytes(32),
        sender=BEN,
        client="c",
        media_type=MediaType(b"application/x-dance"),
        octets=b"steps",
    )
    page = await page_of(storage, view, foreign)
    (placed,) = page.entries
    meaning = read(codec.decode(placed.new.content))
    assert isinstance(meaning, Said)
    assert placed.new.author == BEN


async def test_people_come_go_and_have_other_roles(
    storage: SqliteStorage, view: RoomView
) -> None:
    changes = (
        RoleChanged(user=BEN, old=0, new=2, by=ANN),
        RoleChanged(user=BEN, old=2, new=3, by=ANN),
        RoleChanged(user=BEN, old=3, new=1, by=ANN),
        RoleChanged(user=BEN, old=2, new=0, by=ANN),
        RoleChanged(user=BEN, old=2, new=0, by=BEN),
    )
    event = ParticipantsChanged(accepted_at=NOW, changes=changes)
    page = await page_of(storage, view, event)
    kinds = [kind for kind, _ in lines(page)]
    assert kinds == ["joined", "notice", "removed", "removed", "left"]
    assert "group_admin" in lines(page)[1][1]
    again = await page_of(storage, view, event)
    assert [each.new.entry for each in again.entries] == [
        each.new.entry for each in page.entries
    ], "told again, these are the same entries"
    assert len({each.new.entry for each in page.entries}) == len(changes)


async def test_who_lost_all_devices_was_kicked(
    storage: SqliteStorage, view: RoomView
) -> None:
    gone = Client("device", ANN, b"")
    there = HubHarness.of(participants=[("ann", 4), ("b.example:ben", 2)]).room.view
    kicked = Client("mimi://b.example/d/ben/1", BEN, b"")
    event = ClientsChanged(accepted_at=NOW, added=(), removed=(gone, kicked), by=ANN)
    page = await page_of(storage, there, event)
    assert [kind for kind, _ in lines(page)] == ["removed"]
    assert page.entries[0].new.author == BEN


async def test_a_new_name_and_subject_are_told(
    storage: SqliteStorage, view: RoomView
) -> None:
    event = MetadataChanged(
        accepted_at=NOW,
        old=RoomMetadata(ROOM),
        new=RoomMetadata(ROOM, "Tea", subject="green"),
        fields=frozenset({"name", "subject"}),
        by=ANN,
    )
    page = await page_of(storage, view, event)
    assert lines(page) == [("name", "Tea"), ("topic", "green")]
    assert page.name == "Tea"


async def test_what_is_about_us_is_no_entry(
    storage: SqliteStorage, view: RoomView
) -> None:
    joined = await page_of(storage, view, Joined(accepted_at=NOW, by=ANN))
    assert joined.state is MembershipState.ACTIVE
    removed = await page_of(storage, view, RemovedFromRoom(accepted_at=NOW, by=ANN))
    assert (removed.state, removed.detail) == (
        MembershipState.LEFT,
        f"removed by {ANN}",
    )
    wanted = await page_of(storage, view, CommitWanted(delay_ms=7))
    assert wanted.commit_in_ms == 7
    lost = await page_of(storage, view, ResyncNeeded(reason="a gap"))
    assert lost.resync == "a gap"
    for page in (joined, removed, wanted, lost):
        assert not page.entries


async def test_operations_end_wishes(storage: SqliteStorage, view: RoomView) -> None:
    fates = {
        Outcome.ACCEPTED: WishFate.DONE,
        Outcome.RACE_LOST: WishFate.AGAIN,
        Outcome.REFUSED: WishFate.DONE,
    }
    for outcome, fate in fates.items():
        settled = OperationSettled(intent=Rotate(), outcome=outcome, reason="no")
        page = await page_of(storage, view, settled)
        assert page.wish is fate
        assert page.state is None
        assert bool(page.notices) is (outcome is Outcome.REFUSED)
    left = OperationSettled(intent=Leave(), outcome=Outcome.ACCEPTED)
    assert (await page_of(storage, view, left)).state is MembershipState.LEFT


async def test_trouble_is_noted_for_people(
    storage: SqliteStorage, view: RoomView
) -> None:
    page = await page_of(
        storage,
        view,
        PolicyChanged(accepted_at=NOW, components=(0x27,), by=ANN),
        Violation(
            accepted_at=NOW, slug="policy.denied", detail="x" * 999, evidence=b"e"
        ),
        SendingFrozen(accepted_at=NOW, clients=(Client("c", BEN, b""),)),
        Discarded(accepted_at=NOW, why=Why.BAD_TAG, sender=BEN),
        MessageRefused(message_id=ID, octets=b"", again=False),
        MessageRefused(message_id=ID, octets=b"", again=True),
        Duplicate(accepted_at=NOW, digest=b""),
        NotForUs(accepted_at=NOW, digest=b""),
    )
    assert [each.kind for each in page.notices] == [
        "policy-changed",
        "violation",
        "sending-frozen",
        "discarded",
    ]
    assert page.notices[1].evidence == b"e"
    assert len(page.notices[1].detail) == 500
    assert list(page.refused) == [ID]


async def test_receipts_are_taken(storage: SqliteStorage, view: RoomView) -> None:
    told = StatusReceived(
        accepted_at=NOW, digest=b"", sender=BEN, client="c", reports=((ID, 2),)
    )
    (receipt,) = (await page_of(storage, view, told)).receipts
    assert (receipt.user, receipt.status) == (BEN, 2)


async def test_evidence_has_a_limit(storage: SqliteStorage, view: RoomView) -> None:
    event = Violation(accepted_at=NOW, slug="x", detail="y", evidence=bytes(70_000))
    (notice,) = (await page_of(storage, view, event)).notices
    assert notice.evidence == b""
    assert "70000 octets" in notice.detail
