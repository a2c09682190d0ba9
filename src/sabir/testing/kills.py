"""Sabir under SIGKILL while people on both sides talk and servers restart.

What people sent is known: a Matrix sender repeats a PUT under its transaction id until
it is answered, an XMPP sender looks into the archive after a broken connection. So the
two rooms' own histories say afterwards what was lost, doubled or moved.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.doubts import doubted_in
from sabir.testing.lab import Lab, Mortal
from sabir.testing.load import (
    Findings,
    Said,
    compare,
    matrix_history,
    matrix_shown,
    xmpp_history,
)
from sabir.testing.servers.process import ServerProcess

SENDERS: Final = 2
"""On each side: enough that senders can overtake each other."""

LIFE_MIN_S: Final = 0.2
LIFE_MAX_S: Final = 3.0
"""Sabir's life between two kills: from amid its start to amid its work."""

DRAIN_TIMEOUT_S: Final = 180.0
"""Until everything has arrived after the last kill."""

QUIET_S: Final = 3.0
"""Afterwards: what a late duplicate would need to show up."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done to whom; the seed repeats it."""

    seed: int
    kills: int
    restarts: int
    """Of each server."""
    messages: int
    """In each direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """What was found."""

    plan: Plan
    kills: int
    killed: dict[str, int]
    """How often each part of Sabir died."""
    restarts: dict[str, int]
    seconds: float
    arrived_at_last_kill: dict[str, int]
    """How much had crossed while Sabir was being killed."""
    to_xmpp: Findings
    to_matrix: Findings
    trouble: list[Any]
    """`sabir log --trouble --json`."""

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "seed": self.plan.seed,
            "kills": self.kills,
            "killed": self.killed,
            "restarts": self.restarts,
            "seconds": round(self.seconds, 1),
            "arrived_at_last_kill": self.arrived_at_last_kill,
            "matrix_to_xmpp": self.to_xmpp.figures(),
            "xmpp_to_matrix": self.to_matrix.figures(),
            "trouble": len(self.trouble),
        }


class KillRun:
    """One run over a lab; `run` makes the people and the rooms."""

    def __init__(self, lab: Lab, plan: Plan, tell: Tell = print) -> None:
        self._lab = lab
        self._plan = plan
        self._tell = tell
        self._random = Random(plan.seed)
        self._tag = f"kill{plan.seed}"
        self._matrix: list[MatrixClient] = []
        self._xmpp: list[XmppClient] = []
        self._kills = 0
        self._killed: dict[str, int] = {}
        self._restarts = {"synapse": 0, "prosody": 0}

    async def run(self) -> KillReport:
        """Talk, kill, restart; wait until all is quiet, and compare."""
        lab = self._lab
        self._matrix = [
            await lab.matrix_person(f"mx{number}") for number in range(SENDERS)
        ]
        self._xmpp = [await lab.xmpp_person(f"xm{number}") for number in range(SENDERS)]
        await lab.link(self._matrix[0], self._matrix[1:], self._xmpp[0])
        for number, person in enumerate(self._xmpp[1:], 1):
            await person.join(lab.xmpp_room, f"guest{number}")
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(SENDERS):
                group.create_task(self._matrix_talks(number))
                group.create_task(self._xmpp_talks(number))
            group.create_task(self._kill(group))
        arrived = await self._arrived()
        self._tell(f"killed {self._kills} times; arrived so far {arrived}")
        trouble = await self._drain()
        return KillReport(
            plan=self._plan,
            kills=self._kills,
            killed=self._killed,
            restarts=self._restarts,
            seconds=time.monotonic() - begun,
            arrived_at_last_kill=arrived,
            to_xmpp=await self._to_xmpp(trouble),
            to_matrix=await self._to_matrix(trouble),
            trouble=trouble,
        )

    # ---- people

    @property
    def _pause_s(self) -> float:
        """Between two messages of one sender: talk lasts as long as the kills."""
        seconds = self._plan.kills * (LIFE_MIN_S + LIFE_MAX_S) / 2
        return seconds * SENDERS / self._plan.messages

    async def _matrix_talks(self, number: int) -> None:
        person, sender = self._matrix[number], f"mx{number}"

        async def say(text: str) -> None:
            await person.send_text(self._lab.matrix_room, text)

        await self._talk(sender, say)

    async def _xmpp_talks(self, number: int) -> None:
        person, sender = self._xmpp[number], f"xm{number}"

        async def say(text: str) -> None:
            await person.say(self._lab.xmpp_room, text)

        await self._talk(sender, say)

    async def _talk(self, sender: str, say: Callable[[str], Any]) -> None:
        begun = time.monotonic()
        for number in range(self._plan.messages // SENDERS):
            await say(Said(sender, number).text(self._tag))
            due = begun + (number + 1) * self._pause_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    # ---- trouble

    async def _kill(self, group: asyncio.TaskGroup) -> None:
        plan, mortals = self._plan, self._lab.mortals
        dead = {each.name: asyncio.Lock() for each in mortals}
        servers: list[ServerProcess] = [self._lab.synapse, self._lab.prosody]
        locks = {server: asyncio.Lock() for server in servers}
        restarts = {
            server: self._random.sample(range(plan.kills), plan.restarts)
            for server in servers
        }
        for number in range(plan.kills):
            await asyncio.sleep(self._random.uniform(LIFE_MIN_S, LIFE_MAX_S))
            for server in servers:
                if number in restarts[server]:
                    group.create_task(self._restart(server, locks[server]))
            dying = mortals[number % len(mortals)]
            group.create_task(self._die(dying, dead[dying.name]))
            self._kills += 1
            if self._kills % 5 == 0:
                self._tell(f"kill {self._kills} of {plan.kills}")

    async def _die(self, dying: Mortal, dead: asyncio.Lock) -> None:
        async with dead:
            await dying.die()
            self._killed[dying.name] = self._killed.get(dying.name, 0) + 1

    async def _restart(self, server: ServerProcess, lock: asyncio.Lock) -> None:
        async with lock:
            await server.restart()
            self._restarts[server.name] += 1
            self._tell(f"{server.name} restarted")

    # ---- truth

    async def _arrived(self) -> dict[str, int]:
        there = await xmpp_history(self._xmpp[0], self._lab.xmpp_room, self._tag)
        back = await matrix_history(self._matrix[0], self._lab.matrix_room, self._tag)
        return {
            "matrix_to_xmpp": sum(each.sender.startswith("mx") for each in there),
            "xmpp_to_matrix": sum(each.sender.startswith("xm") for each in back),
        }

    async def _drain(self) -> list[Any]:
        """Wait until everything has arrived or is listed; return the trouble."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            trouble = await asyncio.to_thread(self._lab.log_lines, "--trouble")
            missing = [
                *(await self._to_xmpp(trouble)).lost,
                *(await self._to_matrix(trouble)).lost,
            ]
            if not missing or time.monotonic() > deadline:
                await asyncio.sleep(QUIET_S)
                return await asyncio.to_thread(self._lab.log_lines, "--trouble")
            await asyncio.sleep(1)

    async def _to_xmpp(self, trouble: Sequence[Any]) -> Findings:
        room = self._lab.matrix_room
        shown = _only("mx", matrix_shown(self._matrix[0], room, self._tag))
        far = await xmpp_history(self._xmpp[0], self._lab.xmpp_room, self._tag)
        doubted = await doubted_in(self._lab, trouble, f"matrix:{room}", shown)
        return compare(shown, _only("mx", far), ambiguous=doubted)

    async def _to_matrix(self, trouble: Sequence[Any]) -> Findings:
        room = self._lab.xmpp_room
        near = await xmpp_history(self._xmpp[0], room, self._tag)
        shown = _only("xm", near)
        far = await matrix_history(self._matrix[0], self._lab.matrix_room, self._tag)
        doubted = await doubted_in(self._lab, trouble, f"xmpp:{room}", shown)
        return compare(shown, _only("xm", far), ambiguous=doubted)


def _only(prefix: str, messages: Iterable[Said]) -> list[Said]:
    return [each for each in messages if each.sender.startswith(prefix)]
