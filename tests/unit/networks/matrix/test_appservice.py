"""Pushes that a real homeserver makes rarely: repeated, malformed, hostile, early."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sabir.content.pieces import JoinPiece, TextPiece
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.errors import PeerMisbehaved, StorageFailed, Unavailable
from sabir.networks.api import (
    ChatId,
    ConnectionState,
    IdempotencyKey,
    Outgoing,
    Read,
    Refused,
    Sent,
    Speaker,
    Typing,
)
from sabir.networks.matrix import appservice, invites, listener, rooms
from sabir.networks.matrix.appservice import AppService
from sabir.networks.matrix.config import AppServiceConfig
from sabir.networks.matrix.progress import CONNECTIONS_MAX, LAG_EVENTS_MAX
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng

SEA, TEA = ChatId("!sea:e.org"), ChatId("!tea:e.org")
KEY = IdempotencyKey("k" * 32)
ADA = Speaker(uri="xmpp:r/ada", name="Ada", network="xmpp")


@dataclass
class Homeserver:
    """Says yes to everything, unless told otherwise; counts what it was asked."""

    members: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    """Prepared answers by a part of the path, each given once."""
    hold: asyncio.Event | None = None
    """When set: sends wait for it."""

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path
        self.requests.append((request.method, path))
        if "/send/" in path and self.hold is not None:
            await self.hold.wait()
        for part, prepared in self.answers.items():
            if part in path and prepared:
                status, body = prepared.pop(0)
                return web.json_response(body, status=status)
        if path.endswith("/whoami"):
            return web.json_response({"user_id": "@sabir_bot:e.org"})
        if path.endswith("/joined_members"):
            return web.json_response({"joined": self.members})
        if "/state/" in path:
            return web.json_response({"errcode": "M_NOT_FOUND"}, status=404)
        return web.json_response(
            {"event_id": "$new", "room_id": SEA, "m.upload.size": 9}
        )


@dataclass
class Lab:
    homeserver: Homeserver
    host: RecordingHost
    connector: AppService
    port: int
    ended: Callable[[], bool]

    async def push(
        self,
        body: Any,
        *,
        txn: str = "1",
        token: str = "Bearer hs",  # a made-up token
    ) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/_matrix/app/v1/transactions/{txn}"
        headers = {"Authorization": token}
        async with (
            aiohttp.ClientSession() as session,
            session.put(url, data=data, headers=headers) as answer,
        ):
            return answer.status


def config(url: str) -> AppServiceConfig:
    return AppServiceConfig(
        homeserver_url=url,
        server_name="e.org",
        as_token=Secret(b"as"),
        hs_token=Secret(b"hs"),
        listen_port=0,
    )


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch,
    *,
    facts: dict[str, str] | None = None,
    answers: dict[str, list[tuple[int, dict[str, Any]]]] | None = None,
) -> AsyncIterator[Lab]:
    homeserver = Homeserver(
        members={"@al:e.org": {"display_name": "Al"}}, answers=answers or {}
    )
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", homeserver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports: list[int] = []
    real = listener.listening

    @asynccontextmanager
    async def noting(*args: Any, **named: Any) -> AsyncIterator[int]:
        async with real(*args, **named) as port:
            ports.append(port)
            yield port

    monkeypatch.setattr("sabir.networks.matrix.appservice.listening", noting)
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(), chats=[SEA, TEA])
    host.facts |= facts or {}
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    connector = AppService(config(url), clock=LoopClock())
    task = asyncio.get_running_loop().create_task(connector.run(host))
    connected = (ConnectionState.CONNECTED, "")
    await host.until(lambda: connected in host.states or task.done())
    try:
        yield Lab(homeserver, host, connector, ports[0], task.done)
    finally:
        task.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await task
        finally:
            await runner.cleanup()


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    async with running(monkeypatch) as made:
        yield made


def message(
    event_id: str, *, room: str = SEA, sender: str = "@al:e.org", **content: Any
) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "room_id": room,
        "type": "m.room.message",
        "sender": sender,
        "content": {"msgtype": "m.text", "body": "x"} | content,
    }


def taken(lab: Lab) -> list[list[str]]:
    return [[event.native_id for event in take] for take in lab.host.takes]


async def test_only_the_homeserver_may_push(lab: Lab) -> None:
    for token in ("", "hs", "Bearer", "Bearer wrong", "Basic hs", "Bearer hsx"):
        assert await lab.push({"events": [message("$1")]}, token=token) == 403
    assert lab.host.takes == []
    base = f"http://127.0.0.1:{lab.port}/_matrix/app/v1"
    async with aiohttp.ClientSession() as session:
        for method, path in (("POST", "ping"), ("GET", "users/@x:e.org")):
            async with session.request(method, f"{base}/{path}") as answer:
                assert answer.status == 403
        headers = {"Authorization": "Bearer hs"}
        async with session.get(f"{base}/rooms/x", headers=headers) as answer:
            assert answer.status == 404


async def test_a_transaction_is_one_take_in_its_order_over_all_rooms(lab: Lab) -> None:
    events = [message("$1"), message("$2", room=TEA), message("$3")]
    assert await lab.push({"events": events}) == 200
    assert taken(lab) == [["$1", "$2", "$3"]]


async def test_the_same_transaction_again_is_answered_without_a_second_take(
    lab: Lab,
) -> None:
    for _ in range(2):
        assert await lab.push({"events": [message("$1")]}, txn="7") == 200
    assert taken(lab) == [["$1"]]


async def test_the_same_id_with_other_events_is_another_transaction(lab: Lab) -> None:
    assert await lab.push({"events": [message("$1")]}, txn="7") == 200
    assert await lab.push({"events": [message("$2")]}, txn="7") == 200
    assert taken(lab) == [["$1"], ["$2"]]


async def test_a_failed_store_answers_500_and_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab_run = running(monkeypatch)
    lab = await lab_run.__aenter__()
    lab.host.fail_takes = 1
    assert await lab.push({"events": [message("$1")]}) == 500
    assert lab.host.takes == []
    await lab.host.until(lab.ended)
    with pytest.raises(StorageFailed):
        await lab_run.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"events": {}}', b"[" * 100_000, b"\xff"]
)
async def test_what_is_no_transaction_gets_400(lab: Lab, body: bytes) -> None:
    assert await lab.push(body) == 400
    assert lab.host.takes == []


async def test_an_event_nested_however_deeply_holds_up_nothing(lab: Lab) -> None:
    statuses = set()
    for txn, depth in enumerate((*range(850, 1_000, 2), 30_000)):
        deep = b'{"a":' * depth + b"[]" + b"}" * depth
        event = json.dumps(message(f"${depth}") | {"content": "?"}).encode()
        nested = event.replace(b'"?"', deep)
        after = json.dumps(message(f"$after{depth}")).encode()
        body = b'{"events":[' + nested + b"," + after + b"]}"
        statuses.add(await lab.push(body, txn=f"{txn}"))
        assert taken(lab)[-1] == [f"${depth}", f"$after{depth}"]
        for stored in lab.host.takes[-1][:1]:
            with suppress(PeerMisbehaved):  # MATRIX-002: only that it was there
                lab.connector.decode(stored)
    assert statuses == {200}


async def test_malformed_events_do_not_hold_up_the_others(lab: Lab) -> None:
    bad: list[Any] = [
        None,
        1,
        [],
        {},
        {"event_id": "$x"},
        message("$y") | {"room_id": 1},
        message("") | {"type": "m.room.message"},
    ]
    odd = message("$odd") | {"content": "text"}
    events = [*bad, message("$1"), odd, *bad, message("$2", body="\ud800")]
    assert await lab.push({"events": events}) == 200
    assert taken(lab) == [["$1", "$odd", "$2"]]


async def test_a_body_beyond_the_limit_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "BODY_OCTETS_MAX", 10_000)
    async with running(monkeypatch) as lab:
        assert await lab.push(b" " * 10_001) == 413
        assert lab.host.takes == []


async def test_the_name_known_now_goes_along(lab: Lab) -> None:
    renamed = {
        "event_id": "$2",
        "room_id": SEA,
        "type": "m.room.member",
        "sender": "@al:e.org",
        "state_key": "@al:e.org",
        "content": {"membership": "join", "displayname": "Alice"},
    }
    events = [message("$1"), renamed, message("$3"), message("$4", sender="@new:e.org")]
    assert await lab.push({"events": events}) == 200
    names = [
        incoming.sender.name
        for event in lab.host.events
        if (incoming := lab.connector.decode(event))
    ]
    assert names == ["Al", "Alice", "Alice", "new"]


async def test_an_event_too_large_to_store_loses_only_its_unsigned_part(
    lab: Lab,
) -> None:
    event = message("$1") | {"unsigned": {"m.relations": "x" * 300_000, "age": 1}}
    assert await lab.push({"events": [event]}) == 200
    incoming = lab.connector.decode(lab.host.events[0])
    assert incoming is not None
    assert incoming.action is not None


async def test_an_echo_that_comes_before_the_answer_is_left_to_the_send(
    lab: Lab,
) -> None:
    lab.homeserver.hold = asyncio.Event()
    ours = "@sabir_xmpp=3ar/ada:e.org"
    echo = message("$new", sender=ours, **{"dev.sabir.entry": KEY})
    stray = message("$old", sender=ours, **{"dev.sabir.entry": "o" * 32})
    odd: dict[str, Any] = {"dev.sabir.entry": 1}
    strange = message("$odd", sender=ours, **odd)
    sending = asyncio.get_running_loop().create_task(send(lab))
    await lab.host.until(lambda: any("/send/" in p for _, p in lab.homeserver.requests))
    assert await lab.push({"events": [echo, stray, strange, message("$1")]}) == 200
    lab.homeserver.hold.set()
    [sent] = await sending
    assert isinstance(sent, Sent)
    assert taken(lab) == [["$1"]]
    assert [(s.key, s.native_id) for _, s in lab.host.echoes] == [("o" * 32, "$old")]


async def send(lab: Lab, *pieces: Any) -> list[Any]:
    batch = [
        Outgoing(
            chat=SEA,
            key=KEY,
            speaker=ADA,
            piece=piece,
            sent_at=LoopClock().now(),
        )
        for piece in pieces or (TextPiece(text=Rich.plain("x")),)
    ]
    return [outcome async for outcome in lab.connector.send(batch)]


async def test_a_ghost_is_made_named_and_only_then_brought_in(lab: Lab) -> None:
    lab.homeserver.requests.clear()
    await send(lab)
    what = [path.split("/v3/")[1] for _, path in lab.homeserver.requests]
    user = "@sabir_xmpp=3ar/ada:e.org"
    assert what == [
        "register",
        "devices/SABIR",
        f"profile/{user}/displayname",
        f"rooms/{SEA}/invite",
        f"join/{SEA}",
        f"rooms/{SEA}/send/m.room.message/s{KEY}",
    ]
    lab.homeserver.requests.clear()
    await send(lab)
    assert len(lab.homeserver.requests) == 1


async def test_a_short_limit_is_waited_for_and_a_long_one_is_told(lab: Lab) -> None:
    limited = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 20}
    lab.homeserver.answers["/send/"] = [(429, limited), (429, limited)]
    [sent] = await send(lab)
    assert isinstance(sent, Sent)
    limited = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 120_000}
    lab.homeserver.answers["/send/"] = [(429, limited)]
    with pytest.raises(Unavailable) as raised:
        await send(lab)
    assert raised.value.retry_after_ms == 120_000


async def test_a_ghost_that_the_server_forgot_is_made_again_once(lab: Lab) -> None:
    await send(lab)
    no = {"errcode": "M_FORBIDDEN", "error": "not registered"}
    lab.homeserver.answers["/send/"] = [(403, no)]
    lab.homeserver.requests.clear()
    [sent] = await send(lab)
    assert isinstance(sent, Sent)
    assert ("POST", "/_matrix/client/v3/register") in lab.homeserver.requests
    lab.homeserver.answers["/send/"] = [(403, no), (403, no)]
    [refused] = await send(lab)
    assert isinstance(refused, Refused)
    assert "power levels" in refused.reason


async def test_a_ghost_in_use_and_a_ghost_invited_already_are_fine(lab: Lab) -> None:
    lab.homeserver.answers["/register"] = [(400, {"errcode": "M_USER_IN_USE"})]
    lab.homeserver.answers["/invite"] = [(403, {"errcode": "M_FORBIDDEN"})]
    [sent] = await send(lab, JoinPiece())
    assert sent == Sent(key=KEY, native_id="", author="@sabir_xmpp=3ar/ada:e.org")  # type: ignore[arg-type]  # ids are strings


async def test_typing_is_the_difference_and_private_receipts_stay_private(
    lab: Lab,
) -> None:
    def typing(*users: Any) -> dict[str, Any]:
        content = {"user_ids": list(users)}
        return {"type": "m.typing", "room_id": SEA, "content": content}

    async def signals(event: Any) -> list[tuple[str, bool]]:
        lab.host.signals.clear()
        assert await lab.push({"events": [], "ephemeral": [event]}) == 200
        return [
            (signal.person.name, signal.active)
            for signal in lab.host.signals
            if isinstance(signal, Typing)
        ]

    assert await signals(typing("@al:e.org", "@sabir_x:e.org")) == [("Al", True)]
    assert await signals(typing("@al:e.org", "@bo:e.org", 3)) == [("bo", True)]
    assert await signals(typing("@bo:e.org")) == [("Al", False)]
    assert await signals(typing()) == [("bo", False)]
    for odd in (None, {}, typing() | {"content": {}}, typing("@x:y") | {"room_id": 1}):
        assert await signals(odd) == []
    elsewhere = typing("@al:e.org") | {"room_id": "!other:e.org"}
    assert await signals(elsewhere) == []
    users: dict[str, Any] = {
        "m.read": {"@al:e.org": {}},
        "m.read.private": {"@bo:e.org": {}},
    }
    receipt = {"type": "m.receipt", "room_id": SEA, "content": {"$1": users, "$2": 3}}
    await signals(receipt)
    [read] = lab.host.signals
    assert isinstance(read, Read)
    assert (read.person.name, read.native_id) == ("Al", "$1")


async def test_an_invitation_survives_a_failure_to_join(lab: Lab) -> None:
    invite = {
        "event_id": "$i",
        "room_id": "!new:e.org",
        "type": "m.room.member",
        "sender": "@al:e.org",
        "state_key": "@sabir_bot:e.org",
        "content": {"membership": "invite"},
    }
    no = {"errcode": "M_FORBIDDEN", "error": "changed my mind"}
    lab.homeserver.answers["/join/!new"] = [(403, no)]
    assert await lab.push({"events": [invite]}) == 200
    await lab.host.until(lambda: lab.host.facts.get("invites") == "[]")
    joins = [p for _, p in lab.homeserver.requests if "/join/!new" in p]
    assert len(joins) == 1


INVITE = {
    "event_id": "$i",
    "room_id": "!gone:e.org",
    "type": "m.room.member",
    "sender": "@x:gone.org",
    "state_key": "@sabir_bot:e.org",
    "content": {"membership": "invite"},
}
NO_SERVER: tuple[int, dict[str, Any]] = (
    502,
    {"errcode": "M_UNKNOWN", "error": "no make_join via any server"},
)


def joins(lab: Lab, room: str) -> int:
    return sum(f"/join/{room}" in path for _, path in lab.homeserver.requests)


async def test_a_room_that_cannot_be_entered_now_ends_nothing_and_is_tried_later(
    lab: Lab,
) -> None:
    lab.homeserver.answers["/join/!gone"] = [NO_SERVER] * 50
    fine = INVITE | {"event_id": "$j", "room_id": "!fine:e.org"}
    assert await lab.push({"events": [INVITE, fine]}) == 200
    await lab.host.until(lambda: joins(lab, "!fine") or lab.ended())
    waiting = '[["!gone:e.org", "@sabir_bot:e.org", 1]]'
    await lab.host.until(lambda: lab.host.facts["invites"] == waiting)
    assert await lab.push({"events": [message("$1")]}, txn="2") == 200
    assert not lab.ended()
    assert joins(lab, "!gone") == 1


async def test_a_room_that_never_can_be_entered_is_given_up_after_five_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invites, "INVITE_PAUSE_MS", 10)
    monkeypatch.setattr(appservice, "PING_IDLE_S", 0.02)
    async with running(monkeypatch) as lab:
        limited = (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10})
        answers = [limited, *[NO_SERVER] * 4, (200, {"no": "room"}), *[NO_SERVER] * 50]
        lab.homeserver.answers["/join/!gone"] = answers
        assert await lab.push({"events": [INVITE]}) == 200
        await lab.host.until(lambda: joins(lab, "!gone") == 6 or lab.ended())
        await lab.host.until(lambda: lab.host.facts["invites"] == "[]")
        assert not lab.ended()
        assert joins(lab, "!gone") == 6


async def test_an_invitation_remembered_by_an_earlier_run_is_taken_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = '[["!a:e.org", "@sabir_bot:e.org"], ["!b:e.org", "@sabir_bot:e.org", 4]]'
    async with running(monkeypatch, facts={"invites": waiting}) as lab:
        await lab.host.until(lambda: lab.host.facts["invites"] == "[]")
        assert (joins(lab, "!a"), joins(lab, "!b")) == (1, 1)


async def test_a_room_that_gives_no_answer_keeps_nobody_from_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "LOAD_PAUSE_MS", 0)
    ill = {f"{SEA}/joined_members": [(500, {"errcode": "M_UNKNOWN"})]}
    async with running(monkeypatch, answers=ill) as lab:
        assert not lab.ended()
        members = f"/_matrix/client/v3/rooms/{SEA}/joined_members"
        await lab.host.until(
            lambda: lab.homeserver.requests.count(("GET", members)) == 2
        )
        assert await lab.push({"events": [message("$1")]}) == 200
        [incoming] = map(lab.connector.decode, lab.host.events)
        assert incoming is not None
        assert incoming.sender.name == "Al"


async def test_nothing_is_sent_into_a_room_that_may_be_encrypted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ill = {
        f"{SEA}/joined_members": [(500, {"errcode": "M_UNKNOWN"})] * 2,
        f"{SEA}/state/m.room.encryption": [(200, {"algorithm": "m.megolm"})],
    }
    async with running(monkeypatch, answers=ill) as lab:
        with pytest.raises(Unavailable):
            await send(lab)
        [refused] = await send(lab)
        assert isinstance(refused, Refused)
        assert "encrypted" in refused.reason
        assert not any("/send/" in path for _, path in lab.homeserver.requests)


NAMING = ("PUT", "/_matrix/client/v3/profile/@sabir_bot:e.org/displayname")


async def test_the_bot_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as lab:
        assert lab.homeserver.requests.count(NAMING) == 1
        facts = lab.host.facts
    async with running(monkeypatch, facts=facts) as lab:
        assert lab.homeserver.requests.count(NAMING) == 0


@pytest.mark.parametrize("status", [403, 500])
async def test_a_bot_that_may_not_be_named_connects_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    no = {"/displayname": [(status, {"errcode": "M_FORBIDDEN"})]}
    async with running(monkeypatch, answers=no) as lab:
        assert not lab.ended()
        facts = lab.host.facts
    async with running(monkeypatch, facts=facts) as lab:
        assert lab.homeserver.requests.count(NAMING) == 1


async def test_before_the_start_is_complete_pushes_are_put_off() -> None:
    connector = AppService(config("http://127.0.0.1:1"), clock=LoopClock())
    pushed = listener.parse_transaction("1", b'{"events": []}')
    assert await connector._take(pushed) is False
    with pytest.raises(Unavailable, match="not connected"):
        await connector.list_chats()


# ---- what was not pushed


def history(lab: Lab, *event_ids: str, end: str | None = None) -> None:
    """Prepare a page of the room's history, newest first, as it is read."""
    chunk = [message(event_id) for event_id in event_ids]
    page = {"chunk": chunk} | ({"end": end} if end else {})
    lab.homeserver.answers.setdefault("/messages", []).append((200, page))


async def linked_after(lab: Lab, event_id: str) -> None:
    """Link the room when this is its newest event."""
    history(lab, event_id)
    await lab.connector.open_chat(SEA)


async def test_over_a_new_connection_history_is_read_before_what_is_pushed(
    lab: Lab,
) -> None:
    await linked_after(lab, "$0")
    history(lab, "$3", "$2", end="older")
    history(lab, "$1", "$0", "$old")
    assert await lab.push({"events": [message("$4")]}) == 200
    assert [event.native_id for event in lab.host.events] == ["$1", "$2", "$3", "$4"]
    assert [event.late for event in lab.host.events] == [True, True, True, False]


async def test_what_was_never_pushed_is_found_when_the_homeserver_only_pings(
    lab: Lab,
) -> None:
    await linked_after(lab, "$0")
    history(lab, "$1", "$0")
    url = f"http://127.0.0.1:{lab.port}/_matrix/app/v1/ping"
    headers = {"Authorization": "Bearer hs"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={}, headers=headers) as answer,
    ):
        assert answer.status == 200
    await lab.host.until(lambda: lab.host.events)
    assert [event.native_id for event in lab.host.events] == ["$1"]


async def test_a_history_that_cannot_be_read_now_has_the_push_repeated(
    lab: Lab,
) -> None:
    await linked_after(lab, "$0")
    lab.homeserver.answers["/messages"].append((502, {}))
    assert lab.connector._session is not None
    assert lab.connector._session.progress.connected()
    body = json.dumps({"events": [message("$2")]}).encode()
    assert not await lab.connector._take(listener.parse_transaction("1", body))
    assert lab.host.events == []


async def test_where_our_place_is_out_of_reach_pushes_go_on(lab: Lab) -> None:
    await linked_after(lab, "$0")
    history(lab, "$9", "$8")
    assert await lab.push({"events": [message("$9")]}) == 200
    assert [event.native_id for event in lab.host.events] == ["$9"]


async def test_a_chat_that_was_left_starts_anew(lab: Lab) -> None:
    await linked_after(lab, "$0")
    await lab.connector.close_chat(SEA)
    assert lab.host.cursors[f"room:{SEA}"] == ""
    await linked_after(lab, "$5")
    assert lab.host.cursors[f"room:{SEA}"] == "$5"


async def test_our_place_is_stored_even_when_only_we_speak(lab: Lab) -> None:
    await linked_after(lab, "$0")
    ours = [
        message(f"$g{number}", sender="@sabir_x:e.org")
        for number in range(LAG_EVENTS_MAX)
    ]
    history(lab, "$0")
    assert await lab.push({"events": ours}) == 200
    assert lab.host.cursors[f"room:{SEA}"] == ours[-1]["event_id"]


async def test_behind_a_proxy_not_every_connection_is_a_doubt(lab: Lab) -> None:
    await linked_after(lab, "$0")
    for _ in range(3 * CONNECTIONS_MAX):
        history(lab, "$0")
        assert await lab.push({"events": []}) == 200
    reads = [path for _, path in lab.homeserver.requests if path.endswith("/messages")]
    assert len(reads) <= CONNECTIONS_MAX + 1


async def test_a_push_that_overtook_another_is_repeated(lab: Lab) -> None:
    assert await lab.push({"events": [message("$1")]}, txn="1") == 200
    assert await lab.push({"events": [message("$3")]}, txn="3") == 503
    pings = ("POST", "/_matrix/client/v1/appservice/sabir/ping")
    await lab.host.until(lambda: lab.homeserver.requests.count(pings) == 2)
    for txn in ("2", "3"):
        assert await lab.push({"events": [message(f"${txn}")]}, txn=txn) == 200
    assert [event.native_id for event in lab.host.events] == ["$1", "$2", "$3"]
