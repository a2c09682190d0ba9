"""A direct chat on each side, linked: two people who share no network."""

import asyncio
from pathlib import Path

import pytest

from sabir.testing.lab import COMPONENT, PREFIX, Lab
from sabir.testing.pytest_plugin import need

pytestmark = pytest.mark.interop


async def test_two_people_talk_directly(tmp_path: Path) -> None:
    need("synapse")
    need("prosody")
    async with Lab(tmp_path) as lab:
        ada = await lab.matrix_person("ada")
        xan = await lab.xmpp_person("xan")
        bot = f"@{PREFIX}bot:{lab.synapse.server_name}"
        room = await ada.create_room("", invite=[bot], direct=True)
        async with asyncio.timeout(20):
            while bot not in await ada.members(room):
                await asyncio.sleep(0.05)
        await asyncio.to_thread(
            lab.sabir.call, "link", f"matrix:{room}", f"xmpp:direct:{xan.jid}|ada"
        )
        await ada.send_text(room, "hello directly")
        there = await xan.wait_for(
            lambda seen: (seen.body or "").endswith("hello directly")
        )
        ghost = f"ada@{COMPONENT}.{lab.prosody.domain}"
        assert (there.chat, there.body) == (ghost, "Ada: hello directly")
        xan.post_text(ghost, "hello back")
        back = await ada.wait_for_body(room, "hello back")
        assert back.sender.startswith(f"@{PREFIX}xmpp")
