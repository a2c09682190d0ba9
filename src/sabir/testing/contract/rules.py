"""The contract of every connector: numbered rules, one test each.

Subclass `ConnectorContract` in a test module (name it `Test...`), give it
`make_world` and `make_connector`, and pytest runs every rule. A rule that the
world cannot provoke is skipped with the world's reason, so it is listed.

Waiting is real time, at most `patience_s` per step. No rule waits to see that
something does *not* come: it lets something later come and looks what is missing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from sabir.clock import Instant
from sabir.errors import (
    PeerMisbehaved,
    PolicyRefused,
    StorageFailed,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    Connector,
    DownloadsMedia,
    Finding,
    Incoming,
    InDoubt,
    NativeEvent,
    NotSent,
    Outcome,
    Outgoing,
    Posted,
    Refused,
    Sent,
)
from sabir.testing.contract.host import ContractHost
from sabir.testing.contract.scene import (
    ADA,
    BOB,
    LOOK_S,
    Scene,
    identity,
    text_of,
    texts,
    word,
)
from sabir.testing.contract.world import Ability, World

CHUNK_OCTETS_MAX: Final = 64 * 1024


class ConnectorContract:
    """Numbered rules; a failure names the rule."""

    patience_s: float = 10.0
    """Real time a step may take; more for a real server on a busy machine."""

    async def make_world(self) -> World:
        """Return the network's side, prepared for one test."""
        raise NotImplementedError

    def make_connector(self, world: World, host: ContractHost) -> Connector:
        """Return a new connector of the same account; `host` has clock and dice."""
        raise NotImplementedError

    @asynccontextmanager
    async def scene(self, *needs: Ability) -> AsyncIterator[Scene]:
        """Return a scene, or skip the rule if the world lacks an ability."""
        world = await self.make_world()
        try:
            unexplained = set(Ability) - world.can - set(world.cannot)
            assert not unexplained, f"the world says no reason for {unexplained}"
            for need in needs:
                if need not in world.can:
                    pytest.skip(f"{need}: {world.cannot[need]}")
            yield Scene(world, self.make_connector, self.patience_s)
        finally:
            await world.close()

    # ---- coming in

    async def test_k1_what_is_delivered_again_has_the_same_identity(self) -> None:
        """K1: an event that the network delivers twice is the same event (I2)."""
        async with self.scene(Ability.REDELIVER) as scene:
            connector = scene.connector()
            async with scene.living(connector):
                first = await scene.says(word("first"))
                await scene.takes(connector, first)
                await scene.world.redeliver()
                last = await scene.says(word("last"))
                await scene.takes(connector, last)
            same = [
                identity(event)
                for event in scene.host.offered
                if texts(connector, [event]) == [first]
            ]
            assert len(set(same)) == 1, f"K1: one message under the names {set(same)}"

    async def test_k2_events_come_in_the_order_of_their_chat(self) -> None:
        """K2: within a chat, events are handed on in the network's order."""
        async with self.scene() as scene:
            connector, world = scene.connector(), scene.world
            said: dict[ChatId, list[str]] = {world.chat: [], world.other_chat: []}
            async with scene.living(connector):
                for _ in range(5):
                    for chat, so_far in said.items():
                        so_far.append(await scene.says(word("text"), chat))
                for chat, all_of_them in said.items():
                    await scene.takes(connector, all_of_them[-1], chat)
            for chat, all_of_them in said.items():
                got = scene.taken(connector, chat)
                assert got == all_of_them, f"K2: said {all_of_them}, taken {got}"

    async def test_k3_what_happened_meanwhile_is_caught_up_on(self) -> None:
        """K3: after a restart nothing is missing, doubled or out of order."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector):
                said = [await scene.says(word("before"))]
                await scene.takes(connector, said[0])
            said += [await scene.says(word("meanwhile")) for _ in range(3)]
            connector = scene.connector()
            async with scene.living(connector):
                said.append(await scene.says(word("after")))
                await scene.takes(connector, said[-1])
            got = scene.taken(connector)
            assert got == said, f"K3: said {said}, taken {got}"

    async def test_k4_a_take_that_fails_ends_the_run_and_loses_nothing(self) -> None:
        """K4: nothing is acknowledged when a take fails (I1); the event comes again."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector) as run:
                before = await scene.says(word("before"))
                await scene.takes(connector, before)
                scene.host.fail_takes = 1
                lost = await scene.says(word("lost once"))
                error = await run.end()
            scene.host.fail_takes = 0
            assert isinstance(error, StorageFailed), f"K4: run ended with {error!r}"
            connector = scene.connector()
            async with scene.living(connector):
                after = await scene.says(word("after"))
                await scene.takes(connector, after)
            got = scene.taken(connector)
            assert got == [before, lost, after], f"K4: taken {got}"

    async def test_k5_dying_within_a_take_loses_nothing(self) -> None:
        """K5: nothing is acknowledged before a take has returned (I1)."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector):
                before = await scene.says(word("before"))
                await scene.takes(connector, before)
                scene.host.hold_takes()
                held = await scene.says(word("held"))
                await scene.until(
                    lambda: held in texts(connector, scene.host.offered),
                    "the event is offered",
                )
            scene.host.release_takes()
            connector = scene.connector()
            async with scene.living(connector):
                after = await scene.says(word("after"))
                await scene.takes(connector, after)
            got = scene.taken(connector)
            assert got == [before, held, after], f"K5: taken {got}"

    async def test_k6_what_we_sent_is_never_taken(self) -> None:
        """K6: our own messages are not handed on: not live, not after a restart."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector):
                live = scene.piece(word("ours"))
                (outcome,) = await scene.send(connector, live)
                marker = await scene.says(word("theirs"))
                await scene.takes(connector, marker)
                late = scene.piece(word("ours, late"))
                await scene.send(connector, late)
            connector = scene.connector()
            async with scene.living(connector):
                marker = await scene.says(word("theirs again"))
                await scene.takes(connector, marker)
            ours = [t for t in texts(connector, scene.host.offered) if "ours" in t]
            assert not ours, f"K6: taken as if people had said it: {ours}"
            assert isinstance(outcome, Sent), f"K6: {outcome}"
            for _, echo in scene.host.echoes:
                if echo.key == live.key:
                    assert echo.native_id == outcome.native_id, "K6: another echo"

    # ---- going out

    async def test_k7_one_outcome_for_each_piece_in_order(self) -> None:
        """K7: pieces arrive in order, each with one outcome and an id of its own."""
        async with self.scene() as scene:
            connector, world = scene.connector(), scene.world
            pieces = [
                scene.piece(word("piece"), speaker=speaker)
                for speaker in (ADA, BOB, ADA, ADA, BOB)
            ]
            async with scene.living(connector):
                outcomes = await scene.send(connector, *pieces)
                keys = [outcome.key for outcome in outcomes]
                assert keys == [piece.key for piece in pieces], f"K7: {outcomes}"
                ids = {o.native_id for o in outcomes if isinstance(o, Sent)} - {""}
                assert len(ids) == len(pieces), f"K7: not sent, or ids: {outcomes}"
                expected = [(p.speaker.name, text_of(p)) for p in pieces]
                await scene.arrives(expected[-1][1])
                got = list(await world.sent(world.chat))
                if not connector.capabilities(world.chat).ghosts:
                    expected = [("", text) for _, text in expected]
                    got = [("", text) for _, text in got]
                assert got == expected, f"K7: sent {expected}, arrived {got}"

    async def test_k8_a_key_is_one_message(self) -> None:
        """K8: the same idempotency key again gives the same id and no second one."""
        async with self.scene(Ability.IDEMPOTENT) as scene:
            connector = scene.connector()
            piece = scene.piece(word("once"))
            async with scene.living(connector):
                first = await scene.send(connector, piece)
                again = await scene.send(connector, piece)
                marker = scene.piece(word("marker"))
                await scene.send(connector, marker)
                await scene.arrives(text_of(marker))
                arrived = await scene.texts_sent()
            assert _ids(first) == _ids(again), f"K8: {first}, then {again}"
            assert arrived.count(text_of(piece)) == 1, f"K8: arrived {arrived}"

    async def test_k9_an_accepted_piece_is_never_found_unsent(self) -> None:
        """K9: accepted, answer lost: found as sent, or in doubt (I3)."""
        async with self.scene(Ability.DROP_ANSWER) as scene:
            connector = scene.connector()
            piece = scene.piece(word("accepted"))
            outcome = await self._doubtful(
                scene, connector, piece, scene.world.drop_answer
            )
            if outcome is not None:
                assert isinstance(outcome, Sent), f"K9: {outcome}"
                return
            connector = scene.connector()
            async with scene.living(connector):
                found = await self._looked_up(connector, piece)
                if isinstance(found, NotSent):
                    assert Ability.IDEMPOTENT in scene.world.can, "K9: found unsent"
                    await scene.send(connector, piece)
                if isinstance(found, Sent):
                    assert found.native_id, "K9: found, but without an id"
                    assert found.key == piece.key, f"K9: {found}"
                marker = scene.piece(word("marker"))
                await scene.send(connector, marker)
                await scene.arrives(text_of(marker))
                arrived = await scene.texts_sent()
            assert arrived.count(text_of(piece)) == 1, f"K9: arrived {arrived}"

    async def test_k10_a_lost_piece_is_never_found_sent(self) -> None:
        """K10: lost on its way: found as not sent, or in doubt (I3)."""
        async with self.scene(Ability.DROP_SEND) as scene:
            connector = scene.connector()
            piece = scene.piece(word("lost"))
            outcome = await self._doubtful(
                scene, connector, piece, scene.world.drop_send
            )
            assert outcome is None, f"K10: it was lost, but send says {outcome}"
            connector = scene.connector()
            async with scene.living(connector):
                found = await self._looked_up(connector, piece)
                assert isinstance(found, NotSent | InDoubt), f"K10: {found}"
                if isinstance(found, NotSent):
                    (again,) = await scene.send(connector, piece)
                    assert isinstance(again, Sent), f"K10: {again}"
                    await scene.arrives(text_of(piece))
                    arrived = await scene.texts_sent()
                    assert arrived.count(text_of(piece)) == 1, f"K10: {arrived}"

    async def _doubtful(
        self,
        scene: Scene,
        connector: Connector,
        piece: Outgoing,
        trouble: Callable[[], object],
    ) -> Outcome | None:
        """Send under trouble; return the outcome, None if it is in doubt."""
        async with scene.living(connector) as run:
            run.may_end()
            first = scene.piece(word("first"))
            await scene.send(connector, first)
            troubled = trouble()
            assert asyncio.iscoroutine(troubled)
            await troubled
            try:
                outcomes = await scene.send(connector, piece)
            except Unavailable:
                return None
            return outcomes[0]

    async def _looked_up(self, connector: Connector, piece: Outgoing) -> Finding:
        attempted_at = Instant(piece.sent_at)
        async with asyncio.timeout(self.patience_s):
            found = await connector.lookup(piece, attempted_at=attempted_at)
            again = await connector.lookup(piece, attempted_at=attempted_at)
        assert found == again, f"lookup says {found}, then {again}"
        return found

    async def test_k11_what_is_refused_says_why_and_the_next_one_goes(self) -> None:
        """K11: a piece beyond a limit is `Refused` with a reason (I9)."""
        async with self.scene(Ability.REFUSED_TEXT) as scene:
            connector = scene.connector()
            refused = scene.piece(scene.world.refused_text())
            fine = scene.piece(word("fine"))
            async with scene.living(connector):
                outcomes = await scene.send(connector, refused, fine)
                await scene.arrives(text_of(fine))
            assert isinstance(outcomes[0], Refused), f"K11: {outcomes[0]}"
            assert outcomes[0].reason, "K11: no reason"
            assert isinstance(outcomes[1], Sent), f"K11: {outcomes[1]}"

    async def test_k12_a_slow_chat_delays_no_other(self) -> None:
        """K12: while one chat waits, others go on (I8)."""
        async with self.scene(Ability.SLOW_CHAT) as scene:
            connector, world = scene.connector(), scene.world
            async with scene.living(connector):
                await world.slow(world.chat)
                slow = asyncio.get_running_loop().create_task(
                    _first_outcome(connector, scene.piece(word("slow")))
                )
                await asyncio.sleep(LOOK_S)
                fast = scene.piece(word("fast"), world.other_chat)
                try:
                    (outcome,) = await scene.send(connector, fast)
                    assert not slow.done(), "K12: the slow chat was not slow"
                except TimeoutError:
                    raise AssertionError("K12: the other chat had to wait") from None
                finally:
                    slow.cancel()
                    await asyncio.gather(slow, return_exceptions=True)
            assert isinstance(outcome, Sent), f"K12: {outcome}"

    # ---- trouble

    async def test_k13_a_dead_network_ends_the_run_and_comes_back(self) -> None:
        """K13: no connection is `Unavailable` from `run`, and the next run resumes."""
        async with self.scene(Ability.GO_DARK) as scene:
            connector, world = scene.connector(), scene.world
            async with scene.living(connector) as run:
                before = await scene.says(word("before"))
                await scene.takes(connector, before)
                await world.go_dark()
                error = await run.end()
                assert isinstance(error, Unavailable), f"K13: ended with {error!r}"
            again = await scene.start(connector).end()
            assert isinstance(again, Unavailable), f"K13: ended with {again!r}"
            await world.come_back()
            async with scene.living(connector):
                after = await scene.says(word("after"))
                await scene.takes(connector, after)
            assert scene.taken(connector) == [before, after], "K13: something is lost"

    async def test_k14_decode_is_a_pure_function(self) -> None:
        """K14: the same event means the same, always and to every connector."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector):
                await scene.takes(connector, await scene.says(word("words")))
            for event in scene.host.events:
                once, twice = connector.decode(event), connector.decode(event)
                elsewhere = scene.connector().decode(event)
                assert once == twice == elsewhere, f"K14: {event.native_id} varies"

    async def test_k15_a_malformed_payload_is_the_peers_fault(self) -> None:
        """K15: any octets are a meaning, None, or `PeerMisbehaved`."""
        async with self.scene() as scene:
            connector = scene.connector()
            async with scene.living(connector):
                await scene.takes(connector, await scene.says(word("words")))
            event = scene.host.events[-1]
            for payload in _malformed(event.payload):
                broken = NativeEvent(
                    chat=event.chat, native_id=event.native_id, payload=payload
                )
                try:
                    meaning = connector.decode(broken)
                except PeerMisbehaved:
                    continue
                except Exception as error:
                    raise AssertionError(
                        f"K15: {error!r} on {payload[:80]!r}"
                    ) from error
                assert meaning is None or isinstance(meaning, Incoming)

    async def test_k16_a_chat_may_be_opened_again(self) -> None:
        """K16: opening twice is opening once."""
        async with self.scene() as scene:
            connector, chat = scene.connector(), scene.world.chat
            async with scene.living(connector):
                first = await connector.open_chat(chat)
                again = await connector.open_chat(chat)
                text = await scene.says(word("once"))
                await scene.takes(connector, text)
                marker = await scene.says(word("marker"))
                await scene.takes(connector, marker)
            assert first.chat == again.chat == chat, f"K16: {first}, {again}"
            assert first.kind == again.kind, f"K16: {first}, {again}"
            got = scene.taken(connector)
            assert got == [text, marker], f"K16: taken {got}"

    async def test_k17_a_closed_chat_is_silent(self) -> None:
        """K17: after `close_chat` its events are not handed on; others are."""
        async with self.scene() as scene:
            connector, world = scene.connector(), scene.world
            async with scene.living(connector):
                scene.host.portals.remove(world.chat)
                await connector.close_chat(world.chat)
                await scene.says(word("unheard"))
                marker = await scene.says(word("marker"), world.other_chat)
                await scene.takes(connector, marker, world.other_chat)
            offered = texts(connector, scene.host.offered)
            unheard = [text for text in offered if text.startswith("unheard")]
            assert not unheard, f"K17: handed on {unheard}"

    async def test_k18_a_cancelled_run_leaves_nothing_behind(self) -> None:
        """K18: all tasks of a connector end with its run."""
        async with self.scene() as scene:
            connector = scene.connector()
            before = asyncio.all_tasks()
            async with scene.living(connector):
                await scene.takes(connector, await scene.says(word("words")))
            await scene.until(
                lambda: not asyncio.all_tasks() - before,
                "K18: every task of the connector has ended",
            )

    async def test_k19_without_a_connection_everything_is_unavailable(self) -> None:
        """K19: before and after `run`, calls raise `Unavailable` at once."""
        async with self.scene() as scene:
            connector = scene.connector()
            await self._is_unavailable(scene, connector)
            async with scene.living(connector):
                pass
            await self._is_unavailable(scene, connector)

    async def _is_unavailable(self, scene: Scene, connector: Connector) -> None:
        piece = scene.piece(word("nowhere"))
        for name, call in (
            ("send", lambda: scene.send(connector, piece)),
            ("open_chat", lambda: connector.open_chat(scene.world.chat)),
            ("lookup", lambda: connector.lookup(piece, attempted_at=Instant(0))),
        ):
            try:
                async with asyncio.timeout(self.patience_s):
                    got: object = await call()
            except Unavailable:
                continue
            except Exception as error:
                raise AssertionError(f"K19: {name} raised {error!r}") from error
            assert isinstance(got, InDoubt), f"K19: {name} gave {got}"

    async def test_k20_files_come_whole_or_not_at_all(self) -> None:
        """K20: a download is the file, in small pieces, and keeps the limit (I9)."""
        async with self.scene(Ability.SEND_FILE) as scene:
            connector, world = scene.connector(), scene.world
            assert isinstance(connector, DownloadsMedia), "K20: cannot download"
            data = bytes(range(256)) * 600
            async with scene.living(connector):
                await world.sends_file(world.chat, world.person, data)
                marker = await scene.says(word("marker"))
                await scene.takes(connector, marker)
                handles = [
                    media.handle
                    for event in scene.host.events
                    if (incoming := connector.decode(event)) is not None
                    and isinstance(incoming.action, Posted)
                    for media in incoming.action.media
                ]
                assert len(handles) == 1, f"K20: {len(handles)} files"
                chunks = [
                    chunk
                    async for chunk in connector.download(
                        handles[0], octets_max=len(data)
                    )
                ]
                assert b"".join(chunks) == data, "K20: another file"
                assert max(map(len, chunks)) <= CHUNK_OCTETS_MAX, "K20: large pieces"
                small = connector.download(handles[0], octets_max=len(data) - 1)
                with pytest.raises(PolicyRefused):
                    _ = [chunk async for chunk in small]


async def _first_outcome(connector: Connector, piece: Outgoing) -> Outcome | None:
    async for outcome in connector.send([piece]):
        return outcome
    return None


def _ids(outcomes: Sequence[Outcome]) -> list[str]:
    return [o.native_id for o in outcomes if isinstance(o, Sent)]


def _malformed(payload: bytes) -> list[bytes]:
    """Return broken variants: cut, flipped, foreign, and nested without end."""
    steps = range(0, len(payload), max(1, len(payload) // 60))
    cut = [payload[:at] for at in steps]
    flipped = [
        payload[:at] + bytes([payload[at] ^ mask]) + payload[at + 1 :]
        for at in steps
        for mask in (0x01, 0x20, 0x80)
    ]
    foreign = [b"null", b"[]", b"{}", b"0", b'""', b"<a/>", b"\x00", b"\xff\xfe"]
    nested = [b"[" * 100_000, b'{"a":' * 50_000, b"<a>" * 20_000]
    return cut + flipped + foreign + nested
