"""The highest status counts; typing never says that something was read."""

from sabir.networks.api import ChatId, Delivered, NativeId, Read
from sabir.networks.whatsapp.envelope import Status
from sabir.networks.whatsapp.signals import CHATS_KEPT_MAX, Marks, Receipts

ANN = ChatId("15557654321")


def status(state: str, native_id: str = "wamid.1", person: str = ANN) -> Status:
    return Status(chat=ANN, native_id=NativeId(native_id), state=state, person=person)


def test_each_status_is_told_once_and_never_backwards() -> None:
    receipts = Receipts()
    told = [
        type(signal)
        for state in ("sent", "delivered", "delivered", "read", "delivered", "odd")
        if (signal := receipts.signal(status(state), "Ann")) is not None
    ]
    assert told == [Delivered, Read]


def test_a_voice_message_that_was_played_was_read() -> None:
    found = Receipts().signal(status("played"), "")
    assert isinstance(found, Read)
    assert found.person.name == f"+{ANN}"


def test_without_a_person_nobody_read_it() -> None:
    assert Receipts().signal(status("read", person=""), "") is None


def test_typing_waits_until_the_last_message_was_read() -> None:
    marks = Marks()
    assert marks.to_type(ANN) is None
    marks.came(ANN, "wamid.1")
    assert marks.to_type(ANN) is None
    assert marks.to_mark(ANN, "wamid.1")
    assert not marks.to_mark(ANN, "wamid.1")
    assert marks.to_type(ANN) == "wamid.1"
    marks.came(ANN, "wamid.2")
    assert marks.to_type(ANN) is None
    marks.unmark(ANN)
    assert marks.to_mark(ANN, "wamid.1")


def test_groups_show_no_typing_and_old_chats_are_forgotten() -> None:
    marks, group = Marks(), ChatId("group:Y2FwaV9ncm91cDox")
    marks.came(group, "wamid.1")
    marks.to_mark(group, "wamid.1")
    assert marks.to_type(group) is None
    for number in range(CHATS_KEPT_MAX):
        marks.to_mark(ChatId(f"{10_000_000 + number}"), "wamid.1")
    assert marks.to_mark(group, "wamid.1")
