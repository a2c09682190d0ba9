"""People on Telegram and people on a real Matrix homeserver, with Sabir between.

Sabir runs as people run it: `sabir account add`, `sabir up`, `sabir link`. Telegram
is ours (`sabir.testing.telegram`): what is asserted is what its people see.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from sabir.testing.clients.matrix import MatrixClient, Seen
from sabir.testing.lab import AS_TOKEN, HS_TOKEN, PREFIX, SabirProcess
from sabir.testing.pytest_plugin import need
from sabir.testing.servers.ports import keep_ports
from sabir.testing.servers.synapse import Synapse
from sabir.testing.telegram.fake import FakeTelegram, user
from sabir.testing.telegram.shell import Refusal

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

GROUP: Final = -1_000_000_001_234
ANN: Final = user(7, "Ann Bonny")
PHONE: Final = "+15550001111"
WAIT_S: Final = 20


class Bridge:
    """One room on each side, linked."""

    def __init__(
        self, telegram: FakeTelegram, ada: MatrixClient, room: str, sabir: SabirProcess
    ) -> None:
        self.telegram = telegram
        self.ada = ada
        self.room = room
        self.sabir = sabir

    async def sees(self, text: str) -> Seen:
        """Wait until Ada sees a message of this text on Matrix."""
        return await self.ada.wait_for_body(self.room, text)

    async def shows(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until people on Telegram see a message that fits."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for message in self.telegram.sent(GROUP):
                    if holds(message):
                        return message
                await asyncio.sleep(0.02)

    async def says(self, text: str) -> dict[str, Any]:
        """Let Ada say something; return how it looks on Telegram."""
        await self.ada.send_text(self.room, text)
        return await self.shows(lambda m: m.get("text") == f"Ada: {text}")

    @property
    def texts(self) -> list[str]:
        """What people on Telegram have got, in order."""
        return [m["text"] for m in self.telegram.sent(GROUP) if "text" in m]


@asynccontextmanager
async def bridge(folder: Path) -> AsyncIterator[Bridge]:
    need("synapse")
    port = keep_ports(folder / "ports.json", ["appservice"])["appservice"]
    synapse = Synapse(folder / "synapse")
    synapse.add_appservice(
        "sabir",
        url=f"http://127.0.0.1:{port}",
        as_token=AS_TOKEN,
        hs_token=HS_TOKEN,
        prefix=PREFIX,
    )
    async with synapse, FakeTelegram() as telegram:
        telegram.add_chat(GROUP, "Tea on Telegram")
        telegram.members[GROUP] = "administrator"
        sabir = SabirProcess(folder / "sabir", _config(folder / "sabir", synapse, port))
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(telegram.token)
        added = ("account", "add", "telegram", "telegram", "--set")
        welcome = await asyncio.to_thread(
            sabir.call,
            *added,
            f"api_url={telegram.url}",
            "--set",
            "receive=polling",
            "--secret-file",
            f"token={token}",
        )
        assert "@sabir_test_bot" in welcome
        try:
            await sabir.start()
            async with MatrixClient(await synapse.add_user("ada")) as ada:
                await ada.set_display_name("Ada")
                bot = f"@{PREFIX}bot:{synapse.server_name}"
                room = await ada.create_room("Tea on Matrix", invite=[bot])
                await _chats_known(telegram, sabir)
                await asyncio.to_thread(
                    sabir.call, "link", "telegram:channel:1234", f"matrix:{room}"
                )
                yield Bridge(telegram, ada, room, sabir)
        finally:
            sabir.stop()
        assert not telegram.problems, telegram.problems


async def _chats_known(telegram: FakeTelegram, sabir: SabirProcess) -> None:
    """See that `sabir chats` lists the group once somebody has spoken there."""
    telegram.says(GROUP, ANN, "is this on?")
    async with asyncio.timeout(WAIT_S):
        while "channel:1234" not in await asyncio.to_thread(
            sabir.call, "chats", "telegram"
        ):
            await asyncio.sleep(0.1)


def _config(folder: Path, synapse: Synapse, port: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, secret in (("as_token", AS_TOKEN), ("hs_token", HS_TOKEN)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(secret)
    return f"""
[agent]
owner = "lab"
data_dir = "data"
log_format = "json"
log_level = "debug"

[accounts.matrix]
network = "matrix"
kind = "appservice"
homeserver_url = "{synapse.base_url}"
server_name = "{synapse.server_name}"
listen_host = "127.0.0.1"
listen_port = {port}
prefix = "{PREFIX}"
bot = "{PREFIX}bot"
as_token_file = "as_token"
hs_token_file = "hs_token"
"""


async def test_a_conversation_is_the_same_on_both_sides(tmp_path: Path) -> None:
    async with bridge(tmp_path) as at:
        telegram, ada, room = at.telegram, at.ada, at.room

        # Text with marks, an answer, an edit, a reaction, a file: from Telegram.
        bold = [{"type": "bold", "offset": 3, "length": 5}]
        number = telegram.says(GROUP, ANN, "😀 hello Ada", entities=bold)
        hello = await at.sees("😀 **hello** Ada")
        assert hello.content["formatted_body"] == "😀 <strong>hello</strong> Ada"
        assert "Ann Bonny" in (await ada.members(room)).values()
        telegram.edits(GROUP, number, text="hello again")
        await ada.wait_for(
            lambda seen: (
                seen.content.get("m.new_content", {}).get("body") == "hello again"
            )
        )
        data = bytes(range(256)) * 500
        telegram.shows(GROUP, ANN, "document", data, file_name="chart.bin")
        shown = await ada.wait_for(lambda seen: "url" in seen.content)
        assert await ada.download(shown.content["url"]) == data

        # The same from Matrix.
        said = await ada.reply(room, hello.event_id, "good morning")
        first = await at.shows(lambda m: m.get("text") == "Ada: good morning")
        assert first["reply_to_message"]["message_id"] == number
        await ada.edit(room, said, "good evening")
        await at.shows(lambda m: m.get("text") == "Ada: good evening")
        liked = await ada.react(room, hello.event_id, "👍")
        await _until(lambda: telegram.reactions.get((GROUP, number)) == ["👍"])
        await ada.redact(room, liked)
        await _until(lambda: telegram.reactions.get((GROUP, number)) == [])
        telegram.reacts(GROUP, first["message_id"], ANN, "❤")
        await ada.wait_for(
            lambda seen: (
                seen.type == "m.reaction"
                and seen.content["m.relates_to"] == _annotation(said, "❤️")
            )
        )
        await ada.send_file(room, data, media_type="image/png", file_name="map.png")
        picture = await at.shows(lambda m: "photo" in m)
        assert telegram.octets(picture["photo"][0]) == data
        await ada.redact(room, said)
        await _until(lambda: "Ada: good evening" not in at.texts)

        # A long text comes in parts that Telegram takes.
        await ada.send_text(room, "😀 word " * 1_200)
        await at.shows(lambda m: m.get("text", "").startswith("(3/3)"))

        # A contact card, for the search of logs below.
        card = {"contact": {"phone_number": PHONE, "first_name": "Jack Rackham"}}
        telegram.posts(GROUP, ANN, card)
        await at.sees(f"Jack Rackham\n{PHONE}")
    _nothing_private_is_logged(tmp_path)


async def test_kills_floods_and_a_network_that_goes_dark_lose_nothing(
    tmp_path: Path,
) -> None:
    async with bridge(tmp_path) as at:
        await at.says("begin")
        for round_ in range(3):
            for number in range(20):
                at.telegram.says(GROUP, ANN, f"t{round_}.{number}")
                await at.ada.send_text(at.room, f"m{round_}.{number}")
            at.sabir.kill()
            if round_ == 1:
                await at.telegram.stop()
                await asyncio.sleep(0.2)
                await at.telegram.start()
            wait = Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
            at.telegram.refusals.append(("sendMessage", wait))
            await at.sabir.start()
            at.telegram.says(GROUP, ANN, f"end {round_}")
            await at.sees(f"end {round_}")
            await at.says(f"end {round_}")
        await _until(lambda: at.texts[-1] == "Ada: end 2")

        history = [
            str(event["content"].get("body"))
            for event in await at.ada.history(at.room)
            if event["type"] == "m.room.message" and event["sender"] != at.ada.user_id
        ]
        from_telegram = [text for text in history if text.startswith(("t", "end"))]
        expected = [
            text
            for round_ in range(3)
            for text in (*(f"t{round_}.{n}" for n in range(20)), f"end {round_}")
        ]
        assert from_telegram == expected

        # Towards Telegram at most one message per kill is in doubt, and none twice.
        sent = [text.removeprefix("Ada: ") for text in at.texts if "Ada: " in text]
        assert len(sent) == len(set(sent))
        everything = [
            f"m{round_}.{number}" for round_ in range(3) for number in range(20)
        ]
        missing = [text for text in everything if text not in sent]
        log = await asyncio.to_thread(at.sabir.log_lines)
        doubts = [line for line in log if "ambiguous" in str(line)]
        assert len(missing) <= len(doubts) <= 3
        kept = [text for text in sent if text.startswith("m")]
        assert kept == [text for text in everything if text in kept]
    _nothing_private_is_logged(tmp_path)


def _annotation(event: str, emoji: str) -> dict[str, str]:
    return {"rel_type": "m.annotation", "event_id": event, "key": emoji}


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.02)


def _nothing_private_is_logged(folder: Path) -> None:
    log = (folder / "sabir" / "sabir.log").read_text()
    assert log
    token = FakeTelegram().token
    for private in (token, token.partition(":")[2], PHONE, "hello", "Jack", "m0.1"):
        assert private not in log, private
