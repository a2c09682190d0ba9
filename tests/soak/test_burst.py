"""Bursts of 1,000 messages each way, from one sender and from eight.

Over one Sabir, and over an agent and a provider for each network.
"""

from pathlib import Path

import pytest

from sabir.testing.ground import Ground
from sabir.testing.pytest_plugin import need

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

MESSAGES = 1_000


@pytest.mark.parametrize("rooms", [False, True])
async def test_a_thousand_messages_arrive_once_and_in_order(
    tmp_path: Path, rooms: bool
) -> None:
    need("synapse")
    need("prosody")
    async with Ground(tmp_path, rooms=rooms) as ground:
        for way, check in (
            (ground.matrix_to_xmpp, ground.check_to_xmpp),
            (ground.xmpp_to_matrix, ground.check_to_matrix),
        ):
            for senders in (1, 8):
                shot, tag = await ground.burst(way, senders, MESSAGES)
                findings = await check(tag)
                print(f"{senders} senders: {shot.per_s:.1f}/s {findings.figures()}")
                assert findings.sent == findings.arrived == MESSAGES
                assert findings.is_clean
                assert findings.displaced == 0
