"""The Matrix connector against a real Synapse: both kinds of account."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sabir.clock import Instant
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
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
from sabir.content.rich import Mention, Paragraph, Rich, Strong, Text
from sabir.crypto.secrets import Secret
from sabir.errors import (
    ConfigInvalid,
    CredentialsRefused,
    PolicyRefused,
    StorageFailed,
    Unavailable,
)
from sabir.networks.api import Account as NetworkAccount
from sabir.networks.api import (
    AccountId,
    ChatId,
    ConnectionState,
    Corrected,
    IdempotencyKey,
    Incoming,
    MediaReader,
    NativeId,
    NotSent,
    Outgoing,
    PersonId,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionAdded,
    Read,
    Refused,
    Retracted,
    Sent,
    Speaker,
    Typing,
)
from sabir.networks.login import Ask, Done
from sabir.networks.matrix import appservice as appservice_module
from sabir.networks.matrix.account import PlainAccount
from sabir.networks.matrix.appservice import AppService
from sabir.networks.matrix.client import Client, Voice, http_session, segments
from sabir.networks.matrix.config import AccountConfig, AppServiceConfig
from sabir.networks.matrix.decode import decode
from sabir.networks.matrix.ghosts import ghost_localpart
from sabir.networks.matrix.network import NETWORK
from sabir.networks.matrix.registration import new_token, registration
from sabir.testing.clock import LoopClock
from sabir.testing.pytest_plugin import need
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.synapse import Synapse

pytest_plugins = ("sabir.testing.pytest_plugin",)
pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

ADA = Speaker(uri="xmpp:sea@muc.example.org/Ada", name="Ada", network="xmpp")
BO = Speaker(uri="xmpp:sea@muc.example.org/Bo", name="Bo", network="xmpp")

A = TypeVar("A")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


_numbers = iter(range(1, 1_000_000))


def key() -> IdempotencyKey:
    number = next(_numbers)
    digits = "".join("abcdefghijklmnop"[int(d, 16)] for d in f"{number:032x}")
    return IdempotencyKey(digits)


@dataclass
class Person:
    """A Matrix user with a client of their own."""

    id: str
    client: Client

    async def create_room(self, *, invite: Sequence[str] = (), **extra: Any) -> ChatId:
        body = {"preset": "private_chat", "invite": list(invite), **extra}
        path = "/_matrix/client/v3/createRoom"
        return ChatId((await self.client.call("POST", path, body=body))["room_id"])

    async def send(self, room: str, content: dict[str, Any] | str) -> str:
        if isinstance(content, str):
            content = {"msgtype": "m.text", "body": content}
        return await self.client.send(
            room, "m.room.message", txn=key(), content=content, voice=None
        )

    async def history(self, room: str) -> list[dict[str, Any]]:
        page = await self.client.messages(room, query={"dir": "b", "limit": 100})
        return list(reversed(page["chunk"]))

    async def texts(self, room: str) -> list[str]:
        return [
            event["content"]["body"]
            for event in await self.history(room)
            if event["type"] == "m.room.message" and "body" in event["content"]
        ]


@dataclass
class Lab:
    """A homeserver that knows our application service."""

    server: Synapse
    config: AppServiceConfig
    host: RecordingHost
    people: dict[str, Person] = field(default_factory=dict)

    def appservice(self) -> AppService:
        return AppService(self.config, clock=LoopClock())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[AppService]:
        connector = self.appservice()
        self.host.states.clear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(connector.run(self.host))
            await self.host.until(
                lambda: self.states()[-1:] == [ConnectionState.CONNECTED] or task.done()
            )
            yield connector
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def states(self) -> list[ConnectionState]:
        return [state for state, _ in self.host.states]

    async def room(self, connector: AppService, owner: Person) -> ChatId:
        room = await owner.create_room(invite=[self.config.bot_id])
        await connector.open_chat(room)
        self.host.portals.append(room)
        return room

    def ghost(self, speaker: Speaker) -> str:
        local = ghost_localpart(
            speaker.uri, prefix=self.config.prefix, server_name=self.config.server_name
        )
        return f"@{local}:{self.config.server_name}"

    def decoded(self, room: ChatId, kind: type[A]) -> list[tuple[Incoming, A]]:
        connector = self.appservice()
        found: list[tuple[Incoming, A]] = []
        for event in self.host.events:
            incoming = connector.decode(event) if event.chat == room else None
            if incoming is not None and isinstance(incoming.action, kind):
                found.append((incoming, incoming.action))
        return found

    def heard(self, room: ChatId) -> list[str]:
        return [
            plain_of(posted.text)
            for _, posted in self.decoded(room, Posted)
            if posted.text
        ]


def plain_of(rich: Rich) -> str:
    return "".join(
        inline.text
        for block in rich.blocks
        if isinstance(block, Paragraph)
        for inline in block.children
        if isinstance(inline, Text)
    )


def outgoing(
    chat: ChatId,
    piece: Piece,
    speaker: Speaker = ADA,
    *,
    media: MediaReader | None = None,
) -> Outgoing:
    return Outgoing(
        chat=chat,
        key=key(),
        speaker=speaker,
        piece=piece,
        sent_at=LoopClock().now(),
        media=media,
    )


def text(words: str, **extra: Any) -> TextPiece:
    return TextPiece(text=Rich.plain(words), **extra)


async def deliver(connector: AppService, *batch: Outgoing) -> list[Sent]:
    results = [outcome async for outcome in connector.send(batch)]
    assert [r.key for r in results] == [o.key for o in batch]
    assert all(isinstance(r, Sent) for r in results), results
    return [r for r in results if isinstance(r, Sent)]


_config: list[AppServiceConfig] = []


@pytest.fixture
async def config(synapse: Synapse) -> AppServiceConfig:
    """Install our registration, once: Synapse reads such files when it starts."""
    if not _config:
        rng = SeededRng("matrix interop")
        made = AppServiceConfig(
            homeserver_url=synapse.base_url,
            server_name=synapse.server_name,
            as_token=new_token(rng),
            hs_token=new_token(rng),
            listen_port=free_port(),
        )
        url = f"http://127.0.0.1:{made.listen_port}"
        synapse.add_registration(json.loads(registration(made, url=url)))
        await synapse.restart()
        _config.append(made)
    return _config[0]


@pytest.fixture
async def lab(synapse: Synapse, config: AppServiceConfig) -> AsyncIterator[Lab]:
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(1))
    made = Lab(synapse, config, host)
    async with http_session() as session:
        for name in ("matrix-alice", "matrix-bob"):
            account = await synapse.add_user(name)
            token = Secret.from_text(account.access_token)
            client = Client(synapse.base_url, session, token=token)
            person = Person(account.user_id, client)
            made.people[name.removeprefix("matrix-")] = person
        yield made


# ---- application service


async def test_a_message_comes_in_with_the_name_of_its_author(lab: Lab) -> None:
    alice = lab.people["alice"]
    await alice.client.set_profile("displayname", "Alice L.", voice=Voice(alice.id))
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        event = await alice.send(room, "hello")
        await lab.host.until(lambda: lab.heard(room))
        [(incoming, posted)] = lab.decoded(room, Posted)
        assert posted.text == Rich.plain("hello")
        assert (incoming.sender.id, incoming.sender.name) == (alice.id, "Alice L.")
        assert lab.host.events[-1].native_id == event


async def test_a_ghost_speaks_under_its_own_name_and_is_not_heard_back(
    lab: Lab,
) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        sent = await deliver(
            connector,
            outgoing(room, text("one")),
            outgoing(room, text("two"), BO),
            outgoing(room, text("three")),
        )
        assert [s.author for s in sent] == [
            lab.ghost(ADA),
            lab.ghost(BO),
            lab.ghost(ADA),
        ]
        assert await alice.texts(room) == ["one", "two", "three"]
        members = await alice.client.joined_members(room)
        assert members[lab.ghost(ADA)]["display_name"] == "Ada"
        await alice.send(room, "after")
        await lab.host.until(lambda: lab.heard(room))
        assert lab.heard(room) == ["after"]
        assert lab.host.echoes == []  # the running send reported it


async def test_a_message_of_a_known_ghost_costs_one_request(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, text("first")))
        calls = count_calls(connector)
        await deliver(connector, outgoing(room, text("second")))
        assert len(calls) == 1


def count_calls(connector: AppService) -> list[str]:
    calls: list[str] = []
    client = connector._connected().client
    real = client.call

    async def counted(method: str, path: str, **rest: Any) -> dict[str, Any]:
        calls.append(f"{method} {path}")
        return await real(method, path, **rest)

    client.call = counted  # type: ignore[method-assign]  # a spy, gone with its client
    return calls


# ---- what must not get lost or doubled


async def test_a_failed_store_makes_synapse_repeat_and_nothing_doubles(
    lab: Lab,
) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
    lab.host.fail_takes = 1
    for number in range(5):
        await alice.send(room, f"n{number}")
    with pytest.raises(StorageFailed):
        await lab.appservice().run(lab.host)
    assert lab.heard(room) == []
    async with lab.running():
        await lab.host.until(lambda: len(lab.heard(room)) == 5)
    assert lab.heard(room) == [f"n{number}" for number in range(5)]


async def test_what_was_sent_while_we_were_down_comes_after_the_ping(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
    for number in range(20):
        await alice.send(room, f"n{number}")
    await asyncio.sleep(1)  # let Synapse find the door closed, and begin to wait
    async with lab.running():
        await lab.host.until(lambda: len(lab.heard(room)) == 20, timeout_s=5)
    assert lab.heard(room) == [f"n{number}" for number in range(20)]


async def test_a_repeated_send_is_one_event_even_over_a_restart_of_synapse(
    lab: Lab,
) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        piece = outgoing(room, text("once"))
        [first] = await deliver(connector, piece)
        [again] = await deliver(connector, piece)
    await lab.server.restart()
    async with lab.running() as connector:
        found = await connector.lookup(piece, attempted_at=LoopClock().now())
        assert found == NotSent()
        [after] = await deliver(connector, piece)
        assert first.native_id == again.native_id == after.native_id
        assert await alice.texts(room) == ["once"]


async def test_beyond_the_window_the_key_is_found_in_the_history(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        piece, absent = outgoing(room, text("here")), outgoing(room, text("never"))
        [sent] = await deliver(connector, piece)
        for number in range(120):
            await alice.send(room, f"n{number}")
        long_ago = Instant(LoopClock().now() - 21 * 3_600_000)
        assert await connector.lookup(piece, attempted_at=long_ago) == sent
        assert await connector.lookup(absent, attempted_at=long_ago) == NotSent()


async def test_an_echo_that_no_send_waits_for_is_reported(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, text("a ghost to speak with")))
    stray = key()
    async with lab.running() as connector:
        client = connector._connected().client
        event = await client.send(
            room,
            "m.room.message",
            txn="s" + stray,
            content={"msgtype": "m.text", "body": "x", "dev.sabir.entry": stray},
            voice=Voice.ghost(lab.ghost(ADA), "SABIR"),
        )
        expected = Sent(
            key=stray, native_id=NativeId(event), author=PersonId(lab.ghost(ADA))
        )
        await lab.host.until(lambda: (room, expected) in lab.host.echoes)
        assert lab.heard(room) == []


async def test_eight_senders_keep_their_order_both_ways(lab: Lab) -> None:
    alice, bob = lab.people["alice"], lab.people["bob"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await alice.client.invite(room, bob.id, voice=None)
        await bob.client.join(room)
        pieces = [
            outgoing(
                room,
                text(f"g{n}"),
                Speaker(uri=f"xmpp:r/{n % 8}", name="G", network="x"),
            )
            for n in range(40)
        ]

        async def talk(person: Person, name: str) -> None:
            for number in range(20):
                await person.send(room, f"{name}{number}")

        async with asyncio.TaskGroup() as group:
            group.create_task(talk(alice, "a"))
            group.create_task(talk(bob, "b"))
            group.create_task(deliver(connector, *pieces))
        await lab.host.until(lambda: len(lab.heard(room)) == 40)
        for name in "ab":
            heard = [t for t in lab.heard(room) if t.startswith(name)]
            assert heard == [f"{name}{number}" for number in range(20)]
        seen = [t for t in await alice.texts(room) if t.startswith("g")]
        assert seen == [f"g{n}" for n in range(40)]


# ---- every feature


async def test_formatting_replies_threads_and_mentions_arrive(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        root = await alice.send(room, "root")
        ref = NativeRef(native_id=root, author=alice.id)
        rich = Rich(
            (Paragraph((Strong((Text("hi"),)), Text(" "), Mention("Al", alice.id))),)
        )
        await deliver(
            connector,
            outgoing(room, TextPiece(text=rich, reply_to=ref)),
            outgoing(room, text("in the thread", thread=ref)),
            outgoing(room, text("waves", emote=True)),
        )
        said, threaded, waved = (await alice.history(room))[-3:]
        content = said["content"]
        assert content["formatted_body"].startswith("<strong>hi</strong> <a href=")
        assert content["body"] == "**hi** Al"
        assert content["m.mentions"] == {"user_ids": [alice.id]}
        assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": root}}
        assert threaded["content"]["m.relates_to"]["rel_type"] == "m.thread"
        assert waved["content"]["msgtype"] == "m.emote"


async def test_edits_deletions_and_reactions_go_out(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        [sent] = await deliver(connector, outgoing(room, text("frist")))
        ref = NativeRef(native_id=sent.native_id, author=lab.ghost(ADA))
        react = ReactPiece(target=ref, emoji="👍")
        await deliver(
            connector, outgoing(room, EditPiece(target=ref, text=Rich.plain("first")))
        )
        [first] = await deliver(connector, outgoing(room, react, BO))
        [twice] = await deliver(connector, outgoing(room, react, BO))
        assert first.native_id == twice.native_id  # already there is success
        path = (
            f"/_matrix/client/v3/rooms{segments(room)}/event{segments(sent.native_id)}"
        )
        event = await alice.client.call("GET", path)
        assert event["unsigned"]["m.relations"]["m.replace"]["content"][
            "m.new_content"
        ]["body"] == ("first")
        await deliver(
            connector, outgoing(room, UnreactPiece(target=ref, emoji="👍"), BO)
        )
        results = [
            r
            async for r in connector.send(
                [outgoing(room, UnreactPiece(target=ref, emoji="👍"), BO)]
            )
        ]
        assert isinstance(results[0], Refused)
        [third] = await deliver(connector, outgoing(room, react, BO))
        known = NativeRef(native_id=third.native_id, author=lab.ghost(BO))
        piece = UnreactPiece(target=ref, emoji="👍", reaction=known)
        await deliver(connector, outgoing(room, piece, BO))
        await deliver(connector, outgoing(room, DeletePiece(target=ref)))
        event = await alice.client.call("GET", path)
        assert event["content"] == {}
        # Nothing of all this was taken for somebody else's.
        await alice.send(room, "end")
        await lab.host.until(lambda: lab.heard(room))
        assert lab.heard(room) == ["end"]
        for kind in (Corrected, ReactionAdded, Retracted):
            assert not lab.decoded(room, kind)


async def test_edits_deletions_and_reactions_come_in(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        event = await alice.send(room, "frist")
        await alice.send(
            room,
            {
                "msgtype": "m.text",
                "body": "* first",
                "m.new_content": {"msgtype": "m.text", "body": "first"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": event},
            },
        )
        reaction = await alice.client.send(
            room,
            "m.reaction",
            txn=key(),
            content={
                "m.relates_to": {
                    "rel_type": "m.annotation",
                    "event_id": event,
                    "key": "🐟",
                }
            },
            voice=None,
        )
        # A homeserver that is late gives us a redacted event as its redaction left it.
        await lab.host.until(lambda: lab.decoded(room, ReactionAdded))
        for target in (reaction, event):
            await alice.client.redact(room, target, txn=key(), content={}, voice=None)
        await lab.host.until(lambda: len(lab.decoded(room, Retracted)) == 2)
        [(_, edit)] = lab.decoded(room, Corrected)
        assert (edit.target, edit.text) == (event, Rich.plain("first"))
        [(_, added)] = lab.decoded(room, ReactionAdded)
        assert (added.target, added.emoji) == (event, "🐟")
        gone = [r.target for _, r in lab.decoded(room, Retracted)]
        assert gone == [reaction, event]


async def test_people_come_and_go_on_both_sides(lab: Lab) -> None:
    alice, bob = lab.people["alice"], lab.people["bob"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, JoinPiece()))
        assert lab.ghost(ADA) in await alice.client.joined_members(room)
        await deliver(connector, outgoing(room, ProfilePiece(name="Ada of the Sea")))
        await until_named(alice, room, lab.ghost(ADA), "Ada of the Sea")
        await deliver(connector, outgoing(room, LeavePiece(reason="tea")))
        assert lab.ghost(ADA) not in await alice.client.joined_members(room)
        await alice.client.invite(room, bob.id, voice=None)
        await bob.client.join(room)
        kick = f"/_matrix/client/v3/rooms{segments(room)}/kick"
        await alice.client.call(
            "POST", kick, body={"user_id": bob.id, "reason": "rest"}
        )
        await lab.host.until(lambda: lab.decoded(room, PersonLeft))
        assert [i.sender.id for i, _ in lab.decoded(room, PersonJoined)] == [bob.id]
        [(incoming, left)] = lab.decoded(room, PersonLeft)
        assert incoming.sender.id == bob.id
        assert (left.removed, left.reason) == (True, "rest")


async def test_a_ghost_that_was_kicked_comes_back_when_it_speaks(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, text("one")))
        kick = f"/_matrix/client/v3/rooms{segments(room)}/kick"
        await alice.client.call("POST", kick, body={"user_id": lab.ghost(ADA)})
        await deliver(connector, outgoing(room, text("two")))
        ban = f"/_matrix/client/v3/rooms{segments(room)}/ban"
        await alice.client.call("POST", ban, body={"user_id": lab.ghost(ADA)})
        results = [r async for r in connector.send([outgoing(room, text("three"))])]
        assert isinstance(results[0], Refused)
        assert "membership" in results[0].reason
        assert await alice.texts(room) == ["one", "two"]


async def test_the_rooms_name_needs_power_and_says_so(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        renamed = [outgoing(room, ChatNamePiece(name="Sea"))]
        [refused] = [r async for r in connector.send(renamed)]
        assert isinstance(refused, Refused)
        assert "power level" in refused.reason
        levels = await alice.client.state(room, "m.room.power_levels")
        assert levels is not None
        levels["users"][lab.config.bot_id] = 50
        await alice.client.set_state(room, "m.room.power_levels", levels, voice=None)
        await deliver(
            connector,
            *renamed,
            outgoing(room, TopicPiece(topic="fish")),
        )
        info = await connector.open_chat(room)
        assert (info.name, info.topic, info.members) == ("Sea", "fish", 1)
        assert info in await connector.list_chats()


async def test_files_go_both_ways_in_pieces(lab: Lab) -> None:
    alice = lab.people["alice"]
    octets = SeededRng("file")(300_000)
    part = ExternalPart(content_type="image/png", url="", filename="sea.png")
    piece = MediaPiece(
        attachment=Attachment(part=part, kind=MediaKind.IMAGE, width=3, height=4),
        caption=Rich.plain("the sea"),
    )
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, piece, media=InMemory(octets)))
        content = (await alice.history(room))[-1]["content"]
        assert (content["body"], content["filename"]) == ("the sea", "sea.png")
        assert content["info"] == {
            "mimetype": "image/png",
            "size": 300_000,
            "w": 3,
            "h": 4,
        }
        pieces = [
            p async for p in connector.download(content["url"], octets_max=300_000)
        ]
        assert b"".join(pieces) == octets
        assert max(map(len, pieces)) <= 65_536
        with pytest.raises(PolicyRefused, match="limit here is 299999"):
            async for _ in connector.download(content["url"], octets_max=299_999):
                pass
        large = InMemory(b"", size=10**9)
        results = [
            r async for r in connector.send([outgoing(room, piece, media=large)])
        ]
        assert isinstance(results[0], Refused)
        assert "max_upload_size" in results[0].reason
        assert connector.capabilities(room).attachment_octets_max == 52_428_800
        media = {
            "msgtype": "m.image",
            "body": "x.png",
            "url": content["url"],
            "info": {"mimetype": "image/png"},
        }
        await alice.send(room, media)
        await lab.host.until(lambda: lab.decoded(room, Posted))
        [(_, posted)] = lab.decoded(room, Posted)
        assert posted.media[0].handle == content["url"]


@dataclass
class InMemory:
    octets: bytes
    size: int = -1
    sha256: bytes = b""

    def __post_init__(self) -> None:
        self.size = len(self.octets) if self.size < 0 else self.size

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.octets), 65_536):
            yield self.octets[at : at + 65_536]


async def test_typing_and_receipts_pass_both_ways(lab: Lab) -> None:
    alice = lab.people["alice"]
    me = Voice(alice.id)
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        [sent] = await deliver(connector, outgoing(room, text("read me")))
        await alice.client.typing(room, timeout_ms=10_000, voice=me)
        await alice.client.receipt(room, sent.native_id, voice=me)
        await lab.host.until(lambda: len(lab.host.signals) == 2)
        kinds = {type(signal) for signal in lab.host.signals}
        assert kinds == {Typing, Read}
        await alice.client.typing(room, timeout_ms=0, voice=me)
        await lab.host.until(lambda: len(lab.host.signals) == 3)
        stopped = lab.host.signals[-1]
        assert isinstance(stopped, Typing)
        assert (stopped.person.id, stopped.active) == (alice.id, False)
        event = await alice.send(room, "hello")
        await connector.typing(room, ADA, active=True)
        await connector.receipt(room, ADA, NativeRef(native_id=event), read=True)
        sync = await alice.client.sync(query={"timeout": 0}, timeout_s=30)
        ephemeral = sync["rooms"]["join"][room]["ephemeral"]["events"]
        shown = {e["type"]: e["content"] for e in ephemeral}
        assert shown["m.typing"]["user_ids"] == [lab.ghost(ADA)]
        assert lab.ghost(ADA) in shown["m.receipt"][event]["m.read"]
        # A ghost that never spoke is not made for a typing notice.
        await connector.typing(room, BO, active=True)
        assert lab.ghost(BO) not in await alice.client.joined_members(room)


# ---- rooms


async def test_an_invited_bot_comes_and_the_room_is_listed(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await alice.create_room(invite=[lab.config.bot_id], name="Invited")
        await until_joined(alice, room, lab.config.bot_id)
        chats = {chat.chat: chat.name for chat in await connector.list_chats()}
        assert chats[room] == "Invited"
        await connector.close_chat(room)
        assert lab.config.bot_id not in await alice.client.joined_members(room)
        assert room not in [chat.chat for chat in await connector.list_chats()]


async def test_an_invited_ghost_brings_the_bot(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        known = await lab.room(connector, alice)
        await deliver(connector, outgoing(known, text("I exist")))
        room = await alice.create_room(invite=[lab.ghost(ADA)])
        await until_joined(alice, room, lab.config.bot_id)


async def until_joined(person: Person, room: str, user: str) -> None:
    for _ in range(500):
        if user in await person.client.joined_members(room):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{user} did not come")


async def until_named(person: Person, room: str, user: str, name: str) -> None:
    """Synapse writes a new name into the rooms in the background."""
    for _ in range(500):
        members = await person.client.joined_members(room)
        if members.get(user, {}).get("display_name") == name:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{user} is not called {name}")


async def test_a_closed_room_says_who_must_invite_whom(lab: Lab) -> None:
    alice = lab.people["alice"]
    async with lab.running() as connector:
        room = await alice.create_room()
        with pytest.raises(PolicyRefused, match=f"invite {lab.config.bot_id}"):
            await connector.open_chat(room)


async def test_plaintext_does_not_go_into_an_encrypted_room(lab: Lab) -> None:
    alice = lab.people["alice"]
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    async with lab.running() as connector:
        room = await lab.room(connector, alice)
        await deliver(connector, outgoing(room, text("still open")))
        await alice.client.set_state(room, "m.room.encryption", encryption, voice=None)
        sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AAA"}
        await alice.client.send(
            room, "m.room.encrypted", txn=key(), content=sealed, voice=None
        )
        await lab.host.until(lambda: lab.decoded(room, Posted))
        [(incoming, posted)] = lab.decoded(room, Posted)
        assert posted.text is None
        assert incoming.lost == ("encrypted message, not readable here",)
        results = [r async for r in connector.send([outgoing(room, text("secret"))])]
        assert isinstance(results[0], Refused)
        assert "encrypted" in results[0].reason
        assert (await connector.open_chat(room)).encrypted


# ---- trouble, by name


async def test_a_busy_port_names_the_setting(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = replace(lab.config, listen_port=port)
        with pytest.raises(ConfigInvalid, match=f"listen_port = {port}"):
            await AppService(busy, clock=LoopClock()).run(lab.host)


async def test_wrong_tokens_and_names_are_told_apart(lab: Lab) -> None:
    wrong = Secret(b"wrong")
    cases = [
        (replace(lab.config, as_token=wrong), CredentialsRefused, "registration file"),
        (replace(lab.config, hs_token=wrong), CredentialsRefused, "another hs_token"),
        (replace(lab.config, appservice_id="other"), CredentialsRefused, "'other'"),
        (replace(lab.config, listen_port=free_port()), Unavailable, "listener"),
        (replace(lab.config, bot="sabir_x"), ConfigInvalid, "server_name and bot"),
        (
            replace(lab.config, homeserver_url=f"http://127.0.0.1:{free_port()}"),
            Unavailable,
            "homeserver_url",
        ),
    ]
    for config, error, words in cases:
        with pytest.raises(error, match=words):
            await AppService(config, clock=LoopClock()).run(lab.host)


async def test_synapse_going_away_ends_the_run_and_a_new_one_catches_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = lab.people["alice"]
    monkeypatch.setattr(appservice_module, "PING_IDLE_S", 0.2)
    connector = lab.appservice()
    task = asyncio.get_running_loop().create_task(connector.run(lab.host))
    await lab.host.until(
        lambda: lab.states()[-1:] == [ConnectionState.CONNECTED] or task.done()
    )
    room = await lab.room(connector, alice)
    await lab.server.stop()
    with pytest.raises(Unavailable):
        await task
    with pytest.raises(Unavailable, match="not connected"):
        await connector.open_chat(room)
    await lab.server.start()
    await alice.send(room, "back")
    async with lab.running():
        await lab.host.until(lambda: lab.heard(room) == ["back"])


# ---- plain account


@dataclass
class Account:
    """A plain account of its own, with its host."""

    config: AccountConfig
    host: RecordingHost
    person: Person
    """The same user in another client."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PlainAccount]:
        connector = PlainAccount(self.config, clock=LoopClock())
        self.host.states.clear()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(connector.run(self.host))
            await self.host.until(lambda: self.is_connected() or task.done())
            yield connector
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def is_connected(self) -> bool:
        return self.host.states[-1:] == [(ConnectionState.CONNECTED, "")]

    def heard(self, room: ChatId) -> list[str]:
        found = []
        for event in self.host.events:
            incoming = decode(event) if event.chat == room else None
            if incoming and isinstance(incoming.action, Posted):
                found.append(plain_of(incoming.action.text or Rich(())))
        return found


@asynccontextmanager
async def plain_account(server: Synapse, name: str) -> AsyncIterator[Account]:
    ours, theirs = await server.add_user(name), await server.add_user(name)
    config = AccountConfig(
        homeserver_url=server.base_url,
        user_id=ours.user_id,
        access_token=Secret.from_text(ours.access_token),
    )
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(2))
    async with http_session() as session:
        token = Secret.from_text(theirs.access_token)
        client = Client(server.base_url, session, token=token)
        yield Account(config, host, Person(theirs.user_id, client))


@pytest.fixture
async def account(synapse: Synapse) -> AsyncIterator[Account]:
    async with plain_account(synapse, "matrix-relay") as made:
        yield made


async def test_an_account_enters_by_invitation_and_hears_from_then_on(
    lab: Lab, account: Account
) -> None:
    alice = lab.people["alice"]
    room = await alice.create_room(invite=[account.person.id])
    await alice.send(room, "before")
    async with account.running() as connector:
        account.host.portals.append(room)
        info = await connector.open_chat(room)
        assert info.members == 1
        await alice.send(room, "after")
        await account.host.until(lambda: account.heard(room))
        assert account.heard(room) == ["after"]
        assert room in [chat.chat for chat in await connector.list_chats()]
        await connector.close_chat(room)
        assert account.person.id not in await alice.client.joined_members(room)


async def test_a_truncated_sync_is_completed_in_order(
    lab: Lab, account: Account
) -> None:
    alice, bob = lab.people["alice"], lab.people["bob"]
    room = await alice.create_room(invite=[account.person.id, bob.id])
    await bob.client.join(room)
    account.host.portals.append(room)
    async with account.running() as connector:
        await connector.open_chat(room)
        await alice.send(room, "start")
        await account.host.until(lambda: account.heard(room) == ["start"])

    async def talk(person: Person, name: str) -> None:
        for number in range(130):
            await person.send(room, f"{name}{number}")

    async with asyncio.TaskGroup() as group:
        group.create_task(talk(alice, "a"))
        group.create_task(talk(bob, "b"))
    async with account.running():
        await account.host.until(lambda: len(account.heard(room)) == 261)
    order = [text async for text in all_texts(alice, room)]
    assert account.heard(room) == order
    late = [event.late for event in account.host.events if event.chat == room]
    assert all(late[-260:])


async def all_texts(person: Person, room: str) -> AsyncIterator[str]:
    query: dict[str, str | int] = {"dir": "f", "limit": 100}
    while True:
        page = await person.client.messages(room, query=query)
        for event in page["chunk"]:
            if event["type"] == "m.room.message":
                yield event["content"]["body"]
        if "end" not in page:
            return
        query["from"] = page["end"]


async def test_an_account_speaks_for_all_and_hears_its_owner_but_not_itself(
    lab: Lab, account: Account
) -> None:
    alice = lab.people["alice"]
    room = await alice.create_room(invite=[account.person.id])
    account.host.portals.append(room)
    async with account.running() as connector:
        await connector.open_chat(room)
        sent = [
            r
            async for r in connector.send(
                [outgoing(room, text("Ada: hi")), outgoing(room, text("Bo: ho"), BO)]
            )
        ]
        assert [type(r) for r in sent] == [Sent, Sent]
        assert [getattr(r, "author", "") for r in sent] == [account.person.id] * 2
        refused = [r async for r in connector.send([outgoing(room, JoinPiece())])]
        assert isinstance(refused[0], Refused)
        await account.person.send(room, "from my phone")
        await account.host.until(lambda: account.heard(room))
        assert account.heard(room) == ["from my phone"]
        assert account.host.echoes == []
        assert not connector.capabilities(room).ghosts
        assert await alice.texts(room) == ["Ada: hi", "Bo: ho", "from my phone"]


async def test_echoes_of_an_earlier_run_are_reported(
    lab: Lab, account: Account
) -> None:
    alice = lab.people["alice"]
    room = await alice.create_room(invite=[account.person.id])
    account.host.portals.append(room)
    async with account.running() as connector:
        await connector.open_chat(room)
    stray, other = key(), key()
    async with http_session() as session:
        client = Client(
            account.config.homeserver_url, session, token=account.config.access_token
        )
        body = {"msgtype": "m.text", "body": "x"}
        by_txn = await client.send(
            room, "m.room.message", txn="s" + stray, content=body, voice=None
        )
        by_content = await client.send(
            room,
            "m.room.message",
            txn="else",
            content=body | {"dev.sabir.entry": other},
            voice=None,
        )
    async with account.running():
        await account.host.until(lambda: len(account.host.echoes) == 2)
    found = {(s.key, s.native_id) for _, s in account.host.echoes}
    assert found == {(stray, by_txn), (other, by_content)}
    assert account.heard(room) == []


async def test_an_account_shows_typing_and_receipts(lab: Lab, account: Account) -> None:
    alice = lab.people["alice"]
    room = await alice.create_room(invite=[account.person.id])
    account.host.portals.append(room)
    async with account.running() as connector:
        await connector.open_chat(room)
        event = await alice.send(room, "read me")
        await account.host.until(lambda: account.heard(room))
        await connector.typing(room, ADA, active=True)
        await connector.receipt(room, ADA, NativeRef(native_id=event), read=True)
        sync = await alice.client.sync(query={"timeout": 0}, timeout_s=30)
        ephemeral = sync["rooms"]["join"][room]["ephemeral"]["events"]
        shown = {e["type"]: e["content"] for e in ephemeral}
        assert shown["m.typing"]["user_ids"] == [account.person.id]
        assert account.person.id in shown["m.receipt"][event]["m.read"]
        await alice.client.typing(room, timeout_ms=9_000, voice=Voice(alice.id))
        await account.host.until(lambda: account.host.signals)
        assert {type(s) for s in account.host.signals} <= {Typing, Read}


async def test_a_token_of_somebody_else_is_refused(account: Account) -> None:
    config = replace(account.config, user_id="@other:mx.lab.localhost")
    with pytest.raises(CredentialsRefused, match="belongs to"):
        await PlainAccount(config, clock=LoopClock()).run(account.host)
    config = replace(account.config, access_token=Secret(b"wrong"))
    with pytest.raises(CredentialsRefused, match="access_token: log in again"):
        await PlainAccount(config, clock=LoopClock()).run(account.host)


async def test_rate_limits_are_waited_for_and_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    need("synapse")
    async with (
        Synapse(tmp_path, limits="default") as server,
        plain_account(server, "relay") as account,
    ):
        room = await account.person.create_room()
        account.host.portals.append(room)
        async with account.running() as connector:
            pieces = [outgoing(room, text(f"n{number}")) for number in range(13)]
            results = [r async for r in connector.send(pieces)]
            assert [type(r) for r in results] == [Sent] * 13
            assert await account.person.texts(room) == [f"n{n}" for n in range(13)]


async def test_the_login_dialogue_makes_a_working_account(synapse: Synapse) -> None:
    user = await synapse.add_user("matrix-login")
    flow = NETWORK.login(rng=SeededRng(3))
    first = await flow.begin()
    assert isinstance(first, Ask)
    second = await flow.answer({"kind": "account"})
    assert isinstance(second, Ask)
    answers = {"user_id": user.user_id, "homeserver_url": synapse.base_url}
    with pytest.raises(CredentialsRefused, match="password"):
        await flow.answer(answers | {"password": "wrong"})
    done = await flow.answer(answers | {"password": user.password})
    assert isinstance(done, Done)
    made = NetworkAccount(
        id=AccountId("m"),
        network="matrix",
        settings=done.settings,
        secrets=done.secrets,
    )
    connector = NETWORK.connector(made, clock=LoopClock(), rng=SeededRng(3))
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(3))
    task = asyncio.get_running_loop().create_task(connector.run(host))
    await host.until(
        lambda: host.states[-1:] == [(ConnectionState.CONNECTED, "")] or task.done()
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await flow.close()
