"""Sabir under SIGKILL between an SMSC and an XMPP room, while both sides talk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sabir.testing.room_kills import RoomKillRun, RoomLab
from sabir.testing.servers.smpp import PASSWORD, SYSTEM_ID, Smsc

OURS: Final = "15550002222"
PHONE: Final = "15550001111"
DOUBT_S: Final = 3
"""The SMSC's receipts come within 50 ms of a bind."""


class SmsLab(RoomLab):
    """An SMSC, a Prosody, and `sabir up` between them, in one folder."""

    far_chat = f"sms:+{PHONE}"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"smpp": PASSWORD})
        self.smsc = Smsc(folder / "smpp")

    async def start_far(self) -> None:
        """Start the SMSC."""
        await self.smsc.start()

    async def stop_far(self) -> None:
        """Stop the SMSC."""
        await self.smsc.stop()

    def account(self) -> str:
        """Return the section of our number."""
        return f"""
[accounts.sms]
network = "sms"
host = "{self.smsc.host}"
port = {self.smsc.ports["smpp"]}
tls = "plain"
system_id = "{SYSTEM_ID}"
password_file = "smpp"
number = "+{OURS}"
consent = "portal"
messages_per_second = 100
doubt_seconds = {DOUBT_S}
"""


class SmsKillRun(RoomKillRun[SmsLab]):
    """One run between a phone and a room."""

    far = "phone"

    def text(self, sender: str, number: int) -> str:
        """Return a message; every fourth takes several text messages."""
        filler = "долго ✓ " * 20 if number % 4 == 3 else ""
        return f"{self.tag} {filler}{sender} {number}"

    async def far_says(self, text: str) -> None:
        """Let the phone send a text message."""
        await self.lab.smsc.says(PHONE, OURS, text)

    async def far_texts(self) -> Iterable[str]:
        """Return the text messages that the phone got."""
        return await self.lab.smsc.texts(PHONE)
