"""Sabir under SIGKILL between a business number and an XMPP room, while both talk.

The API knows every message it accepted, the room's archive every message of the room;
what lies between them is compared after the last kill. Webhooks are delivered by a side
that repeats until it is answered, as Meta does.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.lab import COMPONENT, COMPONENT_SECRET, ROOM, SabirProcess
from sabir.testing.load import Findings, Said, compare, said_in, xmpp_history
from sabir.testing.servers.cloud_api import NUMBER_ID, TOKEN, CloudApi
from sabir.testing.servers.meta_hooks import MetaHooks
from sabir.testing.servers.ports import LOOPBACK, keep_ports
from sabir.testing.servers.prosody import Prosody

PERSON: Final = "15557654321"
LIFE_MIN_S: Final = 0.5
LIFE_MAX_S: Final = 3.0
"""Sabir's life between two kills: from amid its start to amid its work."""
DRAIN_TIMEOUT_S: Final = 60.0
QUIET_S: Final = 2.0
"""Afterwards: what a late duplicate would need to show up."""
DOUBT_S: Final = 3
"""Statuses come within 50 ms of Sabir's start."""
SECRETS: Final = {
    "component": COMPONENT_SECRET,
    "access_token": TOKEN,
    "app_secret": "kill-app-secret",
    "verify_token": "kill-verify-token",
    "webhook_path": "kill-secret-path-segment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    seconds: float
    to_whatsapp: Findings
    to_xmpp: Findings

    def figures(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "seconds": round(self.seconds, 1),
            "xmpp_to_whatsapp": self.to_whatsapp.figures(),
            "whatsapp_to_xmpp": self.to_xmpp.figures(),
        }


class WhatsAppLab:
    """A Cloud API, a Prosody, and `sabir up` between them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.prosody = Prosody(folder / "prosody")
        self.room = f"{ROOM}@{self.prosody.muc}"
        self.person: XmppClient
        self.sabir: SabirProcess
        self._folder = folder / "sabir"
        self._folder.mkdir(parents=True)
        self._component = self.prosody.add_component(COMPONENT, COMPONENT_SECRET)
        self._port = keep_ports(folder / "ports.json", ["webhook"])["webhook"]
        path = f"/whatsapp/{SECRETS['webhook_path']}"
        url = f"http://{LOOPBACK}:{self._port}{path}"
        self.hooks = MetaHooks(url, SECRETS["app_secret"])
        self.api = CloudApi(self.hooks)

    async def __aenter__(self) -> Self:
        await self.hooks.__aenter__()
        try:
            await asyncio.gather(self.api.start(), self.prosody.start())
            self.sabir = SabirProcess(self._folder, self._config())
            await self.sabir.start()
            self.person = XmppClient(await self.prosody.add_user("host"))
            await self.person.__aenter__()
            await self.person.join(self.room, "host")
            where = (f"xmpp:{self.room}", f"whatsapp:+{PERSON}")
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
        await self.api.stop()
        await self.hooks.__aexit__(None, None, None)

    def _config(self) -> str:
        for name, secret in SECRETS.items():
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_text(secret)
        files = "\n".join(
            f'{name}_file = "{name}"' for name in SECRETS if name != "component"
        )
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

[accounts.whatsapp]
network = "whatsapp"
phone_number_id = "{NUMBER_ID}"
graph_url = "{self.api.base_url}"
listen_port = {self._port}
doubt_seconds = {DOUBT_S}
{files}
"""


class WhatsAppKillRun:
    """One run over a lab.

    Args:
        lab: started.
        seed: of the kills' times.
        kills: how often Sabir dies.
        messages: in each direction.
    """

    def __init__(
        self, lab: WhatsAppLab, *, seed: int, kills: int, messages: int
    ) -> None:
        self._lab = lab
        self._random = Random(seed)
        self._kills = kills
        self._messages = messages
        self._tag = f"kill{seed}"

    async def run(self) -> Report:
        """Talk and kill; wait until all is quiet, and compare."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._room_talks())
            group.create_task(self._number_talks())
            group.create_task(self._kill())
        trouble = await self._drain()
        return Report(
            seconds=time.monotonic() - begun,
            to_whatsapp=await self._to_whatsapp(trouble),
            to_xmpp=await self._to_xmpp(),
        )

    @property
    def _pause_s(self) -> float:
        """Talk lasts as long as the kills."""
        return self._kills * (LIFE_MIN_S + LIFE_MAX_S) / 2 / self._messages

    async def _room_talks(self) -> None:
        for number in range(self._messages):
            text = Said("room", number).text(self._tag)
            await self._lab.person.say(self._lab.room, text)
            await asyncio.sleep(self._pause_s)

    async def _number_talks(self) -> None:
        for number in range(self._messages):
            text = Said("ann", number).text(self._tag)
            self._lab.api.says(PERSON, {"type": "text", "text": {"body": text}})
            await asyncio.sleep(self._pause_s)

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
            missing = (*(await self._to_whatsapp(trouble)).lost,)
            missing += (await self._to_xmpp()).lost
            if not missing or time.monotonic() > deadline:
                await asyncio.sleep(QUIET_S)
                return await self._log("--trouble")
            await asyncio.sleep(0.5)

    async def _log(self, *arguments: str) -> list[Any]:
        return await asyncio.to_thread(self._lab.sabir.log_lines, *arguments)

    async def _to_whatsapp(self, trouble: list[Any]) -> Findings:
        history = await xmpp_history(self._lab.person, self._lab.room, self._tag)
        near = [each for each in history if each.sender == "room"]
        far = said_in(self._tag, self._texts())
        return compare(near, far, ambiguous=await self._doubted(trouble, near))

    def _texts(self) -> Iterable[str]:
        for message in self._lab.api.messages:
            if message["type"] == "text":
                yield message["text"]["body"].partition(": ")[2]

    async def _to_xmpp(self) -> Findings:
        near = [Said("ann", number) for number in range(self._messages)]
        history = await xmpp_history(self._lab.person, self._lab.room, self._tag)
        return compare(near, [each for each in history if each.sender == "ann"])

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
