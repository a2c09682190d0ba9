"""What the agent offers a connector."""

from pathlib import Path

import pytest

from sabir.agent.host import AccountHost
from sabir.agent.limits import EVENTS_PER_TAKE_MAX
from sabir.errors import LocalError
from sabir.networks.api import ChatId, IdempotencyKey, NativeEvent, NativeId, Sent
from sabir.testing.rng import SeededRng
from tests.unit.agent.bridge import CHAT, Bridge, bridged


def _host(bridge: Bridge) -> AccountHost:
    account = bridge.agent.account("a")
    assert account is not None
    return AccountHost(
        account,
        storage=bridge.storage,
        portals=bridge.agent._portals,
        on_signal=lambda *_: None,
        on_state=lambda _: None,
        clock=bridge.clock,
        rng=SeededRng(3),
    )


def _event(chat: str, native_id: str) -> NativeEvent:
    return NativeEvent(chat=ChatId(chat), native_id=NativeId(native_id), payload=b"{}")


async def test_events_of_other_chats_move_only_the_cursor(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        host = _host(bridge)
        await host.take([_event("elsewhere", "1")], cursors={"s": "1"})
        assert await host.cursor("s") == "1"
        assert not await bridge.storage.pending("a", "elsewhere", count_max=9)


async def test_too_many_events_at_once_are_our_bug(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        events = [_event(CHAT, str(n)) for n in range(EVENTS_PER_TAKE_MAX + 1)]
        with pytest.raises(LocalError):
            await _host(bridge).take(events)


async def test_facts_are_remembered(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        host = _host(bridge)
        await host.remember("nick", "Ada")
        assert await host.recall("nick") == "Ada"
        assert await host.recall("other") is None
        assert list(host.chats()) == [CHAT]


async def test_an_echo_of_an_unknown_key_is_ignored(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        key = IdempotencyKey("nobody")
        sent = Sent(key=key, native_id=NativeId("1"))
        await _host(bridge).echo(ChatId(CHAT), key=key, sent=sent)
