"""Rooms as a person has them: commands typed in a terminal, and what they print."""

import asyncio
import json
from pathlib import Path

import pytest

from sabir.errors import Unavailable
from sabir.testing.lab import SabirProcess
from sabir.testing.town.person import Person
from sabir.testing.town.town import Town

pytestmark = [pytest.mark.timeout(400)]


async def typed(person: Person, *arguments: str, lines: str = "") -> str:
    """Run a command of a person's `sabir`, and return what it printed."""
    return await asyncio.to_thread(person.sabir.call, *arguments, typed=lines)


async def test_two_people_talk_from_their_terminals(tmp_path: Path) -> None:
    async with Town(tmp_path / "town", ("a.example", "b.example")) as town:
        ada = await town.person("ada", "a.example")
        bob = await town.person("bob", "b.example")
        assert ada.user in await typed(ada, "home", "show")
        assert await typed(ada, "room", "list") == ""

        room = (await typed(ada, "room", "create", "tea")).strip()
        said = await typed(ada, "room", "invite", "tea", "bob@b.example")
        assert "was asked, and comes in when they agree" in said
        assert ada.user in await typed(bob, "home", "requests")
        await typed(bob, "home", "grant", "ada@a.example")
        await bob.comes_into(room)

        await typed(ada, "chat", "tea", "--say", "Tea is *ready*")
        await bob.hears(room, "Tea is ready")
        await typed(bob, "chat", "tea", lines="/reply 1 coming\n/react 1 🍵\n/who\n")
        await ada.hears(room, "coming")
        shown = await typed(ada, "chat", "tea", "--no-follow")
        assert "bob@b.example" in shown
        assert "coming" in shown
        assert "🍵" in shown
        rows = (await typed(ada, "chat", "tea", "--no-follow", "--json")).splitlines()
        assert all(json.loads(row) for row in rows)

        shown = await typed(bob, "room", "show", "tea")
        assert "super_admin" in shown
        assert "nothing that is said" in shown
        fingerprint = shown.partition("has the fingerprint ")[2].partition(".")[0]
        assert len(fingerprint.split()) == 4
        assert fingerprint in await typed(ada, "room", "show", "tea")
        with pytest.raises(Unavailable, match="canKick"):
            await typed(bob, "room", "kick", "tea", ada.user)
        phone = await town.person("bob", "b.example", device="phone")
        await phone.comes_into(room)
        with pytest.raises(Unavailable, match="does not ask"):
            await typed(bob, "home", "history", "give", phone.device)
        said = await typed(phone, "home", "history", "ask")
        assert f"sabir home history give {phone.device}" in said
        key = said.partition("the key ")[2].strip()
        assert key in await typed(phone, "home", "show")

        async def is_asked() -> bool:
            return key in await typed(bob, "home", "history", "show")

        await bob.until("the phone to ask", is_asked)
        assert json.loads(await typed(phone, "home", "history", "show", "--json"))
        assert "by this device" in await typed(phone, "home", "history", "show")
        gave = await typed(bob, "home", "history", "give", phone.device)
        assert "of 1 rooms" in gave

        async def knows() -> bool:
            return "coming" in await typed(phone, "chat", room, "--no-follow")

        await phone.until("the history", knows)
        await typed(phone, "chat", room, lines="/reply -1 from the phone\n")
        await ada.hears(room, "from the phone")
        await bob.ask("POST", "/home/remove-device", device=phone.device)

        await typed(ada, "room", "rename", "tea", "coffee")
        assert room in await typed(ada, "room", "list")
        with pytest.raises(Unavailable, match="no room"):
            await typed(ada, "room", "show", "tea")

        with pytest.raises(Unavailable, match="canUseJoinCode"):
            await typed(ada, "room", "link", "coffee", "--role", "ordinary_user")
        kind = ("--kind", "moderated")
        square = (await typed(ada, "room", "create", "square", *kind)).strip()
        cy = await town.person("cy", "b.example")
        with pytest.raises(Unavailable, match="no invitation"):
            await typed(cy, "room", "join", square)
        link = await typed(ada, "room", "link", "square", "--role", "speaker")
        hub = town.providers["a.example"]
        hub.kill()  # an invitation outlives the hub's process
        await hub.start()
        await typed(cy, "room", "join", link.strip())
        await cy.comes_into(square)
        await typed(cy, "chat", square, "--say", "rude words")
        await ada.hears(square, "rude words")
        number = next(
            row["seq"] for row in await ada.timeline(square) if "rude" in row["text"]
        )
        await typed(ada, "room", "report", "square", str(number), "--note", "rude")
        status = json.loads(town.providers["a.example"].call("status", "--json"))
        assert status["reports"] == 1

        await typed(ada, "room", "ban", "square", cy.user)
        await typed(bob, "room", "leave", "coffee")
        assert await typed(bob, "room", "list") == ""
        assert room in await typed(bob, "room", "list", "--all")
        await typed(ada, "room", "close", "coffee")
        assert square in await typed(ada, "room", "list")
        assert room not in await typed(ada, "room", "list")


async def test_who_is_at_no_provider_is_told_what_to_do(tmp_path: Path) -> None:
    sabir = SabirProcess(tmp_path, '[agent]\nowner = "dan"\ndata_dir = "data"\n')
    await sabir.start()
    try:
        with pytest.raises(Unavailable, match="sabir home join"):
            await asyncio.to_thread(sabir.call, "room", "list")
    finally:
        sabir.stop()
