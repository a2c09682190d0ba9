"""Sabir as people run it, between a real Synapse and a real Prosody.

Everything is made in one folder on free loopback ports: two servers, a
`sabir.toml`, and `sabir up` as a child process that can be killed and started
again. Used by the demonstration, the load tests and the kill tests.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self

from sabir.errors import Unavailable
from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.servers.ports import keep_ports
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.synapse import Synapse

START_TIMEOUT_S: Final = 60.0
PREFIX: Final = "sabir_"
COMPONENT: Final = "sabir"
ROOM: Final = "tea"
AS_TOKEN: Final = "as-token-of-the-lab"
HS_TOKEN: Final = "hs-token-of-the-lab"
COMPONENT_SECRET: Final = "secret-of-the-lab"


class SabirProcess:
    """`sabir up` in a process of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self._config = folder / "sabir.toml"
        self._log = folder / "sabir.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(config)
        self.call("init")

    def call(self, *arguments: str, typed: str = "") -> str:
        """Run a `sabir` command to its end and return what it printed.

        Args:
            arguments: of the command line.
            typed: what a person types meanwhile.

        Raises:
            Unavailable: it failed; carries what it said.
        """
        done = subprocess.run(
            [*self._command(), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            input=typed,
        )
        if done.returncode != 0:
            raise Unavailable(
                f"sabir {' '.join(arguments)} ended with {done.returncode}:"
                f" {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def _command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "sabir.cli",
            "--config",
            str(self._config),
        ]

    async def start(self) -> None:
        """Start it and wait until every account is connected."""
        self.spawn()
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self.is_connected():
                self._check_alive()
                await asyncio.sleep(0.05)

    def spawn(self) -> None:
        """Start it without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), "up"], stdout=log, stderr=log, cwd=self.folder
            )

    def _check_alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-3000:]
            raise Unavailable(
                f"sabir up ended with {self._process.returncode}:\n{tail}"
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    async def status(self) -> Any:
        """Return `sabir status --json`."""
        return json.loads(await asyncio.to_thread(self.call, "status", "--json"))

    async def is_connected(self) -> bool:
        """Tell whether every account is connected."""
        status = await self.status()
        return status["pid"] is not None and all(
            account["status"]["state"] == "connected" for account in status["accounts"]
        )

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it kindly."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def log_lines(self, *arguments: str) -> list[Any]:
        """Return `sabir log --json` as objects."""
        out = self.call("log", "--json", "-n", "100000", *arguments)
        return [json.loads(line) for line in out.splitlines()]


class Mortal(Protocol):
    """A part that is killed and comes back with what it had on disk."""

    @property
    def name(self) -> str:
        """Return what it is called."""
        ...

    async def die(self) -> None:
        """End it as a power cut would, and start it again."""
        ...


class DyingAgent:
    """`sabir up`; whether it has started is not waited for."""

    def __init__(self, sabir: SabirProcess) -> None:
        self._sabir = sabir
        self.name = sabir.folder.name

    async def die(self) -> None:
        """See `Mortal.die`."""
        self._sabir.kill()
        self._sabir.spawn()


class Lab:
    """Two servers and Sabir between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        ports = keep_ports(folder / "ports.json", ["appservice"])
        self._listen = ports["appservice"]
        self.synapse = Synapse(folder / "synapse")
        self.synapse.add_appservice(
            "sabir",
            url=f"http://127.0.0.1:{self._listen}",
            as_token=AS_TOKEN,
            hs_token=HS_TOKEN,
            prefix=PREFIX,
        )
        self.prosody = Prosody(folder / "prosody")
        self._component = self.prosody.add_component(COMPONENT, COMPONENT_SECRET)
        self.sabir: SabirProcess
        """Of both networks, where one Sabir has both."""
        self.matrix_room = ""
        self.xmpp_room = f"{ROOM}@{self.prosody.muc}"
        self._clients: list[MatrixClient | XmppClient] = []

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(
                self.synapse.start(), self.prosody.start(), self._prepare()
            )
            await self._start_sabir()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything that was started here."""
        for client in self._clients:
            await client.__aexit__(None, None, None)
        await self._stop_sabir()
        await self.synapse.stop()
        await self.prosody.stop()

    # ---- Sabir

    async def _prepare(self) -> None:
        """Start what needs no server of a network."""

    async def _start_sabir(self) -> None:
        config = f"""
[agent]
owner = "lab"
data_dir = "data"
log_format = "json"
log_level = "{os.environ.get("SABIR_LAB_LOG", "info")}"
{self._matrix_account()}
{self._xmpp_account()}
"""
        self.sabir = SabirProcess(self.folder / "sabir", config)
        await self.sabir.start()

    async def _stop_sabir(self) -> None:
        if hasattr(self, "sabir"):
            self.sabir.stop()

    async def _link_rooms(self) -> None:
        chats = (f"matrix:{self.matrix_room}", f"xmpp:{self.xmpp_room}")
        await asyncio.to_thread(self.sabir.call, "link", *chats)

    @property
    def agents(self) -> Sequence[SabirProcess]:
        """Return every `sabir up` that has accounts."""
        return (self.sabir,)

    @property
    def mortals(self) -> Sequence[Mortal]:
        """Return the parts of Sabir, each of which may die at any time."""
        return (DyingAgent(self.sabir),)

    async def portals(self) -> list[Any]:
        """Return what `sabir status` says of the portals, of all agents."""
        found = [await agent.status() for agent in self.agents]
        return [portal for status in found for portal in status["portals"]]

    def log_lines(self, *arguments: str) -> list[Any]:
        """Return `sabir log --json` of all agents, each message's way once."""
        return self.sabir.log_lines(*arguments)

    def _secret(self, name: str, secret: str) -> Path:
        folder = self.folder / "secrets"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(secret)
        return path

    def _matrix_account(self) -> str:
        return f"""
[accounts.matrix]
network = "matrix"
kind = "appservice"
homeserver_url = "{self.synapse.base_url}"
server_name = "{self.synapse.server_name}"
listen_host = "127.0.0.1"
listen_port = {self._listen}
prefix = "{PREFIX}"
bot = "{PREFIX}bot"
as_token_file = "{self._secret("as_token", AS_TOKEN)}"
hs_token_file = "{self._secret("hs_token", HS_TOKEN)}"
"""

    def _xmpp_account(self) -> str:
        return f"""
[accounts.xmpp]
network = "xmpp"
kind = "component"
domain = "{self._component.jid}"
host = "{self._component.host}"
port = {self._component.port}
tls = "loopback-plain"
upload_service = "{self.prosody.upload_service}"
allow_private_media_hosts = true
secret_file = "{self._secret("component_secret", COMPONENT_SECRET)}"
"""

    # ---- people

    async def matrix_person(self, name: str, display: str = "") -> MatrixClient:
        """Make somebody on Matrix and log them in."""
        client = MatrixClient(await self.synapse.add_user(name))
        await client.__aenter__()
        self._clients.append(client)
        await client.set_display_name(display or name.title())
        return client

    async def xmpp_person(self, name: str) -> XmppClient:
        """Make somebody on XMPP and log them in."""
        client = XmppClient(await self.prosody.add_user(name))
        await client.__aenter__()
        self._clients.append(client)
        return client

    async def link(
        self,
        founder: MatrixClient,
        guests: Sequence[MatrixClient],
        host: XmppClient,
        nick: str = "host",
    ) -> None:
        """Make a room on each side, put people in, and link the two."""
        bot = f"@{PREFIX}bot:{self.synapse.server_name}"
        self.matrix_room = await founder.create_room(
            "Tea on Matrix", invite=[bot, *(guest.user_id for guest in guests)]
        )
        for guest in guests:
            await guest.join(self.matrix_room)
        await host.join(self.xmpp_room, nick)
        async with asyncio.timeout(START_TIMEOUT_S):
            while bot not in await founder.members(self.matrix_room):
                await asyncio.sleep(0.05)
        # So that the bot and the listener may name the room and mirror its topic.
        listener = f"{COMPONENT}@{self._component.jid}"
        await host.set_affiliation(self.xmpp_room, listener, "owner")
        levels = await founder.state(self.matrix_room, "m.room.power_levels")
        levels.setdefault("users", {})[bot] = 50
        await founder.set_state(self.matrix_room, "m.room.power_levels", levels)
        await self._link_rooms()
