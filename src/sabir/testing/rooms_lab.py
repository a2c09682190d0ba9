"""The lab with encrypted rooms in the path: two providers, an agent for each network.

Matrix is at an agent whose home is one provider, XMPP at an agent whose home is the
other; both have their portal in one room, and a third person is in it with nothing but
an agent. What is said on Matrix goes to the first provider, which is the room's hub,
from there to the second, and there to the agent that says it on XMPP.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sabir.testing.lab import DyingAgent, Lab, Mortal, SabirProcess
from sabir.testing.town.person import Person
from sabir.testing.town.provider import ProviderProcess
from sabir.testing.town.town import Town

HUB: Final = "a.example"
FOLLOWER: Final = "b.example"
ROOM_NAME: Final = "Tea"

_FAR: Final = {"matrix": "xmpp", "xmpp": "matrix"}


class DyingProvider:
    """`sabir provider up`."""

    def __init__(self, provider: ProviderProcess) -> None:
        self._provider = provider
        self.name = provider.domain

    async def die(self) -> None:
        """See `Mortal.die`."""
        self._provider.kill()
        await self._provider.start()


class RoomsLab(Lab):
    """Two servers, and between them two agents and two providers.

    Args:
        folder: of everything.
        third: with somebody in the room who has no other network.
    """

    def __init__(self, folder: Path, *, third: bool = False) -> None:
        super().__init__(folder)
        self.town = Town(folder / "town", (HUB, FOLLOWER))
        self.room = ""
        self.matrix_agent: Person
        self.xmpp_agent: Person
        self.third: Person
        self._has_third = third

    async def _prepare(self) -> None:
        await self.town.__aenter__()
        self.matrix_agent, self.xmpp_agent = await asyncio.gather(
            self.town.person("matrix-bridge", HUB, more=self._matrix_account()),
            self.town.person("xmpp-bridge", FOLLOWER, more=self._xmpp_account()),
        )
        self.room = await self.matrix_agent.create(ROOM_NAME)
        await self.let_in(self.xmpp_agent)
        if self._has_third:
            self.third = await self.town.person("ada", FOLLOWER)
            await self.let_in(self.third)

    async def _start_sabir(self) -> None:
        for agent in (self.matrix_agent, self.xmpp_agent):
            await agent.until("its accounts", agent.sabir.is_connected)

    async def let_in(self, guest: Person) -> None:
        """Let somebody into the room."""
        await guest.grant(self.matrix_agent)
        invited = await self.matrix_agent.invite(self.room, guest)
        if not invited["clients"]:  # its KeyPackages are not at the provider yet
            await guest.ask("POST", "/rooms/join", link=self.room)
        await guest.comes_into(self.room)

    async def _stop_sabir(self) -> None:
        await self.town.close()

    async def _link_rooms(self) -> None:
        for agent, chat in (
            (self.matrix_agent, f"matrix:{self.matrix_room}"),
            (self.xmpp_agent, f"xmpp:{self.xmpp_room}"),
        ):
            await asyncio.to_thread(agent.sabir.call, "link", chat, "--room", self.room)

    @property
    def agents(self) -> Sequence[SabirProcess]:
        """See `Lab.agents`."""
        return (self.matrix_agent.sabir, self.xmpp_agent.sabir)

    @property
    def mortals(self) -> Sequence[Mortal]:
        """See `Lab.mortals`."""
        providers = self.town.providers
        return (
            DyingAgent(self.matrix_agent.sabir),
            DyingProvider(providers[FOLLOWER]),
            DyingAgent(self.xmpp_agent.sabir),
            DyingProvider(providers[HUB]),
        )

    def log_lines(self, *arguments: str) -> list[Any]:
        """See `Lab.log_lines`.

        Each way is in the log of the agent that delivered it; that does not know from
        which chat it came, but from which network.
        """
        found = []
        chats = {
            "matrix": f"matrix:{self.matrix_room}",
            "xmpp": f"xmpp:{self.xmpp_room}",
        }
        for network, agent in zip(chats, self.agents, strict=True):
            far = _FAR[network]
            for line in agent.log_lines(*arguments):
                if line["to"] != chats[network]:
                    continue
                if line["author"].startswith(f"{far}:"):
                    line["from"] = chats[far]
                found.append(line)
        return sorted(found, key=lambda line: (line["received_at"], line["seq"]))
