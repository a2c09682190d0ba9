"""The bot with people around it, at a Telegram of our own."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sabir.content.capabilities import Support
from sabir.content.meaning import MediaKind
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.errors import (
    CredentialsRefused,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    ChatKind,
    ChatRenamed,
    ConnectionState,
    Corrected,
    PersonJoined,
    PersonLeft,
    Posted,
    ReactionsReplaced,
    Refused,
    Sent,
)
from sabir.networks.telegram.connector import TelegramBot
from sabir.testing.telegram.fake import user
from sabir.testing.telegram.shell import Refusal
from tests.unit.networks.telegram.bench import (
    ADA,
    ANN,
    BASIC,
    BOB,
    CHAT,
    GROUP,
    Bench,
    all_of,
    bench,
    config,
    ends,
    file,
    phrases,
)

TOPIC = ChatId("channel:1234/17")


@pytest.fixture
async def at() -> AsyncIterator[Bench]:
    async with bench() as found, found.running():
        yield found


def ref(outcome: object) -> NativeRef:
    assert isinstance(outcome, Sent), outcome
    return NativeRef(native_id=outcome.native_id, aliases=outcome.aliases)


# ---- coming in


async def test_what_people_do_comes_in_order(at: Bench) -> None:
    first = at.server.says(GROUP, ANN, "Ahoy")
    at.server.edits(GROUP, first, text="Ahoy!")
    at.server.reacts(GROUP, first, BOB, "👍")
    at.server.joins(GROUP, BOB, user(9, "Cy"))
    at.server.posts(GROUP, ANN, {"left_chat_member": BOB})
    at.server.posts(GROUP, ANN, {"new_chat_title": "High tea"})
    actions = [i.action for i in await at.taken(7) if i is not None]
    assert actions == [
        Posted(text=Rich.plain("Ahoy")),
        Corrected(target="1", text=Rich.plain("Ahoy!")),  # type: ignore[arg-type]  # a NativeId is a text
        ReactionsReplaced(target="1", emoji=("👍",)),  # type: ignore[arg-type]
        PersonJoined(),
        PersonJoined(),
        PersonLeft(removed=True),
        ChatRenamed(name="High tea"),
    ]
    names = [event.native_id for event in at.host.events]
    assert names[0] == "1"
    assert names[3:5] == ["2", "2.1"]
    assert len(set(names)) == 7


async def test_two_edits_in_one_second_are_two(at: Bench) -> None:
    number = at.server.says(GROUP, ANN, "a")
    at.server.edits(GROUP, number, text="b")
    at.server.edits(GROUP, number, text="c")
    await at.taken(3)
    assert len({event.native_id for event in at.host.events}) == 3


async def test_the_bots_own_coming_and_going_is_no_message(at: Bench) -> None:
    bot = {k: v for k, v in at.server.bot.items() if not k.startswith("can_")}
    at.server.joins(GROUP, bot)
    at.server.posts(GROUP, ANN, {"left_chat_member": bot})
    at.server.says(GROUP, ANN, "Welcome")
    assert await at.texts(1) == ["Welcome"]
    assert len(at.host.events) == 1


async def test_chats_without_a_portal_are_known_and_not_handed_on(at: Bench) -> None:
    at.server.says(7, ANN, "/start")
    at.server.says(GROUP, ANN, "Ahoy")
    assert await at.texts(1) == ["Ahoy"]
    found = {info.chat: info for info in await at.bot.list_chats()}
    assert found[ChatId("user:7")].kind is ChatKind.DIRECT
    assert found[ChatId("user:7")].name == "Ann"
    assert found[CHAT].name == "Tea"


async def test_what_was_learned_of_chats_outlives_the_run() -> None:
    async with bench() as at:
        async with at.running():
            at.server.says(7, ANN, "/start")
            await at.host.until(lambda: "user:7" in at.host.facts.get("chats", ""))
        async with at.running():
            assert ChatId("user:7") in [i.chat for i in await at.bot.list_chats()]


async def test_private_chats_and_channels_are_chats_like_others() -> None:
    channel = GROUP - 5
    private, news = ChatId("user:7"), ChatId("channel:1239")
    async with bench(private, news) as at:
        at.server.add_chat(channel, "News")
        at.server.chats[channel]["type"] = "channel"
        async with at.running():
            at.server.says(7, ANN, "to the bot alone")
            number = at.server.posts(channel, ANN, {"text": "extra"})
            at.server.edits(channel, number, text="extra, extra")
            found = await at.taken(3)
            assert [event.chat for event in at.host.events] == [private, news, news]
            assert found[2] is not None
            assert isinstance(found[2].action, Corrected)
            for chat, place in ((private, 7), (news, channel)):
                assert isinstance(await at.says("Ahoy", chat), Sent)
                assert at.server.sent(place)[-1]["text"] == "Ahoy"


# ---- topics


async def test_a_topic_is_a_thread_of_the_group(at: Bench) -> None:
    at.server.add_chat(GROUP, "Tea", is_forum=True)
    root = at.server.posts(
        GROUP, ANN, {"forum_topic_created": {"name": "Cakes", "icon_color": 1}}
    )
    inside = {"message_thread_id": root, "is_topic_message": True}
    at.server.says(GROUP, ANN, "Nice", **inside)
    created, said = await at.taken(2)
    assert created is not None
    assert said is not None
    assert created.action == Posted(text=Rich.plain("Cakes"))
    assert isinstance(said.action, Posted)
    assert said.action.thread == at.host.events[0].native_id == f"t{root}"
    assert at.bot.capabilities(CHAT).thread is Support.PARTIAL
    names = {info.chat: info.name for info in await at.bot.list_chats()}
    assert names[ChatId(f"{CHAT}/{root}")] == "Tea / Cakes"
    thread = NativeRef(native_id=f"t{root}")
    await at.send(TextPiece(text=Rich.plain("Pie"), thread=thread))
    assert at.server.sent(GROUP)[-1]["message_thread_id"] == root


async def test_a_topic_can_be_a_chat_of_its_own() -> None:
    async with bench(CHAT, TOPIC) as at:
        at.server.add_chat(GROUP, "Tea", is_forum=True)
        async with at.running():
            inside = {"message_thread_id": 17, "is_topic_message": True}
            at.server.says(GROUP, ANN, "in", **inside)
            number = at.server.says(GROUP, ANN, "out")
            at.server.reacts(GROUP, number, ANN, "👍")
            await at.taken(4)
            where = [(str(e.chat), e.native_id) for e in at.host.events]
            assert where[:2] == [(TOPIC, "1"), (CHAT, "2")]
            # A reaction does not say in which topic: both chats hear of it.
            assert {chat for chat, _ in where[2:]} == {CHAT, TOPIC}
            await at.says("here", TOPIC)
            assert at.server.sent(GROUP)[-1]["message_thread_id"] == 17
            await at.bot.typing(TOPIC, ADA, active=True)
            assert at.server.actions[-1]["message_thread_id"] == 17
            assert at.bot.capabilities(TOPIC).thread is Support.FALLBACK


# ---- going out


async def test_text_reply_edit_reaction_and_deletion_arrive(at: Bench) -> None:
    question = at.server.says(GROUP, ANN, "Who?")
    bold = Rich((Paragraph((Strong((Text("Me"),)), Text(" 😀"))),))
    reply = TextPiece(text=bold, reply_to=NativeRef(native_id=str(question)))
    sent = ref(await at.send(reply))
    (post,) = at.server.sent(GROUP)
    assert post["text"] == "Me 😀"
    assert post["entities"] == [{"type": "bold", "offset": 0, "length": 2}]
    assert post["reply_to_message"]["message_id"] == question

    ref(await at.send(EditPiece(target=sent, text=Rich.plain("Us"))))
    assert at.server.sent(GROUP)[0]["text"] == "Us"
    again = await at.send(EditPiece(target=sent, text=Rich.plain("Us")))
    assert isinstance(again, Sent)  # it is not modified: it is as it should be

    target = NativeRef(native_id=str(question))
    await at.send(ReactPiece(target=target, emoji="❤️", all_emoji=("❤️",)))
    assert at.server.reactions[GROUP, question] == ["❤"]
    await at.send(UnreactPiece(target=target, emoji="❤️"))
    assert at.server.reactions[GROUP, question] == []

    await at.send(DeletePiece(target=sent))
    assert at.server.sent(GROUP) == []
    assert isinstance(await at.send(DeletePiece(target=sent)), Sent)  # gone is gone


async def test_files_arrive_octet_for_octet(at: Bench) -> None:
    data = bytes(range(256)) * 1_000
    for kind, content_type, member in (
        (MediaKind.FILE, "application/pdf", "document"),
        (MediaKind.IMAGE, "image/png", "photo"),
        (MediaKind.VOICE, "audio/ogg", "voice"),
        (MediaKind.VIDEO, "video/mp4", "video"),
        (MediaKind.AUDIO, "audio/mpeg", "audio"),
        (MediaKind.GIF, "video/mp4", "animation"),
        (MediaKind.STICKER, "image/webp", "sticker"),
    ):
        name = 'späte "Post".pdf'
        outcome = await at.send(file(kind, content_type, filename=name), data=data)
        assert isinstance(outcome, Sent), outcome
        shown = at.server.sent(GROUP)[-1][member]
        kept = shown[0] if isinstance(shown, list) else shown
        assert at.server.octets(kept) == data


async def test_an_empty_file_is_a_file(at: Bench) -> None:
    assert isinstance(await at.send(file(), data=b""), Sent)
    assert at.server.octets(at.server.sent(GROUP)[0]["document"]) == b""


async def test_a_long_caption_follows_as_an_answer_and_goes_with_its_file(
    at: Bench,
) -> None:
    outcome = await at.send(file(caption=Rich.plain("x" * 1_025)), data=b"f")
    media, words = at.server.sent(GROUP)
    assert "caption" not in media
    assert words["text"] == "x" * 1_025
    assert words["reply_to_message"]["message_id"] == media["message_id"]
    assert isinstance(outcome, Sent)
    assert outcome.aliases == ("2",)
    assert outcome.lost == ("a long caption, sent as an answer",)
    await at.send(DeletePiece(target=ref(outcome)))
    assert at.server.sent(GROUP) == []


async def test_a_caption_that_fits_can_be_edited(at: Bench) -> None:
    sent = ref(await at.send(file(caption=Rich.plain("old")), data=b"f"))
    outcome = await at.send(EditPiece(target=sent, text=Rich.plain("new")))
    assert isinstance(outcome, Sent)
    assert at.server.sent(GROUP)[0]["caption"] == "new"


async def test_words_that_telegram_refuses_beside_a_file_are_reported(
    at: Bench,
) -> None:
    at.server.refusals.append(
        ("sendMessage", Refusal(400, "Bad Request: TOPIC_CLOSED"))
    )
    outcome = await at.send(file(caption=Rich.plain("x" * 1_025)), data=b"f")
    assert isinstance(outcome, Sent)
    assert outcome.lost == ("the words beside the file (Bad Request: TOPIC_CLOSED)",)


async def test_a_file_for_a_bot_may_have_50_mb(at: Bench) -> None:
    outcome = await at.send(file(), data=bytes(50_000_001))
    assert isinstance(outcome, Refused)
    assert "50000000" in outcome.reason
    assert not at.methods("sendDocument")


async def test_files_from_telegram_are_streamed_and_limited(at: Bench) -> None:
    data = bytes(range(256)) * 1_000
    at.server.shows(GROUP, ANN, "document", data, file_name="a.bin", caption="Look")
    at.server.shows(GROUP, ANN, "voice", bytes(20_000_001), duration=3)
    found = []
    for incoming in await at.taken(2):
        assert incoming is not None
        assert isinstance(incoming.action, Posted)
        found.append(incoming.action.media[0])
    document, voice = found
    whole = await all_of(at.bot.download(document.handle, octets_max=len(data)))
    assert whole == data
    with pytest.raises(PolicyRefused, match="limit here"):
        await all_of(at.bot.download(document.handle, octets_max=9))
    with pytest.raises(PolicyRefused, match="no file over 20000000"):
        await all_of(at.bot.download(voice.handle, octets_max=10**9))
    with pytest.raises(PolicyRefused, match="not the id of a file"):
        await all_of(at.bot.download("../../etc/passwd", octets_max=9))
    with pytest.raises(PolicyRefused, match="invalid file_id"):
        await all_of(at.bot.download("gone", octets_max=9))


async def test_typing_is_shown_and_its_failure_harms_nobody(at: Bench) -> None:
    await at.bot.typing(CHAT, ADA, active=True)
    await at.bot.typing(CHAT, ADA, active=False)
    assert len(at.server.actions) == 1
    at.server.refusals.append(("sendChatAction", Refusal(400, "Bad Request: no")))
    await at.bot.typing(CHAT, ADA, active=True)


# ---- entering chats


async def test_a_chat_may_be_named_as_people_know_it(at: Bench) -> None:
    at.server.add_chat(GROUP, "Tea", username="tea_room", description="Daily")
    by_name = await at.bot.open_chat(ChatId("@tea_room"))
    by_number = await at.bot.open_chat(ChatId(str(GROUP)))
    assert by_name == by_number
    assert (by_name.chat, by_name.name, by_name.topic) == (CHAT, "Tea", "Daily")


async def test_a_chat_that_the_bot_is_not_in_is_refused_with_the_way_in(
    at: Bench,
) -> None:
    for chat in ("channel:999", "@nowhere"):
        with pytest.raises(PolicyRefused, match="add it to the group"):
            await at.bot.open_chat(ChatId(chat))
    at.server.members[GROUP] = "left"
    with pytest.raises(PolicyRefused, match="let a member add it again"):
        await at.bot.open_chat(CHAT)
    refused = Refusal(400, "Bad Request: member not found")
    at.server.refusals.append(("getChatMember", refused))
    with pytest.raises(PolicyRefused, match="is not in Tea"):
        await at.bot.open_chat(CHAT)


async def test_privacy_mode_is_explained_unless_the_bot_hears_all_the_same(
    at: Bench,
) -> None:
    assert not phrases(at.host.states)
    async with bench() as private:
        private.server.bot["can_read_all_group_messages"] = False
        async with private.running():
            (hint,) = phrases(private.host.states)
            assert "/setprivacy" in hint
            assert "Tea" in hint
            # Said once, however often the chats are opened again.
            reports = len(private.host.states)
            await private.bot.open_chat(CHAT)
            await private.bot.open_chat(ChatId("user:7"))
            assert len(private.host.states) == reports
            private.server.members[GROUP] = "administrator"
            await private.bot.open_chat(CHAT)
            assert private.host.states[-1] == (ConnectionState.CONNECTED, "")


async def test_groups_in_which_the_bot_is_half_deaf_are_named_together() -> None:
    async with bench() as at:
        at.server.bot["can_read_all_group_messages"] = False
        async with at.running():
            for number in range(1, 9):
                at.server.add_chat(GROUP - number, f"Group {number}")
                await at.bot.open_chat(ChatId(str(GROUP - number)))
            assert "Group 8, Group 7" in at.host.states[-1][1]
            assert "and 4 more" in at.host.states[-1][1]


# ---- the group that became a supergroup


async def test_a_basic_group_keeps_its_portal_when_it_becomes_a_supergroup() -> None:
    old = ChatId("chat:77")
    async with bench(old) as at:
        async with at.running():
            at.server.says(BASIC, ANN, "before")
            before = await at.says("ours", old)
            at.server.migrates(BASIC, GROUP - 1, ANN)
            at.server.says(GROUP - 1, ANN, "after")
            assert await at.texts(4) == ["before", "after"]
            assert [e.native_id for e in at.host.events][::3] == ["b1", "2"]
            after = await at.says("still here", old)
            assert ref(after).native_id == "3"
            assert at.server.sent(GROUP - 1)[-1]["text"] == "still here"
            late = EditPiece(target=ref(before), text=Rich.plain("x"))
            outcome = await at.send(late, old)
            assert isinstance(outcome, Refused)
            assert "supergroup" in outcome.reason
        async with at.running():
            await at.says("and after a restart", old)
            assert at.server.sent(GROUP - 1)[-1]["text"] == "and after a restart"


async def test_a_send_finds_out_that_the_group_has_moved() -> None:
    old = ChatId("chat:77")
    async with bench(old) as at, at.running():
        moved = Refusal(400, "Bad Request: upgraded", migrate_to_chat_id=GROUP)
        at.server.refusals.append(("sendMessage", moved))
        assert ref(await at.says("hello", old)).native_id == "1"
        assert at.server.sent(GROUP)[0]["text"] == "hello"


# ---- trouble


async def test_a_revoked_token_ends_the_run_with_the_way_out() -> None:
    async with bench() as at:
        async with at.running():
            at.server.token = "4242:another-token-by-now"
            with pytest.raises(Unavailable, match="BotFather"):
                await at.says("lost?")
        error = await ends(at.bot, at.host)
        assert isinstance(error, CredentialsRefused)
        assert "BotFather" in str(error)


async def test_a_bot_without_an_id_is_no_bot() -> None:
    async with bench() as at:
        at.server.bot["id"] = "x"
        error = await ends(at.bot, at.host)
        assert isinstance(error, PeerMisbehaved)
        assert error.rule == "TELEGRAM-010"
        at.server.problems.clear()


async def test_a_second_reader_is_told_of() -> None:
    async with bench() as at:
        other = TelegramBot(config(at.server))
        loop = asyncio.get_running_loop()
        first = loop.create_task(at.bot.run(at.host))
        await at.host.until(lambda: at.is_connected)
        await at.host.until(lambda: len(at.methods("getUpdates")) == 2)
        second = loop.create_task(other.run(at.host))
        await asyncio.wait([first], timeout=10)
        error = first.exception()
        assert isinstance(error, Unavailable)
        assert "another program reads this bot's updates" in str(error)
        assert error.retry_after_ms == 60_000
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def test_a_bot_that_was_thrown_out_is_told_why(at: Bench) -> None:
    at.server.kicks_bot(GROUP, ANN)
    await at.host.until(lambda: '"channel:1234"' not in at.host.facts.get("chats", ""))
    outcome = await at.says("hello?")
    assert isinstance(outcome, Refused)
    assert "let a member add it again" in outcome.reason


async def test_nothing_works_without_a_connection() -> None:
    async with bench() as at:
        with pytest.raises(Unavailable):
            await at.says("hello")
        with pytest.raises(Unavailable):
            await at.bot.open_chat(CHAT)
        with pytest.raises(Unavailable):
            await at.bot.list_chats()
        with pytest.raises(Unavailable):
            await all_of(at.bot.download("x", octets_max=1))
