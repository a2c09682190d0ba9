"""People at three providers, each part a process: as `sabir provider up` and `up` run.

Every member sees the same in the hub's order, and nobody reads what is not for them.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sabir.cli.control import Refusal
from sabir.testing.town.person import Person
from sabir.testing.town.town import Town

DOMAINS = ("a.example", "b.example", "c.example")


@asynccontextmanager
async def a_room(
    folder: Path, *, listen: bool = False
) -> AsyncIterator[tuple[Town, str, list[Person]]]:
    """Make a room of Ada (whose provider is the hub), Bob and Cy."""
    async with Town(folder, DOMAINS, listen=listen) as town:
        ada = await town.person("ada", "a.example")
        bob = await town.person("bob", "b.example")
        cy = await town.person("cy", "c.example")
        room = await ada.create("Tea")
        for each in (bob, cy):
            await lets_in(ada, each, room)
        yield town, room, [ada, bob, cy]


async def lets_in(host: Person, guest: Person, room: str) -> None:
    assert (await host.invite(room, guest))["outcome"] == "asked"
    assert not await guest.is_in(room)
    await guest.grant(host)
    await guest.comes_into(room)


async def is_role(who: Person, room: str, role: str) -> bool:
    shown = await who.shown(room)
    return any(
        each["user"] == who.user and each["role_name"] == role
        for each in shown["participants"]
    )


async def devices(who: Person, room: str, count: int) -> bool:
    shown = await who.shown(room)
    return sum(len(each["clients"]) for each in shown["participants"]) == count


async def is_asked(who: Person) -> bool:
    return bool(await who.ask("GET", "/home/history"))


async def knows(who: Person, room: str, text: str) -> bool:
    rows = await who.timeline(room, -1_000_000)
    return text in [row["text"] for row in rows]


async def talks(who: Person, room: str) -> None:
    for n in range(5):
        await who.say(room, f"{who.handle} {n}")


def seen(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["kind"], row["author"], row["text"]) for row in rows]


async def agree(room: str, people: list[Person], *, count: int) -> list[str]:
    """Wait until all have the same last messages, and return these."""

    async def same() -> bool:
        tails = [seen(await each.timeline(room))[-count:] for each in people]
        return len(tails[0]) == count and all(tail == tails[0] for tail in tails)

    await people[0].until("all to see the same", same)
    return [text for _, _, text in seen(await people[0].timeline(room))[-count:]]


@pytest.mark.soak
@pytest.mark.timeout(400)
async def test_a_provider_that_is_away_for_a_minute_misses_nothing(
    tmp_path: Path,
) -> None:
    async with a_room(tmp_path) as (town, room, people):
        ada, bob, _ = people
        town.providers["c.example"].kill()
        for number in range(60):
            await (ada, bob)[number % 2].say(room, f"while away {number}")
            await asyncio.sleep(1)
        await town.providers["c.example"].start()
        said = await agree(room, people, count=60)
        assert said == [f"while away {number}" for number in range(60)]


@pytest.mark.timeout(400)
async def test_a_conversation_over_three_providers(tmp_path: Path) -> None:
    async with a_room(tmp_path) as (town, room, people):
        ada, bob, cy = people

        # ---- talk
        await asyncio.gather(*(talks(each, room) for each in people))
        talk = await agree(room, people, count=15)
        for each in people:
            own = [text for text in talk if text.startswith(each.handle)]
            assert own == [f"{each.handle} {n}" for n in range(5)]
        number = (await bob.timeline(room))[-1]["seq"]
        await bob.say(room, "yes", about=number)
        row = (await bob.timeline(room))[-1]
        assert (row["text"], row["about"]) == ("yes", number)
        await bob.do("edit", room, text="no", about=row["seq"])
        await ada.hears(room, "yes")
        await bob.do("react", room, text="👍", about=number)
        await bob.do("delete", room, about=row["seq"])
        await agree(room, people, count=19)
        with pytest.raises(Refusal):  # nobody changes the words of others
            await ada.do("edit", room, text="ha", about=1)

        # ---- a file, from one provider's member to another's
        octets = random.Random(7).randbytes(3_000_000)
        (tmp_path / "cake.bin").write_bytes(octets)
        sent = await cy.do("file", room, path=str(tmp_path / "cake.bin"))
        await agree(room, people, count=1)
        assert (await cy.timeline(room))[-1]["seq"] == sent["seq"]
        row = (await bob.timeline(room))[-1]
        assert row["files"] == ["cake.bin"]
        saved = tmp_path / "saved.bin"
        await bob.do("save", room, about=row["seq"], path=str(saved))
        assert saved.read_bytes() == octets

        # ---- roles
        with pytest.raises(Refusal, match="canKick"):
            await bob.do("kick", room, user=cy.user)
        await ada.do("role", room, user=bob.user, role="group_admin")
        await bob.until("to be an admin", lambda: is_role(bob, room, "group_admin"))
        await bob.do("kick", room, user=cy.user)
        await cy.goes_out_of(room)
        await ada.say(room, "not for Cy")
        await bob.hears(room, "not for Cy")
        assert "not for Cy" not in await cy.texts(room)
        with pytest.raises(Refusal):
            await cy.say(room, "I am here")

        # ---- back by an invitation of one's own
        await ada.invite(room, cy)
        await cy.comes_into(room)
        await cy.say(room, "back")
        await agree(room, people, count=1)
        assert "not for Cy" not in await cy.texts(room)

        # ---- one provider away for a while, then the hub
        town.providers["c.example"].kill()
        for n in range(20):
            await bob.say(room, f"while away {n}")
        await asyncio.sleep(2)
        await town.providers["c.example"].start()
        await agree(room, people, count=20)
        town.providers["a.example"].kill()
        waiting = asyncio.ensure_future(cy.say(room, "the hub is down"))
        await asyncio.sleep(1)
        await town.providers["a.example"].start()
        await waiting
        await agree(room, people, count=1)

        # ---- another device, and a lost one
        phone = await town.person("bob", "b.example", device="phone")
        await phone.comes_into(room)
        await ada.say(room, "hello, phone")
        await phone.hears(room, "hello, phone")
        assert "back" not in await phone.texts(room)  # it reads from when it came
        assert await devices(ada, room, 4)
        await phone.ask("POST", "/home/history-ask")
        await bob.until("the phone to ask", lambda: is_asked(bob))
        await bob.ask("POST", "/home/history-give", device=phone.device)
        await phone.until("the history", lambda: knows(phone, room, "back"))
        await bob.ask("POST", "/home/remove-device", device=phone.device)
        await ada.until("the phone to be out", lambda: devices(ada, room, 3))
        await ada.say(room, "not for a thief")
        await bob.hears(room, "not for a thief")
        assert "not for a thief" not in await phone.texts(room)

        # ---- out for good
        await ada.do("ban", room, user=cy.user)
        await cy.goes_out_of(room)
        with pytest.raises(Refusal):
            await cy.ask("POST", "/rooms/join", link=room)
        with pytest.raises(Refusal, match="role 3"):  # a group needs an admin
            await bob.do("leave", room)
        await ada.do("leave", room)
        await ada.goes_out_of(room)
        await bob.say(room, "alone")
        assert await devices(bob, room, 1)
        assert "alone" not in await ada.texts(room)


# Blindness, I5.


def contains(pid: int, needles: list[bytes]) -> list[bytes]:
    """Search the memory of a process."""
    found = []
    with (
        Path(f"/proc/{pid}/maps").open() as maps,
        Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory,
    ):
        for line in maps:
            span, mode = line.split()[:2]
            if "r" not in mode or "[v" in line:
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            try:
                memory.seek(start)
                octets = memory.read(end - start)
            except OSError:  # not to be read: a guard page
                continue
            found += [needle for needle in needles if needle in octets]
    return found


@pytest.mark.timeout(400)
async def test_no_provider_ever_holds_what_people_say(tmp_path: Path) -> None:
    text, name = "canary-text-5f1c", "canary-name-77aa.txt"
    body = "canary-octets-0b3e " * 5_000
    (tmp_path / name).write_text(body)
    async with a_room(tmp_path / "town", listen=True) as (town, room, people):
        ada, bob, cy = people
        await ada.say(room, text)
        await ada.do("file", room, path=str(tmp_path / name))
        for each in (bob, cy):
            await agree(room, [ada, each], count=2)
            row = (await each.timeline(room))[-1]
            assert row["files"] == [name]
            saved = tmp_path / f"{each.handle}.txt"
            await each.do("save", room, about=row["seq"], path=str(saved))
            assert saved.read_text() == body
            assert text in await each.texts(room)
        needles = [text.encode(), name.encode(), b"canary-octets-0b3e"]
        agents = [ada.sabir.pid, bob.sabir.pid, cy.sabir.pid]
        assert any(contains(pid, needles) for pid in agents)  # the search does find
        for provider in town.providers.values():
            assert provider.pid is not None
            assert not contains(provider.pid, needles), provider.domain
        wire = b"".join(bytes(relay.heard) for relay in town.relays)
        assert b"/agent/v1/" in wire  # readable as it is
        assert b"notify/" in wire
        assert len(wire) > 3 * len(body)
    assert not [needle for needle in needles if needle in wire]
    for provider in town.providers.values():
        files = [each for each in provider.home.rglob("*") if each.is_file()]
        assert any(each.name == "provider.db" for each in files)
        for file in files:
            octets = file.read_bytes()
            assert not [needle for needle in needles if needle in octets], file
