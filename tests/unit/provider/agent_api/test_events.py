"""The stream of a device: pushed and polled, acknowledged, lost (MC-103)."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from sabir.clock import Instant
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import (
    IN_FLIGHT_MAX,
    PAGE_OCTETS_MAX,
    AckRequest,
    Event,
    EventType,
    decode_event,
)
from sabir.provider.agent_api import sockets
from sabir.provider.agent_api.events import LISTENERS_MAX
from sabir.storage.provider.records import EventKind
from tests.unit.provider.agent_api.phone import Phone, Street
from tests.unit.provider.town import Site


@pytest.fixture
async def phone(street: Street, a: Site) -> Phone:
    return await street.resident(a, "ann")


async def tell(site: Site, phone: Phone, count: int, data: bytes = b"x") -> None:
    """Let a device's stream grow, and say so."""
    core = site.provider.core
    for _ in range(count):
        core.spread(
            await site.store.tell(
                [phone.device], EventKind.CONSENT, data, now=core.clock.now()
            )
        )


async def tell_at_once(site: Site, phone: Phone, count: int) -> None:
    await asyncio.gather(*(tell(site, phone, 1) for _ in range(count)))


async def heard(socket: Any, count: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [decode_event(await socket.receive_str()) for _ in range(count)]


async def silent(socket: Any) -> bool:
    try:
        await socket.receive_str(timeout=0.2)
    except TimeoutError:
        return True
    return False


async def ended(socket: Any, within_s: float = 10) -> int:
    message = await socket.receive(timeout=within_s)
    assert message.type is aiohttp.WSMsgType.CLOSE
    return int(socket.close_code)


async def test_mc_103_socket_and_poll_tell_the_same(phone: Phone, a: Site) -> None:
    await tell(a, phone, 3)
    async with phone.socket(0) as socket:
        pushed = await heard(socket, 3)
    assert pushed == await phone.poll()
    assert [each.type for each in pushed] == [EventType.CONSENT] * 3
    assert [each.data for each in pushed] == [b"x"] * 3
    assert await phone.poll() == []


async def test_mc_103_events_come_as_they_happen(phone: Phone, a: Site) -> None:
    async with phone.socket(0) as socket:
        assert socket.protocol == paths.EVENTS_SUBPROTOCOL
        for _ in range(3):
            await tell(a, phone, 2)
            await heard(socket, 2)


async def test_mc_103_what_is_acknowledged_is_gone_and_the_rest_comes_again(
    phone: Phone, a: Site
) -> None:
    await tell(a, phone, 3)
    async with phone.socket(0) as socket:
        first, second, third = await heard(socket, 3)
        await socket.send_json({"ack": second.cursor})
        async with asyncio.timeout(10):
            while len(await phone.poll()) != 1:
                phone.cursor = 0
                await asyncio.sleep(0.01)
    async with phone.socket(0) as socket:
        assert await heard(socket, 1) == [third]
    async with phone.socket(third.place) as socket:
        assert await silent(socket)
    assert first.place < second.place < third.place


async def test_mc_103_a_poll_acknowledges_by_a_request(phone: Phone, a: Site) -> None:
    await tell(a, phone, 2)
    first, second = await phone.poll()
    reply = await phone.post(paths.EVENTS_ACK, AckRequest(cursor=first.cursor))
    assert reply.status == 204
    phone.cursor = 0
    assert await phone.poll() == [second]
    reply = await phone.post(paths.EVENTS_ACK, AckRequest(cursor="x"))
    assert reply.problem == "malformed-body"


async def test_mc_103_1024_are_in_flight(phone: Phone, a: Site) -> None:
    await tell_at_once(a, phone, IN_FLIGHT_MAX + 3)
    async with phone.socket(0) as socket:
        found = await heard(socket, IN_FLIGHT_MAX)
        assert await silent(socket)
        await socket.send_json({"ack": found[1].cursor})
        more = await heard(socket, 2)
        assert await silent(socket)
        await socket.send_json({"ack": more[-1].cursor})
        await heard(socket, 1)
    places = [each.place for each in (*found, *more)]
    assert places == sorted(set(places))
    phone.cursor = 0
    assert len(await phone.poll()) == 1, "the last one, which was not acknowledged"


async def test_a_page_has_so_many_events_and_octets(phone: Phone, a: Site) -> None:
    await tell_at_once(a, phone, IN_FLIGHT_MAX + 1)
    assert len(await phone.poll()) == IN_FLIGHT_MAX
    assert len(await phone.poll()) == 1
    await tell(a, phone, 2, bytes(PAGE_OCTETS_MAX))
    assert len(await phone.poll()) == 1
    assert len(await phone.poll()) == 1


async def test_mc_103_who_was_away_for_too_long_is_told(phone: Phone, a: Site) -> None:
    await tell(a, phone, 3)
    _, second, third = await phone.poll()
    await a.store.trim_streams(before=Instant(0), count_max=1)
    for after in (0, second.place - 1):
        phone.cursor = after
        reset, last = await phone.poll()
        assert (reset.type, reset.place) == (EventType.RESET, second.place)
        assert last == third
        async with phone.socket(after) as socket:
            assert await heard(socket, 2) == [reset, last]
            await socket.send_json({"ack": reset.cursor})
            assert await silent(socket)
    phone.cursor = second.place
    assert await phone.poll() == [third]


async def test_a_poll_waits_for_the_first_event(phone: Phone, a: Site) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(phone.poll(wait=20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await tell(a, phone, 1)
    assert len(waiting.result()) == 1
    async with asyncio.timeout(5):
        assert await phone.poll(wait=1) == []


@pytest.mark.parametrize(
    "query",
    [
        "?after=x",
        "?after=-1",
        "?after=1&after=2",
        "?wait=26",
        "?wait=-1",
        "?wait=x",
        "?%ff=1&after",
    ],
)
async def test_questions_that_mean_nothing_are_refused(
    phone: Phone, query: str
) -> None:
    assert (await phone.get(paths.EVENTS + query)).problem == "malformed-body"


# ---- sockets


@pytest.mark.parametrize("word", ["{}", "x", '{"ack": 1}', '{"ack": "1", "nack": "1"}'])
async def test_words_that_mean_nothing_end_the_talk(phone: Phone, word: str) -> None:
    async with phone.socket(0) as socket:
        await socket.send_str(word)
        assert await ended(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_what_was_not_sent_is_not_acknowledged(phone: Phone, a: Site) -> None:
    await tell(a, phone, 1)
    async with phone.socket(0) as socket:
        (event,) = await heard(socket, 1)
        await socket.send_json({"ack": str(event.place + 1)})
        assert await ended(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert len(await phone.poll()) == 1, "it is still there"


async def test_long_words_end_the_talk(phone: Phone) -> None:
    async with phone.socket(0) as socket:
        await socket.send_str("x" * (sockets.WORD_OCTETS_MAX + 1))
        message = await socket.receive(timeout=10)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


async def test_the_provider_answers_pings_and_ends_what_the_agent_ends(
    phone: Phone, a: Site
) -> None:
    async with phone.socket(0) as socket:
        await socket.ping(b"hello")
        await tell(a, phone, 1)
        await heard(socket, 1)
        await socket.close()
        assert socket.close_code == aiohttp.WSCloseCode.OK


async def test_who_is_silent_is_pinged_and_then_dead(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PING_S", 0.05)
    monkeypatch.setattr(sockets, "DEAD_S", 0.3)
    async with phone.socket(0, autoping=False) as socket:
        pinged = await socket.receive(timeout=5)
        assert pinged.type is aiohttp.WSMsgType.PING
        async with asyncio.timeout(5):
            while (found := await socket.receive()).type is aiohttp.WSMsgType.PING:
                pass
        assert found.type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    async with phone.socket(0) as socket:  # answers pings by itself
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await socket.receive()


async def test_a_device_has_so_many_listeners(phone: Phone, a: Site) -> None:
    open_ = [await phone.socket(0) for _ in range(LISTENERS_MAX)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await phone.socket(0)
    assert caught.value.status == 429
    assert (await phone.get(paths.EVENTS)).problem == "rate-limited"
    await tell(a, phone, 1)
    for socket in open_:
        await heard(socket, 1)
        await socket.close()
    async with asyncio.timeout(5):
        while (await phone.get(paths.EVENTS)).status == 429:
            await asyncio.sleep(0.01)


async def test_a_socket_needs_token_and_subprotocol(phone: Phone) -> None:
    for status, changed in ((401, {"token": "x"}), (400, {"protocols": ("chat",)})):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await phone.socket(0, **changed)
        assert caught.value.status == status


async def test_a_provider_that_stops_does_not_wait_for_listeners(
    phone: Phone, a: Site
) -> None:
    async with phone.socket(0) as socket:
        a.provider.stop()
        assert await ended(socket, within_s=1) == aiohttp.WSCloseCode.GOING_AWAY


def test_events_are_plain_json() -> None:
    body = json.dumps({"cursor": "1", "type": "consent", "data": "eA"})
    assert decode_event(body).data == b"x"
