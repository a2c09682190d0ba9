"""A chat of a network in a room at a provider: end-to-end encrypted to others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.agent.membership import rooms as rooms_module
from sabir.agent.membership.api import ApiRefused
from sabir.content.meaning import MediaKind
from sabir.errors import PolicyRefused, Unavailable
from sabir.storage.records import RoomId
from sabir.testing.clock import LoopClock
from sabir.testing.memory_network import RICH, MemoryConnector, MemoryServer
from sabir.testing.rng import SeededRng
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.people import Person, Street, say
from tests.unit.agent.membership.test_membership import a_room

CHAT = "chat"


class Gateway:
    """Somebody's agent with an account on a network."""

    def __init__(self, person: Person, folder: Path) -> None:
        clock = LoopClock()
        self.server = MemoryServer(clock)
        self.server.chat(CHAT, name="Tea")
        connector = MemoryConnector(self.server, "bridge", capabilities=RICH)
        account = AccountConnector(id="a", network="memory-a", connector=connector)
        self.agent = Agent(
            person.storage,
            [account],
            spool_folder=folder / "media",
            owner="test",
            clock=clock,
            rng=SeededRng(7),
        )
        self.agent.use_provider(person.desk.rooms)
        person.on_entries = self.agent.ring_room

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.agent.run())
            try:
                await self.agent.started.wait()
                yield self
            finally:
                task.cancel()

    async def link(self, room: RoomId) -> None:
        await self.agent.link([ChatAddress(account="a", chat=CHAT)], room=room)

    def sent(self) -> list[str]:
        return [each.payload.decode() for each in self.server.sent(CHAT)]


async def test_a_chat_and_a_room_hear_each_other(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        gateway.server.says(CHAT, "zoe", "from the network")
        await ben.has(room, "from the network")
        await ben.desk.post(room, say("from the room"))
        await eventually(
            lambda: any("from the room" in each for each in gateway.sent())
        )
        authors = [each for _, each in await ben.happenings(room)]
        assert "zoe" in authors
        assert not any("from the network" in each for each in gateway.sent())


async def test_everybody_is_told_who_can_read_before_a_chat_is_linked(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    told = (
        'From now on this room is linked with the memory-a chat "Tea". What is said'
        " here can be read there: by that chat's members and servers, and by the Sabir"
        " that links it."
    )
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        assert await ann.texts(room) == [told]
        await ben.has(room, told)
        await ben.desk.post(room, say("good to know"))
        await eventually(lambda: any("good to know" in each for each in gateway.sent()))
        assert not any("From now on" in each for each in gateway.sent())


async def test_where_nobody_can_be_told_nothing_is_linked(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, (ann, _) = await a_room(street, "ann", "b.example:ben")
    monkeypatch.setattr(rooms_module, "ANSWER_WAIT_S", 0.05)

    def down(when: str, name: str) -> None:
        if name == "submit":
            raise Unavailable("the hub does not answer")

    ann.api.trouble = down
    async with Gateway(ann, tmp_path).running() as gateway:
        with pytest.raises(Unavailable, match="cannot be told"):
            await gateway.link(room)
        assert not (await gateway.agent.view()).portals


async def test_a_chat_is_not_linked_into_a_room_that_we_are_not_in(
    street: Street, tmp_path: Path
) -> None:
    (ann,) = await street.moves_in("ann")
    async with Gateway(ann, tmp_path).running() as gateway:
        with pytest.raises(PolicyRefused, match="not in"):
            await gateway.link(RoomId("mimi://a.example/r/elsewhere"))


async def test_files_pass_both_ways(street: Street, tmp_path: Path) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    data = bytes(range(256)) * 300
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        gateway.server.sends_file(
            CHAT,
            "zoe",
            data,
            filename="p.png",
            content_type="image/png",
            kind=MediaKind.IMAGE,
            caption="from the network",
        )
        await ben.has(room, "from the network")
        entries = await ben.storage.after(room, 0, count_max=9)
        target = tmp_path / "got.png"
        assert await ben.desk.save_file(room, entries[-1], target) == len(data)
        assert target.read_bytes() == data
        other = tmp_path / "q.png"
        other.write_bytes(data[::-1])
        await ben.desk.send_file(room, other)
        await eventually(lambda: "q.png" in " ".join(gateway.sent()))
        assert data[::-1] in gateway.server.files.values()


async def test_a_file_that_the_provider_refuses_is_named_in_its_place(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    ann.api.trouble = refusing("upload")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        gateway.server.sends_file(CHAT, "zoe", b"data", filename="p.bin")
        gateway.server.says(CHAT, "zoe", "after")
        await ben.has(room, "after")
        _, first, *_ = await ben.texts(room)  # behind what tells of the link
        assert first.startswith("[p.bin: ")
        assert "not from there" in first


async def test_a_file_that_cannot_be_fetched_does_not_stop_the_chat(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        paper = tmp_path / "paper.txt"
        paper.write_bytes(b"paper")
        ann.api.trouble = refusing("download")
        await ben.desk.send_file(room, paper)
        await ben.desk.post(room, say("after"))
        await eventually(lambda: "after" in " ".join(gateway.sent()))


def refusing(*names: str) -> Callable[[str, str], None]:
    def trouble(when: str, name: str) -> None:
        if when == "ask" and name in names:
            raise ApiRefused("asset-target-not-allowed", "not from there", 403)

    return trouble
