"""Sabir under SIGKILL between an XMPP room and one chat elsewhere, while both talk.

The far side knows every message it accepted, the room's archive every message of the
room; what lies between them is compared after the last kill. A network brings a lab
with its server (`RoomLab`) and says how its people talk (`RoomKillRun`).
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, Generic, Self, TypeVar

from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.doubts import doubted_in
from sabir.testing.lab import COMPONENT, COMPONENT_SECRET, ROOM, SabirProcess
from sabir.testing.load import Findings, Said, compare, said_in, xmpp_history
from sabir.testing.servers.prosody import Prosody

LIFE_MIN_S: Final = 0.3
LIFE_MAX_S: Final = 3.0
"""Sabir's life between two kills: from amid its start to amid its work."""
DRAIN_TIMEOUT_S: Final = 120.0
QUIET_S: Final = 2.0
"""Afterwards: what a late duplicate would need to show up."""
NEAR: Final = "room"
"""Who talks in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """What was found."""

    kills: int
    seconds: float
    from_room: Findings
    to_room: Findings

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kills": self.kills,
            "seconds": round(self.seconds, 1),
            "from_room": self.from_room.figures(),
            "to_room": self.to_room.figures(),
        }


class RoomLab(ABC):
    """A Prosody with a room, and `sabir up` between it and a chat elsewhere.

    Args:
        folder: of the lab.
        secrets: files that the configuration names, by name.
    """

    far_chat: str
    """What the room is linked with, as `sabir link` takes it."""

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        self.prosody = Prosody(folder / "prosody")
        self.room = f"{ROOM}@{self.prosody.muc}"
        self.person: XmppClient
        self.sabir: SabirProcess
        self._folder = folder / "sabir"
        self._component = self.prosody.add_component(COMPONENT, COMPONENT_SECRET)
        self._folder.mkdir(parents=True)
        for name, secret in {**secrets, "component": COMPONENT_SECRET}.items():
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_text(secret)

    @abstractmethod
    async def start_far(self) -> None:
        """Start the far network's server."""

    @abstractmethod
    async def stop_far(self) -> None:
        """Stop what `start_far` started."""

    @abstractmethod
    def account(self) -> str:
        """Return the far account's section of the configuration."""

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(self.start_far(), self.prosody.start())
            self.sabir = SabirProcess(self._folder, self._config())
            await self.sabir.start()
            self.person = XmppClient(await self.prosody.add_user("host"))
            await self.person.__aenter__()
            await self.person.join(self.room, "host")
            where = (f"xmpp:{self.room}", self.far_chat)
            await asyncio.to_thread(self.sabir.call, "link", *where)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything that was started here."""
        if hasattr(self, "person"):
            await self.person.__aexit__(None, None, None)
        if hasattr(self, "sabir"):
            self.sabir.stop()
        await self.prosody.stop()
        await self.stop_far()

    def _config(self) -> str:
        return f"""
[agent]
owner = "lab"
data_dir = "data"
log_format = "json"
log_level = "debug"

[accounts.xmpp]
network = "xmpp"
kind = "component"
domain = "{self._component.jid}"
host = "{self._component.host}"
port = {self._component.port}
tls = "loopback-plain"
upload_service = "{self.prosody.upload_service}"
secret_file = "component"
{self.account()}
"""


Lab = TypeVar("Lab", bound=RoomLab)


class RoomKillRun(ABC, Generic[Lab]):
    """One run over a lab.

    Args:
        lab: started.
        seed: of the kills' times.
        kills: how often Sabir dies.
        messages: in each direction.
    """

    far: str
    """Who talks on the far side."""

    def __init__(self, lab: Lab, *, seed: int, kills: int, messages: int) -> None:
        self.lab = lab
        self.tag = f"kill{seed}"
        self._random = Random(seed)
        self._kills = kills
        self._messages = messages

    @abstractmethod
    async def far_says(self, text: str) -> None:
        """Let the far person say something."""

    @abstractmethod
    async def far_texts(self) -> Iterable[str]:
        """Return what the far server accepted from Sabir, `Name: ` in front."""

    def text(self, sender: str, number: int) -> str:
        """Return a message."""
        return Said(sender, number).text(self.tag)

    async def run(self) -> KillReport:
        """Talk and kill; wait until all is quiet, and compare."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._room_talks())
            group.create_task(self._far_talks())
            group.create_task(self._kill())
        trouble = await self._drain()
        return KillReport(
            kills=self._kills,
            seconds=time.monotonic() - begun,
            from_room=await self._from_room(trouble),
            to_room=await self._to_room(),
        )

    @property
    def _pause_s(self) -> float:
        """Talk lasts as long as the kills."""
        return self._kills * (LIFE_MIN_S + LIFE_MAX_S) / 2 / self._messages

    async def _room_talks(self) -> None:
        for number in range(self._messages):
            await self.lab.person.say(self.lab.room, self.text(NEAR, number))
            await asyncio.sleep(self._pause_s)

    async def _far_talks(self) -> None:
        for number in range(self._messages):
            await self.far_says(self.text(self.far, number))
            await asyncio.sleep(self._pause_s)

    async def _kill(self) -> None:
        for _ in range(self._kills):
            await asyncio.sleep(self._random.uniform(LIFE_MIN_S, LIFE_MAX_S))
            self.lab.sabir.kill()
            self.lab.sabir.spawn()

    # ---- truth

    async def _drain(self) -> list[Any]:
        """Wait until everything has arrived or is listed; return the trouble."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            trouble = await self._log("--trouble")
            missing = (*(await self._from_room(trouble)).lost,)
            missing += (await self._to_room()).lost
            if not missing or time.monotonic() > deadline:
                await asyncio.sleep(QUIET_S)
                return await self._log("--trouble")
            await asyncio.sleep(0.5)

    async def _log(self, *arguments: str) -> list[Any]:
        return await asyncio.to_thread(self.lab.sabir.log_lines, *arguments)

    async def _history(self) -> list[Said]:
        lab = self.lab
        return await xmpp_history(lab.person, lab.room, self.tag)

    async def _from_room(self, trouble: list[Any]) -> Findings:
        near = [each for each in await self._history() if each.sender == NEAR]
        texts = (text.partition(": ")[2] for text in await self.far_texts())
        far = said_in(self.tag, texts)
        chat = f"xmpp:{self.lab.room}"
        doubted = await doubted_in(self.lab.sabir, trouble, chat, near)
        return compare(near, far, ambiguous=doubted)

    async def _to_room(self) -> Findings:
        near = [Said(self.far, number) for number in range(self._messages)]
        far = [each for each in await self._history() if each.sender == self.far]
        return compare(near, far)
