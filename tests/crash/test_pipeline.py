"""The pipeline dies at every commit and every send boundary, and I1 to I4 hold.

Two networks in memory survive; the agent between them is killed at drawn
points, started again over the same database file, and must end with every
message on the other side once, in order. Hypothesis draws what people do, what
kind of networks they are, what goes wrong there, and where the process dies.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.content.plain import to_plain
from sabir.networks.api import NativeEvent, Outcome, Outgoing, Posted, Rng
from sabir.storage.records import PortalCounts
from sabir.storage.sqlite.store import SqliteStorage
from sabir.testing.clock import LoopClock
from sabir.testing.crash import Crash, CrashPoints
from sabir.testing.memory_codec import decode
from sabir.testing.memory_network import (
    Echo,
    Event,
    MemoryConnector,
    MemoryServer,
    Rules,
    SendFault,
)

CHAT = "chat"
SIDES = ("a", "b")
OTHER = {"a": "b", "b": "a"}
QUIET_TURNS_MAX = 20_000
POINTS = (
    "storage.before-commit",
    "storage.after-commit",
    "send.before",
    "send.between",
    "send.after",
)


class HurriedClock(LoopClock):
    """Waits a fiftieth of what is asked: back-off costs no test time."""

    async def sleep(self, duration_ms: int) -> None:
        await super().sleep(max(1, duration_ms // 50))


class CrashingConnector(MemoryConnector):
    """Reaches a crash point around every send."""

    def __init__(self, server: MemoryServer, crash: CrashPoints, window: int) -> None:
        super().__init__(server, "bridge", send_window=window, answer_timeout_ms=40)
        self._crash = crash

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        self._crash.reach("send.before")
        async for outcome in super().send(batch):
            self._crash.reach("send.between")
            yield outcome
        self._crash.reach("send.after")


@dataclass(frozen=True)
class Plan:
    """What happens in one example."""

    rules: tuple[Rules, Rules]
    window: int
    steps: Sequence[tuple[str, str]]
    """(side, who) of each message, some before every life."""
    deaths: Sequence[tuple[str, int]]
    faults: Sequence[tuple[str, SendFault]]


class World:
    """Two networks, and an agent that can be killed."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.clock = HurriedClock()
        self.servers = {
            side: MemoryServer(self.clock, rules)
            for side, rules in zip(SIDES, plan.rules, strict=True)
        }
        for server in self.servers.values():
            server.chat(CHAT, name="Chat")
        self.said: dict[str, list[str]] = {side: [] for side in SIDES}
        self.linked = False
        self.lives = 0
        self.ambiguous = 0

    def say(self, side: str, who: str) -> None:
        text = f"{who} of {side} says {len(self.said[side]) + 1}"
        self.said[side].append(text)
        self.servers[side].says(CHAT, who, text)

    def arrived(self, side: str) -> list[str]:
        """Return what came over to a side, in the order it stands there."""
        return [_text(each) for each in self.servers[side].sent(CHAT)]

    async def run(self) -> None:
        """Live and die as planned, then live until all is quiet."""
        await self._life(CrashPoints(), speak=())
        steps = list(self.plan.steps)
        for side, fault in self.plan.faults:
            self.servers[side].fail_next_sends(fault)
        share = len(steps) // (len(self.plan.deaths) + 1) + 1
        for death in self.plan.deaths:
            crash = CrashPoints()
            crash.arm(*death)
            await self._life(crash, speak=steps[:share])
            del steps[:share]
        await self._life(CrashPoints(), speak=steps)

    async def _life(
        self, crash: CrashPoints, *, speak: Sequence[tuple[str, str]]
    ) -> None:
        """Run the agent until all is quiet or it dies."""
        self.lives += 1
        try:
            storage = SqliteStorage.open(self.folder / "sabir.db", reach=crash.reach)
            try:
                await self._run_agent(storage, crash, speak)
            finally:
                storage.close()
        except BaseExceptionGroup as failed:
            if failed.split(Crash)[1] is not None:
                raise
            event("died")

    async def _run_agent(
        self,
        storage: SqliteStorage,
        crash: CrashPoints,
        speak: Sequence[tuple[str, str]],
    ) -> None:
        agent = Agent(
            storage,
            [
                AccountConnector(
                    id=side,
                    network=f"memory-{side}",
                    connector=CrashingConnector(server, crash, self.plan.window),
                )
                for side, server in self.servers.items()
            ],
            spool_folder=self.folder / "media",
            owner="test",
            clock=self.clock,
            rng=_rng(self.lives),
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(agent.run())
            await agent.started.wait()
            if not self.linked:
                await agent.link([ChatAddress(account=s, chat=CHAT) for s in SIDES])
                self.linked = True
            for side, who in speak:
                self.say(side, who)
                await asyncio.sleep(0)
            await self._until_quiet(storage)
            running.cancel()

    async def _until_quiet(self, storage: SqliteStorage) -> None:
        for _ in range(QUIET_TURNS_MAX):
            await asyncio.sleep(0.001)
            if self._is_quiet(await storage.counts()):
                return
        raise AssertionError("the pipeline does not come to rest")

    def _is_quiet(self, counts: Sequence[PortalCounts]) -> bool:
        if any(each.waiting_in or each.waiting_out for each in counts):
            return False
        self.ambiguous = sum(each.ambiguous for each in counts)
        sent = sum(each.sent for each in counts)
        return sent + self.ambiguous == sum(map(len, self.said.values()))


def _text(found: Event) -> str:
    incoming = decode(
        NativeEvent(chat=found.chat, native_id=found.native_id, payload=found.payload)
    )
    assert incoming is not None
    assert isinstance(incoming.action, Posted)
    assert incoming.action.text is not None
    return to_plain(incoming.action.text)


def _rng(seed: int) -> Rng:
    count = 0

    def rng(octets: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed}.{count}".encode()).digest(octets)

    return rng


def _rules(*, searchable: bool, idempotent: bool) -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        idempotent=st.just(idempotent),
        searchable=st.just(searchable),
        echo=st.sampled_from(Echo),
        duplicate_live=st.booleans(),
        aliases=st.booleans(),
    )


knowable = st.one_of(
    _rules(searchable=True, idempotent=False),
    _rules(searchable=False, idempotent=True),
)
"""Networks on which the fate of a send can be found out."""
unknowable = _rules(searchable=False, idempotent=False)
"""Networks on which it cannot, but for the echo."""


def _plans(rules: st.SearchStrategy[Rules]) -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        rules=st.tuples(rules, rules),
        window=st.sampled_from((1, 3, 20)),
        steps=st.lists(
            st.tuples(st.sampled_from(SIDES), st.sampled_from(("ada", "bo"))),
            max_size=12,
        ),
        deaths=st.lists(
            st.tuples(st.sampled_from(POINTS), st.integers(1, 8)), max_size=3
        ),
        faults=st.lists(
            st.tuples(st.sampled_from(SIDES), st.sampled_from(SendFault)), max_size=2
        ),
    )


def _play(plan: Plan) -> World:
    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name), plan)
        asyncio.run(world.run())
    return world


_settings = settings(
    max_examples=int(os.environ.get("SABIR_CRASH_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@_settings
@given(plan=_plans(knowable))
def test_nothing_is_lost_doubled_or_reordered(plan: Plan) -> None:
    world = _play(plan)
    for side in SIDES:
        assert world.arrived(OTHER[side]) == world.said[side]
    assert world.ambiguous == 0


@_settings
@given(plan=_plans(unknowable))
def test_where_fate_is_unknowable_it_is_reported_never_resent(plan: Plan) -> None:
    world = _play(plan)
    missing = 0
    for side in SIDES:
        arrived = world.arrived(OTHER[side])
        assert len(set(arrived)) == len(arrived)
        assert arrived == [text for text in world.said[side] if text in arrived]
        missing += len(world.said[side]) - len(arrived)
    assert missing <= world.ambiguous
