"""The wall clock jumps: order and completeness do not depend on it."""

from itertools import pairwise
from pathlib import Path

import pytest

from sabir.testing.memory_network import Echo, Rules, SendFault
from tests.unit.agent.bridge import CHAT, Bridge, bridged

DAY_MS = 86_400_000
COUNT = 30


def _texts(bridge: Bridge, side: str) -> list[str]:
    return [each["text"] for each in bridge.sent(side)]


@pytest.mark.parametrize("jump", [-DAY_MS, DAY_MS], ids=["back", "ahead"])
async def test_a_jump_during_traffic_changes_neither_order_nor_number(
    tmp_path: Path, jump: int
) -> None:
    async with bridged(tmp_path) as bridge:
        for number in range(COUNT):
            bridge.a.says(CHAT, "ada", f"a{number}")
            bridge.b.says(CHAT, "xan", f"b{number}")
            if number == COUNT // 3:
                await bridge.until_sent("b", 1)
                bridge.clock.offset += jump
            if number == 2 * COUNT // 3:
                await bridge.until_sent("b", COUNT // 2)
                bridge.clock.offset += jump
        await bridge.until_sent("b", COUNT)
        await bridge.until_sent("a", COUNT)
        await bridge.at_rest()
        assert _texts(bridge, "b") == [f"a{n}" for n in range(COUNT)]
        assert _texts(bridge, "a") == [f"b{n}" for n in range(COUNT)]


async def test_the_rooms_times_never_go_back_whatever_the_clock_does(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        for number in range(4):
            bridge.a.says(CHAT, "ada", f"m{number}")
            await bridge.until_sent("b", number + 1)
            await bridge.at_rest()
            bridge.clock.offset -= DAY_MS
        lines = await bridge.storage.log(count_max=99)
    accepted = [line.accepted_at for line in sorted(lines, key=lambda line: line.seq)]
    assert len(accepted) == 4
    assert all(before < after for before, after in pairwise(accepted))


async def test_edits_and_answers_find_what_was_said_after_their_time(
    tmp_path: Path,
) -> None:
    async with bridged(tmp_path) as bridge:
        first = bridge.a.says(CHAT, "ada", "question")
        await bridge.until_sent("b", 1)
        bridge.clock.offset -= DAY_MS
        bridge.a.edits(CHAT, "ada", first, "question?")
        bridge.a.says(CHAT, "bea", "answer", reply_to=first)
        _, edit, answer = await bridge.until_sent("b", 3)
        native = bridge.b.sent(CHAT)[0].native_id
        assert (edit["target"], answer["reply_to"]) == (native, native)


async def test_a_send_in_doubt_from_before_the_jump_is_still_settled_once(
    tmp_path: Path,
) -> None:
    rules = {"b": Rules(idempotent=False, searchable=True, echo=Echo.NONE)}
    async with bridged(tmp_path, rules=rules, window=1) as bridge:
        bridge.b.fail_next_sends(SendFault.DIES_AFTER)
        bridge.b.go_dark()
        bridge.a.says(CHAT, "ada", "one")
        bridge.a.says(CHAT, "ada", "two")
        bridge.clock.offset -= DAY_MS
        bridge.b.come_back()
        await bridge.until_sent("b", 2)
        await bridge.at_rest()
        assert _texts(bridge, "b") == ["one", "two"]


async def test_a_restart_after_the_jump_goes_on_where_it_was(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    async with bridge.running():
        await bridge.link()
        bridge.a.says(CHAT, "ada", "one")
        await bridge.until_sent("b", 1)
    bridge.clock.offset -= DAY_MS
    bridge.a.says(CHAT, "ada", "two")
    bridge.agent = bridge.new_agent()
    async with bridge.running():
        bridge.a.says(CHAT, "ada", "three")
        await bridge.until_sent("b", 3)
        await bridge.at_rest()
        assert _texts(bridge, "b") == ["one", "two", "three"]
    bridge.storage.close()
