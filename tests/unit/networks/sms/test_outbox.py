"""What was sent, and what receipts say of it."""

from datetime import UTC, datetime

import pytest

from sabir.clock import Instant
from sabir.networks.api import ChatId, IdempotencyKey
from sabir.networks.sms.outbox import SLOTS_MAX, UNCLAIMED_MAX, UNCLAIMED_MS, Outbox
from sabir.networks.sms.receipts import Fate, Receipt
from sabir.networks.sms.records import PartState, Record

NOW = Instant(int(datetime(2026, 1, 2, 23, 59, 30, tzinfo=UTC).timestamp() * 1000))
CHAT = ChatId("+1")


def opened(outbox: Outbox, key: str = "k", *parts: str, chat: str = CHAT) -> Record:
    return outbox.open(
        IdempotencyKey(key),
        ChatId(chat),
        "".join(parts) or "hello",
        parts or ("hello",),
        first_reference=250,
        now=NOW,
    )


def receipt(
    message_id: str = "7",
    fate: Fate = Fate.DELIVERED,
    start: str = "",
    submitted: str = "",
    reference: int | None = None,
) -> Receipt:
    return Receipt(
        message_id=message_id,
        fate=fate,
        word="x",
        start=start,
        submitted=submitted,
        reference=reference,
    )


def sent(outbox: Outbox, record: Record, *ids: str) -> None:
    for at, message_id in enumerate(ids):
        outbox.sending(record, at, NOW)
        outbox.accepted(record, at, message_id)


def doubted(outbox: Outbox, key: str = "k", *parts: str) -> Record:
    record = opened(outbox, key, *parts)
    outbox.sending(record, 0, NOW)
    return record


def test_a_piece_has_one_record() -> None:
    outbox = Outbox()
    assert opened(outbox) is opened(outbox)


def test_references_count_per_chat() -> None:
    outbox = Outbox()
    first = [opened(outbox, f"k{n}").reference for n in range(7)]
    other = opened(outbox, "o", chat="+2").reference
    assert first == [250, 251, 252, 253, 254, 255, 0]
    assert other == 250


def test_all_parts_make_a_delivery() -> None:
    outbox = Outbox()
    record = opened(outbox, "k", "one", "two")
    sent(outbox, record, "7", "8")
    assert outbox.receipt(CHAT, receipt("7"), NOW) == []
    (change,) = outbox.receipt(CHAT, receipt("0008"), NOW)
    assert change.fate is Fate.DELIVERED
    assert outbox.receipt(CHAT, receipt("8", Fate.FAILED), NOW) == []


def test_a_failure_is_told_once_and_may_turn() -> None:
    outbox = Outbox()
    record = opened(outbox)
    sent(outbox, record, "7")
    (change,) = outbox.receipt(CHAT, receipt("7", Fate.FAILED), NOW)
    outbox.told(record, change.fate)
    assert outbox.receipt(CHAT, receipt("7", Fate.FAILED), NOW) == []
    (change,) = outbox.receipt(CHAT, receipt("7"), NOW)
    assert change.fate is Fate.DELIVERED


def test_on_the_way_says_nothing() -> None:
    outbox = Outbox()
    sent(outbox, opened(outbox), "7")
    assert outbox.receipt(CHAT, receipt("7", Fate.UNDERWAY), NOW) == []


@pytest.mark.parametrize(("ours", "theirs"), [("1000", "3E8"), ("3e8", "1000")])
def test_the_other_base_is_the_same_id(ours: str, theirs: str) -> None:
    outbox = Outbox()
    sent(outbox, opened(outbox), ours)
    assert outbox.receipt(CHAT, receipt(theirs), NOW)


def test_a_receipt_before_the_answer_waits_for_it() -> None:
    outbox = Outbox()
    record = opened(outbox)
    outbox.sending(record, 0, NOW)
    outbox.live.add((record.key, 0))
    assert outbox.receipt(CHAT, receipt("7"), NOW) == []
    assert outbox.receipt(CHAT, receipt("7"), NOW) == []
    (change,) = outbox.accepted(record, 0, "7")
    assert change.fate is Fate.DELIVERED
    assert outbox.accepted(record, 0, "7") == []


@pytest.mark.parametrize(
    "said",
    [
        {"start": "hello"},
        {"submitted": "2601022359"},
        {"submitted": "2601030000"},
        {"submitted": "2601021859"},
        {"submitted": "2601030529", "start": "hell"},
        {"reference": 0},
    ],
)
def test_a_doubt_is_settled_by_what_only_it_can_be(said: dict[str, object]) -> None:
    outbox = Outbox()
    record = doubted(outbox)
    changes = outbox.receipt(CHAT, receipt(**said), NOW)  # type: ignore[arg-type]  # its own keywords
    assert [change.accepted for change in changes] == [True, False]
    assert record.is_accepted
    assert record.parts[0].message_id == "7"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"start": "other"},
        {"submitted": "2601022350"},
        {"submitted": "2601032359"},
        {"submitted": "2699999999"},
        {"start": "hello", "submitted": "2501022359"},
        {"reference": 9},
    ],
)
def test_a_doubt_stays_with_what_may_be_anything(said: dict[str, object]) -> None:
    outbox = Outbox()
    record = doubted(outbox)
    assert outbox.receipt(CHAT, receipt(**said), NOW) == []  # type: ignore[arg-type]  # its own keywords
    assert outbox.doubtful(record) == [0]


def test_two_alike_in_doubt_stay_so() -> None:
    outbox = Outbox()
    doubted(outbox, "k1")
    doubted(outbox, "k2")
    assert outbox.receipt(CHAT, receipt(start="hello"), NOW) == []


def test_one_that_waits_for_its_answer_may_be_meant() -> None:
    outbox = Outbox()
    doubted(outbox, "k1")
    live = doubted(outbox, "k2")
    outbox.live.add((live.key, 0))
    assert outbox.receipt(CHAT, receipt(start="hello"), NOW) == []
    assert outbox.accepted(live, 0, "7")


def test_a_receipt_that_came_before_the_doubt_settles_it() -> None:
    outbox = Outbox()
    record = opened(outbox)
    outbox.sending(record, 0, NOW)
    outbox.live.add((record.key, 0))
    outbox.receipt(CHAT, receipt(start="hello"), NOW)
    outbox.receipt(ChatId("+2"), receipt(start="hello"), NOW)
    outbox.live.clear()
    assert [c.accepted for c in outbox.settle_doubts(record)] == [True, False]
    assert outbox.settle_doubts(record) == []


def test_no_ascii_no_likeness() -> None:
    outbox = Outbox()
    doubted(outbox, "k", "жж")
    assert outbox.receipt(CHAT, receipt(start="??"), NOW) == []


def test_the_rest_of_a_long_message_is_still_to_go() -> None:
    outbox = Outbox()
    record = doubted(outbox, "k", "one", "two")
    assert outbox.receipt(CHAT, receipt(start="one"), NOW) == []
    assert record.parts[0].state is PartState.ACCEPTED
    assert not record.is_accepted


def test_a_refusal_takes_the_doubt() -> None:
    outbox = Outbox()
    record = doubted(outbox)
    outbox.refused(record, 0)
    assert record.sending == []


def test_slots_are_used_again_and_what_is_lost_is_known() -> None:
    outbox = Outbox()
    first = doubted(outbox, "first")
    for number in range(SLOTS_MAX - 1):
        sent(outbox, opened(outbox, f"k{number}"), str(number))
    assert not outbox.forgot(NOW)
    opened(outbox, "one more")
    assert outbox.find(first.key) is first
    assert outbox.find(IdempotencyKey("k0")) is None
    assert outbox.forgot(NOW)
    assert not outbox.forgot(Instant(NOW + 1))
    assert outbox.receipt(CHAT, receipt("0"), NOW) == []


def test_unclaimed_receipts_have_bounds() -> None:
    outbox = Outbox()
    for number in range(UNCLAIMED_MAX + 5):
        outbox.receipt(CHAT, receipt(str(1000 + number)), NOW)
    record = opened(outbox)
    outbox.sending(record, 0, NOW)
    assert outbox.accepted(record, 0, "1000") == []
    outbox.changed()
    outbox.prune(Instant(NOW + UNCLAIMED_MS))
    assert not outbox.changed()
    outbox.prune(Instant(NOW + UNCLAIMED_MS + 1))
    assert outbox.changed() == {"unclaimed": "[]"}


def test_it_survives_on_disk() -> None:
    outbox = Outbox()
    sent(outbox, opened(outbox, "k", "one", "two"), "7", "8")
    doubted(outbox, "d")
    outbox.receipt(CHAT, receipt("99"), NOW)
    disk = outbox.changed()
    assert outbox.changed() == {}
    outbox.again({**disk, "group.1": ""})
    assert outbox.changed() == disk
    slots = [disk[f"out.{n}"] for n in range(Outbox.slots_in(disk["out"]))]
    loaded = Outbox.load(disk["out"], slots, disk["unclaimed"])
    record = loaded.find(IdempotencyKey("k"))
    assert record is not None
    assert record.is_accepted
    assert loaded.receipt(CHAT, receipt("7"), NOW) == []
    assert loaded.receipt(CHAT, receipt("8"), NOW)[0].fate is Fate.DELIVERED
    again = loaded.find(IdempotencyKey("d"))
    assert again is not None
    assert loaded.doubtful(again) == [0]
    assert loaded.accepted(again, 0, "99")
    assert opened(loaded, "new").order > again.order
    assert Outbox.slots_in(None) == 0
