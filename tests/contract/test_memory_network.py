"""The memory network keeps the contract, and the contract notices who does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import count

import pytest
from typing_extensions import override

from sabir.clock import Instant
from sabir.content.capabilities import Capabilities
from sabir.content.rich import Rich
from sabir.errors import Error, PolicyRefused, StorageFailed, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    Connector,
    Finding,
    Host,
    IdempotencyKey,
    Incoming,
    NativeEvent,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Person,
    PersonId,
    Posted,
    Refused,
    Sent,
)
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.rules import ConnectorContract
from sabir.testing.contract.world import Ability, World
from sabir.testing.memory_network import (
    POOR,
    RICH,
    Echo,
    MemoryConnector,
    Rules,
    SendFault,
)
from sabir.testing.memory_server import Delivery, Session
from sabir.testing.memory_world import MemoryWorld


class MemoryContract(ConnectorContract):
    """The kit over one kind of memory network; subclasses say which."""

    rules: Rules = Rules()
    abilities: Capabilities = RICH
    kind: type[MemoryConnector] = MemoryConnector

    @override
    async def make_world(self) -> World:
        return MemoryWorld(replace(self.rules))

    @override
    def make_connector(self, world: World, host: ContractHost) -> Connector:
        assert isinstance(world, MemoryWorld)
        return self.kind(
            world.server,
            "bridge",
            capabilities=self.abilities,
            send_window=3,
            answer_timeout_ms=50,
        )


class TestPlain(MemoryContract):
    """What most modern networks are like."""


class TestWithoutKeys(MemoryContract):
    """Without idempotency keys, searchable, and the echo comes first."""

    rules = Rules(idempotent=False, echo=Echo.BEFORE, aliases=True)


class TestBlind(MemoryContract):
    """Neither keys nor search nor echo: doubt stays doubt."""

    rules = Rules(idempotent=False, searchable=False, echo=Echo.NONE)


class TestUnruly(MemoryContract):
    """Everything comes twice, and chats overtake each other."""

    rules = Rules(duplicate_live=True, shuffle_live=True)


class TestForgetful(MemoryContract):
    """What was acknowledged is gone."""

    rules = Rules(forgets_acknowledged=True)


class TestPoor(MemoryContract):
    """One account speaks for everybody."""

    abilities = POOR


class SilentWorld(MemoryWorld):
    """The answer never comes, but the connection lives."""

    @override
    async def drop_answer(self) -> None:
        self.server.fail_next_sends(SendFault.ANSWER_LOST)


class TestSilent(MemoryContract):
    """Answers get lost without any sign."""

    rules = Rules(idempotent=False, echo=Echo.NONE)

    @override
    async def make_world(self) -> World:
        return SilentWorld(replace(self.rules))


# ---- connectors that break one rule each


class NamesAnew(MemoryConnector):
    """K1: gives every delivery a new name."""

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        fresh = count(self._server.logins * 1_000_000 + len(_offered(host)))
        renamed = [
            Delivery(position, replace(event, native_id=NativeId(f"{next(fresh)}")))
            for position, event in deliveries
        ]
        await super()._hand_on(host, session, renamed, late=late)


class Reorders(MemoryConnector):
    """K2: hands on a batch from its end."""

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        turned = [
            Delivery(delivery.position, other.event)
            for delivery, other in zip(deliveries, reversed(deliveries), strict=True)
        ]
        await super()._hand_on(host, session, turned, late=late)


class LosesTheGap(MemoryConnector):
    """K3: begins with what is new."""

    async def _catch_up(self, host: Host, session: Session) -> None:
        self._position = self._stored = session._mailbox.last


class SwallowsFailures(MemoryConnector):
    """K4: goes on when a take failed."""

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        try:
            await super()._hand_on(host, session, deliveries, late=late)
        except StorageFailed:
            session.acknowledge(deliveries[-1].position)


class AcknowledgesFirst(MemoryConnector):
    """K5: acknowledges what is not stored yet."""

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        session.acknowledge(deliveries[-1].position)
        await super()._hand_on(host, session, deliveries, late=late)


class TakesItsEchoes(MemoryConnector):
    """K6: takes its own messages for somebody's."""

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        foreign = [
            Delivery(position, replace(event, account=""))
            for position, event in deliveries
        ]
        await super()._hand_on(host, session, foreign, late=late)


class AnswersInDisorder(MemoryConnector):
    """K7: tells the outcomes from the end."""

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        outcomes = [outcome async for outcome in super().send(batch)]
        for outcome in reversed(outcomes):
            yield outcome


class SendsInDisorder(MemoryConnector):
    """K7: sends a batch from its end."""

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        outcomes = [outcome async for outcome in super().send(batch[::-1])]
        for outcome in reversed(outcomes):
            yield outcome


class ForgetsTheKey(MemoryConnector):
    """K8: uses a new key for every attempt."""

    _fresh = count()

    async def _send_one(self, session: Session, outgoing: Outgoing) -> Outcome:
        fresh = IdempotencyKey(f"{outgoing.key}{next(self._fresh)}")
        outcome = await super()._send_one(session, replace(outgoing, key=fresh))
        return replace(outcome, key=outgoing.key)


class FindsNothing(MemoryConnector):
    """K9: says of everything that it did not arrive."""

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        self._connected()
        return NotSent()


class FindsEverything(MemoryConnector):
    """K10: says of everything that it arrived."""

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        self._connected()
        return Sent(key=piece.key, native_id=NativeId("m1"))


class StopsAtARefusal(MemoryConnector):
    """K11: raises where it should refuse one piece."""

    async def _send_one(self, session: Session, outgoing: Outgoing) -> Outcome:
        outcome = await super()._send_one(session, outgoing)
        if isinstance(outcome, Refused):
            raise PolicyRefused(outcome.reason)
        return outcome


class SendsOneAtATime(MemoryConnector):
    """K12: has one queue for all chats."""

    _lock: asyncio.Lock | None = None

    async def _send_one(self, session: Session, outgoing: Outgoing) -> Outcome:
        self._lock = self._lock or asyncio.Lock()
        self._answer_timeout_s = 60
        async with self._lock:
            return await super()._send_one(session, outgoing)


class EndsWithoutAWord(MemoryConnector):
    """K13: returns when the connection breaks."""

    async def run(self, host: Host) -> None:
        try:
            await super().run(host)
        except Unavailable:
            return


class DecodesByMood(MemoryConnector):
    """K14: remembers what it has decoded."""

    _seen = count()

    def decode(self, event: NativeEvent) -> Incoming | None:
        incoming = super().decode(event)
        sent_at = Instant(next(self._seen))
        return None if incoming is None else replace(incoming, sent_at=sent_at)


class TrustsThePeer(MemoryConnector):
    """K15: has never seen a broken payload."""

    def decode(self, event: NativeEvent) -> Incoming | None:
        start = event.payload.index(b'"text":"') + 8
        text = event.payload[start : event.payload.index(b'"', start)].decode()
        return Incoming(
            sender=Person(id=PersonId("eve"), name="Eve"),
            action=Posted(text=_plain(text)),
            sent_at=Instant(0),
        )


class CountsItsOpenings(MemoryConnector):
    """K16: hands an event on once for every time the chat was opened."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        self._openings: dict[ChatId, int] = {}

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        self._openings[chat] = self._openings.get(chat, 0) + 1
        return await super().open_chat(chat)

    async def _hand_on(
        self,
        host: Host,
        session: Session,
        deliveries: Sequence[Delivery],
        *,
        late: bool = False,
    ) -> None:
        repeated = [
            Delivery(position, replace(event, native_id=NativeId(name)))
            for position, event in deliveries
            for name in [event.native_id, f"{event.native_id}/again"][
                : self._openings.get(event.chat, 1)
            ]
        ]
        await super()._hand_on(host, session, repeated, late=late)


class ListensOn(MemoryConnector):
    """K17: never leaves."""

    async def close_chat(self, chat: ChatId) -> None:
        return


class LeavesATask(MemoryConnector):
    """K18: starts a task and forgets it."""

    async def run(self, host: Host) -> None:
        self._task = asyncio.get_running_loop().create_task(asyncio.sleep(1))
        await super().run(host)


class BreaksUnconnected(MemoryConnector):
    """K19: does not expect to be called before `run`."""

    def _connected(self) -> Session:
        assert self._session is not None
        return self._session


class IgnoresTheLimit(MemoryConnector):
    """K20: downloads whatever there is."""

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        async for chunk in super().download(handle, octets_max=1 << 40):
            yield chunk


def _offered(host: Host) -> list[NativeEvent]:
    assert isinstance(host, ContractHost)
    return host.offered


def _plain(text: str) -> Rich:
    return Rich.plain(text)


KEYLESS = Rules(idempotent=False)
FORGETFUL = Rules(forgets_acknowledged=True)

# What else breaks with a rule is listed too: a connector that forgets the key,
# say, can neither repeat a send (K8) nor look one up (K9).
BROKEN: list[tuple[type[MemoryConnector], Rules, set[str]]] = [
    (NamesAnew, Rules(), {"k1", "k6"}),
    (Reorders, Rules(), {"k2", "k3"}),
    (LosesTheGap, Rules(), {"k3", "k4", "k5"}),
    (SwallowsFailures, FORGETFUL, {"k4"}),
    (AcknowledgesFirst, FORGETFUL, {"k4", "k5"}),
    (TakesItsEchoes, Rules(), {"k6"}),
    (AnswersInDisorder, Rules(), {"k7", "k11"}),
    (SendsInDisorder, Rules(), {"k7"}),
    (ForgetsTheKey, Rules(), {"k8", "k9"}),
    (FindsNothing, KEYLESS, {"k9"}),
    (FindsEverything, Rules(), {"k10"}),
    (StopsAtARefusal, Rules(), {"k11"}),
    (SendsOneAtATime, Rules(), {"k12"}),
    (EndsWithoutAWord, Rules(), {"k13"}),
    (DecodesByMood, Rules(), {"k14"}),
    (TrustsThePeer, Rules(), {"k15", "k20"}),
    (CountsItsOpenings, Rules(), {"k13", "k16"}),
    (ListensOn, Rules(), {"k17"}),
    (LeavesATask, Rules(), {"k18"}),
    (BreaksUnconnected, Rules(), {"k19"}),
    (IgnoresTheLimit, Rules(), {"k20"}),
]
RULES = sorted(
    (name for name in dir(ConnectorContract) if name.startswith("test_k")),
    key=lambda name: int(name.split("_")[1][1:]),
)


async def broken_rules(contract: ConnectorContract) -> set[str]:
    """Return the numbers of the rules that fail."""
    failed = set()
    for name in RULES:
        try:
            await getattr(contract, name)()
        except pytest.skip.Exception:
            continue
        except (AssertionError, Error, ValueError, pytest.fail.Exception):
            failed.add(name.split("_")[1])
    return failed


def contract_of(kind: type[MemoryConnector], rules: Rules) -> ConnectorContract:
    contract = MemoryContract()
    contract.kind = kind
    contract.rules = rules
    contract.patience_s = 0.3
    return contract


@pytest.mark.parametrize(
    ("kind", "rules", "expected"), BROKEN, ids=[kind.__name__ for kind, _, _ in BROKEN]
)
async def test_a_broken_connector_fails_the_rule_it_breaks(
    kind: type[MemoryConnector], rules: Rules, expected: set[str]
) -> None:
    contract = contract_of(kind, rules)
    failed = await broken_rules(contract)
    if failed - expected:  # a busy machine is no broken rule: look again, slowly
        contract.patience_s = 3.0
        failed = await broken_rules(contract)
    assert failed == expected


def test_every_rule_has_a_connector_that_breaks_it() -> None:
    caught = set().union(*(expected for _, _, expected in BROKEN))
    assert caught == {name.split("_")[1] for name in RULES}


def test_every_rule_says_in_words_what_it_demands() -> None:
    for number, name in enumerate(RULES, start=1):
        about = getattr(ConnectorContract, name).__doc__ or ""
        assert about.startswith(f"K{number}: "), name


async def test_a_rule_that_cannot_be_provoked_is_skipped_with_the_reason() -> None:
    contract = contract_of(MemoryConnector, Rules(idempotent=False))
    with pytest.raises(pytest.skip.Exception, match="idempotent: this network has no"):
        await contract.test_k8_a_key_is_one_message()


async def test_a_world_must_explain_every_ability_it_lacks() -> None:
    class Mute(MemoryContract):
        @override
        async def make_world(self) -> World:
            world = MemoryWorld()
            world.can = world.can - {Ability.GO_DARK}
            return world

    with pytest.raises(AssertionError, match="says no reason"):
        await Mute().test_k2_events_come_in_the_order_of_their_chat()
