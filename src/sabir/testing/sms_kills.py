"""Sabir under SIGKILL between an SMSC and an XMPP room, while both sides talk.

The SMSC knows every text message it accepted, the room's archive every message of the
room; what lies between them is compared after the last kill.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.lab import COMPONENT, COMPONENT_SECRET, ROOM, SabirProcess
from sabir.testing.load import Findings, Said, compare, said_in, xmpp_history
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.smpp import PASSWORD, SYSTEM_ID, Smsc

OURS: Final = "15550002222"
PHONE: Final = "15550001111"
LIFE_MIN_S: Final = 0.3
LIFE_MAX_S: Final = 3.0
"""Sabir's life between two kills: from amid its start to amid its work."""
DRAIN_TIMEOUT_S: Final = 120.0
QUIET_S: Final = 2.0
"""Afterwards: what a late duplicate would need to show up."""
DOUBT_S: Final = 3
"""The SMSC's receipts come within 50 ms of a bind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsKillReport:
    """What was found."""

    kills: int
    seconds: float
    to_sms: Findings
    to_xmpp: Findings

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kills": self.kills,
            "seconds": round(self.seconds, 1),
            "xmpp_to_sms": self.to_sms.figures(),
            "sms_to_xmpp": self.to_xmpp.figures(),
        }


class SmsLab:
    """An SMSC, a Prosody, and `sabir up` between them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.smsc = Smsc(folder / "smpp")
        self.prosody = Prosody(folder / "prosody")
        self.room = f"{ROOM}@{self.prosody.muc}"
        self.person: XmppClient
        self.sabir: SabirProcess
        self._folder = folder / "sabir"
        self._component = self.prosody.add_component(COMPONENT, COMPONENT_SECRET)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(self.smsc.start(), self.prosody.start())
            self.sabir = SabirProcess(self._folder, self._config())
            await self.sabir.start()
            self.person = XmppClient(await self.prosody.add_user("host"))
            await self.person.__aenter__()
            await self.person.join(self.room, "host")
            where = (f"xmpp:{self.room}", f"sms:+{PHONE}")
            await asyncio.to_thread(self.sabir.call, "link", *where)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything that was started here."""
        if hasattr(self, "person"):
            await self.person.__aexit__(None, None, None)
        if hasattr(self, "sabir"):
            self.sabir.stop()
        await self.prosody.stop()
        await self.smsc.stop()

    def _config(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, secret in (("component", COMPONENT_SECRET), ("smpp", PASSWORD)):
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_text(secret)
        return f"""
[agent]
owner = "lab"
data_dir = "data"
log_format = "json"
log_level = "debug"

[accounts.xmpp]
network = "xmpp"
kind = "component"
domain = "{self._component.jid}"
host = "{self._component.host}"
port = {self._component.port}
tls = "loopback-plain"
upload_service = "{self.prosody.upload_service}"
secret_file = "component"

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


class SmsKillRun:
    """One run over a lab.

    Args:
        lab: started.
        seed: of the kills' times.
        kills: how often Sabir dies.
        messages: in each direction.
    """

    def __init__(self, lab: SmsLab, *, seed: int, kills: int, messages: int) -> None:
        self._lab = lab
        self._random = Random(seed)
        self._kills = kills
        self._messages = messages
        self._tag = f"kill{seed}"

    async def run(self) -> SmsKillReport:
        """Talk and kill; wait until all is quiet, and compare."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._room_talks())
            group.create_task(self._phone_talks())
            group.create_task(self._kill())
        trouble = await self._drain()
        return SmsKillReport(
            kills=self._kills,
            seconds=time.monotonic() - begun,
            to_sms=await self._to_sms(trouble),
            to_xmpp=await self._to_xmpp(),
        )

    @property
    def _pause_s(self) -> float:
        """Talk lasts as long as the kills."""
        return self._kills * (LIFE_MIN_S + LIFE_MAX_S) / 2 / self._messages

    async def _room_talks(self) -> None:
        for number in range(self._messages):
            text = self._text("room", number)
            await self._lab.person.say(self._lab.room, text)
            await asyncio.sleep(self._pause_s)

    async def _phone_talks(self) -> None:
        for number in range(self._messages):
            text = self._text("phone", number)
            await self._lab.smsc.says(PHONE, OURS, text)
            await asyncio.sleep(self._pause_s)

    def _text(self, sender: str, number: int) -> str:
        """Return a message; every fourth takes several text messages."""
        filler = "долго ✓ " * 20 if number % 4 == 3 else ""
        return f"{self._tag} {filler}{sender} {number}"

    async def _kill(self) -> None:
        for _ in range(self._kills):
            await asyncio.sleep(self._random.uniform(LIFE_MIN_S, LIFE_MAX_S))
            self._lab.sabir.kill()
            self._lab.sabir.spawn()

    # ---- truth

    async def _drain(self) -> list[Any]:
        """Wait until everything has arrived or is listed; return the trouble."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            trouble = await self._log("--trouble")
            missing = (*(await self._to_sms(trouble)).lost,)
            missing += (await self._to_xmpp()).lost
            if not missing or time.monotonic() > deadline:
                await asyncio.sleep(QUIET_S)
                return await self._log("--trouble")
            await asyncio.sleep(0.5)

    async def _log(self, *arguments: str) -> list[Any]:
        return await asyncio.to_thread(self._lab.sabir.log_lines, *arguments)

    async def _to_sms(self, trouble: list[Any]) -> Findings:
        history = await xmpp_history(self._lab.person, self._lab.room, self._tag)
        near = [each for each in history if each.sender == "room"]
        texts = await self._lab.smsc.texts(PHONE)
        far = said_in(self._tag, (text.partition(": ")[2] for text in texts))
        return compare(near, far, ambiguous=await self._doubted(trouble, near))

    async def _to_xmpp(self) -> Findings:
        near = [Said("phone", number) for number in range(self._messages)]
        history = await xmpp_history(self._lab.person, self._lab.room, self._tag)
        return compare(near, [each for each in history if each.sender == "phone"])

    async def _doubted(self, trouble: list[Any], near: list[Said]) -> list[Said]:
        """Return what the log calls ambiguous: it has no texts, but numbers."""
        chat = f"xmpp:{self._lab.room}"
        doubted = {
            line["seq"]
            for line in trouble
            if line["from"] == chat and line["state"] == "ambiguous"
        }
        if not doubted:
            return []
        lines = await self._log()
        seqs = sorted(
            {e["seq"] for e in lines if e["from"] == chat and e["kind"] == "said"}
        )
        return [each for seq, each in zip(seqs, near, strict=False) if seq in doubted]
