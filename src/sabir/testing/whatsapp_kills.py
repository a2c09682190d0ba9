"""Sabir under SIGKILL between a business number and an XMPP room, while both talk.

Webhooks are delivered by a side that repeats until it is answered, as Meta does.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sabir.testing.room_kills import RoomKillRun, RoomLab
from sabir.testing.servers.cloud_api import NUMBER_ID, TOKEN, CloudApi
from sabir.testing.servers.meta_hooks import MetaHooks
from sabir.testing.servers.ports import LOOPBACK, keep_ports

PERSON: Final = "15557654321"
DOUBT_S: Final = 3
"""Statuses come within 50 ms of Sabir's start."""
SECRETS: Final = {
    "access_token": TOKEN,
    "app_secret": "kill-app-secret",
    "verify_token": "kill-verify-token",
    "webhook_path": "kill-secret-path-segment",
}


class WhatsAppLab(RoomLab):
    """A Cloud API, a Prosody, and `sabir up` between them, in one folder."""

    far_chat = f"whatsapp:+{PERSON}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SECRETS)
        self._port = keep_ports(folder / "ports.json", ["webhook"])["webhook"]
        path = f"/whatsapp/{SECRETS['webhook_path']}"
        url = f"http://{LOOPBACK}:{self._port}{path}"
        self.hooks = MetaHooks(url, SECRETS["app_secret"])
        self.api = CloudApi(self.hooks)

    async def start_far(self) -> None:
        """Start the API and what delivers its webhooks."""
        await self.hooks.__aenter__()
        await self.api.start()

    async def stop_far(self) -> None:
        """Stop both."""
        await self.api.stop()
        await self.hooks.__aexit__(None, None, None)

    def account(self) -> str:
        """Return the section of the business number."""
        files = "\n".join(f'{name}_file = "{name}"' for name in SECRETS)
        return f"""
[accounts.whatsapp]
network = "whatsapp"
phone_number_id = "{NUMBER_ID}"
graph_url = "{self.api.base_url}"
listen_port = {self._port}
doubt_seconds = {DOUBT_S}
{files}
"""


class WhatsAppKillRun(RoomKillRun[WhatsAppLab]):
    """One run between a person's WhatsApp and a room."""

    far = "ann"

    async def far_says(self, text: str) -> None:
        """Let the person write."""
        self.lab.api.says(PERSON, {"type": "text", "text": {"body": text}})

    async def far_texts(self) -> Iterable[str]:
        """Return the texts that the API accepted."""
        return [
            message["text"]["body"]
            for message in self.lab.api.messages
            if message["type"] == "text"
        ]
