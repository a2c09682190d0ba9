"""People of a linked chat in the room: listed, vouched for, and bound by its rules."""

from pathlib import Path

import pytest

from sabir.agent.membership import session
from sabir.agent.membership.showing import GhostView
from sabir.agent.membership.timeline_view import Row, Via, rows_after
from sabir.mimi.ghosts import ghost_uri
from sabir.storage.records import RoomId
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.people import Person, Street, say
from tests.unit.agent.membership.test_membership import a_room
from tests.unit.agent.membership.test_portals import CHAT, Gateway

NETWORK = "memory-a"


async def listed(person: Person, room: RoomId) -> dict[str, GhostView]:
    """Return the ghosts whom somebody sees, by the name they see."""
    shown = await person.desk.show(room)
    return {each.name: each.ghost for each in shown.participants if each.ghost}


async def sees_only(person: Person, room: RoomId, *names: str) -> None:
    async def so() -> bool:
        return set(await listed(person, room)) == set(names)

    await eventually(so)


async def row_of(person: Person, room: RoomId, text: str) -> Row:
    rows = await rows_after(person.storage, room, 0)
    return next(row for row in rows if row.text == text)


async def speaks(gateway: Gateway, hearer: Person, room: RoomId, who: str) -> None:
    """Let somebody of the chat say something, and be listed for it."""
    gateway.server.says(CHAT, who, f"{who} is here")
    await hearer.has(room, f"{who} is here")


async def test_who_speaks_is_listed_by_network_native_id_and_gateway(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        await speaks(gateway, ben, room, "zoe")
        await speaks(gateway, ben, room, "yan")
        for person in (ann, ben):
            await sees_only(person, room, "zoe", "yan")
            assert (await listed(person, room))["zoe"] == GhostView(
                network=NETWORK, native="zoe", gateway=ann.user, is_connected=True
            )
            row = await row_of(person, room, "zoe is here")
            assert row.via == Via(
                network=NETWORK, account="a", native="zoe", gateway=ann.user
            )
        assert {kind for kind, _ in await ben.happenings(room)} == {"said"}
        await ben.desk.post(room, say("and I"))
        await ann.has(room, "and I")
        assert (await row_of(ann, room, "and I")).via is None


async def test_who_is_banned_is_heard_no_more_and_holds_nobody_up(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ben, tmp_path).running() as gateway:
        await ann.desk.set_role(room, ben.user, 3)
        await gateway.link(room)
        await speaks(gateway, ann, room, "zoe")
        await sees_only(ann, room, "zoe")
        zoe = ghost_uri(ben.user, NETWORK, "zoe")
        await ann.desk.ban(room, zoe)

        async def is_banned() -> bool:
            shown = await ben.desk.show(room)
            return any(p.user == zoe and p.role == 1 for p in shown.participants)

        await eventually(is_banned)
        for number in range(20):
            gateway.server.says(CHAT, "zoe", f"rude {number}")
            gateway.server.says(CHAT, "yan", f"polite {number}")
        await ann.has(room, *(f"polite {number}" for number in range(20)))
        assert not any("rude" in text for text in await ann.texts(room))
        assert not any("rude" in text for text in await ben.texts(room))
        (counts,) = await ben.storage.counts()
        assert (counts.rejected_in, counts.waiting_in) == (20, 0)


async def test_a_gateway_that_lets_the_banned_speak_is_caught(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ben, tmp_path).running() as gateway:
        await gateway.link(room)
        await speaks(gateway, ann, room, "zoe")
        await sees_only(ann, room, "zoe")
        await ann.desk.ban(room, ghost_uri(ben.user, NETWORK, "zoe"))
        monkeypatch.setattr(session, "refusal", lambda *_: "")
        gateway.server.says(CHAT, "zoe", "rude")
        gateway.server.says(CHAT, "yan", "polite")
        await ann.has(room, "polite")
        assert "rude" not in await ann.texts(room)
        assert "rude" not in await ben.texts(room)
        notices = await ann.storage.notices(room=room, count_max=9)
        assert any("MIMI-402" in each.detail for each in notices)


async def test_with_the_chat_its_people_go_and_with_us_too(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        await speaks(gateway, ben, room, "zoe")
        await sees_only(ben, room, "zoe")
        (portal,) = (await gateway.agent.view()).portals
        await gateway.agent.unlink(portal.id)
        await sees_only(ben, room)
        await gateway.link(room)
        await speaks(gateway, ben, room, "yan")
        await sees_only(ben, room, "yan")
    await ann.desk.leave(room)
    await sees_only(ben, room)


async def test_who_leaves_the_chat_leaves_the_list(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    async with Gateway(ann, tmp_path).running() as gateway:
        await gateway.link(room)
        await speaks(gateway, ben, room, "zoe")
        await sees_only(ben, room, "zoe")
        gateway.server.leaves(CHAT, "zoe")
        await sees_only(ben, room)
