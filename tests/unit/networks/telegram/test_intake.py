"""From updates to the events of open chats, and what is learned on the way."""

from typing import Any

import pytest

from sabir.clock import Instant
from sabir.errors import StorageFailed
from sabir.networks.api import ChatId
from sabir.networks.telegram import directory
from sabir.networks.telegram.directory import Directory
from sabir.networks.telegram.intake import CURSOR, Intake
from sabir.networks.telegram.names import Place
from sabir.testing.clock import VirtualClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from tests.unit.networks.telegram.bench import ANN, BASIC, CHAT, GROUP

TEA = {"id": GROUP, "type": "supergroup", "title": "Tea"}


def update(number: int, **message: Any) -> dict[str, Any]:
    known = {"message_id": number, "date": 1, "chat": TEA, "from": ANN}
    return {"update_id": number, "message": {**known, **message}}


class Scene:
    def __init__(self, *chats: str) -> None:
        portals = [ChatId(chat) for chat in chats or (CHAT,)]
        self.host = RecordingHost(
            clock=VirtualClock(Instant(5_000)), rng=SeededRng(), chats=portals
        )
        self.directory = Directory(self.host)
        self.intake = Intake(self.host, self.directory, bot=4242)

    async def takes(self, *updates: Any) -> list[str]:
        await self.intake.take(updates, late=False)
        return [event.native_id for event in self.host.events]


async def test_events_and_cursor_are_one_take() -> None:
    scene = Scene()
    assert await scene.intake.take([update(1), update(2)], late=True) == 2
    (events,) = scene.host.takes
    assert [event.native_id for event in events] == ["1", "2"]
    assert all(event.late for event in events)
    assert scene.host.cursors == {CURSOR: "2@5000"}


async def test_nothing_is_taken_when_nothing_came() -> None:
    scene = Scene()
    assert await scene.intake.take([], late=False) is None
    assert not scene.host.takes


async def test_a_take_that_fails_is_told() -> None:
    scene = Scene()
    scene.host.fail_takes = 1
    with pytest.raises(StorageFailed):
        await scene.intake.take([update(1)], late=False)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        {},
        {"update_id": True, "message": {}},
        {"update_id": 1},
        {"update_id": 1, "message": None},
        {"update_id": 1, "message": {"chat": {"id": "x"}}},
        {"update_id": 1, "message": {"chat": TEA, "message_id": 0}},
        {"update_id": 1, "message": {"chat": {**TEA, "id": True}, "message_id": 3}},
        {"update_id": 1, "poll": {}},
    ],
)
async def test_an_update_of_another_form_holds_up_nothing(odd: Any) -> None:
    assert await Scene().takes(odd, update(2)) == ["2"]


async def test_half_a_surrogate_pair_does_not_stop_an_event() -> None:
    scene = Scene()
    await scene.takes(update(1, text="\ud800"))
    assert b"?" in scene.host.events[0].payload


async def test_an_event_beyond_the_limit_is_cut_so_that_it_is_refused() -> None:
    scene = Scene()
    await scene.takes(update(1, text="x" * 2_000_000))
    assert len(scene.host.events[0].payload) == 1_048_577


async def test_a_closed_chat_is_not_handed_on() -> None:
    scene = Scene()
    scene.intake.close(CHAT)
    assert await scene.takes(update(1)) == []
    scene.intake.open(CHAT)
    assert await scene.takes(update(2)) == ["2"]


async def test_two_topics_without_a_portal_are_their_groups() -> None:
    scene = Scene(CHAT, f"{CHAT}/3")
    inside = {"is_topic_message": True, "message_thread_id": 4}
    await scene.takes(update(5, **inside))
    assert scene.host.events[0].chat == CHAT


async def test_what_is_known_of_chats_is_kept() -> None:
    scene = Scene()
    await scene.takes(update(1), update(2, chat={**TEA, "is_forum": True}))
    again = Directory(scene.host)
    await again.load()
    assert [info.name for info in again.list()] == ["Tea"]
    assert again.is_forum(CHAT)
    assert not again.is_forum(ChatId("user:9"))


async def test_of_many_chats_the_newest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory, "CHATS_MAX", 2)
    scene = Scene()
    for number in (1, 2, 3):
        person = {"id": number, "type": "private", "first_name": f"P{number}"}
        await scene.takes(update(number, chat=person))
    assert [info.name for info in scene.directory.list()] == ["P2", "P3"]


async def test_a_move_is_known_from_both_ends() -> None:
    basic = {"id": BASIC, "type": "group", "title": "Tea"}
    for said in (
        update(1, chat=basic, migrate_to_chat_id=GROUP),
        update(1, migrate_from_chat_id=BASIC),
    ):
        scene = Scene("chat:77")
        await scene.takes(said)
        assert scene.directory.place(ChatId("chat:77")) == Place(GROUP)
        assert scene.directory.former(CHAT) == "chat:77"
        assert "2" in await scene.takes(update(2))
        assert {event.chat for event in scene.host.events} == {"chat:77"}


async def test_a_portal_of_the_supergroup_comes_before_one_of_the_old_group() -> None:
    scene = Scene("chat:77", CHAT)
    await scene.takes(update(1, migrate_from_chat_id=BASIC))
    assert scene.host.events[0].chat == CHAT
