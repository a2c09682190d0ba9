"""`/sync` as a real homeserver does it rarely: limits, huge gaps, odd answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, StorageFailed, Unavailable
from sabir.networks.api import ChatId, ConnectionState
from sabir.networks.matrix import account as account_module
from sabir.networks.matrix import rooms as rooms_module
from sabir.networks.matrix.account import PlainAccount
from sabir.networks.matrix.config import AccountConfig
from sabir.networks.matrix.decode import decode
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng

SEA = ChatId("!sea:e.org")
ME = "@me:e.org"


class Homeserver:
    """Gives prepared `/sync` answers, and history of numbered messages."""

    def __init__(self) -> None:
        self.syncs: list[tuple[int, Any]] = []
        self.sinces: list[str | None] = []
        self.whoami: dict[str, Any] = {"user_id": ME, "device_id": "D"}
        self.members: list[tuple[int, Any]] = []
        self.history = 0
        self.limit_pages = 0

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path
        if path.endswith("/sync"):
            self.sinces.append(request.query.get("since"))
            if not self.syncs:
                await asyncio.sleep(60)
            status, body = self.syncs.pop(0)
            octets = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(body=octets, status=status)
        if path.endswith("/messages"):
            return self.page(request)
        if path.endswith("/joined_members") and self.members:
            status, body = self.members.pop(0)
            return web.json_response(body, status=status)
        if path.endswith("/whoami"):
            return web.json_response(self.whoami)
        if "/state/" in path or path.endswith("/media/config"):
            return web.json_response({"errcode": "M_NOT_FOUND"}, status=404)
        return web.json_response({"joined": {}, "versions": []})

    def page(self, request: web.Request) -> web.Response:
        """Page back from message `from`, as Synapse does, to `to`."""
        if self.limit_pages:
            self.limit_pages -= 1
            body = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10}
            return web.json_response(body, status=429)
        assert (request.query["dir"], request.query["to"]) == ("b", "s1")
        first = int(request.query["from"].removeprefix("p"))
        numbers = [first - i for i in range(100) if first - i > 0]
        answer: dict[str, Any] = {"chunk": [message(n) for n in numbers]}
        if first > 100:
            answer["end"] = f"p{first - 100}"
        return web.json_response(answer)


def message(number: int) -> dict[str, Any]:
    return {
        "event_id": f"${number}",
        "type": "m.room.message",
        "sender": "@al:e.org",
        "content": {"msgtype": "m.text", "body": f"{number}"},
    }


def sync(next_batch: str, *events: Any, **timeline: Any) -> tuple[int, Any]:
    part = {"timeline": {"events": list(events)} | timeline}
    return 200, {"next_batch": next_batch, "rooms": {"join": {SEA: part}}}


@asynccontextmanager
async def serving(homeserver: Homeserver) -> AsyncIterator[PlainAccount]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", homeserver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = AccountConfig(
        homeserver_url=f"http://127.0.0.1:{runner.addresses[0][1]}",
        user_id=ME,
        access_token=Secret(b"t"),
    )
    try:
        yield PlainAccount(config, clock=LoopClock())
    finally:
        await runner.cleanup()


def recording() -> RecordingHost:
    host = RecordingHost(clock=LoopClock(), rng=SeededRng(), chats=[SEA])
    host.cursors["sync"] = "s1"
    return host


async def run_until(homeserver: Homeserver, host: RecordingHost, cursor: str) -> None:
    async with serving(homeserver) as connector:
        task = asyncio.get_running_loop().create_task(connector.run(host))
        await host.until(lambda: host.cursors.get("sync") == cursor or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def numbers(host: RecordingHost) -> list[int]:
    return [int(event.native_id[1:]) for event in host.events]


async def test_a_gap_comes_before_the_timeline_in_the_same_take() -> None:
    homeserver, host = Homeserver(), recording()
    homeserver.syncs = [sync("s2", message(251), limited=True, prev_batch="p250")]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == list(range(1, 252))
    assert len(host.takes) == 1


async def test_a_gap_beyond_the_limit_keeps_the_newest_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_module, "GAP_PAGES_MAX", 2)
    homeserver, host = Homeserver(), recording()
    homeserver.syncs = [sync("s2", message(501), limited=True, prev_batch="p500")]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == list(range(301, 502))
    told = [detail for _, detail in host.states if "only the newest 200" in detail]
    assert len(told) == 1


async def test_a_gap_that_is_too_long_while_live_leaves_us_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_module, "GAP_PAGES_MAX", 2)
    homeserver, host = Homeserver(), recording()
    gap = sync("s2", message(501), limited=True, prev_batch="p500")
    homeserver.syncs = [sync("s1"), gap]
    await run_until(homeserver, host, "s2")
    state, detail = host.states[-1]
    assert state is ConnectionState.CONNECTED
    assert "only the newest 200" in detail


def third_fails(host: RecordingHost) -> Callable[..., Awaitable[None]]:
    real = host.take

    async def take(*args: Any, **named: Any) -> None:
        host.fail_takes = int(len(host.takes) == 2)
        await real(*args, **named)

    return take


async def test_after_a_long_time_away_the_cursor_comes_with_the_last_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homeserver, host = Homeserver(), recording()
    homeserver.syncs = [sync("s2", message(1101), limited=True, prev_batch="p1100")]
    async with serving(homeserver) as connector:
        with monkeypatch.context() as patch:
            patch.setattr(host, "take", third_fails(host))
            with pytest.raises(StorageFailed):
                await connector.run(host)
    assert (len(host.events), host.cursors["sync"]) == (1_000, "s1")
    homeserver.syncs = [sync("s2", message(1101), limited=True, prev_batch="p1100")]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == list(range(1, 1102))
    assert [len(take) for take in host.takes[2:]] == [500, 500, 101]


async def test_rooms_without_a_portal_are_not_handed_on() -> None:
    homeserver, host = Homeserver(), recording()
    part = {"timeline": {"events": [message(n) for n in range(1_100)]}}
    rooms = {
        "join": {"!other:e.org": part, SEA: {"timeline": {"events": [message(1)]}}}
    }
    homeserver.syncs = [(200, {"next_batch": "s2", "rooms": rooms})]
    await run_until(homeserver, host, "s2")
    assert [[event.chat for event in take] for take in host.takes] == [[SEA]]


async def test_an_event_nested_deeply_holds_up_nothing() -> None:
    homeserver, host = Homeserver(), recording()
    _, answer = sync("s2", message(1) | {"content": "?"}, message(2))
    text = json.dumps(answer).replace('"?"', "[" * 30_000 + "]" * 30_000)
    homeserver.syncs = [(200, text.encode())]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == [1, 2]


async def test_a_room_that_gives_no_answer_is_loaded_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms_module, "LOAD_PAUSE_MS", 0)
    homeserver, host = Homeserver(), recording()
    homeserver.members = [
        (500, {}),
        (200, {"joined": {"@al:e.org": {"display_name": "Al"}}}),
    ]
    homeserver.syncs = [sync("s2", message(1))]
    await run_until(homeserver, host, "s2")
    incoming = decode(host.events[0])
    assert incoming is not None
    assert incoming.sender.name == "Al"


async def test_limits_on_polling_and_paging_are_waited_for() -> None:
    homeserver, host = Homeserver(), recording()
    limited = (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 10})
    homeserver.limit_pages = 2
    homeserver.syncs = [
        limited,
        sync("s2", message(4), limited=True, prev_batch="p3"),
    ]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == [1, 2, 3, 4]
    assert homeserver.sinces[:2] == ["s1", "s1"]


async def test_history_from_before_we_came_in_is_not_handed_on() -> None:
    homeserver, host = Homeserver(), recording()
    join = message(4) | {
        "type": "m.room.member",
        "sender": ME,
        "state_key": ME,
        "content": {"membership": "join"},
        "unsigned": {"prev_content": {"membership": "invite"}},
    }
    events = (message(3), join, message(5))
    homeserver.syncs = [sync("s2", *events, limited=True, prev_batch="p2")]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == [4, 5]


async def test_odd_parts_of_an_answer_do_not_hold_up_the_rest() -> None:
    homeserver, host = Homeserver(), recording()
    homeserver.syncs = [
        sync("s2", None, 3, {"type": "x"}, message(1)),
        (200, {"next_batch": "s3", "rooms": []}),
        (200, {"next_batch": "s4", "rooms": {"join": {SEA: 3, "!b": {}}}}),
        (200, {"next_batch": "s5", "rooms": {"join": {SEA: {"timeline": []}}}}),
    ]
    await run_until(homeserver, host, "s5")
    assert numbers(host) == [1]
    assert homeserver.sinces[:5] == ["s1", "s2", "s3", "s4", "s5"]


async def test_a_failed_store_ends_the_run_and_the_cursor_stays() -> None:
    homeserver, host = Homeserver(), recording()
    host.fail_takes = 1
    homeserver.syncs = [sync("s2", message(1))]
    async with serving(homeserver) as connector:
        with pytest.raises(StorageFailed):
            await connector.run(host)
    assert host.cursors["sync"] == "s1"
    homeserver.syncs = [sync("s2", message(1))]
    await run_until(homeserver, host, "s2")
    assert numbers(host) == [1]


async def test_a_gap_that_cannot_be_read_ends_the_run_before_anything_is_stored() -> (
    None
):
    homeserver, host = Homeserver(), recording()
    homeserver.syncs = [sync("s2", message(4), limited=True, prev_batch="p3")]

    def broken(request: web.Request) -> web.Response:
        return web.json_response({"errcode": "M_UNKNOWN"}, status=500)

    homeserver.page = broken  # type: ignore[method-assign]  # this server is ill
    async with serving(homeserver) as connector:
        with pytest.raises(Unavailable, match="500"):
            await connector.run(host)
    assert host.takes == []
    assert host.cursors["sync"] == "s1"


async def test_the_first_start_begins_now_without_history() -> None:
    homeserver, host = Homeserver(), recording()
    host.cursors.clear()
    homeserver.syncs = [sync("s1", message(1), limited=True, prev_batch="p0")]
    await run_until(homeserver, host, "s1")
    assert numbers(host) == []
    assert (ConnectionState.CONNECTED, "") in host.states


@pytest.mark.parametrize(
    ("who", "words"),
    [({"user_id": "@x:e.org"}, "belongs to"), ({"user_id": ME}, "no device")],
)
async def test_a_token_that_would_do_harm_is_refused(
    who: dict[str, Any], words: str
) -> None:
    homeserver = Homeserver()
    homeserver.whoami = who
    async with serving(homeserver) as connector:
        with pytest.raises(CredentialsRefused, match=words):
            await connector.run(recording())


async def test_an_answer_without_a_cursor_ends_the_run() -> None:
    homeserver = Homeserver()
    homeserver.syncs = [(200, {})]
    async with serving(homeserver) as connector:
        with pytest.raises(Unavailable, match="next_batch"):
            await connector.run(recording())
