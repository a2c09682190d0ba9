"""Agents in rooms: create, invite, consent, chat, roles, kick, leave."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.agent.membership.api import ApiRefused
from sabir.content.meaning import Deleted, Edited, Reacted
from sabir.content.rich import Rich
from sabir.errors import PeerMisbehaved, PolicyRefused, StorageFailed, Unavailable
from sabir.mimi.agent_api.events import EventType
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.template_names import TemplateName
from sabir.storage.records import RoomId
from tests.unit.agent.membership.fake import eventually, once
from tests.unit.agent.membership.people import Person, Street, say

FACES = ["ann", "b.example:ben", "c.example:cleo"]


async def a_room(street: Street, *names: str) -> tuple[RoomId, list[Person]]:
    """Let the first of some people make a room with the others."""
    people = await street.moves_in(*names)
    first, *others = people
    room = await first.desk.create("Tea")
    for each in others:
        await street.befriend(first, each)
        await first.desk.invite(room, each.user)
        await each.reaches(room, "active")
    return room, people


async def test_two_people_chat_in_a_room_of_two_providers(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ann.desk.post(room, say("hello ben"))
    await ben.has(room, "hello ben")
    await ben.desk.post(room, say("hello ann"))
    await ann.has(room, "hello ann")
    assert await ann.texts(room) == ["hello ben", "hello ann"]
    assert await ben.texts(room) == ["hello ben", "hello ann"]


async def test_who_has_not_consented_is_asked_and_added_after_the_grant(
    street: Street,
) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    room = await ann.desk.create("Tea")
    invited = await ann.desk.invite(room, ben.user)
    assert invited.outcome == "asked"
    (request,) = (await ben.desk.consents()).requests
    assert (request.requester, request.room) == (ann.user, room)
    await ben.desk.consent(ann.user, room=room)
    await ben.reaches(room, "active")

    async def settled() -> bool:
        return not await ann.storage.invitations()

    await eventually(settled)
    await ben.desk.post(room, say("thanks"))
    await ann.has(room, "thanks")


async def test_a_grant_that_came_while_we_were_away_adds_after_the_start(
    street: Street,
) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)
    await ann.stop()
    await ben.desk.consent(ann.user, room=room)
    await ann.start()
    await ben.reaches(room, "active")


async def test_everybody_reads_the_same_order(street: Street) -> None:
    room, people = await a_room(street, *FACES)
    said = [
        each.desk.post(room, say(f"{each.user[-3:]} {number}"))
        for number in range(5)
        for each in people
    ]
    await asyncio.gather(*said)

    async def all_said() -> bool:
        return len(await people[0].texts(room)) == 15

    await eventually(all_said)
    texts = await people[0].texts(room)
    for each in people:
        await each.has(room, *texts)
        assert await each.texts(room) == texts


async def test_what_one_says_stays_in_its_order(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    words = [f"word {number}" for number in range(40)]
    await asyncio.gather(*(ann.desk.post(room, say(word)) for word in words))
    await ben.has(room, *words)
    assert await ann.texts(room) == words
    assert await ben.texts(room) == words


async def test_replies_edits_reactions_and_deletions_come_through(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    first = await ann.desk.post(room, say("tee"))
    await ben.has(room, "tee")
    reply = await ben.desk.post(room, Reacted(target=first.entry, emoji="🍵"))
    await ann.desk.post(room, Edited(target=first.entry, text=Rich.plain("tea")))
    await ben.desk.post(room, Deleted(target=reply.entry))

    async def all_there() -> bool:
        entries = await ann.storage.after(room, 0, count_max=99)
        kinds = [each.kind for each in entries]
        return kinds[-4:] == ["said", "reacted", "edited", "deleted"]

    await eventually(all_there)
    assert await ann.storage.reactions(first.entry, ben.user) == []


async def test_others_cannot_edit_what_we_said(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    first = await ann.desk.post(room, say("mine"))
    await ben.has(room, "mine")
    with pytest.raises(PolicyRefused, match="does not take it"):
        await ben.desk.post(room, Edited(target=first.entry, text=Rich.plain("ours")))


async def test_roles_change_people_are_kicked_and_come_back(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ann.desk.set_role(room, ben.user, 3)
    roles = {each.user: each.role for each in (await ann.desk.show(room)).participants}
    assert roles == {ann.user: 4, ben.user: 3}
    await ann.desk.kick(room, ben.user)
    await ben.reaches(room, "left")
    with pytest.raises(PolicyRefused, match="not in"):
        await ben.desk.post(room, say("anybody there?"))
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ben.desk.post(room, say("back"))
    await ann.has(room, "back")


async def test_who_may_not_does_not(street: Street) -> None:
    room, (_, ben, cleo) = await a_room(street, *FACES)
    with pytest.raises(PolicyRefused, match=r"policy\.denied"):
        await ben.desk.ban(room, cleo.user)
    await ben.desk.post(room, say("still here"))


async def test_who_is_banned_is_out(street: Street) -> None:
    room, (ann, ben, cleo) = await a_room(street, *FACES)
    await ann.desk.ban(room, cleo.user)
    await cleo.reaches(room, "left")
    await ann.desk.post(room, say("without cleo"))
    await ben.has(room, "without cleo")
    assert "without cleo" not in await cleo.texts(room)
    with pytest.raises(PolicyRefused):
        await cleo.desk.join(room)


async def test_who_leaves_is_gone_for_all(street: Street) -> None:
    room, (ann, ben, cleo) = await a_room(street, *FACES)
    await ben.desk.leave(room)
    await ben.reaches(room, "left")

    async def gone() -> bool:
        shown = [await each.desk.show(room) for each in (ann, cleo)]
        return all(
            ben.user not in {one.user for one in each.participants} for each in shown
        )

    await eventually(gone)
    await ann.desk.post(room, say("bye ben"))
    await cleo.has(room, "bye ben")
    assert ("event", "ben@b.example") in await cleo.happenings(room)


async def test_a_room_is_renamed_for_all(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ann.desk.rename(room, "Coffee")

    async def renamed() -> bool:
        rooms = {each.id: each.name for each in await ben.storage.rooms()}
        return rooms[room] == "Coffee"

    await eventually(renamed)


async def test_a_direct_conversation_lets_the_other_in(street: Street) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    await street.befriend(ann, ben)
    room = await ann.desk.create("", TemplateName.DM, [ben.user])
    await ben.reaches(room, "active")
    await ben.desk.post(room, say("hi"))
    await ann.has(room, "hi")


async def test_a_link_lets_in_whoever_has_it(street: Street) -> None:
    ann, cleo = await street.moves_in("ann", "c.example:cleo")
    room = await ann.desk.create("Tea", TemplateName.MODERATED)
    link = await ann.desk.make_link(room, role=3)
    assert await cleo.desk.join(link.text()) == room
    await cleo.reaches(room, "active")
    await ann.desk.post(room, say("welcome"))
    await cleo.has(room, "welcome")


async def test_no_link_no_way_in(street: Street) -> None:
    ann, cleo = await street.moves_in("ann", "c.example:cleo")
    room = await ann.desk.create("Tea")
    with pytest.raises(PolicyRefused):
        await cleo.desk.join(room)
    with pytest.raises(PolicyRefused, match="no invitation"):
        await cleo.desk.join("mimi://a.example/r/x#nonsense")
    assert await cleo.state(room) == ""


async def test_a_closed_room_is_closed_for_all(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ann.desk.close(room)
    await ann.reaches(room, "closed")
    await ben.reaches(room, "closed")


# ---- devices


async def test_a_new_device_comes_into_the_rooms_of_the_old_one(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    (phone,) = await street.moves_in("b.example:ben/2")
    await phone.reaches(room, "active")
    await ann.desk.post(room, say("to both"))
    await ben.has(room, "to both")
    await phone.has(room, "to both")
    await phone.desk.post(room, say("from the phone"))
    await ann.has(room, "from the phone")
    await ben.has(room, "from the phone")


async def test_a_lost_device_is_removed_from_the_rooms(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    (phone,) = await street.moves_in("b.example:ben/2")
    await phone.reaches(room, "active")
    await ben.desk.remove_device(phone.uri)

    async def gone() -> bool:
        shown = await ann.desk.show(room)
        return phone.uri not in {
            client for each in shown.participants for client in each.clients
        }

    await eventually(gone)


# ---- trouble


@pytest.mark.parametrize("when", ["ask", "answer"])
async def test_what_gets_lost_is_asked_again_and_counts_once(
    street: Street, when: str
) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    await street.befriend(ann, ben)
    ann.api.trouble = once("genesis", "update", "submit", "events", "ack", when=when)
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ann.desk.post(room, say("once"))
    await ben.has(room, "once")
    assert await ann.texts(room) == ["once"]
    assert await ben.texts(room) == ["once"]


async def test_without_echoes_the_hubs_answers_count(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.membership.session.ECHO_WAIT_MS", 50)
    monkeypatch.setattr("sabir.agent.membership.session.PLACE_WAIT_MS", 50)
    street.town.echoes = False
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ann.desk.post(room, say("hello"))
    await ben.has(room, "hello")
    assert await ann.texts(room) == ["hello"]


async def test_a_message_that_the_stream_left_out_takes_its_place_at_the_next_event(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    street.town.echoes = False
    posting = asyncio.create_task(ann.desk.post(room, say("left out")))
    await ben.has(room, "left out")
    await asyncio.sleep(0.1)
    assert not posting.done()
    street.town.echoes = True
    await ben.desk.post(room, say("the next"))
    await posting
    await ann.has(room, "the next")
    assert set(await ann.texts(room)) == {"left out", "the next"}


async def test_a_message_waits_for_what_others_said_before_it(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.membership.session.ECHO_WAIT_MS", 50)
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    ann.api.own.is_slow = True
    await ben.desk.post(room, say("first"))
    posting = asyncio.create_task(ann.desk.post(room, say("second")))
    await ben.has(room, "second")
    await asyncio.sleep(0.3)
    assert not posting.done()
    ann.api.own.is_slow = False
    ann.api.own.wake()
    await posting
    assert await ann.texts(room) == ["first", "second"]


async def test_while_the_stream_is_away_nothing_takes_a_place(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.membership.session.ECHO_WAIT_MS", 50)
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")

    def trouble(when: str, name: str) -> None:
        if name == "events" or name.startswith("event "):
            raise Unavailable("a tunnel")

    ann.api.trouble = trouble
    await ben.desk.post(room, say("first"))
    posting = asyncio.create_task(ann.desk.post(room, say("second")))
    await ben.has(room, "second")
    await asyncio.sleep(0.3)
    assert not posting.done()
    ann.api.trouble = lambda _when, _name: None
    await posting
    assert await ann.texts(room) == ["first", "second"]
    assert await ben.texts(room) == ["first", "second"]


async def test_all_at_once_nothing_is_lost(street: Street) -> None:
    room, people = await a_room(street, *FACES)
    ann, ben, cleo = people
    await ann.desk.set_role(room, ben.user, 4)
    await ben.desk.set_role(room, cleo.user, 4)
    work = [
        each.desk.rename(room, f"{each.user[-3:]} {number}")
        for number in range(4)
        for each in people
    ]
    talk = [
        each.desk.post(room, say(f"{each.user[-3:]} says {number}"))
        for number in range(4)
        for each in people
    ]
    await asyncio.gather(*work, *talk)

    async def agreed() -> bool:
        for each in people:
            if len(await each.texts(room)) != 12:
                return False
        epochs = {(await each.desk.show(room)).epoch for each in people}
        names = {(await each.desk.show(room)).name for each in people}
        return len(epochs) == 1 and len(names) == 1

    await eventually(agreed)


def dying(names: set[str], when: str) -> tuple[Callable[[str, str], None], list[str]]:
    """Make a person's calls fail for good from one of them on, and note it."""
    dead: list[str] = []

    def trouble(moment: str, name: str) -> None:
        if dead or (moment == when and name in names):
            dead.append(name)
            raise Unavailable("the machine is off")

    return trouble, dead


DEATHS = [
    (call, when)
    for call in ("genesis", "update", "submit")
    for when in ("ask", "answer")
]


@pytest.mark.parametrize(
    ("call", "when"),
    [*DEATHS, ("event room.own", "ask"), ("event room.handshake", "ask")],
)
async def test_an_agent_may_die_at_any_call(
    street: Street, call: str, when: str
) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    await street.befriend(ann, ben)
    ann.api.trouble, dead = dying({call}, when)

    async def all_of_it() -> None:
        room = await ann.desk.create("Tea")
        await ann.desk.invite(room, ben.user)
        await ann.desk.post(room, say("survives"), key="x")

    task = asyncio.create_task(all_of_it())
    await eventually(lambda: bool(dead))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ann.stop()
    ann.api.trouble = lambda _when, _name: None
    await ann.start()
    (membership,) = await ann.storage.memberships()
    room = membership.room
    await ann.reaches(room, "active")
    if call == "genesis":
        await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ann.desk.post(room, say("survives"), key="x")
    await ben.has(room, "survives")
    assert await ann.texts(room) == ["survives"]
    assert await ben.texts(room) == ["survives"]


# ---- more of the same


async def test_what_was_read_is_reported(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    first = await ann.desk.post(room, say("read me"))
    await ben.has(room, "read me")
    last = (await ben.storage.after(room, 0, count_max=99))[-1].seq
    assert await ben.desk.mark_read(room, last) == 1

    async def reported() -> bool:
        return dict(await ann.storage.receipts(first.entry)) == {ben.user: 2}

    await eventually(reported)
    assert await ann.texts(room) == ["read me"], "a receipt is no entry"


async def test_keys_are_renewed_when_they_are_old(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    before = (await ann.desk.show(room)).epoch
    monkeypatch.setattr("sabir.mimi.member.room.ROTATION_MS", 1)
    await asyncio.sleep(1.1)  # the group's clock has seconds
    ann.membership.ring(room)
    await eventually(lambda: ann.api.calls.count("update") >= 2)
    monkeypatch.undo()
    await ben.desk.post(room, say("still together"))
    await ann.has(room, "still together")
    assert (await ann.desk.show(room)).epoch > before


async def test_the_only_one_leaves_and_the_room_is_closed(street: Street) -> None:
    (ann,) = await street.moves_in("ann")
    room = await ann.desk.create("Alone")
    await ann.desk.leave(room)
    assert await ann.state(room) in {"left", "closed"}


async def test_a_stream_that_was_reset_brings_us_in_anew(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    await ben.stop()
    lost = len(ben.api.own.stream)
    await ann.desk.post(room, say("lost to ben"))
    await ann.desk.rename(room, "Coffee")
    stream = ben.api.own.stream
    del stream[lost:]
    ben.api.own.tell(EventType.RESET)
    await ben.start()

    async def anew() -> bool:
        return "update" in ben.api.calls and (await ben.state(room)) == "active"

    await eventually(anew)
    await ann.desk.post(room, say("here again"))
    await ben.has(room, "here again")
    await ben.desk.post(room, say("so am i"))
    await ann.has(room, "so am i")
    assert "stream-reset" in {
        each.kind for each in await ben.storage.notices(count_max=99)
    }


async def test_a_gap_in_the_stream_brings_us_in_anew(street: Street) -> None:
    room, (ann, ben, cleo) = await a_room(street, *FACES)
    ben.api.own.attached.discard(room)
    await ann.desk.rename(room, "Coffee")
    await ann.desk.rename(room, "Water")
    ben.api.own.attached.add(room)
    await cleo.desk.post(room, say("do you hear me?"))
    await eventually(lambda: "update" in ben.api.calls)
    await ben.reaches(room, "active")

    async def level() -> bool:
        one, other = await ann.desk.show(room), await ben.desk.show(room)
        return one.epoch == other.epoch

    await eventually(level)
    await ben.desk.post(room, say("now i do"))
    await cleo.has(room, "now i do")


async def test_a_damaged_room_is_come_into_anew_and_harms_no_other(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    other = await ann.desk.create("Other")
    await ann.desk.invite(other, ben.user)
    await ben.reaches(other, "active")
    await ben.stop()
    with sqlite3.connect(ben.path) as database:
        database.execute("UPDATE member_rows SET sealed = x'00' WHERE room = ?", [room])
    database.close()
    await ann.desk.post(room, say("to the damaged one"))
    await ann.desk.post(other, say("to the other"))
    await ben.start()
    await ben.has(other, "to the other")
    await eventually(lambda: "update" in ben.api.calls)
    await ben.reaches(room, "active")
    await ann.desk.post(room, say("anew"))
    await ben.has(room, "anew")


async def test_an_event_that_breaks_us_each_time_is_passed_over(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.membership.membership.EVENT_ATTEMPTS_MAX", 1)
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    broken = ben.membership.session(room)

    async def bug(_octets: bytes, _cursor: int) -> None:
        raise AssertionError("a bug of ours")

    monkeypatch.setattr(broken, "take", bug)
    await ann.desk.post(room, say("breaks"))
    await eventually(lambda: "update" in ben.api.calls)
    await ben.reaches(room, "active")
    await ann.desk.post(room, say("goes on"))
    await ben.has(room, "goes on")
    kinds = [each.kind for each in await ben.storage.notices(count_max=9)]
    assert "event-skipped" in kinds


async def test_a_commit_to_join_that_was_not_first_is_made_anew(
    street: Street,
) -> None:
    ann, ben, cleo = await street.moves_in(*FACES)
    await street.befriend(ann, ben)
    room = await ann.desk.create("Tea", TemplateName.MODERATED)
    link = await ann.desk.make_link(room, role=4, uses=5)
    raced: list[str] = []

    def trouble(when: str, name: str) -> None:
        if when == "ask" and name == "update" and not raced:
            raced.append(name)
            raise Unavailable("slow")

    cleo.api.trouble = trouble
    task = asyncio.create_task(cleo.desk.join(link.text()))
    await eventually(lambda: bool(raced))
    await ann.desk.rename(room, "Coffee")
    await task
    await cleo.reaches(room, "active")
    await cleo.desk.post(room, say("here"))
    await ann.has(room, "here")


# ---- files


async def test_a_file_comes_through_and_only_ciphertext_lies_between(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    octets = b"canary of a photograph" * 9_000
    picture = tmp_path / "tea.png"
    picture.write_bytes(octets)
    sent = await ann.desk.send_file(room, picture, caption=Rich.plain("look"))
    await ben.has(room, "look")
    (entry,) = (await ben.storage.entries([sent.entry])).values()
    target = tmp_path / "got.png"
    assert await ben.desk.save_file(room, entry, target) == len(octets)
    assert target.read_bytes() == octets
    assert not target.with_name("got.png.part").exists()
    (kept,) = street.town.assets.values()
    assert b"canary" not in kept
    with pytest.raises(PolicyRefused, match="has 1 files"):
        await ben.desk.save_file(room, entry, target, number=1)


async def test_a_file_that_was_changed_is_not_written(
    street: Street, tmp_path: Path
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    paper = tmp_path / "paper.txt"
    paper.write_bytes(b"as it was")
    sent = await ann.desk.send_file(room, paper, caption=Rich.plain("paper"))
    await ben.has(room, "paper")
    (url,) = street.town.assets
    *kept, last = street.town.assets[url]
    street.town.assets[url] = bytes((*kept, last ^ 1))
    (entry,) = (await ben.storage.entries([sent.entry])).values()
    target = tmp_path / "got.txt"
    with pytest.raises(PeerMisbehaved, match="MIMI-310"):
        await ben.desk.save_file(room, entry, target)
    assert not target.exists()


async def test_a_file_that_is_not_there_is_not_sent(
    street: Street, tmp_path: Path
) -> None:
    room, (ann,) = await a_room(street, "ann")
    with pytest.raises(StorageFailed):
        await ann.desk.send_file(room, tmp_path / "nowhere")


# ---- refusals from outside the protocol


async def test_what_the_provider_refuses_for_good_is_given_up(
    street: Street,
) -> None:
    room, (ann,) = await a_room(street, "ann")

    def trouble(when: str, name: str) -> None:
        if when == "ask" and name in {"update", "submit"}:
            raise ApiRefused("not-allowed", "not today", 403)

    ann.api.trouble = trouble
    with pytest.raises(PolicyRefused, match="not today"):
        await ann.desk.rename(room, "Coffee")
    with pytest.raises(PolicyRefused, match="does not take it"):
        await ann.desk.post(room, say("hello"))
    ann.api.trouble = lambda _when, _name: None
    await ann.desk.post(room, say("again"))
    assert await ann.texts(room) == ["again"]


async def test_a_room_that_the_provider_does_not_make_is_none(
    street: Street,
) -> None:
    (ann,) = await street.moves_in("ann")

    def trouble(when: str, name: str) -> None:
        if when == "ask" and name == "genesis":
            raise ApiRefused("not-allowed", "no rooms today", 403)

    ann.api.trouble = trouble
    with pytest.raises(PolicyRefused, match="no rooms today"):
        await ann.desk.create("Tea")
    (record,) = await ann.storage.memberships()
    assert record.state == "left"


async def test_who_is_told_to_be_outside_believes_it(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    ben.api.own.attached.discard(room)
    await ann.desk.kick(room, ben.user)
    await ann.desk.remove(room, ben.user)
    with pytest.raises(PolicyRefused):
        await ben.desk.rename(room, "Mine")
    await ben.reaches(room, "left")


async def test_others_see_who_wants_to_add_them_and_devices_are_noted(
    street: Street,
) -> None:
    ann, ben = await street.moves_in("ann", "b.example:ben")
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)

    async def noted() -> bool:
        found = await ben.storage.notices(count_max=9)
        return any(each.kind == "consent-asked" for each in found)

    await eventually(noted)
    await ben.desk.consent(ann.user, grant=False)
    assert not (await ben.desk.consents()).verdicts[0].granted


# ---- what else the stream says


async def test_a_room_that_became_unreachable_is_come_into_anew(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    ben.api.own.tell(EventType.ROOM_STATE, room=room, state="unreachable")
    await eventually(lambda: "update" in ben.api.calls)
    await ben.reaches(room, "active")
    await ben.desk.post(room, say("reached"))
    await ann.has(room, "reached")


async def test_a_device_that_was_removed_is_in_no_room(street: Street) -> None:
    room, (_, ben) = await a_room(street, "ann", "b.example:ben")
    ben.api.own.tell(EventType.DEVICE_REMOVED, device_uri=ben.uri)
    await ben.reaches(room, "left")


async def test_what_makes_no_sense_is_passed_over(street: Street) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    nonsense = Octets(b"\xff" * 40)
    for kind in (
        EventType.WELCOME,
        EventType.CONSENT,
        EventType.HANDSHAKE,
        EventType.MESSAGE,
    ):
        ben.api.own.tell(kind, room=room, data=nonsense)
    digest = Octets(bytes(32))
    ben.api.own.tell(EventType.OWN, room=room, accepted_ms=1, sha256=digest)
    ben.api.own.tell(EventType.REPORT_STATUS)
    ben.api.own.tell(EventType.MESSAGE, room="mimi://a.example/r/x", data=nonsense)
    ben.api.own.tell(EventType.ROOM_STATE, room="mimi://a.example/r/x", state="open")
    await ann.desk.post(room, say("sense"))
    await ben.has(room, "sense")
    assert ben.api.own.acked == len(ben.api.own.stream)


async def test_who_died_between_two_attempts_to_join_comes_in_after_the_start(
    street: Street,
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    phone = Person(street.town, "b.example:ben/2", street.folder)
    street.people["phone"] = phone
    raced: list[str] = []
    dead: list[str] = []

    def trouble(when: str, name: str) -> None:
        if dead or (name == "group_info" and raced and when == "ask"):
            dead.append(name)
            raise Unavailable("the machine is off")
        if name == "update" and when == "ask" and not raced:
            raced.append(name)
            raise Unavailable("slow")

    phone.api.trouble = trouble
    await phone.start()
    await eventually(lambda: bool(raced))
    await ann.desk.rename(room, "Coffee")
    await eventually(lambda: bool(dead))
    await phone.stop()
    assert stored_state(phone, room) == "joining"
    phone.api.trouble = lambda _when, _name: None
    await phone.start()
    await phone.reaches(room, "active")
    await ben.desk.post(room, say("hello phone"))
    await phone.has(room, "hello phone")


def stored_state(person: Person, room: RoomId) -> str:
    """Look into the database of somebody who is away."""
    with sqlite3.connect(person.path) as database:
        query = "SELECT state FROM memberships WHERE room = ?"
        (state,) = database.execute(query, [room]).fetchone()
    database.close()
    return str(state)


@pytest.mark.parametrize("call", ["update", "submit"])
async def test_what_the_hub_took_days_ago_is_not_sent_again(
    street: Street, call: str
) -> None:
    room, (ann, ben) = await a_room(street, "ann", "b.example:ben")
    ann.api.trouble, dead = dying({call}, "answer")
    work = ann.desk.rename(room, "Coffee") if call == "update" else None
    task = asyncio.create_task(work or _posted(ann, room))
    await eventually(lambda: bool(dead))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ann.stop()
    street.town.answers.clear()  # nobody keeps answers for days
    ann.api.trouble = lambda _when, _name: None
    calls = ann.api.calls.count(call)
    await ann.start()

    async def done() -> bool:
        waits = [*await ann.storage.wishes(room), *await ann.storage.drafts(room)]
        return not waits

    await eventually(done)
    assert ann.api.calls.count(call) == calls
    await ann.desk.post(room, say("and on"))
    await ben.has(room, "and on")
    assert await ann.texts(room) == await ben.texts(room)
    kinds = {each.kind for each in await ann.storage.notices(count_max=99)}
    assert not kinds & {"violation", "discarded"}


async def _posted(person: Person, room: RoomId) -> None:
    await person.desk.post(room, say("long ago"))
