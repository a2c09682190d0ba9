"""Everything dies, in a bad network, while people at three providers talk.

Providers and agents are ended with SIGKILL in turn of chance and started again.
Networks between providers, and between agents and theirs, delay, lose requests, and
lose answers, so that a request arrives twice. People say numbered things, each until
it has its place, with the same key, as a script would; meanwhile the room is renamed,
which changes its epoch. Afterwards everybody's timelines are compared, and the
fingerprints of the group's last epoch.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from sabir.cli.control import Refusal
from sabir.errors import Unavailable
from sabir.testing.load import Findings, Said, compare, said_in
from sabir.testing.town.person import Person
from sabir.testing.town.relay import Faults
from sabir.testing.town.town import Town

DOMAINS: Final = ("a.example", "b.example", "c.example")
PEOPLE: Final = (
    ("ada", "a.example"),
    ("bob", "b.example"),
    ("cy", "c.example"),
    ("dan", "b.example"),
)
"""Ada's provider is the hub."""
BAD: Final = Faults(delay_ms=20, lose=0.002, mute=0.002)
"""For each piece that a connection carries; a request and its answer are several."""
LIFE_MIN_S: Final = 0.2
LIFE_MAX_S: Final = 2.5
"""Between two kills."""
PAUSE_S: Final = 0.1
"""Before somebody asks again."""
RENAME_S: Final = 2.0
DRAIN_TIMEOUT_S: Final = 180.0
QUIET_S: Final = 2.0
"""Afterwards: what a late duplicate would need to show up."""
_TAG: Final = "k"


@dataclass(frozen=True, slots=True, kw_only=True)
class TownPlan:
    """What happens.

    Attributes:
        seed: of chance.
        kills: how many.
        messages: of all people together.
    """

    seed: int
    kills: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TownReport:
    """What was found.

    Attributes:
        killed: how often, by provider or agent.
        renames: accepted changes of the room, each an epoch.
        lost: pieces that never arrived; muted: answers.
        everybody: each person's timeline against what was said.
        orders: each person's timeline against the hub's own member's.
        fingerprints: of the last epoch, by person.
    """

    plan: TownPlan
    seconds: float
    killed: dict[str, int]
    renames: int
    lost: int
    muted: int
    everybody: dict[str, Findings]
    orders: dict[str, Findings]
    fingerprints: dict[str, str]

    @property
    def is_clean(self) -> bool:
        """Tell whether all have everything, once, in one order, in one epoch."""
        return (
            all(each.is_clean for each in self.everybody.values())
            and all(
                each.is_clean and not each.displaced for each in self.orders.values()
            )
            and len(set(self.fingerprints.values())) == 1
        )

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "seed": self.plan.seed,
            "kills": sum(self.killed.values()),
            "killed": self.killed,
            "messages": self.plan.messages,
            "renames": self.renames,
            "pieces_lost": self.lost,
            "answers_lost": self.muted,
            "seconds": round(self.seconds, 1),
            "arrived": {name: each.arrived for name, each in self.everybody.items()},
            "lost": sum(len(each.lost) for each in self.everybody.values()),
            "doubled": sum(len(each.duplicated) for each in self.everybody.values()),
            "inverted": sum(each.inversions for each in self.everybody.values()),
            "displaced": {name: each.displaced for name, each in self.orders.items()},
            "epochs_equal": len(set(self.fingerprints.values())) == 1,
        }


@dataclass(slots=True)
class TownKills:
    """One run.

    Args:
        folder: of the town.
        plan: what happens.
    """

    folder: Path
    plan: TownPlan
    _killed: dict[str, int] = field(default_factory=dict)
    _renames: int = 0
    _random: Random = field(init=False)
    _people: Sequence[Person] = ()

    def __post_init__(self) -> None:
        self._random = Random(self.plan.seed)

    async def run(self) -> TownReport:
        """Live through it.

        Raises:
            Unavailable: the town does not come to rest.
        """
        begun = time.monotonic()
        town = Town(self.folder, DOMAINS, faults=Faults(), seed=self.plan.seed)
        async with town:
            room = await self._settle(town)
            town.worsen(BAD)
            async with asyncio.TaskGroup() as group:
                talking = [
                    group.create_task(self._talk(person, room))
                    for person in self._people
                ]
                renaming = group.create_task(self._rename(room))
                await self._kill(town)
                await asyncio.gather(*talking)
                renaming.cancel()
            town.worsen(Faults())
            return await self._compare(town, room, begun)

    async def _settle(self, town: Town) -> str:
        self._people = [await town.person(name, domain) for name, domain in PEOPLE]
        ada, *others = self._people
        room = await ada.create("Tea")
        for each in others:
            await each.grant(ada)
            await ada.invite(room, each)
            await each.comes_into(room)
        return room

    # ---- what people do

    async def _talk(self, person: Person, room: str) -> None:
        for number in range(self.plan.messages // len(self._people)):
            text = Said(person.handle, number).text(_TAG)
            await self._say(person, room, text, f"{person.handle}-{number}")

    async def _say(self, person: Person, room: str, text: str, key: str) -> None:
        """Say something until it has its place."""
        while True:
            try:
                await person.say(room, text, key=key)
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return

    async def _rename(self, room: str) -> None:
        """Change the epoch now and then; two people do, so that they collide."""
        ada, bob, *_ = self._people
        while True:
            await asyncio.sleep(RENAME_S)
            name = f"Tea {self._renames}"
            done = await asyncio.gather(
                *(self._renamed(each, room, name) for each in (ada, bob))
            )
            self._renames += sum(done)

    async def _renamed(self, person: Person, room: str, name: str) -> bool:
        try:
            await person.do("rename", room, name=f"{name} {person.handle}")
        except (Unavailable, Refusal):  # it died, or the other one was first
            return False
        return True

    # ---- trouble

    async def _kill(self, town: Town) -> None:
        dead = {name: asyncio.Lock() for name in (*town.providers, *_names())}
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.kills):
                await asyncio.sleep(self._random.uniform(LIFE_MIN_S, LIFE_MAX_S))
                name = self._random.choice(list(dead))
                group.create_task(self._die(town, name, dead[name]))

    async def _die(self, town: Town, name: str, dead: asyncio.Lock) -> None:
        async with dead:
            if name in town.providers:
                town.providers[name].kill()
                await town.providers[name].start()
            else:
                person = self._people[_names().index(name)]
                person.kill()
                await person.start()
            self._killed[name] = self._killed.get(name, 0) + 1

    # ---- afterwards

    async def _compare(self, town: Town, room: str, begun: float) -> TownReport:
        said = [
            Said(person.handle, number)
            for person in self._people
            for number in range(self.plan.messages // len(self._people))
        ]
        await asyncio.gather(
            *(self._drained(person, room, len(said)) for person in self._people)
        )
        await asyncio.sleep(QUIET_S)
        seen = {
            person.handle: said_in(_TAG, await person.texts(room))
            for person in self._people
        }
        first = list(dict.fromkeys(seen[PEOPLE[0][0]]))
        return TownReport(
            plan=self.plan,
            seconds=time.monotonic() - begun,
            killed=self._killed,
            renames=self._renames,
            lost=sum(relay.lost for relay in town.relays),
            muted=sum(relay.muted for relay in town.relays),
            everybody={name: compare(said, each) for name, each in seen.items()},
            orders={name: compare(first, each) for name, each in seen.items()},
            fingerprints={
                person.handle: (await person.shown(room))["fingerprint"]
                for person in self._people
            },
        )

    async def _drained(self, person: Person, room: str, count: int) -> None:
        """Wait until somebody has everything, and nobody waits for anything."""
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while len(set(said_in(_TAG, await person.texts(room)))) < count:
                await asyncio.sleep(PAUSE_S)
            while (await person.shown(room))["waiting"]:
                await asyncio.sleep(PAUSE_S)


def _names() -> list[str]:
    return [name for name, _ in PEOPLE]
