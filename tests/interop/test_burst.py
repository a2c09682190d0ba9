"""Bursts as fast as the servers take them: nothing lost, doubled or turned round."""

from pathlib import Path

import pytest

from sabir.testing.ground import Ground
from sabir.testing.pytest_plugin import need

pytestmark = pytest.mark.interop

MESSAGES = 104


async def test_bursts_from_one_and_from_eight_arrive_once_and_in_order(
    tmp_path: Path,
) -> None:
    need("synapse")
    need("prosody")
    async with Ground(tmp_path) as ground:
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
