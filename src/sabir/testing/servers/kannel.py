"""Kannel, an SMS gateway with an SMPP of its own: somebody else at the same SMSC.

It is an ESME like us, bound beside us, so that what it encodes is what we decode, and
the reverse. Two processes: `Bearerbox` speaks SMPP, `Smsbox` HTTP with whoever sends
and receives.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import aiohttp

from sabir.errors import Unavailable
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_anything_http
from sabir.testing.servers.smpp import PASSWORD, Smsc

SYSTEM: Final = "kannel"
"""Its system id."""
_LAB: Final = "lab"
_ANSWER_S: Final = 10.0

_CORE: Final = """\
group = core
admin-port = {ports[admin]}
admin-interface = {host}
admin-password = {lab}
smsbox-port = {ports[boxes]}
smsbox-interface = {host}
box-allow-ip = {host}
dlr-storage = internal
sms-combine-concatenated-mo = true
log-file = "{home}/bearerbox.log"
log-level = 0

group = smsc
smsc = smpp
smsc-id = {lab}
host = {smsc.host}
port = {smsc.ports[smpp]}
transceiver-mode = true
smsc-username = {system}
smsc-password = {password}
system-type = ""
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1

group = smsbox
bearerbox-host = {host}
"""

_SMSBOX: Final = """\
group = core
smsbox-port = {boxes}

group = smsbox
bearerbox-host = {host}
bearerbox-port = {boxes}
sendsms-port = {ports[sendsms]}
sendsms-interface = {host}
log-file = "{home}/smsbox.log"
log-level = 0

group = sendsms-user
username = {lab}
password = {lab}
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://{host}:{listener}/mo?from=%p&text=%b&coding=%c"
"""


class Bearerbox(ServerProcess):
    """The half that is bound to an SMSC; `Smsc.ask("route", ...)` lets it in."""

    name: ClassVar[str] = "kannel"
    port_names: ClassVar[tuple[str, ...]] = ("admin", "boxes")

    def __init__(self, home: Path, smsc: Smsc) -> None:
        super().__init__(home)
        self._smsc = smsc

    def _configure(self) -> None:
        config = _CORE.format(
            home=self.home,
            host=self.host,
            ports=self.ports,
            smsc=self._smsc,
            system=SYSTEM,
            password=PASSWORD,
            lab=_LAB,
        )
        (self.home / "kannel.conf").write_text(config)

    def _command(self) -> Sequence[str]:
        return ["bearerbox", "-v", "2", str(self.home / "kannel.conf")]

    async def _is_ready(self) -> bool:
        return await answers_anything_http(self.ports["admin"])

    def _log_files(self) -> Sequence[Path]:
        return [self.home / "bearerbox.log"]


class Smsbox(ServerProcess):
    """The half that programs talk to.

    Args:
        home: of its own.
        bearerbox: running.
        listener: port on loopback where messages are to be posted.
    """

    name: ClassVar[str] = "kannel"
    port_names: ClassVar[tuple[str, ...]] = ("sendsms",)

    def __init__(self, home: Path, bearerbox: Bearerbox, listener: int) -> None:
        super().__init__(home)
        self._boxes = bearerbox.ports["boxes"]
        self._listener = listener

    async def send(self, sender: str, to: str, text: str) -> None:
        """Send a text; as UCS-2 if it is not ASCII.

        Raises:
            Unavailable: it refuses.
        """
        query = {
            "username": _LAB,
            "password": _LAB,
            "from": sender,
            "to": to,
            "text": text,
            "charset": "UTF-8",
            "coding": "0" if text.isascii() else "2",
        }
        url = f"http://{LOOPBACK}:{self.ports['sendsms']}/cgi-bin/sendsms"
        timeout = aiohttp.ClientTimeout(_ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, params=query) as answer,
        ):
            if not answer.ok:
                raise Unavailable(f"Kannel refuses: {await answer.text()}")

    def _configure(self) -> None:
        config = _SMSBOX.format(
            home=self.home,
            host=self.host,
            ports=self.ports,
            boxes=self._boxes,
            listener=self._listener,
            lab=_LAB,
        )
        (self.home / "smsbox.conf").write_text(config)

    def _command(self) -> Sequence[str]:
        return ["smsbox", "-v", "2", str(self.home / "smsbox.conf")]

    async def _is_ready(self) -> bool:
        return await answers_anything_http(self.ports["sendsms"])

    def _log_files(self) -> Sequence[Path]:
        return [self.home / "smsbox.log"]
