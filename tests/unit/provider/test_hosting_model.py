"""Random lives of a room at three providers: who may read reads all, in one order."""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from sabir.mimi.codepoints import SubmitCode, UpdateCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.member.errors import CommitFirst, RoomMisuse
from sabir.mimi.member.events import Violation
from sabir.mimi.member.intents import (
    Ban,
    CommitPending,
    Intent,
    Leave,
    RemoveUser,
    Rotate,
    SetMetadata,
    SetRole,
)
from sabir.mimi.policy.errors import PolicyDenied
from sabir.mimi.structs.submit import decode_submit_response
from sabir.mimi.structs.update import UpdateRoomResponse, decode_update_response
from sabir.provider.rates import Rate, RateLimit
from sabir.testing.mimi.member_harness import said
from sabir.testing.mimi.people import user_named
from tests.unit.provider.town import Site, Town
from tests.unit.provider.village import Village

ANN = "ann"
"""She is the hub's, and in the room from first to last."""
OTHERS = ("dan", "b.example:ben", "c.example:cat")
DOMAINS = ("a.example", "b.example", "c.example")

Step = tuple[str, str]
ALL: Sequence[str] = (ANN, *OTHERS)
WEIGHTS: Mapping[str, tuple[int, Sequence[str]]] = {
    "says": (16, ALL),
    "hears": (10, ALL),
    "rotates": (3, ALL),
    "renames": (2, ALL),
    "commits": (4, ALL),
    "is let in": (6, OTHERS),
    "is removed": (1, OTHERS),
    "is banned": (1, OTHERS),
    "is forgiven": (2, OTHERS),
    "leaves": (1, OTHERS),
    "starts again": (1, DOMAINS),
}
"""What happens how often, and to whom."""
STEPS = 80


def plan_of(seed: int) -> list[Step]:
    """Return a random plan."""
    dice = random.Random(seed)
    weights = [weight for weight, _ in WEIGHTS.values()]
    kinds = dice.choices(list(WEIGHTS), weights, k=STEPS)
    return [(kind, dice.choice(WEIGHTS[kind][1])) for kind in kinds]


@dataclass
class Life:
    """A room, and what everybody should have read of it."""

    village: Village
    since: dict[str, int] = field(default_factory=dict)
    """Who is in, and from which epoch on."""
    expected: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    @property
    def epoch(self) -> int:
        """Return the epoch that Ann knows, who never lags behind here."""
        return self.village[ANN].agent.room.epoch

    async def step(self, what: str, who: str) -> None:
        """Do one thing, or nothing where that cannot be done."""
        with suppress(PolicyDenied, RoomMisuse, CommitFirst):
            match what:
                case "says":
                    await self.say(who)
                case "hears":
                    await self.village.take(who)
                case "rotates":
                    await self.act(who, Rotate())
                case "renames":
                    self.count += 1
                    await self.act(who, SetMetadata(name=f"{self.count}"))
                case "commits":
                    await self.act(who, CommitPending())
                case "is let in":
                    await self.let_in(who)
                case "is removed":
                    await self.put_out(who, RemoveUser(user_named(who)))
                case "is banned":
                    await self.put_out(who, Ban(user_named(who)))
                case "is forgiven":
                    await self.forgive(who)
                case "leaves":
                    await self.leave(who)
                case _:
                    generous(await self.village.town.restart(who))

    async def act(self, by: str, intent: Intent) -> UpdateRoomResponse | None:
        """Let somebody do something; the answer is lost once, and asked for again."""
        agent = self.village[by].agent
        if by not in self.since or agent.member is None:
            return None
        operation = agent.room.operation or agent.room.perform(self.village.env, intent)
        agent.store()
        if operation is None:
            return None
        lost = await self.village.ask(by, Endpoint.UPDATE, operation.octets)
        answer = await self.village.ask(by, Endpoint.UPDATE, operation.octets)
        if decode_update_response(lost).code == UpdateCode.SUCCESS:
            assert answer == lost
        agent.note(agent.room.confirm(self.village.env, answer))
        agent.store()
        return decode_update_response(answer)

    async def say(self, by: str) -> None:
        agent = self.village[by].agent
        if by not in self.since or agent.member is None:
            return
        self.count += 1
        text = f"{self.count} of {by}"
        epoch = agent.room.epoch
        outgoing = agent.room.send(self.village.env, said(text), agent.known())
        agent.store()
        octets = outgoing.octets
        answer = await self.village.ask(by, Endpoint.SUBMIT_MESSAGE, octets)
        if decode_submit_response(answer).code == SubmitCode.ACCEPTED:
            again = await self.village.ask(by, Endpoint.SUBMIT_MESSAGE, octets)
            assert again == answer
            for name, since in self.since.items():
                if epoch >= since:
                    self.expected.setdefault(name, []).append(text)
        agent.note(
            agent.room.confirm_message(self.village.env, outgoing.digest, answer)
        )
        agent.store()

    async def let_in(self, name: str) -> None:
        if name in self.since or self.is_listed(name):
            return
        await self.village.take(ANN)
        response = await self.village.invite(ANN, name)
        if response.code == UpdateCode.SUCCESS:
            self.since[name] = self.epoch

    async def put_out(self, name: str, intent: Intent) -> None:
        await self.village.take(ANN)
        response = await self.act(ANN, intent)
        if response is not None and response.code == UpdateCode.SUCCESS:
            self.since.pop(name, None)

    async def forgive(self, name: str) -> None:
        await self.village.take(ANN)
        if self.village[ANN].agent.room.view.is_banned(user_named(name)):
            # Who was banned is taken off the list, and can be let in again.
            await self.act(ANN, SetRole(user_named(name), 2))
            await self.act(ANN, RemoveUser(user_named(name)))

    async def leave(self, name: str) -> None:
        response = await self.act(name, Leave())
        if response is not None and response.code == UpdateCode.SUCCESS:
            del self.since[name]

    def is_listed(self, name: str) -> bool:
        room = self.village[ANN].agent.room
        return user_named(name) in room.room.participants.users

    async def check(self) -> None:
        village = self.village
        await village.quiet()
        with suppress(CommitFirst):
            if village[ANN].agent.room.needs_commit:
                await self.act(ANN, CommitPending())
        await village.quiet()
        await village.check_memory()
        async with village.hosting(village.hub)._desks.asked(village.room) as hub:
            assert hub is not None
            context = hub.memory.group.context.raw
            users = {client.user for client in hub.view.clients}
        assert users == {user_named(name) for name in self.since}
        for name in self.since:
            room = village[name].agent.room
            assert room.group.group_context.raw == context, name
            assert not village[name].agent.all(Violation), name
        for name, texts in self.expected.items():
            # Who had left the room's stream when it was read is not promised all.
            if name in self.since:
                assert village.texts(name) == texts, name


def generous(site: Site) -> None:
    """Let people be let in more often than in real life."""
    often = Rate(count=1_000, per_ms=1_000)
    site.provider.core.rates.key_material_per_pair = RateLimit(often)


@pytest.mark.parametrize("seed", range(8))
async def test_mc_105_lives_of_a_room(town: Town, seed: int) -> None:
    for domain in DOMAINS:
        others = tuple(each for each in DOMAINS if each != domain)
        generous(await town.open(domain, knows=others))
    village = Village(town)
    await village.settle_in(*ALL)
    await village.found(ANN)
    life = Life(village, {ANN: 0})
    for name in OTHERS:
        await life.let_in(name)
    for what, who in plan_of(seed):
        await life.step(what, who)
    await life.check()
    assert life.epoch > 3
    assert sum(map(len, life.expected.values())) >= STEPS / 8
