"""`sabir unlink`."""

from pathlib import Path

from tests.unit.agent.bridge import CHAT
from tests.unit.cli.shell import lab


async def test_nothing_passes_an_unlinked_chat_and_its_history_stays(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as running:
        bridge = running.bridge
        bridge.a.says(CHAT, "ada", "before")
        await bridge.until_sent("b", 1)
        await bridge.at_rest()
        number = str(bridge.portals[1].id)
        closed = await running.sabir.asks("unlink", number)
        again = await running.sabir.asks("unlink", number)
        bridge.a.says(CHAT, "ada", "after")
        await bridge.at_rest()
        log = await running.sabir.asks("log")
    assert (closed.code, closed.out) == (0, f"portal {number} closed: b:{CHAT}\n")
    assert again.code == 4
    assert "no open portal" in again.err
    assert [each["text"] for each in bridge.sent("b")] == ["before"]
    assert f"b:{CHAT}  sent" in log.out
