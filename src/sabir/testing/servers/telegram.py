"""crabline's Bot API: a stateful look-alike of Telegram's that we did not write.

It knows polling with acknowledgement by offset, sending, editing, deleting,
reactions and topics. It has no chats, files or incoming edits: what it lacks,
`sabir.testing.telegram` has.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from sabir.testing.install import lab_home
from sabir.testing.npm import packages
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_anything_http


class CrablineTelegram(ServerProcess):
    """The Telegram server of crabline."""

    name: ClassVar[str] = "crabline"
    port_names: ClassVar[tuple[str, ...]] = ("telegram",)

    @property
    def base_url(self) -> str:
        """Return the base address of its Bot API."""
        return f"http://{self.host}:{self.ports['telegram']}"

    @property
    def token(self) -> str:
        """Return the bot's token."""
        return str(self._manifest()["botToken"])

    async def says(self, chat: int, user: int, text: str, **more: Any) -> None:
        """Let somebody say something; the bot gets it as an update.

        Args:
            chat: the Bot API's number.
            user: who says it.
            text: 1 to 4,096 characters.
            more: further members of crabline's inbound event, e.g. `chatType`.
        """
        manifest = self._manifest()
        event = {"chatId": chat, "fromId": user, "text": text, **more}
        headers = {"X-Crabline-Admin-Token": manifest["adminToken"]}
        url = manifest["endpoints"]["adminInboundUrl"]
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=event, headers=headers) as answer,
        ):
            body = await answer.json()
            assert body["ok"], body

    def sent(self, chat: int) -> Sequence[str]:
        """Return the texts that the bot has sent to a chat, in order."""
        lines = self._recorder.read_text().splitlines()
        events: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
        return [
            event["body"]["text"]
            for event in events
            if str(event.get("path", "")).lower().endswith("/sendmessage")
            and event["body"].get("chat_id") == chat
        ]

    def _manifest(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self._ready.read_text())
        return found

    @property
    def _ready(self) -> Path:
        return self.home / "telegram.json"

    @property
    def _recorder(self) -> Path:
        return self.home / "telegram.jsonl"

    def _configure(self) -> None:
        self._ready.unlink(missing_ok=True)

    def _command(self) -> Sequence[str]:
        lab = lab_home()
        return [
            str(packages.node(lab)),
            str(packages.script(lab, self.name)),
            "--json",
            "serve",
            "telegram",
            "--port",
            str(self.ports["telegram"]),
            "--recorder",
            str(self._recorder),
            "--ready-file",
            str(self._ready),
        ]

    async def _is_ready(self) -> bool:
        if not self._ready.exists():
            return False
        return await answers_anything_http(self.ports["telegram"])

    def _log_files(self) -> Sequence[Path]:
        return ()
