"""The real servers and the independent clients that other interop tests build on."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sabir.errors import CredentialsRefused, LocalError, PolicyRefused, Unavailable
from sabir.testing.clients.component import XmppComponent
from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.floors import matrix_floor, xmpp_floor
from sabir.testing.pytest_plugin import need
from sabir.testing.servers.ejabberd import Ejabberd
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.synapse import Synapse

pytestmark = pytest.mark.interop

XmppServer = Prosody | Ejabberd


@pytest.fixture(params=["prosody", "ejabberd"])
async def xmpp(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[XmppServer]:
    """Each XMPP server in turn, fresh."""
    need(request.param)
    server: XmppServer
    server = (Prosody if request.param == "prosody" else Ejabberd)(tmp_path / "xmpp")
    async with server:
        yield server


async def test_two_people_of_a_homeserver_talk(synapse: Synapse) -> None:
    alice = await synapse.add_user("talk-alice")
    bob = await synapse.add_user("talk-bob")
    async with MatrixClient(alice) as a, MatrixClient(bob) as b:
        room = await a.create_room("talk", invite=[b.user_id])
        await b.wait_for(lambda seen: seen.kind == "invite" and seen.room_id == room)
        await b.join(room)
        first = await a.send_formatted(room, "hello", "<b>hello</b>")
        heard = await b.wait_for_body(room, "hello")
        assert heard.event_id == first
        assert heard.content["formatted_body"] == "<b>hello</b>"
        answer = await b.reply(room, first, "and to you")
        await b.edit(room, answer, "and to all of you")
        reaction = await b.react(room, first, "👍")
        await b.redact(room, reaction, "no")
        await b.mark_read(room, first)
        await b.typing(room, active=True)
        for kind in ("m.typing", "m.receipt", "m.reaction", "m.room.redaction"):
            await a.wait_for(lambda seen, kind=kind: seen.type == kind)  # type: ignore[misc]
        await a.rename_room(room, "new name")
        await a.set_topic(room, "new topic")
        await a.set_display_name("Alice A.")
        await b.wait_for(lambda seen: seen.content.get("displayname") == "Alice A.")
        assert (await b.state(room, "m.room.name"))["name"] == "new name"
        assert (await b.members(room))[a.user_id] == "Alice A."
        await b.leave(room)
        await a.wait_for(
            lambda seen: (
                seen.type == "m.room.member" and seen.content["membership"] == "leave"
            )
        )


async def test_matrix_media_come_back_whole(synapse: Synapse) -> None:
    octets = os.urandom(3_000_000)
    async with MatrixClient(await synapse.add_user("media-alice")) as a:
        room = await a.create_room("media")
        await a.send_file(
            room, octets, media_type="image/png", file_name="x.png", caption="look"
        )
        await a.send_voice(room, octets[:1000], 1500)
        picture = await a.wait_for(
            lambda seen: seen.content.get("msgtype") == "m.image"
        )
        voice = await a.wait_for(lambda seen: seen.content.get("msgtype") == "m.audio")
        assert picture.body == "look"
        assert await a.download(picture.content["url"]) == octets
        assert await a.download(voice.content["url"]) == octets[:1000]
        with pytest.raises(PolicyRefused, match="M_NOT_FOUND"):
            await a.download("mxc://mx.lab.localhost/absent")


async def test_a_homeserver_keeps_data_and_port_when_it_is_killed(
    tmp_path: Path,
) -> None:
    need("synapse")
    server = Synapse(tmp_path / "synapse")
    ports = dict(server.ports)
    async with server:
        alice, bob = await server.add_user("alice"), await server.add_user("bob")
        async with MatrixClient(alice) as a, MatrixClient(bob) as b:
            room = await a.create_room("room", invite=[b.user_id])
            await b.join(room)
            sent = []
            for number in range(30):
                if number == 10:
                    server.kill()
                    await server.start()
                if number == 20:
                    await server.restart()
                sent.append(await a.send_text(room, f"message {number}"))
            await b.wait_for_body(room, "message 29", 60)
            arrived = [seen.event_id for seen in b.events if seen.body]
            kept = [event["event_id"] for event in await b.history(room)]
            assert arrived == sent
            assert [event_id for event_id in kept if event_id in set(sent)] == sent
            assert server.ports == ports


async def test_a_long_silence_is_filled_from_history(synapse: Synapse) -> None:
    alice, bob = await synapse.add_user("gap-alice"), await synapse.add_user("gap-bob")
    async with MatrixClient(alice) as a:
        room = await a.create_room("gap", public=True)
        b = MatrixClient(bob)
        async with b:
            await b.join(room)
            await a.send_text(room, "before")
            await b.wait_for_body(room, "before")
        sent = [await a.send_text(room, f"gap {number}") for number in range(250)]
        async with b:  # the same device comes back and goes on where it stopped
            sent.append(await a.send_text(room, "after"))
            await b.wait_for_body(room, "after")
            arrived = [
                seen.event_id
                for seen in b.events
                if seen.body != "before" and seen.body
            ]
            assert arrived == sent


async def test_two_homeservers_run_side_by_side(tmp_path: Path) -> None:
    need("synapse")
    async with Synapse(tmp_path / "one") as one, Synapse(tmp_path / "two") as two:
        assert set(one.ports.values()).isdisjoint(two.ports.values())
        await one.add_user("alice")
        account = await two.add_user("alice")
        async with MatrixClient(account) as alone:
            assert await alone.create_room("mine")


async def test_default_limits_slow_a_person_down(tmp_path: Path) -> None:
    need("synapse")
    async with (
        Synapse(tmp_path / "synapse", limits="default") as server,
        MatrixClient(await server.add_user("alice")) as a,
    ):
        room = await a.create_room("slow")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(12):
            await a.send_text(room, str(number))
        assert loop.time() - begun > 2


async def test_a_server_that_cannot_start_shows_its_log_and_the_way_out(
    tmp_path: Path,
) -> None:
    need("synapse")
    server = Synapse(tmp_path / "synapse", server_name="not a name")
    with pytest.raises(Unavailable) as failed:
        await server.start()
    assert "python -m sabir.testing.install synapse" in str(failed.value)
    assert "not a name" in str(failed.value)
    assert not server.is_running()


async def test_a_running_server_is_not_started_twice(prosody: Prosody) -> None:
    with pytest.raises(LocalError, match="runs already"):
        await prosody.start()


async def test_what_an_interrupted_run_left_behind_is_ended(tmp_path: Path) -> None:
    need("prosody")
    left_behind = Prosody(tmp_path)
    await left_behind.start()
    async with Prosody(tmp_path) as server:
        assert server.ports == left_behind.ports
        assert server.is_running()
        assert not left_behind.is_running()
    await left_behind.stop()


async def test_two_people_of_an_xmpp_server_talk(xmpp: XmppServer) -> None:
    room = f"talk@{xmpp.muc}"
    async with (
        XmppClient(await xmpp.add_user("alice")) as a,
        XmppClient(await xmpp.add_user("bob")) as b,
    ):
        await a.join(room, "Alice")
        await b.join(room, "Bob")
        await a.wait_for_occupant(room, "Bob")
        assert a.occupants(room)["Bob"].startswith(b.jid)
        first = await a.say(room, "hello")
        heard = await b.wait_for_body(room, "hello")
        assert heard.stanza_id == first.stanza_id != ""
        assert heard.id == first.id
        await b.reply(room, heard, "and to you")
        replied = await a.wait_for(
            lambda message: message.replies_to == first.stanza_id
        )
        assert replied.body == "> hello\nand to you"
        await a.correct(room, first.id, "hello all")
        await b.wait_for(lambda message: message.corrects == first.id)
        await b.react(room, first.stanza_id, ["👍", "🎉"])
        reacted = await a.wait_for(lambda message: message.reacts_to == first.stanza_id)
        assert reacted.reactions == {"👍", "🎉"}
        await a.retract(room, first.stanza_id)
        await b.wait_for(lambda message: message.retracts == first.stanza_id)
        a.set_chat_state(room, "composing")
        await b.wait_for(lambda message: message.chat_state == "composing")
        a.mark_displayed(room, replied.stanza_id)
        await b.wait_for(lambda message: message.displayed == replied.stanza_id)
        a.post_text(b.jid, "between us")
        await b.wait_for(lambda message: message.body == "between us")
        await a.set_subject(room, "the topic")
        await b.wait_for(lambda message: message.subject == "the topic")
        await a.rename_room(room, "The Room")
        assert await b.room_name(room) == "The Room"
        await b.change_nick(room, "Robert")
        await a.wait_for_occupant(room, "Robert")
        await b.leave(room)
        await a.wait_for_occupant(room, "Robert", present=False)


async def test_xmpp_media_come_back_whole(xmpp: XmppServer) -> None:
    room, octets = f"media@{xmpp.muc}", os.urandom(3_000_000)
    async with XmppClient(await xmpp.add_user("alice")) as a:
        await a.join(room, "Alice")
        shown = await a.send_file(room, octets, "x.png", "image/png")
        assert shown.file_url == shown.body
        assert await a.download(shown.file_url or "") == octets


async def test_an_xmpp_server_keeps_data_and_ports_when_it_is_killed(
    xmpp: XmppServer,
) -> None:
    ports, room = dict(xmpp.ports), f"room@{xmpp.muc}"
    async with (
        XmppClient(await xmpp.add_user("alice")) as a,
        XmppClient(await xmpp.add_user("bob")) as b,
    ):
        await a.join(room, "Alice")
        await b.join(room, "Bob")
        sent = []
        for number in range(30):
            if number == 10:
                xmpp.kill()
                await xmpp.start()
            if number == 20:
                await xmpp.restart()
            sent.append((await a.say(room, f"message {number}")).stanza_id)
        await b.wait_for_body(room, "message 29")
        arrived = [seen.stanza_id for seen in b.messages if seen.body]
        kept = [seen.stanza_id for seen in await b.archive(room) if seen.body]
        assert arrived == sent
        assert kept == sent
        assert xmpp.ports == ports


async def test_a_long_absence_is_filled_from_the_archive(xmpp: XmppServer) -> None:
    room = f"gap@{xmpp.muc}"
    async with XmppClient(await xmpp.add_user("alice")) as a:
        await a.join(room, "Alice")
        b = XmppClient(await xmpp.add_user("bob"))
        async with b:
            await b.join(room, "Bob")
        sent = [(await a.say(room, f"gap {number}")).stanza_id for number in range(120)]
        async with b:  # the same device comes back and goes on where it stopped
            sent.append((await a.say(room, "after")).stanza_id)
            await b.wait_for_body(room, "after")
            assert [seen.stanza_id for seen in b.messages if seen.body] == sent


async def test_a_certificate_of_somebody_else_is_refused(
    prosody: Prosody, tmp_path: Path
) -> None:
    other = Prosody(tmp_path)  # never started: only its authority is of interest
    account = await prosody.add_user("deceived")
    wrong = replace(account, ca_file=other.certificate.ca_file)
    with pytest.raises(Unavailable, match="could not log in"):
        async with XmppClient(wrong):
            pass


async def test_the_floors_are_measured_whole(tmp_path: Path) -> None:
    need("synapse")
    need("prosody")
    async with Synapse(tmp_path / "synapse") as synapse:
        matrix = await matrix_floor(synapse, sequential=10, burst=16)
        assert not list(synapse.home.glob("appservice-*"))
    async with Prosody(tmp_path / "prosody") as server:
        xmpp = await xmpp_floor(server, sequential=10, burst=16)
    for floor in (matrix, xmpp):
        assert 0 < floor.out_latency.p50_ms <= floor.out_latency.p95_ms
        assert 0 < floor.in_latency.p50_ms <= floor.in_latency.p95_ms
        for bursts in (floor.out_bursts, floor.in_bursts):
            assert [burst.senders for burst in bursts] == [1, 8]
            assert all(burst.messages == 16 and burst.per_s > 0 for burst in bursts)


async def test_a_component_with_a_wrong_secret_is_refused(prosody: Prosody) -> None:
    account = prosody.add_component("wrong", "right secret")
    await prosody.restart()
    with pytest.raises(CredentialsRefused, match="compare the secret"):
        async with XmppComponent(replace(account, secret="wrong secret")):
            pass
