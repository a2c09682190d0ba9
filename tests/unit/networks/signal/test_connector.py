import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import JoinPiece, MediaPiece, NativeRef
from sabir.errors import (
    CredentialsRefused,
    PeerIncompatible,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    ChatKind,
    ChatRenamed,
    Incoming,
    InDoubt,
    NativeMedia,
    NotSent,
    PersonJoined,
    PersonLeft,
    Posted,
    Read,
    Refused,
    Sent,
    Typing,
)
from sabir.networks.signal import outbox
from sabir.networks.signal.endpoint import Endpoint
from sabir.networks.signal.watch import AT_RISK, KEPT, LOSSY
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.signal_daemon import Fault
from sabir.testing.servers.signal_http import SignalHttp
from tests.unit.networks.signal.bench import (
    ADA,
    GROUP_CHAT,
    NUMBER,
    Bench,
    bench,
    new_daemon,
)
from tests.unit.networks.signal.events import BOB, CAROL, DM, GROUP, OWN


def file_piece(
    kind: MediaKind = MediaKind.FILE, content_type: str = "a/b"
) -> MediaPiece:
    part = ExternalPart(content_type=content_type, url="spool:x", filename="x.bin")
    return MediaPiece(attachment=Attachment(part=part, kind=kind))


def files_of(incoming: Incoming) -> tuple[NativeMedia, ...]:
    assert isinstance(incoming.action, Posted)
    return incoming.action.media


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def failure(kind: str, **more: Any) -> dict[str, Any]:
    entry = {"recipientAddress": {"uuid": BOB, "number": "+12025550102"}, "type": kind}
    return {"response": {"timestamp": 1, "results": [{**entry, **more}]}}


# ---- ways to the daemon


async def test_a_unix_socket_is_as_good_as_a_port(tmp_path: Path) -> None:
    daemon = new_daemon()
    path = tmp_path / "s"
    await daemon.start(path)
    here = Bench(daemon, Endpoint(path=str(path)))
    async with here.running():
        daemon.says(BOB, "by socket")
        await here.host.until(lambda: here.texts() == ["by socket"])
        assert isinstance(await here.send("hello"), Sent)
    await daemon.stop()


async def test_http_carries_the_same(tmp_path: Path) -> None:
    daemon = new_daemon()
    front = SignalHttp(daemon)
    await front.start()
    here = Bench(daemon, Endpoint(host=LOOPBACK, port=front.port, is_http=True))
    daemon.files["f"] = bytes(range(256)) * 1_000
    try:
        async with here.running() as run:
            file = {"contentType": "x/y", "id": "f", "size": 256_000}
            daemon.says(BOB, "by http", attachments=[file])
            await here.host.until(lambda: here.texts() == ["by http"])
            assert isinstance(await here.send("hello"), Sent)
            assert isinstance(await here.send(file_piece(), data=b"x" * 9_000), Sent)
            (media,) = files_of(here.taken()[0])
            chunks = [
                c async for c in here.account.download(media.handle, octets_max=256_000)
            ]
            assert b"".join(chunks) == daemon.files["f"]
            assert max(map(len, chunks)) <= 65_536
            await front.stop()
            with pytest.raises(Unavailable):
                await run
    finally:
        await front.stop()
    with pytest.raises(Unavailable, match="--http"):
        await here.account.run(here.host)
    assert daemon.violations == []


async def test_no_daemon_says_how_to_start_one() -> None:
    async with bench() as here:
        await here.daemon.stop()
        with pytest.raises(Unavailable, match="--receive-mode=manual"):
            await here.account.run(here.host)


async def test_something_else_at_the_port_is_said_so() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.org ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    async with bench() as here, server:
        port = server.sockets[0].getsockname()[1]
        here.where = Endpoint(host=LOOPBACK, port=port)
        with pytest.raises(PeerIncompatible, match="JSON-RPC"):
            await here.connector().run(here.host)


async def test_an_account_that_the_daemon_does_not_hold_is_said_so() -> None:
    async with bench() as here:
        here.daemon.number = "+12025550199"
        with pytest.raises(CredentialsRefused, match="account add"):
            await here.account.run(here.host)


async def test_an_unlinked_device_is_noticed_without_sending() -> None:
    async with bench() as here:
        here.account = here.connector(look_ms=20)
        async with here.running() as run:
            here.daemon.linked = False
            with pytest.raises(CredentialsRefused, match="scan the code"):
                await run


# ---- what comes in


@pytest.mark.parametrize(("keeps", "detail"), [(True, KEPT), (False, AT_RISK)])
async def test_the_state_says_whether_a_crash_may_lose_messages(
    keeps: bool, detail: str
) -> None:
    async with bench(keeps=keeps) as here:
        here.account = here.connector(look_ms=20)
        async with here.running():
            here.daemon.says(BOB, "hello")
            await here.host.until(lambda: here.host.states[-1][1] == detail)


async def test_a_daemon_that_receives_for_nobody_is_said_to_lose_messages() -> None:
    async with bench() as here, here.running():
        timestamp = here.daemon.now()
        body = here.daemon.body(timestamp, "on start")
        found = here.daemon.envelope(BOB, timestamp, dataMessage=body)
        params = {"account": NUMBER, "envelope": found}
        for client in here.daemon._clients:
            client.write({"jsonrpc": "2.0", "method": "receive", "params": params})
        await here.host.until(lambda: here.host.states[-1][1] == LOSSY)
        assert here.texts() == ["on start"]


async def test_messages_of_other_accounts_are_not_ours() -> None:
    async with bench() as here, here.running():
        here.daemon.number = "+12025550199"
        here.daemon.says(BOB, "to somebody else")
        here.daemon.number = NUMBER
        here.daemon.says(BOB, "to us")
        await here.host.until(lambda: here.texts() == ["to us"])


async def test_our_own_message_told_once_more_is_not_taken() -> None:
    async with bench() as here, here.running():
        sent = await here.send("ours")
        assert isinstance(sent, Sent)
        timestamp = int(sent.native_id.partition("|")[2])
        body = here.daemon.body(timestamp, "ours") | {"destinationUuid": BOB}
        sync = {"sentMessage": body}
        here.daemon.push(here.daemon.envelope(OWN, timestamp, syncMessage=sync))
        here.daemon.owner_says(BOB, "from the phone")
        await here.host.until(lambda: here.texts() == ["from the phone"])


async def test_what_the_daemon_could_not_open_ends_nothing() -> None:
    async with bench() as here, here.running():
        found = here.daemon.envelope(BOB, here.daemon.now())
        here.daemon.push(found, exception={"type": "ProtocolException"})
        here.daemon.push({"timestamp": 5})
        here.daemon.says(BOB, "and on")
        await here.host.until(lambda: here.texts() == ["and on"])


async def test_signals_name_the_chat_of_their_message() -> None:
    async with bench() as here, here.running():
        sent = await here.send("to all", GROUP_CHAT)
        assert isinstance(sent, Sent)
        timestamp = int(sent.native_id.partition("|")[2])
        receipt = {"when": 1, "isRead": True, "timestamps": [timestamp]}
        now = here.daemon.now
        here.daemon.push(here.daemon.envelope(BOB, now(), receiptMessage=receipt))
        typing = {"action": "STARTED", "timestamp": 1, "groupId": GROUP}
        here.daemon.push(here.daemon.envelope(BOB, now(), typingMessage=typing))
        theirs = here.daemon.says(BOB, "read me elsewhere", GROUP)
        read = {"readMessages": [{"senderUuid": BOB, "timestamp": theirs}]}
        here.daemon.push(here.daemon.envelope(OWN, now(), syncMessage=read))
        await here.host.until(lambda: len(here.host.signals) == 3)
        (first, second, third) = here.host.signals
        assert isinstance(first, Read)
        assert first.chat == GROUP_CHAT
        assert first.native_id == sent.native_id
        assert isinstance(second, Typing)
        assert second.chat == GROUP_CHAT
        assert isinstance(third, Read)
        assert third.native_id == f"{BOB}|{theirs}"
        assert third.person.id == OWN


# ---- groups


async def test_changes_of_a_group_are_seen_live_and_after_an_absence() -> None:
    async with bench() as here:
        group = here.daemon.groups[GROUP]
        async with here.running():
            group["members"].append({"uuid": CAROL})
            group["name"] = "Coffee"
            group["admins"].append({"uuid": BOB})
            update = {"groupId": GROUP, "groupName": "Coffee", "revision": 2}
            info = {**update, "type": "UPDATE"}
            here.daemon.says(OWN, None, groupInfo=info)
            await here.host.until(lambda: len(here.taken(GROUP_CHAT)) == 3)
        group["members"] = [{"uuid": OWN}, {"uuid": CAROL}]
        group["admins"] = [{"uuid": OWN}]
        group["messageExpirationTime"] = 86_400
        here.account = here.connector()
        async with here.running():
            pass
        joined, role, renamed, left, timer = here.taken(GROUP_CHAT)
        assert (joined.sender.id, joined.action) == (CAROL, PersonJoined())
        assert (role.sender.name, role.lost) == (
            "Bob",
            ("is now an administrator of the Signal group",),
        )
        assert renamed.action == ChatRenamed(name="Coffee")
        assert (left.sender.id, left.action) == (BOB, PersonLeft())
        assert "1 day" in timer.lost[0]
        async with here.running():
            assert len(here.taken(GROUP_CHAT)) == 5


async def test_chats_are_listed_and_described() -> None:
    async with bench() as here, here.running():
        chats = {info.chat: info for info in await here.account.list_chats()}
        assert chats[GROUP_CHAT].kind is ChatKind.GROUP
        assert (chats[GROUP_CHAT].name, chats[GROUP_CHAT].members) == ("Tea", 2)
        assert chats[DM].name == "Bob"
        assert chats[ChatId(f"dm:{OWN}")].name == "Note to Self"
        assert all(info.encrypted for info in chats.values())


async def test_a_group_that_we_are_not_in_is_refused_with_the_way_in() -> None:
    async with bench() as here, here.running():
        with pytest.raises(PolicyRefused, match="no such group"):
            await here.account.open_chat(ChatId("group:" + "C" * 43 + "="))
        with pytest.raises(PolicyRefused, match="group's id"):
            await here.account.open_chat(ChatId("+12025550102"))
        for change, way in (
            ({"pendingMembers": [{"uuid": OWN}]}, "accept the invitation"),
            ({"isMember": False}, "add you"),
        ):
            other = "D" * 42 + str(len(here.daemon.groups)) + "="
            here.daemon.group(other, "Cake", [BOB])
            here.daemon.groups[other] |= change
            with pytest.raises(PolicyRefused, match=way):
                await here.account.open_chat(ChatId(f"group:{other}"))


# ---- what goes out


async def test_a_lost_answer_is_in_doubt_and_never_sent_again_by_itself() -> None:
    async with bench() as here:
        piece = here.outgoing("perhaps")
        async with here.running() as run:
            here.daemon.lose_answer = True
            with pytest.raises(Unavailable):
                await here.again(piece)
            with pytest.raises(Unavailable):
                await run
        here.account = here.connector()
        async with here.running():
            found = await here.account.lookup(piece, attempted_at=piece.sent_at)
            assert isinstance(found, InDoubt)
            assert "your phone" in found.reason
            other = here.outgoing("never tried")
            found = await here.account.lookup(other, attempted_at=other.sent_at)
            assert found == NotSent()


async def test_an_answer_that_came_is_known_after_a_crash() -> None:
    async with bench() as here:
        piece = here.outgoing("sent")
        async with here.running():
            sent = await here.again(piece)
        here.account = here.connector()
        async with here.running():
            found = await here.account.lookup(piece, attempted_at=piece.sent_at)
            assert found == sent
            assert await here.again(piece) == sent
        assert len(here.daemon.calls) == 1


async def test_another_daemon_is_not_believed_to_know_our_times() -> None:
    async with bench(keeps=True) as here:
        piece = here.outgoing("perhaps")
        async with here.running():
            await here.send("first")
            here.daemon.lose_answer = True
            with pytest.raises(Unavailable):
                await here.again(piece)
        here.host.facts[outbox.KNOWS_TIMES] = "0.13.0"
        here.account = here.connector()
        async with here.running():
            found = await here.account.lookup(piece, attempted_at=piece.sent_at)
            assert isinstance(found, InDoubt)


async def test_a_changed_key_pauses_one_person_until_the_owner_decides() -> None:
    async with bench() as here, here.running():
        here.daemon.change_key(BOB)
        here.daemon.says(BOB, "new phone")
        here.daemon.says(BOB, "hello?")
        await here.host.until(lambda: len(here.phrases(DM)) == 1)
        assert len(here.phrases(GROUP_CHAT)) == 1
        piece = here.outgoing("secret for Bob")
        for _ in range(2):
            with pytest.raises(Unavailable, match="safety number"):
                await here.again(piece)
        assert isinstance(await here.send("others go on", ChatId(f"dm:{CAROL}")), Sent)
        found = await here.account.lookup(piece, attempted_at=piece.sent_at)
        assert found == NotSent()
        await here.daemon.carry_out(
            "trust",
            {"account": NUMBER, "recipient": BOB, "trustAllKnownKeys": True},
        )
        assert isinstance(await here.again(piece), Sent)
        await here.host.until(lambda: here.texts() == ["new phone", "hello?"])
        assert "without comparing" in here.phrases(DM)[-1]


async def test_a_pause_for_a_changed_key_survives_a_restart() -> None:
    async with bench() as here:
        here.daemon.change_key(BOB)
        async with here.running():
            with pytest.raises(Unavailable, match="safety number"):
                await here.send("to whom")
        here.account = here.connector()
        async with here.running():
            with pytest.raises(Unavailable, match="safety number"):
                await here.send("to whom")
            assert here.daemon.calls == []
        assert len(here.phrases(DM)) == 1


async def test_part_of_a_group_is_missed_and_said_so() -> None:
    async with bench() as here, here.running():
        here.daemon.groups[GROUP]["members"].append({"uuid": CAROL})
        here.daemon.people[CAROL].registered = False
        sent = await here.send("to all", GROUP_CHAT)
        assert isinstance(sent, Sent)
        assert sent.lost == ("1 of 2 did not get it: each is not on Signal any more",)


async def test_a_limit_pauses_the_whole_account_for_as_long_as_it_says() -> None:
    limit = Fault(
        -5, "x", failure("RATE_LIMIT_FAILURE", retryAfterSeconds=90, token="t")
    )
    async with bench() as here, here.running():
        here.daemon.faults["send"] = [limit]
        with pytest.raises(Unavailable, match="a person is at work") as caught:
            await here.send("too fast")
        assert caught.value.retry_after_ms == 90_000
        with pytest.raises(Unavailable) as caught:
            await here.send("another", ChatId(f"dm:{CAROL}"))
        assert caught.value.retry_after_ms is not None
        assert 80_000 < caught.value.retry_after_ms <= 90_001


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(-1, "x", failure("UNREGISTERED_FAILURE")), "not registered"),
        (Fault(-1, "The user +12025550102 is not registered."), "not registered"),
        (Fault(-1, f"Group not found: {GROUP}"), "not a member"),
        (Fault(-1, "only admins are allowed to send"), "only administrators"),
        (Fault(-1, "who knows"), "its log says why"),
        (Fault(-32601, "Method not implemented"), "upgrade"),
        (Fault(-32603, "x (AttachmentInvalidException)"), "files_dir"),
    ],
)
async def test_what_will_never_go_is_refused_with_the_reason(
    fault: Fault, reason: str
) -> None:
    async with bench() as here, here.running():
        here.daemon.faults["send"] = [fault]
        outcome = await here.send("no")
        assert isinstance(outcome, Refused)
        assert reason in outcome.reason
        assert "+1202" not in outcome.reason
        assert isinstance(await here.send("next"), Sent)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(-3, "java.net.UnknownHostException"),
        Fault(-1, "x", failure("NETWORK_FAILURE")),
        Fault(-32603, "x", failure("INVALID_PRE_KEY_FAILURE")),
    ],
)
async def test_what_may_go_later_waits(fault: Fault) -> None:
    async with bench() as here, here.running():
        here.daemon.faults["send"] = [fault]
        piece = here.outgoing("later")
        with pytest.raises(Unavailable):
            await here.again(piece)
        assert isinstance(await here.again(piece), Sent)


async def test_what_nobody_can_explain_is_tried_a_few_times_only() -> None:
    async with bench() as here, here.running():
        here.daemon.faults["send"] = [Fault(-32603, "boom")] * 10
        piece = here.outgoing("later")
        for _ in range(4):
            with pytest.raises(Unavailable, match="-32603"):
                await here.again(piece)
        assert isinstance(await here.again(piece), Refused)


async def test_a_device_unlinked_while_sending_ends_the_run() -> None:
    async with bench() as here, here.running() as run:
        here.daemon.linked = False
        with pytest.raises(Unavailable):
            await here.send("anybody")
        with pytest.raises(CredentialsRefused, match="scan the code"):
            await run


async def test_files_go_inside_or_by_path_and_too_large_ones_not_at_all(
    tmp_path: Path,
) -> None:
    async with bench() as here:
        here.account = here.connector(files_dir=tmp_path)
        async with here.running():
            voice = file_piece(MediaKind.VOICE, "audio/aac")
            assert isinstance(await here.send(voice, data=b"v" * 100), Sent)
            large = await here.send(file_piece(), data=b"L" * 2_000_000)
            assert isinstance(large, Sent)
            sticker = file_piece(MediaKind.STICKER, "image/webp")
            lost = await here.send(sticker, data=b"s")
            assert isinstance(lost, Sent)
            assert lost.lost == ("a sticker, sent as a picture",)
        first, second, _ = here.daemon.calls
        assert first.params["attachment"][0].startswith(
            "data:audio/aac;filename=x.bin;"
        )
        assert first.params["voiceNote"] is True
        assert first.params["octets"] == [b"v" * 100]
        assert second.params["attachment"][0].startswith(str(tmp_path))
        assert second.params["octets"] == [b"L" * 2_000_000]
        assert left_in(tmp_path) == []
        here.account = here.connector()
        async with here.running():
            refused = await here.send(file_piece(), data=b"M" * (9 * 1024 * 1024))
            assert isinstance(refused, Refused)
            assert "files_dir" in refused.reason
            gone = await here.send(file_piece())
            assert isinstance(gone, Refused)


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    async with bench() as here:
        (tmp_path / "file").write_text("not a folder")
        here.account = here.connector(files_dir=tmp_path / "file")
        async with here.running():
            with pytest.raises(Unavailable, match="files_dir"):
                await here.send(file_piece(), data=b"L" * 2_000_000)


async def test_stickers_are_fetched_and_lost_files_say_so() -> None:
    async with bench() as here, here.running():
        here.daemon.files["ab/3"] = b"RIFF"
        sticker = {"packId": "ab", "stickerId": 3}
        gone = {"contentType": "x/y", "id": "gone", "size": 1}
        here.daemon.says(BOB, None, sticker=sticker, attachments=[gone])
        await here.host.until(here.taken)
        lost, found = files_of(here.taken()[0])
        chunks = [c async for c in here.account.download(found.handle, octets_max=9)]
        assert chunks == [b"RIFF"]
        with pytest.raises(Unavailable, match="45 days"):
            _ = [c async for c in here.account.download(lost.handle, octets_max=9)]
        with pytest.raises(PolicyRefused):
            _ = [c async for c in here.account.download("x", octets_max=9)]


async def test_typing_and_receipts_go_to_the_right_place() -> None:
    async with bench() as here:
        theirs = NativeRef(native_id=f"{BOB}|77")
        async with here.running():
            await here.account.receipt(DM, ADA, theirs, read=True)
        here.account = here.connector(read_receipts=True)
        async with here.running():
            await here.account.typing(GROUP_CHAT, ADA, active=True)
            await here.account.typing(ChatId(f"dm:{OWN}"), ADA, active=True)
            await here.account.receipt(GROUP_CHAT, ADA, theirs, read=True)
            await here.account.receipt(GROUP_CHAT, ADA, theirs, read=False)
            ours = NativeRef(native_id=f"{OWN}|78")
            await here.account.receipt(DM, ADA, ours, read=True)
            here.daemon.faults["sendTyping"] = [Fault(-3, "no")]
            await here.account.typing(DM, ADA, active=False)
        typing, receipt = here.daemon.calls
        assert (typing.params["groupId"], typing.params["stop"]) == (GROUP, False)
        assert receipt.params["recipient"] == [BOB]
        assert receipt.params["targetTimestamp"] == [77]


async def test_a_piece_without_a_form_is_refused() -> None:
    async with bench() as here, here.running():
        assert isinstance(await here.send(JoinPiece()), Refused)
        assert isinstance(await here.send("x", ChatId("nowhere")), Refused)
        assert isinstance(await here.send(""), Refused)


async def test_twenty_cuts_lose_nothing_double_nothing_and_keep_order() -> None:
    """T12, with a daemon that keeps what was not acknowledged and knows times."""
    async with bench(keeps=True) as here:
        said: list[str] = []
        async with here.running():
            await here.send("first")
        wrote = ["first"]
        for cut in range(20):
            here.account = here.connector()
            piece = here.outgoing(f"out {cut}")
            wrote.append(f"out {cut}")
            async with here.running() as run:
                for number in range(10):
                    said.append(f"in {cut}.{number}")
                    here.daemon.says(BOB, said[-1])
                here.daemon.lose_answer, here.daemon.lose_send = (
                    cut % 3 == 0,
                    cut % 3 == 1,
                )
                try:
                    await here.again(piece)
                except Unavailable:
                    await asyncio.wait([run])
            here.account = here.connector()
            async with here.running():
                found = await here.account.lookup(piece, attempted_at=piece.sent_at)
                if found == NotSent():
                    assert isinstance(await here.again(piece), Sent)
                else:
                    assert isinstance(found, Sent)
        async with here.running():
            await here.host.until(lambda: here.texts()[-1:] == said[-1:])
        assert here.texts() == said
        assert [call.params["message"] for call in here.daemon.calls] == wrote


# ---- nothing private in a log


async def test_no_log_at_any_level_has_a_number_or_a_text(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    caplog.set_level(logging.DEBUG)
    async with bench() as here:
        async with here.running():
            here.daemon.says(BOB, "CANARY in")
            await here.send("CANARY out")
            await here.host.until(lambda: here.texts() == ["CANARY in"])
            here.daemon.faults["send"] = [
                Fault(-1, "The user +12025550102 is not registered. CANARY"),
                Fault(-32603, "CANARY +12025550102"),
            ]
            await here.send("CANARY refused")
            with pytest.raises(Unavailable):
                await here.send("CANARY later")
            here.daemon.push(
                here.daemon.envelope(BOB, 5),
                exception={"type": "X", "message": "CANARY"},
            )
            here.daemon.says(BOB, "end")
            await here.host.until(lambda: "end" in here.texts())
        here.daemon.linked = False
        with pytest.raises(CredentialsRefused) as caught:
            await here.connector().run(here.host)
    structlog.reset_defaults()
    details = " ".join(detail for _, detail in here.host.states)
    logged = capsys.readouterr().out + caplog.text + details + str(caught.value)
    assert "daemon_answers" in logged
    assert "send_failed" in logged
    for private in ("CANARY", "+1202", "5550102", NUMBER):
        assert private not in logged
