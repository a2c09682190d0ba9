"""crabline's WhatsApp Cloud API, as a child process: text, read marks, Graph errors.

It is made by others, from the vendor's behaviour; what it lacks is in `cloud_api`. It
posts no webhook itself: it gives the body, and `MetaHooks` signs and delivers it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import aiohttp

from sabir.testing.install import lab_home
from sabir.testing.npm import packages
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_anything_http

NUMBER_ID: Final = "100000000000000"
GRAPH_VERSION: Final = "v25.0"
"""Of crabline 0.1.27; it knows no other."""

Json = dict[str, Any]


class WhatsAppLookalike(ServerProcess):
    """A WhatsApp Cloud API under test.

    Args:
        home: the server's folder.
    """

    name: ClassVar[str] = "crabline"
    port_names: ClassVar[tuple[str, ...]] = ("http",)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.access_token = "lookalike-token"
        self._admin_token = "lookalike-admin"
        self.base_url = f"http://{LOOPBACK}:{self.ports['http']}"

    async def says(self, person: str, text: str, *, name: str = "Ann") -> Json:
        """Let somebody write; return the webhook's body, to be delivered."""
        jid = f"{person}@s.whatsapp.net"
        event = {"chatJid": jid, "senderJid": jid, "pushName": name, "text": text}
        url = f"{self.base_url}/_crabline/admin/whatsapp/inbound"
        headers = {"X-Crabline-Admin-Token": self._admin_token}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=event, headers=headers) as answer,
        ):
            answer.raise_for_status()
            webhook: Json = (await answer.json())["webhook"]
        return webhook

    def accepted(self) -> list[Json]:
        """Return the bodies of message requests that were accepted, in order."""
        path = f"/{GRAPH_VERSION}/{NUMBER_ID}/messages"
        return [
            event["body"]
            for event in self._recorded()
            if event.get("path") == path and event.get("accepted")
        ]

    def _recorded(self) -> list[Json]:
        if not self._recorder.exists():
            return []
        lines = self._recorder.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def _configure(self) -> None:
        (self.home / "ready.json").unlink(missing_ok=True)

    def _command(self) -> Sequence[str]:
        lab = lab_home()
        return [
            str(packages.node(lab)),
            str(packages.script(lab, "crabline")),
            *("--json", "serve", "whatsapp"),
            *("--port", str(self.ports["http"])),
            *("--recorder", str(self._recorder)),
            *("--ready-file", str(self.home / "ready.json")),
        ]

    def _environment(self) -> Mapping[str, str]:
        return {
            "CRABLINE_ACCESS_TOKEN": self.access_token,
            "CRABLINE_ADMIN_TOKEN": self._admin_token,
            "NODE_NO_WARNINGS": "1",
        }

    async def _is_ready(self) -> bool:
        ready = (self.home / "ready.json").exists()
        return ready and await answers_anything_http(self.ports["http"])

    def _log_files(self) -> Sequence[Path]:
        return []

    @property
    def _recorder(self) -> Path:
        return self.home / "recorder.jsonl"
