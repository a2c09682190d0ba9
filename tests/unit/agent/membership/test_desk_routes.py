"""The owner's door to rooms: every route, with agents at real providers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sabir.agent.control import explained
from sabir.agent.desk_control import TEXT_CHARS_MAX, DeskRoutes, homeless_routes
from sabir.mimi.codepoints import SearchType
from sabir.storage.provider.records import Identifier
from sabir.storage.records import RoomId
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.resident import Resident


class Door:
    """The control routes of one resident."""

    def __init__(
        self, client: "TestClient[web.Request, web.Application]", who: Resident
    ) -> None:
        self._client = client
        self.who = who

    async def get(self, where: str, /, **query: Any) -> Any:
        answer = await self._client.get(where, params=query)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def post(self, where: str, /, **body: Any) -> Any:
        answer = await self._client.post(where, json=body)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def refused(self, where: str, /, **body: Any) -> str:
        answer = await self._client.post(where, json=body)
        assert answer.status == 422, await answer.text()
        return str((await answer.json())["detail"])

    async def rows(self, room: str, after: int = 0, **query: Any) -> Any:
        return await self.get("/rooms/timeline", room=room, after=after, **query)

    async def row(self, room: str, text: str) -> Any:
        """Return the row with a text, when it is there."""
        found: list[Any] = []

        async def there() -> bool:
            found[:] = [r for r in await self.rows(room) if r["text"] == text]
            return bool(found)

        await eventually(there)
        return found[0]


def application(routes: list[web.RouteDef]) -> web.Application:
    app = web.Application(middlewares=[explained])
    app.router.add_routes(routes)
    return app


@asynccontextmanager
async def door_of(who: Resident) -> AsyncIterator[Door]:
    app = application(DeskRoutes(who.desk, who.storage).routes())
    async with TestClient(TestServer(app)) as client:
        yield Door(client, who)


async def is_found_by(who: Resident, handle: str) -> None:
    """Let somebody be found by a handle."""
    entry = Identifier(
        search_type=SearchType.HANDLE, value=handle, searchable=True, verified=True
    )
    await who.site.store.set_identifiers(who.user, [entry])


@pytest.fixture
async def doors(people: dict[str, Resident]) -> AsyncIterator[tuple[Door, Door]]:
    ann, ben = people["ann"], people["ben"]
    for who in (ann, ben):
        await who.move_in()
        await is_found_by(who, who.name)
    async with door_of(ann) as a, door_of(ben) as b:
        yield a, b


async def shared(a: Door, b: Door, template: str = "moderated") -> RoomId:
    """Make a room of Ann in which Ben is."""
    room = (await a.post("/rooms", name="Tea", template=template))["room"]
    await b.post("/home/consents", user="ann@a.example")
    role = "speaker" if template == "moderated" else None
    invited = await a.post("/rooms/invite", room=room, user="ben@b.example", role=role)
    assert invited["user"] == b.who.user
    await b.who.reaches(room, "active")
    return RoomId(room)


async def test_who_we_are_and_whom_we_let_add_us(doors: tuple[Door, Door]) -> None:
    a, b = doors
    home = await a.get("/home")
    assert home["user"] == a.who.user
    (device,) = await a.get("/home/devices")
    assert device["name"] == "laptop"
    room = (await a.post("/rooms", name="Tea"))["room"]
    asked = await a.post("/rooms/invite", room=room, user="ben@b.example")
    assert asked["outcome"] == "asked"

    async def waits() -> bool:
        return bool((await b.get("/home/consents"))["requests"])

    await eventually(waits)
    await b.post("/home/consents", user=a.who.user, room=room)
    await b.who.reaches(room, "active")
    await b.post("/home/consents", user="ann@a.example", grant=False)
    assert "looks like ada@a.example" in await a.refused(
        "/rooms/invite", room=room, user="nobody"
    )
    assert "knows nobody" in await a.refused(
        "/rooms/invite", room=room, user="zoe@b.example"
    )


async def test_a_new_device_asks_and_gets_what_was_said_before(
    people: dict[str, Resident],
) -> None:
    ann, ben, phone = people["ann"], people["ben"], people["phone"]
    for who in (ann, ben):
        await who.move_in()
        await is_found_by(who, who.name)
    async with door_of(ann) as a, door_of(ben) as b:
        room = await shared(a, b, "group")
        await a.post("/rooms/say", room=room, text="before the phone")
        await b.row(room, "before the phone")
        await phone.move_in()
        await phone.reaches(room, "active")
        async with door_of(phone) as p:
            (row,) = await p.get("/rooms")
            assert row["first"] > 0
            assert await p.post("/home/history-ask") == {"devices": 1}
            assert (await p.get("/home/history"))[0]["ours"]

            async def asked() -> bool:
                return bool(await b.get("/home/history"))

            await eventually(asked)
            (ask,) = await b.get("/home/history")
            assert ask["fingerprint"] == (await p.get("/home"))["fingerprint"]
            await b.post("/home/history-give", device=ask["device"])

            async def given() -> bool:
                return bool((await p.get("/rooms"))[0]["first"] < 0)

            await eventually(given)
            rows = await p.rows(room, after=-100)
            told = next(row for row in rows if row["text"] == "before the phone")
            assert told["seq"] < 0
            await p.post("/rooms/say", room=room, text="late", about=told["seq"])
            answer = await b.row(room, "late")
            assert answer["about"] == (await b.row(room, "before the phone"))["seq"]
        assert "does not ask" in await b.refused("/home/history-give", device="x")


async def test_what_is_said_is_shown(doors: tuple[Door, Door]) -> None:
    a, b = doors
    room = await shared(a, b, "group")
    said = await a.post("/rooms/say", room=room, text="*tea* is ready", key="one")
    again = await a.post("/rooms/say", room=room, text="*tea* is ready", key="one")
    assert again == said
    row = await b.row(room, "tea is ready")
    assert (row["author"], row["kind"], row["verdict"]) == (
        a.who.user,
        "said",
        "accountable",
    )
    await b.post("/rooms/say", room=room, text="coming", about=row["seq"])
    await b.post("/rooms/react", room=room, text="🍵", about=row["seq"])
    reply = await a.row(room, "coming")
    assert reply["about"] == said["seq"]
    assert (await a.row(room, "🍵"))["kind"] == "reacted"
    await a.post("/rooms/edit", room=room, text="tea is cold", about=said["seq"])
    edited = await b.row(room, "tea is cold")
    assert (edited["kind"], edited["about"]) == ("edited", row["seq"])
    await a.post("/rooms/delete", room=room, about=said["seq"])

    async def gone() -> bool:
        return any(r["kind"] == "deleted" for r in await b.rows(room))

    await eventually(gone)
    last = (await b.rows(room))[-1]["seq"]
    assert await b.rows(room, after=last, wait=0) == []
    assert await b.rows(room, after=last, wait=1) == []
    assert len(await b.rows(room, count=1)) == 1
    assert isinstance(
        (await b.post("/rooms/read", room=room, until=last))["reported"], int
    )


async def test_a_file_is_sent_and_stored(
    doors: tuple[Door, Door], tmp_path: Path
) -> None:
    a, b = doors
    room = await shared(a, b)
    (tmp_path / "cake.bin").write_bytes(bytes(100_000))
    await a.post("/rooms/file", room=room, path=str(tmp_path / "cake.bin"))

    async def came() -> bool:
        return any(r["files"] for r in await b.rows(room))

    await eventually(came)
    (row,) = [r for r in await b.rows(room) if r["files"]]
    assert row["files"] == ["cake.bin"]
    saved = tmp_path / "saved.bin"
    path = str(saved)
    done = await b.post("/rooms/save", room=room, about=row["seq"], path=path)
    assert done == {"octets": 100_000}
    assert saved.read_bytes() == bytes(100_000)
    assert "no message 999" in await b.refused(
        "/rooms/save", room=room, about=999, path=path
    )


async def test_a_room_is_run(doors: tuple[Door, Door]) -> None:
    a, b = doors
    room = await shared(a, b)
    shown = await a.get("/rooms/shown", room=room)
    assert [each["user"] for each in shown["participants"]] == [a.who.user, b.who.user]
    await a.post("/rooms/rename", room=room, name="Cake")

    async def renamed() -> bool:
        return any(row["name"] == "Cake" for row in await b.get("/rooms"))

    await eventually(renamed)
    await a.post("/rooms/role", room=room, user="ben@b.example", role="speaker")
    assert "no role" in await a.refused(
        "/rooms/role", room=room, user=b.who.user, role="emperor"
    )
    await b.post("/rooms/say", room=room, text="rude")
    row = await a.row(room, "rude")
    await a.post("/rooms/report", room=room, about=row["seq"], note="rude")
    (report,) = await a.who.site.store.reports(count_max=10)
    assert report.verified
    assert b.who.user.encode() in report.octets
    link = await a.post("/rooms/link", room=room, role="speaker", user=b.who.user)
    await a.post("/rooms/trust", room=room)
    await a.post("/rooms/kick", room=room, user=b.who.user)
    await b.who.reaches(room, "left")
    assert await b.post("/rooms/join", link=link["link"]) == {"room": room}
    await b.who.reaches(room, "active")
    await a.post("/rooms/remove", room=room, user=b.who.user)
    await b.who.reaches(room, "left")
    await a.post("/rooms/ban", room=room, user=b.who.user)
    await a.post("/rooms/close", room=room)
    await a.who.reaches(room, "closed")


async def test_who_leaves_is_out(doors: tuple[Door, Door]) -> None:
    a, b = doors
    room = await shared(a, b, "group")
    await b.post("/rooms/leave", room=room)
    await b.who.reaches(room, "left")
    direct = await a.post("/rooms", name="", template="dm", others=["ben@b.example"])
    await b.who.reaches(direct["room"], "active")


async def test_a_lost_device_is_removed(
    doors: tuple[Door, Door], people: dict[str, Resident]
) -> None:
    _, b = doors
    phone = people["phone"]
    await phone.move_in()
    devices = await b.get("/home/devices")
    assert len(devices) == 2
    await b.post("/home/remove-device", device=phone.desk.membership.device)
    assert len(await b.get("/home/devices")) == 1


async def test_nonsense_is_refused_in_words(doors: tuple[Door, Door]) -> None:
    a, _ = doors
    room = (await a.post("/rooms", name="Tea"))["room"]
    assert "not understood" in await a.refused("/rooms/say", room=room, txt="x")
    for text in ("", " ", "x" * (TEXT_CHARS_MAX + 1)):
        assert "characters" in await a.refused("/rooms/say", room=room, text=text)
    app = application(homeless_routes())
    async with TestClient(TestServer(app)) as client:
        for path in ("/home", "/rooms", "/rooms/shown"):
            answer = await client.get(path)
            assert answer.status == 422
            assert "sabir home join" in await answer.text()
    bad = application(DeskRoutes(a.who.desk, a.who.storage).routes())
    async with TestClient(TestServer(bad)) as client:
        answer = await client.get("/rooms/timeline", params={"after": "x"})
        assert "no number" in await answer.text()
