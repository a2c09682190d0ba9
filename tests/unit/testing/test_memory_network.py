import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from sabir.clock import Clock, Instant
from sabir.content.meaning import Attachment
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    DeletePiece,
    MediaPiece,
    NativeRef,
    Piece,
    ReactPiece,
    TextPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    LocalError,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    Account,
    AccountId,
    ChatId,
    ChatKind,
    ConnectionState,
    Delivered,
    DownloadsMedia,
    IdempotencyKey,
    InDoubt,
    ListsChats,
    NativeEvent,
    NotSent,
    Outcome,
    Outgoing,
    Posted,
    ProfileChanged,
    Read,
    Refused,
    Rng,
    Sent,
    ShowsReceipts,
    ShowsTyping,
    Signal,
    Speaker,
    Typing,
)
from sabir.networks.login import Ask, Done
from sabir.testing.clock import VirtualClock, settle
from sabir.testing.memory_network import (
    POOR,
    Echo,
    MemoryConnector,
    MemoryNetwork,
    MemoryServer,
    RateLimited,
    Rejected,
    Rules,
    SendFault,
)
from sabir.testing.rng import SeededRng

CHAT = ChatId("lounge")
ADA = Speaker(uri="sabir:ada", name="Ada", network="matrix")


class Recorder:
    """The least host: keeps what it is given."""

    def __init__(self) -> None:
        self.clock: Clock = VirtualClock()
        self.rng: Rng = SeededRng()
        self.taken: list[NativeEvent] = []
        self.takes: list[int] = []
        self.cursors: dict[str, str] = {}
        self.echoes: list[Sent] = []
        self.signals: list[Signal] = []
        self.states: list[ConnectionState] = []

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        self.taken += events
        self.takes.append(len(events))
        self.cursors.update(cursors or {})

    async def echo(self, chat: ChatId, *, key: IdempotencyKey, sent: Sent) -> None:
        self.echoes.append(sent)

    async def cursor(self, stream: str) -> str | None:
        return self.cursors.get(stream)

    async def remember(self, name: str, value: str) -> None:
        raise NotImplementedError

    async def recall(self, name: str) -> str | None:
        raise NotImplementedError

    def signal(self, signal: Signal) -> None:
        self.signals.append(signal)

    def report(self, state: ConnectionState, detail: str = "") -> None:
        self.states.append(state)

    def chats(self) -> Sequence[ChatId]:
        return [CHAT]


@asynccontextmanager
async def running(connector: MemoryConnector, host: Recorder) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(connector.run(host))
    await settle()
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def server(rules: Rules | None = None) -> MemoryServer:
    made = MemoryServer(VirtualClock(), rules)
    made.chat(CHAT, name="Lounge")
    made.chat("garden")
    return made


def piece(
    text: str, *, key: str = "", chat: ChatId = CHAT, of: Piece | None = None
) -> Outgoing:
    return Outgoing(
        chat=chat,
        key=IdempotencyKey(key or f"key-{text}"),
        speaker=ADA,
        piece=of or TextPiece(text=Rich.plain(text)),
        sent_at=Instant(0),
    )


async def outcomes(connector: MemoryConnector, *pieces: Outgoing) -> list[Outcome]:
    return [outcome async for outcome in connector.send(pieces)]


def ids(events: Sequence[NativeEvent]) -> list[str]:
    return [event.native_id for event in events]


def test_it_has_every_feature_it_announces() -> None:
    connector = MemoryConnector(server(), "bridge")
    assert isinstance(connector, DownloadsMedia)
    assert isinstance(connector, ShowsTyping)
    assert isinstance(connector, ShowsReceipts)
    assert isinstance(connector, ListsChats)


async def test_events_are_handed_on_in_batches_and_acknowledged() -> None:
    there, host = server(), Recorder()
    async with running(MemoryConnector(there, "bridge"), host):
        said = [there.says(CHAT, "bob", f"text {n}") for n in range(250)]
        await settle()
    assert ids(host.taken) == said
    assert host.takes == [100, 100, 50]
    assert host.cursors == {"mailbox": "250"}
    assert there.acknowledged("bridge") == 250
    assert host.states == [
        ConnectionState.CONNECTING,
        ConnectionState.CATCHING_UP,
        ConnectionState.CONNECTED,
    ]


async def test_a_gap_in_the_live_events_is_filled_from_the_archive() -> None:
    there, host = server(), Recorder()
    async with running(MemoryConnector(there, "bridge"), host):
        there.skip_live(2)
        said = [there.says(CHAT, "bob", text) for text in ("lost", "lost", "seen")]
        await settle()
        assert ids(host.taken)[:3] == said
        assert host.taken[0].late


async def test_events_of_other_chats_only_move_the_cursor() -> None:
    there, host = server(), Recorder()
    async with running(MemoryConnector(there, "bridge"), host):
        there.says("garden", "bob", "not for us")
        await settle()
    assert host.taken == []
    assert host.cursors == {"mailbox": "1"}


async def test_an_acknowledged_event_can_be_forgotten_by_the_network() -> None:
    there, host = server(Rules(forgets_acknowledged=True)), Recorder()
    async with running(MemoryConnector(there, "bridge"), host):
        there.says(CHAT, "bob", "kept by the host only")
        await settle()
    host.cursors.clear()
    async with running(MemoryConnector(there, "bridge"), host):
        await settle()
    assert len(host.taken) == 1


async def test_without_a_log_nothing_grows_and_order_is_still_checked() -> None:
    there, host = server(Rules(keep_log=False)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        for n in range(1, 1_001):
            there.says(CHAT, "bob", f"text {n}")
            if n % 50 == 0:
                await settle()
        for text in ("1", "2", "5", "4", "words"):
            await outcomes(connector, piece(text))
    tally = there.tally(CHAT)
    assert (tally.received, tally.last) == (5, 5)
    assert (tally.skipped, tally.disordered) == (2, 1)
    assert there.log(CHAT) == []
    assert len(there._mailboxes["bridge"].events) < 500


async def test_what_is_sent_stands_in_the_log_under_the_speakers_name() -> None:
    there, host = server(Rules(aliases=True)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        first, second = await outcomes(connector, piece("one"), piece("two"))
        await settle()
    assert isinstance(first, Sent)
    assert first.author == "ghost:sabir:ada"
    assert first.aliases == ("a1",)
    assert isinstance(second, Sent)
    assert [event.native_id for event in there.sent(CHAT)] == ["m1", "m2"]
    assert host.taken == []
    assert [echo.key for echo in host.echoes] == ["key-one", "key-two"]


async def test_an_echo_that_comes_first_is_left_to_the_running_send() -> None:
    there, host = server(Rules(echo=Echo.BEFORE)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        (sent,) = await outcomes(connector, piece("one"))
        await settle()
    assert isinstance(sent, Sent)
    assert host.echoes == []


async def test_an_echo_answers_for_a_lost_answer() -> None:
    there, host = server(Rules(echo=Echo.BEFORE)), Recorder()
    connector = MemoryConnector(there, "bridge", answer_timeout_ms=30)
    there.fail_next_sends(SendFault.ANSWER_LOST)
    async with running(connector, host):
        (sent,) = await outcomes(connector, piece("one"))
    assert isinstance(sent, Sent)
    assert sent.author == "ghost:sabir:ada"


async def test_a_lost_answer_without_an_echo_is_in_doubt() -> None:
    there, host = server(Rules(echo=Echo.NONE)), Recorder()
    connector = MemoryConnector(there, "bridge", answer_timeout_ms=30)
    there.fail_next_sends(SendFault.ANSWER_LOST)
    async with running(connector, host):
        with pytest.raises(Unavailable, match="does not answer"):
            await outcomes(connector, piece("one"))
        found = await connector.lookup(piece("one"), attempted_at=Instant(0))
        assert isinstance(found, Sent)
        assert await connector.lookup(piece("two"), attempted_at=Instant(0)) == (
            NotSent()
        )


@pytest.mark.parametrize(
    ("rules", "finding"),
    [
        (Rules(searchable=False), NotSent),
        (Rules(searchable=False, idempotent=False), InDoubt),
        (Rules(keep_log=False), InDoubt),
    ],
)
async def test_what_cannot_be_found_is_repeated_or_in_doubt(
    rules: Rules, finding: type[object]
) -> None:
    there, host = server(rules), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        await outcomes(connector, piece("one"))
        found = await connector.lookup(piece("one"), attempted_at=Instant(0))
    assert isinstance(found, finding)


@pytest.mark.parametrize(("idempotent", "copies"), [(True, 1), (False, 2)])
async def test_the_same_key_gives_one_message_or_a_duplicate(
    idempotent: bool, copies: int
) -> None:
    there, host = server(Rules(idempotent=idempotent)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        one, two = await outcomes(connector, piece("one"), piece("one"))
    assert (one == two) is idempotent
    assert len(there.sent(CHAT)) == copies


@pytest.mark.parametrize(
    ("fault", "arrived"), [(SendFault.DIES_BEFORE, 0), (SendFault.DIES_AFTER, 1)]
)
async def test_a_dying_connection_ends_the_run(fault: SendFault, arrived: int) -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    there.fail_next_sends(fault)
    run = asyncio.get_running_loop().create_task(connector.run(host))
    await settle()
    with pytest.raises(Unavailable, match="broke"):
        await outcomes(connector, piece("one"))
    with pytest.raises(Unavailable, match="broke"):
        await run
    assert len(there.sent(CHAT)) == arrived
    assert not there.is_connected("bridge")
    with pytest.raises(Unavailable, match="not connected"):
        await outcomes(connector, piece("two"))


async def test_a_rate_limit_says_when_to_come_back() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    there.fail_next_sends(RateLimited(1_500))
    async with running(connector, host):
        with pytest.raises(Unavailable) as caught:
            await outcomes(connector, piece("one"))
        assert caught.value.retry_after_ms == 1_500
        assert isinstance((await outcomes(connector, piece("one")))[0], Sent)


async def test_refusals_name_their_reason_and_the_next_one_goes() -> None:
    there, host = server(Rules(text_chars_max=5)), Recorder()
    connector = MemoryConnector(there, "bridge")
    there.fail_next_sends(Rejected("no links here"))
    ghost = NativeRef(native_id="nothing")
    async with running(connector, host):
        got = await outcomes(
            connector,
            piece("one"),
            piece("too long"),
            piece("del", of=DeletePiece(target=ghost)),
            piece("react", of=ReactPiece(target=ghost, emoji="x")),
            piece("last"),
            piece("away", chat=ChatId("nowhere")),
        )
    reasons = [o.reason if isinstance(o, Refused) else "" for o in got]
    assert reasons == [
        "no links here",
        "the text is longer than 5 characters; shorten it",
        "there is no message nothing in this chat",
        "there is no message nothing in this chat",
        "",
        "there is no chat nowhere any more; close its portal",
    ]


async def test_a_slow_chat_takes_its_time_and_others_do_not() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    clock = there.clock
    assert isinstance(clock, VirtualClock)
    there.slow(CHAT, 5_000)
    async with running(connector, host), asyncio.TaskGroup() as group:
        slow = group.create_task(outcomes(connector, piece("one")))
        await outcomes(connector, piece("two", chat=ChatId("garden")))
        assert not slow.done()
        await clock.advance(5_000)
        assert slow.done()


async def test_a_hanging_network_answers_when_it_comes_back() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    there.hang()
    async with running(connector, host), asyncio.TaskGroup() as group:
        sending = group.create_task(outcomes(connector, piece("one")))
        await settle()
        assert not sending.done()
        there.come_back()
        assert isinstance((await sending)[0], Sent)


async def test_a_dark_network_accepts_nobody_until_it_comes_back() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    run = asyncio.get_running_loop().create_task(connector.run(host))
    await settle()
    there.go_dark()
    with pytest.raises(Unavailable, match="broke"):
        await run
    with pytest.raises(Unavailable, match="dark"):
        await connector.run(host)
    there.says(CHAT, "bob", "meanwhile")
    there.come_back()
    async with running(connector, host):
        await settle()
    assert len(host.taken) == 1


async def test_a_second_login_ends_the_first() -> None:
    there, host = server(), Recorder()
    first = asyncio.get_running_loop().create_task(
        MemoryConnector(there, "bridge").run(host)
    )
    await settle()
    async with running(MemoryConnector(there, "bridge"), host):
        with pytest.raises(Unavailable, match="broke"):
            await first
        assert there.is_connected("bridge")
    assert there.logins == 2


async def test_two_accounts_hear_each_other_as_people() -> None:
    there, one, two = server(), Recorder(), Recorder()
    sender = MemoryConnector(there, "one")
    async with running(sender, one), running(MemoryConnector(there, "two"), two):
        await outcomes(sender, piece("hello"))
        await settle()
    assert (len(one.taken), len(two.taken)) == (0, 1)


async def test_live_events_may_come_twice_and_overtake_each_other() -> None:
    there, host = server(Rules(duplicate_live=True, shuffle_live=True)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        await connector.open_chat(ChatId("garden"))
        said = []
        for n in range(4):
            there.says("garden", "bob", f"g{n}")
            said.append(there.says(CHAT, "bob", f"l{n}"))
        await settle()
    assert len(host.taken) > 8
    lounge = [event.native_id for event in host.taken if event.chat == CHAT]
    assert list(dict.fromkeys(lounge)) == said


async def test_everything_people_do_is_an_event_with_a_meaning() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        bold = Rich((Paragraph((Strong((Text("bold"),)),)),))
        first = there.says(CHAT, "bob", bold)
        there.says(CHAT, "eve", "me too", reply_to=first, thread=first, emote=True)
        there.edits(CHAT, "bob", first, "changed")
        there.reacts(CHAT, "eve", first, "👍")
        there.unreacts(CHAT, "eve", first, "👍")
        there.deletes(CHAT, "eve", first, by_moderator=True)
        there.joins(CHAT, "joe")
        there.renames(CHAT, "joe", "Joe the Great")
        there.leaves(CHAT, "joe", reason="bored")
        there.renames_chat(CHAT, "bob", "Bar")
        there.changes_topic(CHAT, "bob", "Drinks")
        file = there.sends_file(CHAT, "bob", b"x", caption="see", reply_to=first)
        await settle()
        info = await connector.open_chat(CHAT)
    meanings = [connector.decode(event) for event in host.taken]
    kinds = [type(m.action).__name__ for m in meanings if m is not None]
    assert " ".join(kinds) == (
        "Posted Posted Corrected ReactionAdded Retracted Retracted "
        "PersonJoined ProfileChanged PersonLeft ChatRenamed TopicChanged Posted"
    )
    renamed = meanings[7]
    assert renamed is not None
    assert renamed.action == ProfileChanged(old_name="joe")
    assert renamed.sender.name == "Joe the Great"
    sent = meanings[-1]
    assert sent is not None
    assert isinstance(sent.action, Posted)
    assert sent.action.media[0].size == 1
    assert there.log(CHAT)[-1].native_id == file
    assert (info.name, info.topic, info.members) == ("Bar", "Drinks", 2)
    assert info.kind is ChatKind.GROUP


async def test_reactions_can_be_announced_as_sets() -> None:
    there, host = server(Rules(reaction_sets=True)), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        first = there.says(CHAT, "bob", "x")
        there.reacts(CHAT, "eve", first, "a")
        there.reacts(CHAT, "eve", first, "b")
        there.unreacts(CHAT, "eve", first, "a")
        await settle()
    last = connector.decode(host.taken[-1])
    assert last is not None
    assert getattr(last.action, "emoji", None) == ("b",)


async def test_signals_go_both_ways_and_are_not_stored() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    await connector.typing(CHAT, ADA, active=True)
    ref = NativeRef(native_id="m1")
    async with running(connector, host):
        there.types(CHAT, "bob")
        there.reads(CHAT, "bob", "m1")
        there.receives(CHAT, "bob", "m1")
        there.types("garden", "bob")
        await settle()
        await connector.typing(CHAT, ADA, active=True)
        await connector.receipt(CHAT, ADA, ref, read=True)
        await connector.receipt(CHAT, ADA, ref, read=False)
    await connector.receipt(CHAT, ADA, ref, read=False)
    assert [type(signal) for signal in host.signals] == [Typing, Read, Delivered]
    assert [type(s) for s in there.signals_shown] == [Typing, Read, Delivered]
    assert host.takes == []


class Octets:
    """A file on disk, as far as a connector can tell."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.sha256 = b""
        self._data = data

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._data[:3]
        yield self._data[3:]


def file_piece(data: bytes | None, key: str) -> Outgoing:
    part = ExternalPart(content_type="text/plain", url="", filename="a.txt")
    return Outgoing(
        chat=CHAT,
        key=IdempotencyKey(key),
        speaker=ADA,
        piece=MediaPiece(attachment=Attachment(part=part)),
        sent_at=Instant(0),
        media=None if data is None else Octets(data),
    )


async def test_files_go_up_and_come_down() -> None:
    there, host = server(Rules(attachment_octets_max=100_000)), Recorder()
    connector = MemoryConnector(there, "bridge")
    data = bytes(range(256)) * 300
    async with running(connector, host):
        sent, refused = await outcomes(
            connector, file_piece(data, "a"), file_piece(bytes(100_001), "b")
        )
        assert isinstance(sent, Sent)
        assert isinstance(refused, Refused)
        with pytest.raises(LocalError, match="octets are not given"):
            await outcomes(connector, file_piece(None, "c"))
        chunks = [c async for c in connector.download("mem:1", octets_max=1 << 20)]
        assert (b"".join(chunks), len(chunks[0])) == (data, 65_536)
        with pytest.raises(PolicyRefused, match="larger than 10 octets"):
            await anext(connector.download("mem:1", octets_max=10))
        with pytest.raises(PolicyRefused, match="no such file"):
            await anext(connector.download("mem:9", octets_max=10))
        there.downloads_cut_after.append(70_000)
        download = connector.download("mem:1", octets_max=1 << 20)
        assert await anext(download) + await anext(download) == data[:70_000]
        with pytest.raises(Unavailable, match="broke off"):
            await anext(download)


async def test_chats_can_be_listed_and_closed_ones_not_entered() -> None:
    there, host = server(), Recorder()
    there.chat("secret", accounts=["other"])
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        assert {info.chat for info in await connector.list_chats()} == {CHAT, "garden"}
        with pytest.raises(PolicyRefused, match="must invite"):
            await connector.open_chat(ChatId("secret"))
        with pytest.raises(PolicyRefused, match="check its name"):
            await connector.open_chat(ChatId("nowhere"))
        there.says("secret", "bob", "psst")
        await connector.close_chat(CHAT)
        there.says(CHAT, "bob", "nobody listens")
        await settle()
    assert host.taken == []


async def test_the_network_checks_tokens_and_its_login_stores_them() -> None:
    there = server()
    there.tokens["bridge"] = "sesame"
    network = MemoryNetwork(there, name="memory-a", capabilities=POOR)
    assert network.label == "Memory A"
    login = network.login(rng=SeededRng())
    assert isinstance(await login.begin(), Ask)
    with pytest.raises(CredentialsRefused):
        await login.answer({"user": "bridge", "token": "wrong"})
    done = await login.answer({"user": "bridge", "token": "sesame"})
    await login.close()
    assert isinstance(done, Done)
    account = Account(
        id=AccountId("mem"),
        network="memory-a",
        settings=done.settings,
        secrets=done.secrets,
    )
    connector = network.connector(account, clock=there.clock, rng=SeededRng())
    assert connector.capabilities(CHAT).network == "memory-a"
    host = Recorder()
    async with running(connector, host):
        assert host.states[-1] is ConnectionState.CONNECTED
    wrong = Account(
        id=AccountId("mem"),
        network="memory-a",
        settings=done.settings,
        secrets={"token": Secret(b"x")},
    )
    with pytest.raises(CredentialsRefused):
        await network.connector(wrong, clock=there.clock, rng=SeededRng()).run(host)


async def test_a_login_without_a_token_keeps_no_secret() -> None:
    done = await MemoryNetwork(server()).login(rng=SeededRng()).answer({})
    assert isinstance(done, Done)
    assert (done.settings, done.secrets) == ({"user": "bridge"}, {})


async def test_the_network_can_refuse_everybody() -> None:
    there, host = server(), Recorder()
    there.credentials_refused = True
    with pytest.raises(CredentialsRefused):
        await MemoryConnector(there, "bridge").run(host)
    there.come_back()
    async with running(MemoryConnector(there, "bridge"), host):
        assert there.is_connected("bridge")


async def test_many_echoes_do_move_the_stored_position() -> None:
    there, host = server(), Recorder()
    connector = MemoryConnector(there, "bridge")
    async with running(connector, host):
        for n in range(150):
            await outcomes(connector, piece(f"text {n}"))
            await settle()
    assert host.cursors == {"mailbox": "100"}
    assert host.takes == [0]


async def test_redelivery_repeats_the_newest_events() -> None:
    there, host = server(), Recorder()
    async with running(MemoryConnector(there, "bridge"), host):
        said = [there.says(CHAT, "bob", text) for text in ("a", "b", "c")]
        await settle()
        there.redeliver(2)
        await settle()
    assert ids(host.taken) == said + said[1:]
    there.redeliver()
