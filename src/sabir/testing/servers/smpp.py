"""An SMSC on npm `smpp`, SMPP written by others, with faults on demand.

`npm/smpp/smsc.mjs` around it says what it can be made to do. It has no phones behind
it: `says` is a phone that writes, `texts` what phones got.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.install import lab_home
from sabir.testing.npm import packages
from sabir.testing.servers.authority import keep_certificate
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_http

SYSTEM_ID: Final = "gw"
PASSWORD: Final = "pw"
_SCRIPT: Final = Path(packages.__file__).parent / "smpp" / "smsc.mjs"
_ANSWER_S: Final = 10.0


class Smsc(ServerProcess):
    """The SMSC; `async with` starts and stops it."""

    name: ClassVar[str] = "smpp"
    port_names: ClassVar[tuple[str, ...]] = ("smpp", "tls", "control")

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.certificate = keep_certificate(self.home / "tls", ["smsc.lab.example"])

    async def ask(self, path: str, **body: Any) -> Any:
        """Ask the control port; see the script's head for the paths.

        Raises:
            Unavailable: it refuses.
        """
        url = f"http://{self.host}:{self.ports['control']}/{path}"
        timeout = aiohttp.ClientTimeout(_ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=body) as answer,
        ):
            found = await answer.json()
            if not answer.ok:
                raise Unavailable(f"the SMSC's control port refuses: {found}")
            return found

    async def says(self, sender: str, to: str, text: str, **how: Any) -> None:
        """Let a phone write; numbers are digits."""
        await self.ask("mo", **{"from": sender, "to": to, "text": text, **how})

    async def seen(self, kind: str = "submit_sm") -> Sequence[Mapping[str, Any]]:
        """Return what was seen of a kind, oldest first."""
        found = await self.ask("log")
        return [entry for entry in found["log"] if entry["kind"] == kind]

    async def pending(self) -> int:
        """Return how much waits for an answer."""
        return int((await self.ask("log"))["pending"])

    async def texts(self, to: str) -> Sequence[str]:
        """Return the texts that a phone shows, in order: those with all their parts."""
        parts: list[tuple[list[str], int]] = []
        places: dict[int, int] = {}
        for entry in await self.seen():
            if entry["to"] != to:
                continue
            reference, total, number = (entry["udh"] or entry["sar"] or (0, 1, 1))[-3:]
            if number == 1:  # parts come in order; references come again after 256
                places[reference] = len(parts)
                parts.append(([], total))
            parts[places[reference]][0].append(entry["text"])
        return ["".join(found) for found, total in parts if len(found) == total]

    def _configure(self) -> None:
        """Everything is in the environment."""

    def _environment(self) -> Mapping[str, str]:
        return {
            "SMPP_HOME": str(packages.script(lab_home(), self.name).parent),
            "SMSC_PORT": str(self.ports["smpp"]),
            "SMSC_TLS_PORT": str(self.ports["tls"]),
            "SMSC_CONTROL_PORT": str(self.ports["control"]),
            "SMSC_SYSTEM_ID": SYSTEM_ID,
            "SMSC_PASSWORD": PASSWORD,
            "SMSC_CERT": str(self.certificate.chain_file),
            "SMSC_KEY": str(self.certificate.key_file),
        }

    def _command(self) -> Sequence[str]:
        return [str(packages.node(lab_home())), str(_SCRIPT), str(self.home)]

    async def _is_ready(self) -> bool:
        return await answers_http(self.ports["control"], "/log")

    def _log_files(self) -> Sequence[Path]:
        return ()
