"""The XMPP connector against real Prosody and ejabberd: both kinds of account."""

import asyncio
import base64
import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement

import pytest

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    NativeRef,
    Piece,
    ProfilePiece,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    Error,
    PolicyRefused,
    StorageFailed,
    Unavailable,
)
from sabir.networks.api import (
    Account,
    AccountId,
    ChatId,
    ChatRenamed,
    ConnectionState,
    Corrected,
    Delivered,
    IdempotencyKey,
    Incoming,
    InDoubt,
    MediaReader,
    NotSent,
    Outcome,
    Outgoing,
    PersonJoined,
    PersonLeft,
    Posted,
    ProfileChanged,
    ReactionsReplaced,
    Read,
    Refused,
    Retracted,
    Sent,
    Speaker,
    TopicChanged,
    Typing,
)
from sabir.networks.login import Done
from sabir.networks.xmpp import muc
from sabir.networks.xmpp.account import AccountConnector
from sabir.networks.xmpp.component import ComponentConnector
from sabir.networks.xmpp.network import NETWORK
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.servers.accounts import ComponentAccount, XmppAccount
from sabir.testing.servers.ejabberd import Ejabberd
from sabir.testing.servers.prosody import Prosody

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

Server = Prosody | Ejabberd
SECRET = "a shared secret"
_COMPONENTS: dict[str, ComponentAccount] = {}


@pytest.fixture(params=["prosody", "ejabberd"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Prosody | Ejabberd)
    return found


async def place(server: Server) -> ComponentAccount:
    """Our component's place on this server; restarts it the first time."""
    if server.name not in _COMPONENTS:
        _COMPONENTS[server.name] = server.add_component("sabir", SECRET)
        await server.restart()
    return _COMPONENTS[server.name]


def plain(text: str) -> TextPiece:
    return TextPiece(text=Rich.plain(text))


def unique(name: str) -> str:
    return f"{name}-{os.urandom(4).hex()}"


def key_of(name: str) -> IdempotencyKey:
    digest = hashlib.sha256(name.encode()).digest()[:20]
    return IdempotencyKey(base64.b32encode(digest).decode().lower())


@dataclass
class Octets:
    """A file in memory."""

    data: bytes
    size: int = 0
    sha256: bytes = b""

    def __post_init__(self) -> None:
        self.size = len(self.data)
        self.sha256 = hashlib.sha256(self.data).digest()

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]


@dataclass
class Bridge:
    """A running connector and its host."""

    connector: ComponentConnector | AccountConnector
    host: RecordingHost
    made: int = 0
    tag: str = field(default_factory=lambda: os.urandom(8).hex())

    def outgoing(
        self,
        chat: str,
        piece: Piece | str,
        *,
        who: str = "Ada",
        media: MediaReader | None = None,
    ) -> Outgoing:
        self.made += 1
        return Outgoing(
            chat=ChatId(chat),
            key=key_of(f"{self.tag} {self.made}"),
            speaker=Speaker(
                uri=f"matrix:u/{who.lower()}:example.org", name=who, network="matrix"
            ),
            piece=TextPiece(text=Rich.plain(piece))
            if isinstance(piece, str)
            else piece,
            sent_at=self.host.clock.now(),
            media=media,
        )

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        return [outcome async for outcome in self.connector.send(batch)]

    async def say(
        self,
        chat: str,
        piece: Piece | str,
        *,
        who: str = "Ada",
        media: MediaReader | None = None,
    ) -> Sent:
        (outcome,) = await self.send([self.outgoing(chat, piece, who=who, media=media)])
        assert isinstance(outcome, Sent), outcome
        return outcome

    @property
    def incoming(self) -> list[Incoming]:
        found = [self.connector.decode(event) for event in self.host.events]
        return [one for one in found if one is not None]

    @property
    def texts(self) -> list[str]:
        return [
            text_of(one.action.text)
            for one in self.incoming
            if isinstance(one.action, Posted) and one.action.text is not None
        ]

    async def heard(self, holds: Callable[[Incoming], object]) -> Incoming:
        await self.host.until(lambda: any(holds(one) for one in self.incoming))
        return next(one for one in self.incoming if holds(one))


def text_of(rich: Rich) -> str:
    block = rich.blocks[0]
    assert isinstance(block, Paragraph)
    return "".join(c.text for c in block.children if isinstance(c, Text))


def component(login: ComponentAccount, **more: str | int | bool) -> ComponentConnector:
    settings: dict[str, str | int | bool] = {
        "kind": "component",
        "domain": login.jid,
        "host": login.host,
        "port": login.port,
        "allow_private_media_hosts": True,
    }
    made = NETWORK.connector(
        Account(
            id=AccountId("x"),
            network="xmpp",
            settings=settings | more,
            secrets={"secret": Secret.from_text(login.secret)},
        ),
        clock=LoopClock(),
        rng=os.urandom,
    )
    assert isinstance(made, ComponentConnector)
    return made


def account(login: XmppAccount, **more: str | int | bool) -> AccountConnector:
    settings: dict[str, str | int | bool] = {
        "kind": "account",
        "jid": login.jid,
        "host": login.host,
        "port": login.port,
        "ca_file": str(login.ca_file),
        "nick": "Relay",
    }
    made = NETWORK.connector(
        Account(
            id=AccountId("y"),
            network="xmpp",
            settings=settings | more,
            secrets={"password": Secret.from_text(login.password)},
        ),
        clock=LoopClock(),
        rng=os.urandom,
    )
    assert isinstance(made, AccountConnector)
    return made


def new_host(*chats: str) -> RecordingHost:
    return RecordingHost(
        clock=LoopClock(), rng=os.urandom, chats=[ChatId(chat) for chat in chats]
    )


@asynccontextmanager
async def running(
    connector: ComponentConnector | AccountConnector, host: RecordingHost
) -> AsyncIterator[Bridge]:
    """Run a connector until the block ends."""
    host.states.clear()
    run = asyncio.create_task(connector.run(host))
    try:
        await host.until(
            lambda: run.done() or (ConnectionState.CONNECTED, "") in host.states
        )
        if run.done():
            run.result()
        yield Bridge(connector, host)
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError, Error):
            await run


@asynccontextmanager
async def scene(
    server: Server,
) -> AsyncIterator[tuple[Bridge, XmppClient, str]]:
    """A component with one room, and Alice in it."""
    login = await place(server)
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        room = f"{unique('room')}@{server.muc}"
        await alice.join(room, "Alice")
        async with running(component(login), new_host(room)) as bridge:
            yield bridge, alice, room


def ref_to(sent: Sent, name: str = "Ada") -> NativeRef:
    return NativeRef(
        native_id=sent.native_id,
        aliases=sent.aliases,
        author=sent.author or "",
        author_name=name,
        excerpt="what was said",
    )


# ---- coming in


async def test_a_wrong_secret_is_refused(server: Server) -> None:
    login = await place(server)
    wrong = ComponentAccount(
        jid=login.jid, secret="wrong", host=login.host, port=login.port
    )
    with pytest.raises(CredentialsRefused, match="secret") as refused:
        await component(wrong).run(new_host())
    assert "wrong" not in str(refused.value).split("make", maxsplit=1)[0]


async def test_a_closed_port_is_unavailable(prosody: Prosody) -> None:
    login = await place(prosody)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    closed = component(login, port=port)
    with pytest.raises(Unavailable, match="does not accept connections"):
        await closed.run(new_host())
    with pytest.raises(Unavailable):
        await closed.open_chat(ChatId(f"x@{prosody.muc}"))


async def test_a_login_is_tried_before_it_is_stored(prosody: Prosody) -> None:
    login = await place(prosody)
    flow = NETWORK.login(rng=os.urandom)
    await flow.begin()
    await flow.answer({"kind": "component"})
    answers = {
        "domain": login.jid,
        "host": login.host,
        "port": str(login.port),
        "secret": "wrong",
    }
    with pytest.raises(CredentialsRefused):
        await flow.answer(answers)
    done = await flow.answer({**answers, "secret": login.secret})
    assert isinstance(done, Done)
    assert done.settings["port"] == login.port
    assert set(done.secrets) == {"secret"}
    assert login.jid in done.welcome


async def test_a_room_that_does_not_exist_is_not_made_by_accident(
    server: Server,
) -> None:
    async with scene(server) as (bridge, _, _):
        with pytest.raises(PolicyRefused, match="check that it still exists"):
            await bridge.connector.open_chat(ChatId(f"typo@{server.muc}"))


# ---- messages


async def test_texts_go_both_ways_in_order_once(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        for number in range(30):
            alice.post(room, body(f"in {number}"))
        await bridge.host.until(lambda: len(bridge.texts) >= 30)
        batch = [
            bridge.outgoing(room, f"out {n}", who=("Ada", "Bob")[n % 2])
            for n in range(30)
        ]
        outcomes = await bridge.send(batch)
        await alice.wait_for_body(room, "out 29")
        assert bridge.texts == [f"in {n}" for n in range(30)]
        seen = [m for m in alice.messages if (m.body or "").startswith("out")]
        assert [m.body for m in seen] == [f"out {n}" for n in range(30)]
        assert [m.nick for m in seen[:2]] == ["Ada", "Bob"]
        for outcome, out, message in zip(outcomes, batch, seen, strict=True):
            assert isinstance(outcome, Sent)
            assert outcome.key == out.key == message.id == message.origin_id
            assert outcome.native_id == message.stanza_id
            assert [str(alias) for alias in outcome.aliases] == [out.key]
        assert bridge.host.echoes == []
        assert bridge.host.cursors[f"muc:{room}"] == seen[-1].stanza_id


async def test_the_rooms_id_counts_and_a_forged_one_does_not(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        forged = Element("{urn:xmpp:sid:0}stanza-id", {"by": alice.jid, "id": "forged"})
        alice.post(room, body("x"), forged)
        await bridge.host.until(lambda: bridge.texts == ["x"])
        heard = await alice.wait_for_body(room, "x")
        assert bridge.host.events[0].native_id == heard.stanza_id != "forged"


async def test_what_happened_while_away_comes_once_in_order(server: Server) -> None:
    login = await place(server)
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        room = f"{unique('room')}@{server.muc}"
        await alice.join(room, "Alice")
        await alice.say(room, "before the portal")
        host = new_host(room)
        async with running(component(login), host) as bridge:
            await alice.say(room, "live")
            await bridge.say(room, "ours")
            await host.until(lambda: bridge.texts == ["live"])
        for number in range(250):
            alice.post(room, body(f"away {number}"))
        await alice.wait_for_body(room, "away 249")
        async with running(component(login), host) as bridge:
            alice.post(room, body("back"))
            wanted = ["live", *(f"away {n}" for n in range(250)), "back"]
            await host.until(lambda: len(bridge.texts) >= len(wanted))
            assert bridge.texts == wanted
            assert [event.late for event in host.events[1:251]] == [True] * 250
            assert host.states[1][0] is ConnectionState.CATCHING_UP
            # the same again from an id the archive has never heard of
            host.cursors[f"muc:{room}"] = "expired"
        async with running(component(login), host) as bridge:
            assert bridge.texts == wanted


async def test_a_restart_of_the_server_ends_the_run_and_nothing_is_lost(
    server: Server,
) -> None:
    login = await place(server)
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        room = f"{unique('room')}@{server.muc}"
        await alice.join(room, "Alice")
        host = new_host(room)
        connector = component(login)
        run = asyncio.create_task(connector.run(host))
        await host.until(lambda: (ConnectionState.CONNECTED, "") in host.states)
        bridge = Bridge(connector, host)
        await bridge.say(room, "first")
        await server.restart()
        with pytest.raises(Unavailable):
            await run
        await alice.say(room, "while you were away")
        async with running(connector, host) as bridge:
            await bridge.say(room, "second")
            await host.until(lambda: bridge.texts == ["while you were away"])
        bodies = [m.body for m in await alice.archive(room)]
        assert bodies == ["first", "while you were away", "second"]


async def test_a_lookup_finds_what_arrived_and_only_that(server: Server) -> None:
    login = await place(server)
    async with scene(server) as (bridge, _, room):
        here, lost = bridge.outgoing(room, "here"), bridge.outgoing(room, "lost")
        (sent,) = await bridge.send([here])
        host = bridge.host
    async with running(component(login), host) as again:
        now = host.clock.now()
        assert await again.connector.lookup(here, attempted_at=now) == sent
        assert await again.connector.lookup(lost, attempted_at=now) == NotSent()
        join = again.outgoing(room, JoinPiece())
        assert await again.connector.lookup(join, attempted_at=now) == NotSent()
        old = type(now)(now - 30 * 24 * 3_600_000)
        assert isinstance(await again.connector.lookup(here, attempted_at=old), InDoubt)


async def cut_off(
    connector: ComponentConnector, room: str, last: Outgoing, cut: int
) -> None:
    """Break the connection a moment after the last message was written."""
    state = connector._rooms[room]
    for _ in range(1_000):
        if last.key in state.fates:
            break
        await asyncio.sleep(0)
    await asyncio.sleep(cut * 0.004)
    assert connector._stream is not None
    connector._stream._xmpp.transport.abort()


async def test_a_cut_between_writing_and_accepting_leaves_one_copy_of_each(
    server: Server,
) -> None:
    login = await place(server)
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        room = f"{unique('room')}@{server.muc}"
        await alice.join(room, "Alice")
        host = new_host(room)
        wanted: list[str] = []
        decided: list[str] = []
        connector = component(login)
        for cut in range(5):
            batch: list[Outgoing] = []
            run = asyncio.create_task(connector.run(host))
            bridge = Bridge(connector, host)
            host.states.clear()
            await host.until(lambda: (ConnectionState.CONNECTED, "") in host.states)
            await bridge.say(room, f"warm {cut}")
            batch = [bridge.outgoing(room, f"cut {cut} {n}") for n in range(30)]
            wanted += [f"cut {cut} {n}" for n in range(30)]
            answered: list[Outcome] = []
            cutting = asyncio.create_task(cut_off(connector, room, batch[-1], cut))
            with suppress(Unavailable):
                async for outcome in connector.send(batch):
                    # not a comprehension: what came before the cut counts
                    answered.append(outcome)  # noqa: PERF401
            await cutting
            with suppress(Unavailable):
                await run
            async with running(connector, host) as again:
                left = batch[len(answered) :]
                now = host.clock.now()
                for out in left:
                    finding = await again.connector.lookup(out, attempted_at=now)
                    decided.append(type(finding).__name__)
                    if finding == NotSent():
                        await again.send([out])
        bodies = [m.body or "" for m in await alice.archive(room)]
        assert sorted(b for b in bodies if b.startswith("cut")) == sorted(wanted)
        assert set(decided) <= {"Sent", "NotSent"}
        assert decided


async def test_an_echo_that_nobody_waits_for_is_reported(server: Server) -> None:
    async with scene(server) as (bridge, _, room):
        out = bridge.outgoing(room, "late")
        sending = bridge.connector.send([out])
        await bridge.say(room, "warm")  # so that the ghost has a seat
        # as after a crash between writing and recording: nobody waits any more
        task = asyncio.ensure_future(anext(aiter(sending)))
        seat = bridge.connector._rooms[room]
        for _ in range(100):  # the rest of one turn of the loop per look
            if out.key in seat.fates:
                break
            await asyncio.sleep(0)
        seat.fates.clear()
        await bridge.host.until(lambda: bridge.host.echoes)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        ((chat, sent),) = bridge.host.echoes
        assert (chat, sent.key) == (room, out.key)
        assert sent.native_id


# ---- seats


async def test_taken_nicks_get_the_networks_name_and_keep_it(server: Server) -> None:
    login = await place(server)
    async with XmppClient(await server.add_user(unique("ada"))) as ada:
        room = f"{unique('room')}@{server.muc}"
        await ada.join(room, "Ada")
        host = new_host(room)
        async with running(component(login), host) as bridge:
            await bridge.say(room, "one")
            assert (await ada.wait_for_body(room, "one")).nick == "Ada (matrix)"
            await ada.change_nick(room, "Somebody")
        async with running(component(login), host) as bridge:
            await bridge.say(room, "two")
            assert (await ada.wait_for_body(room, "two")).nick == "Ada (matrix)"


async def test_a_room_that_forgot_a_ghost_gets_its_messages_in_order(
    server: Server,
) -> None:
    async with scene(server) as (bridge, alice, room):
        await bridge.say(room, "seated")
        state = bridge.connector._rooms[room]
        ghost = next(s for s in state.seats.values() if s is not state.listener)
        state.stand_up(ghost)
        await alice.wait_for_occupant(room, "Ada", present=False)
        ghost.joined = True  # the room has forgotten us, and we do not know
        texts = [f"again {n}" for n in range(5)]
        outcomes = await bridge.send([bridge.outgoing(room, t) for t in texts])
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        await alice.wait_for_body(room, texts[-1])
        seen = [m.body for m in alice.messages if (m.body or "").startswith("again")]
        assert seen == texts


async def test_a_room_that_forgot_the_listener_is_entered_again(
    server: Server,
) -> None:
    async with scene(server) as (bridge, alice, room):
        await alice.say(room, "before")
        state = bridge.connector._rooms[room]
        state.stand_up(state.listener)
        await alice.wait_for_occupant(room, state.listener.nick, present=False)
        state.listener.joined = state.live = True
        await alice.say(room, "unheard")
        await bridge.connector._check_seat(room)
        await alice.say(room, "heard")
        await bridge.host.until(lambda: "heard" in bridge.texts)
        assert bridge.texts == ["before", "unheard", "heard"]


async def test_who_has_no_voice_is_refused_with_the_way_out(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        await bridge.say(room, "hello")
        await alice._administer(room, {"nick": "Ada", "role": "visitor"}, "")
        await alice._configure(room, {"muc#roomconfig_moderatedroom": "1"})
        ok, muted = bridge.outgoing(room, "ok", who="Bob"), bridge.outgoing(room, "x")
        await bridge.say(room, JoinPiece(), who="Bob")
        await alice._administer(room, {"nick": "Bob", "role": "participant"}, "")
        outcomes = await bridge.send([muted, ok])
        assert isinstance(outcomes[0], Refused)
        assert "ask a moderator" in outcomes[0].reason
        assert isinstance(outcomes[1], Sent)


async def test_a_banned_listener_is_told_what_to_do(server: Server) -> None:
    login = await place(server)
    async with scene(server) as (bridge, alice, room):
        await alice.ban(room, f"sabir@{login.jid}")
        state = bridge.connector._rooms[room]
        await bridge.host.until(lambda: not state.live)
        with pytest.raises(PolicyRefused, match="ask"):
            await bridge.connector.open_chat(ChatId(room))


async def test_a_full_room_has_one_seat_for_the_rest(
    prosody: Prosody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muc, "GHOSTS_MAX", 2)
    async with scene(prosody) as (bridge, alice, room):
        for who in ("Ada", "Bob", "Cid"):
            await bridge.say(room, f"I am {who}", who=who)
        last = await alice.wait_for(lambda m: "Cid" in (m.body or ""))
        assert (last.nick, last.body) == ("Sabir", "Cid: I am Cid")
        reaction = ReactPiece(target=NativeRef(native_id="x"), emoji="👍")
        (outcome,) = await bridge.send([bridge.outgoing(room, reaction, who="Cid")])
        assert isinstance(outcome, Refused)


async def test_what_eight_ghosts_get_is_decoded_once_and_cheaply(
    prosody: Prosody,
) -> None:
    async with scene(prosody) as (bridge, alice, room):
        for number in range(8):
            await bridge.say(room, JoinPiece(), who=f"Ghost {number}")
        begun = time.process_time()
        for number in range(1_000):
            alice.post(room, body(f"in {number}"))
        await bridge.host.until(lambda: len(bridge.host.events) >= 1_000)
        spent = time.process_time() - begun
        assert bridge.texts == [f"in {n}" for n in range(1_000)]
        assert spent < 2, f"{spent} s of CPU, the writing client included"


async def test_people_coming_and_going_are_news_and_who_was_there_is_not(
    server: Server,
) -> None:
    async with scene(server) as (bridge, alice, room):
        async with XmppClient(await server.add_user(unique("bob"))) as bob:
            await bridge.say(room, "a ghost comes")
            await bob.join(room, "Bob")
            await bridge.heard(lambda one: isinstance(one.action, PersonJoined))
            await bob.change_nick(room, "Bobby")
            await bridge.heard(lambda one: isinstance(one.action, ProfileChanged))
            await bob.leave(room)
            await bridge.heard(lambda one: isinstance(one.action, PersonLeft))
            await bob.join(room, "Bobby")
            await alice.wait_for_occupant(room, "Bobby")
            await alice.kick(room, "Bobby", "spam")
            await bridge.host.until(lambda: len(bridge.incoming) >= 5)
        actions = [(one.sender.name, one.action) for one in bridge.incoming]
        assert actions == [
            ("Bob", PersonJoined()),
            ("Bobby", ProfileChanged(old_name="Bob")),
            ("Bobby", PersonLeft()),
            ("Bobby", PersonJoined()),
            ("Bobby", PersonLeft(reason="spam", removed=True)),
        ]
        state = bridge.connector._rooms[room]
        state.live = False
        await bridge.connector.open_chat(ChatId(room))
        await alice.say(room, "still here")
        await bridge.host.until(lambda: bridge.texts == ["still here"])
        assert len(bridge.incoming) == 6


# ---- features


async def test_what_people_here_do_reaches_the_room_natively(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        rich = Rich((Paragraph((Text("so "), Strong((Text("bold"),)))),))
        first = await bridge.say(room, TextPiece(text=rich))
        assert (await alice.wait_for_body(room, "so *bold*")).id == first.aliases[0]
        ref = ref_to(first)
        await bridge.say(room, TextPiece(text=Rich.plain("yes"), reply_to=ref))
        reply = await alice.wait_for(lambda m: m.replies_to == first.native_id)
        assert reply.body == "> Ada: what was said\nyes"
        await bridge.say(room, EditPiece(target=ref, text=Rich.plain("new")))
        assert (await alice.wait_for_body(room, "new")).corrects == first.aliases[0]
        await bridge.say(
            room, ReactPiece(target=ref, emoji="👍", all_emoji=("🎉", "👍"))
        )
        reacted = await alice.wait_for(lambda m: m.reacts_to == first.native_id)
        assert reacted.reactions == {"👍", "🎉"}
        mark = len(alice.messages)
        await bridge.say(room, UnreactPiece(target=ref, emoji="👍"))
        gone = await alice.wait_for(lambda m: bool(m.reacts_to), mark=mark)
        assert gone.reactions == frozenset()
        await bridge.say(room, DeletePiece(target=ref))
        await alice.wait_for(lambda m: m.retracts == first.native_id)
        await bridge.say(room, TextPiece(text=Rich.plain("waves"), emote=True))
        await alice.wait_for_body(room, "/me waves")
        await bridge.say(room, ProfilePiece(name="Ada L."))
        await alice.wait_for_occupant(room, "Ada L.")
        await bridge.say(room, LeavePiece(reason="bye"))
        await alice.wait_for_occupant(room, "Ada L.", present=False)
        archived = [m.id for m in await alice.archive(room)]
        assert len(archived) == len(set(archived))


async def test_names_and_topics_need_the_right_to_set_them(server: Server) -> None:
    login = await place(server)
    async with scene(server) as (bridge, alice, room):
        avatar = ChatAvatarPiece(attachment=image())
        refused = await bridge.send(
            [bridge.outgoing(room, one) for one in (ChatNamePiece(name="Tea"), avatar)]
        )
        assert [type(outcome) for outcome in refused] == [Refused, Refused]
        for jid in (f"sabir@{login.jid}", ghost_jid(login)):
            owner = {"jid": jid, "affiliation": "owner"}
            await alice._administer(room, owner, "")
        await bridge.say(room, ChatNamePiece(name="Tea room"))
        assert await alice.room_name(room) == "Tea room"
        await bridge.say(room, TopicPiece(topic="Today: oolong"))
        await alice.wait_for(lambda m: m.subject == "Today: oolong")
        await alice.rename_room(room, "Coffee room")
        renamed = await bridge.heard(lambda one: isinstance(one.action, ChatRenamed))
        assert renamed.action == ChatRenamed(name="Coffee room")
        await alice.set_subject(room, "Arabica")
        await bridge.heard(lambda one: one.action == TopicChanged(topic="Arabica"))
        names = [one for one in bridge.incoming if isinstance(one.action, ChatRenamed)]
        assert len(names) == 1
        assert not [one for one in bridge.incoming if "oolong" in str(one.action)]


def ghost_jid(login: ComponentAccount) -> str:
    return f"matrix\\3au\\2fada\\3aexample.org@{login.jid}"


async def test_what_people_there_do_is_understood(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        first = await alice.say(room, "first")
        reply = await alice.reply(room, first, "yes")
        await alice.correct(room, first.id, "first, corrected")
        await alice.react(room, first.stanza_id, ["👍", "🎉"])
        await alice.react(room, first.stanza_id, [])
        await alice.retract(room, reply.stanza_id)
        await bridge.host.until(lambda: len(bridge.incoming) >= 6)
        posted, answered, *rest = (one.action for one in bridge.incoming)
        assert posted == Posted(text=Rich.plain("first"))
        assert answered == Posted(
            text=Rich.plain("yes"), reply_to=bridge.host.events[0].native_id
        )
        aliases = bridge.incoming[0].aliases
        corrected = rest[0]
        assert isinstance(corrected, Corrected)
        assert corrected.target in aliases
        reacted = rest[1]
        assert isinstance(reacted, ReactionsReplaced)
        assert set(reacted.emoji) == {"👍", "🎉"}
        assert reacted.target == bridge.host.events[0].native_id
        assert rest[2] == ReactionsReplaced(target=reacted.target, emoji=())
        assert rest[3] == Retracted(target=bridge.host.events[1].native_id)


async def test_typing_and_reading_are_shown_both_ways(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        assert isinstance(bridge.connector, ComponentConnector)
        ada = bridge.outgoing(room, "x").speaker
        await bridge.connector.typing(ChatId(room), ada, active=True)  # no seat: quiet
        sent = await bridge.say(room, "x")
        await bridge.connector.typing(ChatId(room), ada, active=True)
        typing = await alice.wait_for(lambda m: m.chat_state == "composing")
        assert typing.nick == "Ada"
        said = await alice.say(room, "y")
        seen = NativeRef(native_id=said.stanza_id)
        await bridge.connector.receipt(ChatId(room), ada, seen, read=True)
        await alice.wait_for(lambda m: m.displayed == said.stanza_id)
        alice.set_chat_state(room, "composing")
        alice.mark_displayed(room, sent.native_id)
        signals = bridge.host.signals
        await bridge.host.until(lambda: any(isinstance(s, Read) for s in signals))
        assert any(isinstance(s, Typing) and s.active for s in signals)
        read = next(s for s in signals if isinstance(s, Read))
        assert (read.native_id, read.person.name) == (sent.native_id, "Alice")
        assert bridge.texts == ["y"]


def image(size: int = 0) -> Attachment:
    part = ExternalPart(content_type="image/png", url="", size=size, filename="a b.png")
    return Attachment(part=part, kind=MediaKind.IMAGE, width=2, height=2)


async def test_files_go_both_ways_whole(server: Server) -> None:
    octets = os.urandom(1_000_000)
    async with scene(server) as (bridge, alice, room):
        piece = MediaPiece(attachment=image(), caption=Rich.plain("look"))
        await bridge.say(room, piece, media=Octets(octets))
        shown = await alice.wait_for(lambda m: m.file_url is not None)
        assert shown.body == shown.file_url
        assert shown.file_url is not None
        assert await alice.download(shown.file_url) == octets
        await alice.wait_for_body(room, "look")
        await alice.send_file(room, octets, "cat.jpg", "image/jpeg")
        heard = await bridge.heard(lambda one: isinstance(one.action, Posted))
        assert isinstance(heard.action, Posted)
        (media,) = heard.action.media
        assert (media.filename, media.kind) == ("cat.jpg", MediaKind.IMAGE)
        assert heard.action.text is None
        fetch = bridge.connector.download
        got = [c async for c in fetch(media.handle, octets_max=2_000_000)]
        assert b"".join(got) == octets
        assert max(map(len, got)) <= 65_536
        with pytest.raises(PolicyRefused):
            await anext(aiter(fetch(media.handle, octets_max=999)))
        login = await place(server)
        guarded = component(login, allow_private_media_hosts=False)
        with pytest.raises(PolicyRefused):
            await anext(aiter(guarded.download(media.handle, octets_max=2_000_000)))


async def test_no_text_of_anybody_breaks_the_stream(server: Server) -> None:
    async with scene(server) as (bridge, alice, room):
        forbidden = "".join(map(chr, range(32))) + "\ufffe\uffff\ud800 end"
        sent = await bridge.say(room, forbidden)
        assert sent.lost
        heard = await alice.wait_for(lambda m: (m.body or "").endswith("end"))
        assert heard.body == "\t\n\n\ufffd end"
        whole = [c for c in range(0x20, 0x110000) if not 0xD800 <= c < 0xE000]
        for start in range(0, len(whole), 15_000):
            text = "".join(map(chr, whole[start : start + 15_000]))
            await bridge.say(room, text + f" part {start}")
            part = await alice.wait_for(
                lambda m, s=start: (m.body or "").endswith(f" part {s}")  # type: ignore[misc]
            )
            kept = text.replace("\ufffe", "").replace("\uffff", "")
            assert part.body == f"{kept} part {start}"
        (large,) = await bridge.send([bridge.outgoing(room, "x" * 250_000)])
        assert isinstance(large, Refused)
        assert "file" in large.reason
        await bridge.say(room, "alive")
        # names and reasons are texts of people too
        await bridge.say(room, "named", who="A\x00\u202e\ud800da")
        await bridge.say(room, LeavePiece(reason="\x07"), who="A\x00\u202e\ud800da")
        names = ("\u05d0\u05d3\u05d4 Ada", "\U0001f99c Polly \U0001fae8", "\u7231")
        for name in names:
            await bridge.say(room, f"I am {name}", who=name)
        await bridge.say(room, "alive still")


# ---- direct chats of a component


async def test_a_receipt_follows_the_storing_and_never_precedes_it(
    server: Server,
) -> None:
    login = await place(server)
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        ghost = ghost_jid(login)
        chat = f"direct:{alice.jid}|{ghost.partition('@')[0]}"
        host = new_host(chat)
        asked = Element("{urn:xmpp:receipts}request")
        async with running(component(login), host) as bridge:
            ident = alice.post(ghost, body("hello"), asked)
            receipt = await alice.wait_for(lambda m: receipt_of(m.xml) == ident)
            assert receipt.chat == ghost
            assert bridge.texts == ["hello"]
            assert host.events[0].native_id == ident
            sent = await bridge.say(chat, "hello yourself")
            heard = await alice.wait_for_body(ghost, "hello yourself")
            assert heard.id == sent.native_id
            done = Element("{urn:xmpp:receipts}received", {"id": sent.native_id})
            alice.post(ghost, done)
            await host.until(
                lambda: any(isinstance(s, Delivered) for s in host.signals)
            )
            other = await bridge.say(chat, "me too", who="Bob")
            assert other.native_id
            await alice.wait_for_body(ghost, "Bob: me too")
            out = bridge.outgoing(chat, "?")
            found = await bridge.connector.lookup(out, attempted_at=host.clock.now())
            assert isinstance(found, InDoubt)
            stranger = alice.post(f"nobody@{login.jid}", body("anybody?"))
            refused = await alice.wait_for(lambda m: m.id == stranger)
            assert refused.type == "error"
        connector = component(login)
        host.states.clear()
        run = asyncio.create_task(connector.run(host))
        await host.until(lambda: (ConnectionState.CONNECTED, "") in host.states)
        host.fail_takes = 1
        lost = alice.post(ghost, body("lost"), asked)
        with pytest.raises(StorageFailed):
            await run
        await asyncio.sleep(0.3)
        assert not [m for m in alice.messages if receipt_of(m.xml) == lost]


async def test_a_message_to_nobody_is_refused(server: Server) -> None:
    login = await place(server)
    chat = f"direct:nobody-here@{server.domain}|matrix"
    async with running(component(login), new_host(chat)) as bridge:
        refused, event = await bridge.send(
            [bridge.outgoing(chat, "hello?"), bridge.outgoing(chat, JoinPiece())]
        )
        assert isinstance(event, Refused)
        if isinstance(server, Prosody):
            assert isinstance(refused, Refused)


async def test_ghosts_say_who_they_are(server: Server) -> None:
    login = await place(server)
    async with scene(server) as (bridge, alice, room):
        await bridge.say(room, "hello")
        ghost = f"{ghost_jid(login)}/sabir"
        disco = "http://jabber.org/protocol/disco#info"
        told = await alice._ask("get", ghost, Element(f"{{{disco}}}query"))
        identity = told.find(f".//{{{disco}}}identity")
        assert identity is not None
        assert identity.get("name") == "Ada"
        card = await alice._ask("get", ghost_jid(login), Element("{vcard-temp}vCard"))
        assert card.findtext(".//{vcard-temp}FN") == "Ada"
        version = Element("{jabber:iq:version}query")
        named = await alice._ask("get", ghost, version)
        assert named.findtext(".//{jabber:iq:version}name") == "Sabir"
        await alice._ask("get", ghost, Element("{urn:xmpp:ping}ping"))
        with pytest.raises(PolicyRefused, match="service-unavailable"):
            await alice._ask("get", ghost, Element("{urn:unheard-of}query"))


def receipt_of(stanza: Element) -> str:
    found = stanza.find("{urn:xmpp:receipts}received")
    return found.get("id", "") if found is not None else ""


def body(text: str) -> Element:
    element = Element("{jabber:client}body")
    element.text = text
    return element


# ---- plain accounts


async def test_an_account_speaks_in_rooms_and_direct_chats(server: Server) -> None:
    relay = await server.add_user(unique("relay"))
    async with XmppClient(await server.add_user(unique("alice"))) as alice:
        room = f"{unique('room')}@{server.muc}"
        await alice.join(room, "Alice")
        host = new_host(room, alice.jid)
        async with running(account(relay), host) as bridge:
            assert not bridge.connector.capabilities(ChatId(room)).ghosts
            await bridge.say(room, "Ada: hello")
            assert (await alice.wait_for_body(room, "Ada: hello")).nick == "Relay"
            sent = await bridge.say(alice.jid, "direct")
            heard = await alice.wait_for_body(relay.jid, "direct")
            assert heard.id == sent.aliases[0]
            await alice.say(room, "to the room")
            alice.post(relay.jid, body("to you"))
            await host.until(lambda: len(bridge.texts) >= 2)
            assert sorted(bridge.texts) == ["to the room", "to you"]
            now = host.clock.now()
            out = bridge.outgoing(alice.jid, "found")
            (found,) = await bridge.send([out])
            assert await bridge.connector.lookup(out, attempted_at=now) == found
            never = bridge.outgoing(alice.jid, "never")
            assert await bridge.connector.lookup(never, attempted_at=now) == NotSent()
            async with XmppClient(relay) as phone:
                phone.post(alice.jid, body("from my phone"))
                await host.until(lambda: "from my phone" in bridge.texts)
        for number in range(120):
            alice.post(relay.jid, body(f"away {number}"))
        await alice.archive(alice.jid)  # answered after all of it was stored
        async with running(account(relay), host) as bridge:
            await host.until(lambda: "away 119" in bridge.texts)
            away = [text for text in bridge.texts if text.startswith("away")]
            assert away == [f"away {n}" for n in range(120)]


async def test_a_carbon_from_a_stranger_is_no_carbon(server: Server) -> None:
    relay = await server.add_user(unique("relay"))
    async with XmppClient(await server.add_user(unique("mallory"))) as mallory:
        host = new_host(mallory.jid, f"victim@{server.domain}")
        async with running(account(relay), host) as bridge:
            carbon = Element("{urn:xmpp:carbons:2}received")
            forwarded = SubElement(carbon, "{urn:xmpp:forward:0}forwarded")
            inner = SubElement(
                forwarded,
                "{jabber:client}message",
                {"from": f"victim@{server.domain}", "to": relay.jid, "type": "chat"},
            )
            inner.append(body("forged"))
            mallory.post(relay.jid, carbon)
            mallory.post(relay.jid, body("honest"))
            await host.until(lambda: "honest" in bridge.texts)
            assert bridge.texts == ["honest"]


async def test_a_wrong_password_is_refused(server: Server) -> None:
    relay = await server.add_user(unique("relay"))
    wrong = XmppAccount(
        jid=relay.jid,
        password="wrong",
        host=relay.host,
        port=relay.port,
        ca_file=relay.ca_file,
        upload_service=relay.upload_service,
    )
    with pytest.raises(CredentialsRefused, match="password"):
        await account(wrong).run(new_host())


async def test_a_certificate_of_an_unknown_authority_is_refused(
    server: Server,
) -> None:
    relay = await server.add_user(unique("relay"))
    with pytest.raises(CredentialsRefused, match="ca_file") as refused:
        await account(relay, ca_file="").run(new_host())
    assert relay.host in str(refused.value)


async def test_without_tls_only_on_loopback(server: Server) -> None:
    relay = await server.add_user(unique("relay"))
    plain = account(relay, tls="loopback-plain", ca_file="")
    async with running(plain, new_host()) as bridge:
        assert bridge.host.states[-1] == (ConnectionState.CONNECTED, "")
