"""I3: out once, in order, whatever the network does."""

from pathlib import Path

import pytest

from sabir.storage.records import DeliveryState
from sabir.testing.memory_network import (
    POOR,
    Echo,
    RateLimited,
    Rejected,
    Rules,
    SendFault,
)
from tests.unit.agent.bridge import CHAT, bridged


@pytest.mark.parametrize("fault", list(SendFault))
@pytest.mark.parametrize("window", [1, 20])
async def test_a_broken_send_is_settled_by_asking(
    tmp_path: Path, fault: SendFault, window: int
) -> None:
    rules = {"b": Rules(idempotent=False, searchable=True, echo=Echo.NONE)}
    async with bridged(tmp_path, rules=rules, window=window) as bridge:
        bridge.b.fail_next_sends(fault)
        for number in range(5):
            bridge.a.says(CHAT, "ada", f"m{number}")
        sent = await bridge.until_sent("b", 5)
        await bridge.at_rest()
        assert [each["text"] for each in sent] == [f"m{n}" for n in range(5)]
        assert len(bridge.sent("b")) == 5


async def test_where_nobody_can_tell_it_is_ambiguous_and_not_sent_again(
    tmp_path: Path,
) -> None:
    rules = {"b": Rules(idempotent=False, searchable=False, echo=Echo.NONE)}
    async with bridged(tmp_path, rules=rules, window=1) as bridge:
        bridge.b.fail_next_sends(SendFault.DIES_AFTER)
        bridge.a.says(CHAT, "ada", "one")
        bridge.a.says(CHAT, "ada", "two")
        sent = await bridge.until_sent("b", 2)
        await bridge.at_rest()
        assert [each["text"] for each in sent] == ["one", "two"]
        (line,) = await bridge.storage.log(count_max=9, trouble=True)
        assert line.state == DeliveryState.AMBIGUOUS
        assert "neither a search nor idempotency" in line.detail


async def test_a_rate_limit_is_waited_for(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.fail_next_sends(RateLimited(retry_after_ms=500))
        bridge.a.says(CHAT, "ada", "one")
        bridge.a.says(CHAT, "ada", "two")
        sent = await bridge.until_sent("b", 2)
        assert [each["text"] for each in sent] == ["one", "two"]


async def test_a_refusal_is_recorded_and_the_next_goes(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.fail_next_sends(Rejected("not here"))
        bridge.a.says(CHAT, "ada", "one")
        bridge.a.says(CHAT, "ada", "two")
        (sent,) = await bridge.until_sent("b", 1)
        await bridge.at_rest()
        assert sent["text"] == "two"
        (line,) = await bridge.storage.log(count_max=9, trouble=True)
        assert (line.state, line.detail) == (DeliveryState.REFUSED, "not here")


async def test_a_long_text_leaves_in_parts_and_losses_are_recorded(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path, capabilities={"b": POOR}, window=2) as bridge:
        first = bridge.a.says(CHAT, "ada", "word " * 120)
        await bridge.until_sent("b", 4)
        await bridge.at_rest()
        parts = len(bridge.sent("b"))
        assert parts >= 4
        (line,) = await bridge.storage.log(count_max=9)
        assert line.parts == parts
        assert line.loss
        bridge.a.deletes(CHAT, "ada", first)
        await bridge.at_rest()


async def test_what_may_not_leave_is_withheld_with_its_reason(tmp_path: Path) -> None:
    async with bridged(tmp_path, capabilities={"b": POOR}) as bridge:
        bridge.a.sends_file(CHAT, "ada", b"x" * 100)
        bridge.a.says(CHAT, "ada", "text")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        lines = await bridge.storage.log(count_max=9)
        assert lines[0].loss


async def test_an_echo_after_a_restart_settles_what_was_open(tmp_path: Path) -> None:
    rules = {"b": Rules(idempotent=False, searchable=False, echo=Echo.AFTER)}
    async with bridged(tmp_path, rules=rules, window=1) as bridge:
        bridge.b.fail_next_sends(SendFault.DIES_AFTER)
        bridge.a.says(CHAT, "ada", "one")
        bridge.a.says(CHAT, "ada", "two")
        await bridge.until_sent("b", 2)
        await bridge.at_rest()
        counts = (await bridge.storage.counts())[1]
        assert (counts.sent, counts.ambiguous) == (2, 0)


async def test_a_refused_login_shows_and_recovers(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.credentials_refused = True
        bridge.b.drop_sessions()
        account = bridge.agent.account("b")
        assert account is not None
        await bridge.until(lambda: account.status.state == "bad_credentials")
        bridge.a.says(CHAT, "ada", "later")
        bridge.b.credentials_refused = False
        (sent,) = await bridge.until_sent("b", 1)
        assert sent["text"] == "later"


async def test_a_file_that_is_gone_is_said_so_and_the_next_goes(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        bridge.b.go_dark()
        bridge.a.sends_file(CHAT, "ada", b"x" * 100)
        bridge.a.says(CHAT, "ada", "next")
        folder = tmp_path / "media"
        await bridge.until(lambda: [f for f in folder.iterdir() if not f.suffix])
        for file in folder.iterdir():
            file.unlink()
        bridge.b.come_back()
        (sent,) = await bridge.until_sent("b", 1)
        await bridge.at_rest()
        assert sent["text"] == "next"
        (line,) = await bridge.storage.log(count_max=9, trouble=True)
        assert (line.state, "ask for it again" in line.detail) == ("refused", True)
