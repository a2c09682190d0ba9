"""Real providers whose own operators cheat: they write into their databases.

Everything else is honest and real: TLS between the providers, their queues, tokens and
streams, and agents with their own databases. `test_malice.py` has more ways to cheat,
over a carrier in memory.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sabir.mimi.member.intents import Rotate
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_message
from sabir.mimi.structs.fields import decode_whole
from sabir.mimi.structs.submit import Frank
from sabir.provider.config import Address
from sabir.storage.provider.records import QueueState
from sabir.storage.records import RoomId
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.resident import Resident
from tests.unit.provider.town import LOOPBACK, Site, Town


@contextmanager
def written(site: Site) -> Iterator[sqlite3.Connection]:
    """Write into a provider's database behind its back."""
    path = site.config.data_dir / "provider.db"
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def set_queue(hub: Site, room: RoomId, state: QueueState) -> None:
    """Hold what a hub has for Ben's provider, or let it go."""
    with written(hub) as db:
        db.execute(
            "INSERT INTO queues (room, follower, state) VALUES (?, 'b.example', ?)"
            " ON CONFLICT DO UPDATE SET state = excluded.state",
            (room, state),
        )
    hub.provider.core.fanout.wake()


def latest(site: Site, room: RoomId, count: int) -> list[tuple[int, FanoutMessage]]:
    """Return the last messages that a provider stores of a room, oldest first."""
    with written(site) as db:
        rows = db.execute(
            "SELECT id, octets FROM messages WHERE room = ? AND kind = 'room.message'"
            " ORDER BY id DESC LIMIT ?",
            (room, count),
        ).fetchall()
    return [(id_, decode_whole(raw, read_fanout_message)) for id_, raw in rows[::-1]]


def rewrite(site: Site, id_: int, message: FanoutMessage) -> None:
    with written(site) as db:
        db.execute(
            "UPDATE messages SET octets = ?, accepted_at = ?, digest = ? WHERE id = ?",
            (message.encode(), message.accepted_at, message.digest, id_),
        )


async def noticed(person: Resident, room: RoomId, *words: str) -> None:
    async def so() -> bool:
        shown = await person.desk.show(room)
        text = " ".join(each.detail for each in shown.notices)
        return all(word in text for word in words)

    await eventually(so)


@pytest.fixture
async def room(people: dict[str, Resident]) -> RoomId:
    """Ann's room at a.example, with Ben of b.example in it."""
    ann, ben = people["ann"], people["ben"]
    await ann.move_in()
    await ben.move_in()
    await ben.desk.consent(ann.user)
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ann.say(room, "hello")
    await ben.has(room, "hello")
    return room


async def test_a_hub_that_drops_a_message_is_found_out(
    people: dict[str, Resident], town: Town, room: RoomId
) -> None:
    ann, ben, hub = people["ann"], people["ben"], town.sites["a.example"]
    set_queue(hub, room, QueueState.PAUSED)
    for text in ("one", "two", "three"):
        await ann.say(room, text)
    (_, (dropped, _), _) = latest(hub, room, 3)
    with written(hub) as db:
        gone = db.execute("DELETE FROM outbox WHERE message = ?", (dropped,))
        assert gone.rowcount == 1
    set_queue(hub, room, QueueState.OPEN)
    await ben.has(room, "one", "three")
    await noticed(ben, room, "1 message(s) of", "did not come")
    assert "two" not in await ben.texts(room)


async def test_a_hub_that_changes_the_order_is_found_out(
    people: dict[str, Resident], town: Town, room: RoomId
) -> None:
    ann, ben, hub = people["ann"], people["ben"], town.sites["a.example"]
    set_queue(hub, room, QueueState.PAUSED)
    for text in ("one", "two"):
        await ann.say(room, text)
    (first, one), (second, two) = latest(hub, room, 2)
    rewrite(hub, first, replace(one, accepted_at=1))  # out of the other's way
    # With times to match, so that only the sender's own count tells.
    rewrite(hub, second, replace(one, accepted_at=two.accepted_at))
    rewrite(hub, first, replace(two, accepted_at=one.accepted_at))
    set_queue(hub, room, QueueState.OPEN)
    await ben.has(room, "one", "two")
    await noticed(ben, room, "changed the order")
    # Nor does its frank count any more: it is of another time.
    entries = await ben.storage.after(room, 0, count_max=99)
    origins = await ben.storage.provenance([each.entry for each in entries[-2:]])
    assert {each.verdict for each in origins.values()} == {"not-accountable"}


async def test_a_hub_that_forks_a_room_is_found_out(
    people: dict[str, Resident], town: Town, room: RoomId
) -> None:
    """It shows Ann one commit and Ben another one, of the same epoch."""
    ann, ben, hub = people["ann"], people["ben"], town.sites["a.example"]
    with written(hub) as db:
        (before,) = db.execute(
            "SELECT state FROM rooms WHERE room = ?", (room,)
        ).fetchone()
    set_queue(hub, room, QueueState.PAUSED)
    await ann.desk.rename(room, "Coffee")
    with written(hub) as db:
        db.execute("DELETE FROM outbox WHERE room = ?", (room,))
        db.execute("UPDATE rooms SET state = ? WHERE room = ?", (before, room))
    agents = Address(host=LOOPBACK, port=hub.provider.agents_port)
    hub.config = replace(hub.config, agents=agents)
    hub = await town.restart("a.example")
    set_queue(hub, room, QueueState.OPEN)
    await ben.desk.membership.session(room).want(Rotate())
    here, there = await ann.desk.show(room), await ben.desk.show(room)
    assert here.epoch == there.epoch
    assert here.fingerprint != there.fingerprint, "people who compare would see it"
    await ben.say(room, "can you hear me?")
    await noticed(ann, room, "no key of ours opens a message")
    assert "can you hear me?" not in await ann.texts(room)


Lie = Callable[[FanoutMessage], FanoutMessage]


@pytest.mark.parametrize(
    "lie",
    [
        lambda message: replace(message, frank=Frank(bytes(32), 1, bytes(64))),
        lambda message: replace(message, frank=None),
        lambda message: replace(message, accepted_at=message.accepted_at + 1_000),
    ],
    ids=["another frank", "no frank", "another time"],
)
async def test_a_follower_that_changes_the_hubs_word_is_not_believed(
    people: dict[str, Resident], town: Town, room: RoomId, lie: Lie
) -> None:
    ann, ben = people["ann"], people["ben"]
    message = await said_while_away(ann, ben, town, room, "pay 100")
    rewrite(town.sites["b.example"], message[0], lie(message[1]))
    await ben.come_back()
    await ben.has(room, "pay 100")
    entries = await ben.storage.after(room, 0, count_max=99)
    origins = await ben.storage.provenance([entries[-1].entry])
    assert [each.verdict != "accountable" for each in origins.values()] == [True]


async def test_a_follower_that_swallows_is_found_out(
    people: dict[str, Resident], town: Town, room: RoomId
) -> None:
    ann, ben = people["ann"], people["ben"]
    (id_, _) = await said_while_away(ann, ben, town, room, "swallowed")
    with written(town.sites["b.example"]) as db:
        gone = db.execute("DELETE FROM events WHERE message = ?", (id_,))
        assert gone.rowcount == 1
    await ben.come_back()
    await ann.say(room, "after")
    await ben.has(room, "after")
    await noticed(ben, room, "1 message(s) of", "did not come")


async def said_while_away(
    ann: Resident, ben: Resident, town: Town, room: RoomId, text: str
) -> tuple[int, FanoutMessage]:
    """Let Ann say something that waits at Ben's provider, and return it."""
    before = latest(town.sites["b.example"], room, 1)
    await ben.stop()
    await ann.say(room, text)

    def arrived() -> bool:
        return latest(town.sites["b.example"], room, 1) != before

    await eventually(arrived)
    (found,) = latest(town.sites["b.example"], room, 1)
    return found
