"""The agent as a whole, over two in-memory networks."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sabir.agent.agent import AccountConnector, Agent, ChatAddress
from sabir.content.meaning import MediaKind
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import ConnectionState, Delivered, Read, Typing
from sabir.storage.records import PortalId, PortalState
from sabir.testing.memory_network import RICH, Rules
from tests.unit.agent.bridge import CHAT, Bridge, bridged


async def test_a_message_crosses_both_ways(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "hello")
        (there,) = await bridge.until_sent("b", 1)
        assert (there["text"], there["sender"]["name"]) == ("hello", "ada")
        bridge.b.says(CHAT, "xan", "hello back")
        (back,) = await bridge.until_sent("a", 1)
        assert (back["text"], back["sender"]["name"]) == ("hello back", "xan")
        await bridge.at_rest()
        assert len(bridge.sent("b")) == 1


async def test_formatting_survives(tmp_path: Path) -> None:
    text = Rich((Paragraph((Text("so "), Strong((Text("bold"),)))),))
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", text)
        (there,) = await bridge.until_sent("b", 1)
        assert "strong" in str(there["rich"]).lower()


async def test_replies_and_threads_point_at_the_right_message(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "question")
        bridge.a.says(CHAT, "bea", "answer", reply_to=first, thread=first)
        _, answer = await bridge.until_sent("b", 2)
        native = bridge.b.sent(CHAT)[0].native_id
        assert answer["reply_to"] == answer["thread"] == native
        bridge.b.says(CHAT, "xan", "from the other side", reply_to=native)
        (back,) = await bridge.until_sent("a", 1)
        assert back["reply_to"] == first


async def test_a_reply_to_an_unknown_message_is_still_said(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "what?", reply_to="old", thread="older")
        (there,) = await bridge.until_sent("b", 1)
        assert "reply_to" not in there


async def test_an_edit_changes_the_original_even_twice(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "hallo")
        edit = bridge.a.edits(CHAT, "ada", first, "hello")
        bridge.a.edits(CHAT, "ada", edit, "hello!")
        _, second, third = await bridge.until_sent("b", 3)
        native = bridge.b.sent(CHAT)[0].native_id
        assert (second["type"], second["target"], second["text"]) == (
            "edit",
            native,
            "hello",
        )
        assert (third["target"], third["text"]) == (native, "hello!")


async def test_where_only_the_last_message_can_be_edited_older_ones_are_corrected(
    tmp_path: Path,
) -> None:
    last_only = replace(RICH, edit_last_only=True)
    async with bridged(tmp_path, capabilities={"b": last_only}) as bridge:
        old = bridge.a.says(CHAT, "ada", "old")
        new = bridge.a.says(CHAT, "ada", "new")
        bridge.a.says(CHAT, "bea", "others may speak meanwhile")
        bridge.a.edits(CHAT, "ada", new, "new 2")
        bridge.a.edits(CHAT, "ada", old, "old 2")
        bridge.a.edits(CHAT, "ada", new, "new 3")
        *_, native, corrected, late = await bridge.until_sent("b", 6)
        ids = [each.native_id for each in bridge.b.sent(CHAT)]
        assert (native["type"], native["target"]) == ("edit", ids[1])
        assert (corrected["type"], corrected["reply_to"]) == ("message", ids[0])
        assert "old 2" in corrected["text"]
        assert (late["type"], late["reply_to"]) == ("message", ids[1])


async def test_for_one_account_the_last_message_is_anybodys(tmp_path: Path) -> None:
    relay = replace(RICH, ghosts=False, edit_last_only=True)
    async with bridged(tmp_path, capabilities={"b": relay}) as bridge:
        first = bridge.a.says(CHAT, "ada", "first")
        bridge.b.says(CHAT, "xan", "does not count")
        bridge.a.edits(CHAT, "ada", first, "first 2")
        await bridge.until_sent("b", 2)
        bridge.a.says(CHAT, "bea", "through the same account")
        bridge.a.edits(CHAT, "ada", first, "first 3")
        sent = await bridge.until_sent("b", 4)
        assert [each["type"] for each in sent] == ["message", "edit", *["message"] * 2]


async def test_an_edited_answer_stays_an_answer(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "question")
        answer = bridge.a.says(CHAT, "bea", "anwser", reply_to=first)
        bridge.a.edits(CHAT, "bea", answer, "answer")
        *_, edit = await bridge.until_sent("b", 3)
        assert (edit["type"], edit["text"]) == ("edit", "answer")


async def test_only_the_author_edits_and_deletes(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "mine")
        bridge.a.edits(CHAT, "eve", first, "not yours")
        bridge.a.deletes(CHAT, "eve", first)
        bridge.a.says(CHAT, "ada", "end")
        sent = await bridge.until_sent("b", 2)
        assert [each.get("text") for each in sent] == ["mine", "end"]
        assert (await bridge.storage.counts())[0].rejected_in == 2


async def test_a_moderator_may_delete(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "eve", "spam")
        bridge.a.deletes(CHAT, "mod", first, by_moderator=True)
        _, deletion = await bridge.until_sent("b", 2)
        assert deletion["type"] == "delete"


async def test_edits_of_strange_things(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.edits(CHAT, "ada", "before the link", "corrected")
        first = bridge.a.says(CHAT, "ada", "x")
        reaction = bridge.a.reacts(CHAT, "ada", first, "👍")
        bridge.a.edits(CHAT, "ada", reaction, "nonsense")
        bridge.a.deletes(CHAT, "ada", "before the link")
        edit = bridge.a.edits(CHAT, "ada", first, "y")
        bridge.a.deletes(CHAT, "ada", edit)
        bridge.a.reacts(CHAT, "ada", "before the link", "👍")
        bridge.a.says(CHAT, "ada", "end")
        sent = await bridge.until_sent("b", 5)
        assert [each["type"] for each in sent] == [
            "message",
            "message",
            "react",
            "edit",
            "message",
        ]
        await bridge.at_rest()
        assert (await bridge.storage.counts())[0].rejected_in == 4


async def test_a_deletion_takes_the_message_back(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "oops")
        bridge.a.deletes(CHAT, "ada", first)
        _, deletion = await bridge.until_sent("b", 2)
        assert deletion["target"] == bridge.b.sent(CHAT)[0].native_id


async def test_reactions_come_and_go(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "news")
        bridge.a.reacts(CHAT, "bea", first, "👍")
        bridge.a.does(CHAT, "bea", {"type": "react", "target": first, "emoji": "👍"})
        bridge.a.unreacts(CHAT, "bea", first, "👍")
        _, added, removed = await bridge.until_sent("b", 3)
        message, reaction, _ = bridge.b.sent(CHAT)
        assert (added["target"], added["emoji"]) == (message.native_id, "👍")
        assert (removed["type"], removed["target"]) == ("delete", reaction.native_id)


async def test_sets_of_reactions_become_single_ones(tmp_path: Path) -> None:
    rules = {"a": Rules(reaction_sets=True)}
    async with bridged(tmp_path, rules=rules) as bridge:
        first = bridge.a.says(CHAT, "ada", "news")
        bridge.a.reacts(CHAT, "bea", first, "👍")
        bridge.a.reacts(CHAT, "bea", first, "🎉")
        bridge.a.unreacts(CHAT, "bea", first, "👍")
        bridge.a.does(CHAT, "bea", {"type": "reactions", "target": "?", "emoji": []})
        sent = await bridge.until_sent("b", 4)
        assert [each["type"] for each in sent[1:]] == ["react", "react", "delete"]
        assert [each.get("emoji") for each in sent[1:3]] == ["👍", "🎉"]


async def test_one_account_shows_everybodys_reactions(tmp_path: Path) -> None:
    relay = replace(RICH, ghosts=False)
    async with bridged(tmp_path, capabilities={"b": relay}) as bridge:
        first = bridge.a.says(CHAT, "ada", "news")
        bridge.a.reacts(CHAT, "ada", first, "👍")
        bridge.a.reacts(CHAT, "bea", first, "👍")
        bridge.a.reacts(CHAT, "bea", first, "🎉")
        bridge.a.unreacts(CHAT, "bea", first, "👍")
        bridge.a.unreacts(CHAT, "ada", first, "👍")
        await bridge.until_sent("b", 5)
        await bridge.at_rest()
        kinds = [each["type"] for each in bridge.sent("b")[1:]]
        assert kinds == ["react", "react", "react", "delete"]


async def test_a_file_arrives_whole_and_is_fetched_once(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1024
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "before")
        bridge.a.sends_file(
            CHAT,
            "ada",
            data,
            filename="p.png",
            content_type="image/png",
            kind=MediaKind.IMAGE,
        )
        bridge.a.says(CHAT, "ada", "after")
        before, there, after = await bridge.until_sent("b", 3)
        assert (before["text"], after["text"]) == ("before", "after")
        media = there["media"][0]
        assert bridge.b.files[media["handle"]] == data
        assert (media["filename"], media["kind"]) == ("p.png", "image")
        assert len(list((tmp_path / "media").iterdir())) == 1


async def test_people_come_go_and_change_their_names(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.joins(CHAT, "ada")
        bridge.a.renames(CHAT, "ada", "Ada L.")
        bridge.a.renames_chat(CHAT, "ada", "New name")
        bridge.a.changes_topic(CHAT, "ada", "Tea")
        bridge.a.leaves(CHAT, "ada", reason="bye")
        bridge.a.joins(CHAT, "eve")
        bridge.a.leaves(CHAT, "eve", removed=True)
        sent = await bridge.until_sent("b", 7)
        assert [each["type"] for each in sent] == [
            "join",
            "profile",
            "name",
            "topic",
            "leave",
            "join",
            "leave",
        ]
        assert sent[1]["sender"]["name"] == "Ada L."
        assert (sent[2]["name"], sent[3]["topic"]) == ("New name", "Tea")


async def test_malformed_and_meaningless_events_hold_nobody_up(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.does(CHAT, "ada", {"type": "message", "text": 7})
        bridge.a.does(CHAT, "ada", {"type": "unheard of"})
        bridge.a.does(CHAT, "ada", {"type": "message"})
        bridge.a.does(CHAT, "ada", {"type": "message", "lost": ["an encrypted one"]})
        bridge.a.says(CHAT, "ada", "fine")
        placeholder, fine = await bridge.until_sent("b", 2)
        assert placeholder["text"] == "[an encrypted one]"
        assert fine["text"] == "fine"
        assert (await bridge.storage.counts())[0].rejected_in == 2


async def test_an_oversized_event_is_refused_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "x" * (1024 * 1024 + 1))
        bridge.a.says(CHAT, "ada", "small")
        (small,) = await bridge.until_sent("b", 1)
        assert small["text"] == "small"
        assert (await bridge.storage.counts())[0].rejected_in == 1


async def test_what_a_room_cannot_carry_holds_nobody_up(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "x" * 600_000)
        bridge.a.says(CHAT, "ada", "small")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        assert bridge.sent("b")[-1]["text"] == "small"
        assert (await bridge.storage.counts())[0].rejected_in >= 1


async def test_typing_and_receipts_are_passed_on(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "seen?")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        native = bridge.b.sent(CHAT)[0].native_id
        bridge.b.types(CHAT, "xan")
        bridge.b.types(CHAT, "xan")
        bridge.b.types(CHAT, "xan", active=False)
        bridge.b.types(CHAT, "xan", active=False)
        bridge.b.receives(CHAT, "xan", native)
        bridge.b.reads(CHAT, "xan", native)
        bridge.b.reads(CHAT, "xan", "unknown")
        bridge.a.reads(CHAT, "ada", first)
        await bridge.until(lambda: len(bridge.b.signals_shown) >= 1)
        shown = list(bridge.a.signals_shown)
        typing = [s.active for s in shown if isinstance(s, Typing)]
        assert typing == [True, False]
        assert [s.native_id for s in shown if isinstance(s, Delivered)] == [first]
        assert [s.native_id for s in shown if isinstance(s, Read)] == [first]


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    async with bridge.running():
        await bridge.link()
        bridge.a.says(CHAT, "ada", "one")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
    bridge.a.says(CHAT, "ada", "while away")
    bridge.agent = bridge.new_agent()
    async with bridge.running():
        sent = await bridge.until_sent("b", 2)
    assert [each["text"] for each in sent] == ["one", "while away"]
    bridge.storage.close()


async def test_the_view_shows_accounts_portals_and_counts(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.a.says(CHAT, "ada", "hello")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        view = await bridge.agent.view()
        assert [a.status.state for a in view.accounts] == [
            ConnectionState.CONNECTED
        ] * 2
        assert view.accounts[0].last_in is not None
        assert [room.name for room in view.rooms] == ["Tea"]
        assert view.counts[view.portals[1].id].sent == 1
        assert [c.chat for c in await bridge.agent.chats("a")] == [CHAT]


async def test_linking_twice_is_refused_and_unlinking_frees(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        with pytest.raises(PolicyRefused, match="linked already"):
            await bridge.link()
        with pytest.raises(PolicyRefused, match="no account zzz"):
            await bridge.agent.link([ChatAddress(account="zzz", chat=CHAT)])
        with pytest.raises(PolicyRefused, match="no open portal 99"):
            await bridge.agent.unlink(PortalId(99))
        for portal in bridge.portals:
            await bridge.agent.unlink(portal.id)
        bridge.a.says(CHAT, "ada", "to nobody")
        await bridge.link()
        bridge.a.says(CHAT, "ada", "to the new link")
        (sent,) = await bridge.until_sent("b", 1)
        assert sent["text"] == "to the new link"


async def test_a_third_chat_can_join_a_room(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.chat("second")
        room = bridge.portals[0].room
        await bridge.agent.link([ChatAddress(account="b", chat="second")], room=room)
        bridge.a.says(CHAT, "ada", "to all")
        await bridge.until_sent("b", 1)
        await bridge.until(lambda: bridge.b.sent("second"))


async def test_a_chat_that_may_not_be_entered_is_refused(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.chat("private", accounts=["somebody"])
        with pytest.raises(PolicyRefused):
            await bridge.agent.link([ChatAddress(account="b", chat="private")])


async def test_a_dark_network_is_waited_for_when_linking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.agent.OPEN_CHAT_TIMEOUT_S", 0.05)
    bridge = Bridge(tmp_path)
    bridge.b.go_dark()
    async with bridge.running():
        with pytest.raises(Unavailable, match="account b is"):
            await bridge.link()
    bridge.storage.close()


async def test_a_portal_is_stopped_when_the_chat_shuts_us_out_and_comes_back(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        chat = bridge.b.chat(CHAT)
        chat.accounts = frozenset({"somebody else"})
        bridge.b.drop_sessions()

        async def state() -> PortalState:
            return (await bridge.storage.portals())[1].state

        async with asyncio.timeout(5):
            while await state() is not PortalState.STOPPED:
                await asyncio.sleep(0.01)
            bridge.a.says(CHAT, "ada", "waits")
            await asyncio.sleep(0.05)
            assert bridge.sent("b") == []
            chat.accounts = None
            bridge.b.drop_sessions()
            while await state() is not PortalState.ACTIVE:
                await asyncio.sleep(0.01)
        (sent,) = await bridge.until_sent("b", 1)
        assert sent["text"] == "waits"


async def test_a_portal_of_a_removed_account_is_left_alone(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    async with bridge.running():
        await bridge.link()
    bridge.agent = Agent(
        bridge.storage,
        [AccountConnector(id="a", network="memory-a", connector=bridge.connector("a"))],
        spool_folder=tmp_path / "media",
        owner="test",
        clock=bridge.clock,
        rng=lambda n: bytes(n),
    )
    async with bridge.running():
        bridge.a.says(CHAT, "ada", "to nobody")
        await bridge.until(lambda: bridge.a.acknowledged("bridge"))
        await bridge.agent.unlink(bridge.portals[1].id)
    bridge.storage.close()


async def test_one_chat_may_not_be_in_a_room_twice(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        twice = [ChatAddress(account="a", chat="x")] * 2
        bridge.a.chat("x")
        with pytest.raises(PolicyRefused, match="come back for ever"):
            await bridge.agent.link(twice)
        assert len(await bridge.storage.portals()) == 2
