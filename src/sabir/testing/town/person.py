"""A person with a device: `sabir up` as a child process, asked as the CLI asks it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sabir.cli.control import NotRunning, ask_async
from sabir.errors import Unavailable
from sabir.testing.lab import SabirProcess

WAIT_S: Final = 60.0
"""For what another process has to do first."""
_POLL_S: Final = 0.05

Row = dict[str, Any]


class Person:
    """A device of somebody at a provider.

    Args:
        folder: of this device.
        handle: what they are called at their provider.
        control: socket of its agent: a path of 107 octets at most.
        more: further lines of the configuration.
    """

    def __init__(
        self, folder: Path, handle: str, control: Path, more: str = ""
    ) -> None:
        self.handle = handle
        self.folder = folder
        config = f"""
[agent]
owner = "{handle}"
data_dir = "data"
control_socket = "{control}"
log_format = "json"
log_level = "info"
{more}
"""
        self.sabir = SabirProcess(folder, config)
        self._control = control
        self.user = ""
        self.device = ""

    def join_provider(
        self, domain: str, address: str, ca_file: Path, token: str
    ) -> None:
        """Register this device, as `sabir home join` does."""
        token_file = self.folder / "account-token"
        token_file.touch(0o600)
        token_file.write_text(token)
        said = self.sabir.call(
            "home",
            "join",
            domain,
            "--address",
            address,
            "--ca",
            str(ca_file),
            "--name",
            self.folder.name,
            "--token-file",
            str(token_file),
        )
        found = dict(line.split(maxsplit=1) for line in said.splitlines())
        self.user, self.device = found["you"], found["device"]

    async def start(self) -> None:
        """Start `sabir up`, and wait until it can be asked."""
        self.sabir.spawn()
        await self.until("it runs", self._answers)

    async def _answers(self) -> bool:
        try:
            await self.ask("GET", "/home")
        except NotRunning:
            return False
        return True

    def stop(self) -> None:
        """End it kindly."""
        self.sabir.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.sabir.kill()

    # ---- asking

    async def ask(self, method: str, where: str, /, **body: Any) -> Any:
        """Ask the running agent. Raises as `sabir.cli.control.ask`."""
        return await ask_async(
            self._control, method, where, body if method == "POST" else None
        )

    async def until(self, what: str, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so.

        Raises:
            Unavailable: it is not, for too long.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                while not await is_so():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise Unavailable(
                f"{self.handle} waits in vain: {what}; see {self.folder / 'sabir.log'}"
            ) from None

    async def rooms(self) -> dict[str, Row]:
        """Return the rooms, by URI."""
        return {row["room"]: row for row in await self.ask("GET", "/rooms")}

    async def create(self, name: str, kind: str = "group") -> str:
        """Make a room; return its URI."""
        made = await self.ask("POST", "/rooms", name=name, template=kind)
        return str(made["room"])

    async def invite(self, room: str, other: "Person", role: str | None = None) -> Row:
        """Let somebody in, or ask for their consent."""
        found = await self.ask(
            "POST", "/rooms/invite", room=room, user=other.user, role=role
        )
        assert isinstance(found, dict)
        return found

    async def grant(self, other: "Person") -> None:
        """Let somebody add us."""
        await self.ask("POST", "/home/consents", user=other.user)

    async def is_in(self, room: str) -> bool:
        """Tell whether we are in a room."""
        row = (await self.rooms()).get(room)
        return row is not None and row["state"] == "active"

    async def comes_into(self, room: str) -> None:
        """Wait until we are in a room."""
        await self.until(f"to be in {room}", lambda: self.is_in(room))

    async def goes_out_of(self, room: str) -> None:
        """Wait until we are in a room no more."""

        async def out() -> bool:
            return not await self.is_in(room)

        await self.until(f"to be out of {room}", out)

    async def shown(self, room: str) -> Row:
        """Return how a room is."""
        found = await self.ask("GET", f"/rooms/shown?room={quote(room, safe='')}")
        assert isinstance(found, dict)
        return found

    async def do(self, what: str, room: str, /, **more: Any) -> Row:
        """Do something in a room, e.g. `kick`."""
        found = await self.ask("POST", f"/rooms/{what}", room=room, **more)
        assert isinstance(found, dict)
        return found

    async def say(self, room: str, text: str, about: int = 0, key: str = "") -> int:
        """Say something; return its number here."""
        done = await self.do("say", room, text=text, about=about, key=key)
        return int(done["seq"])

    async def timeline(
        self, room: str, after: int = 0, *, wait_s: int = 0
    ) -> list[Row]:
        """Return all rows behind a number; wait so long for the first."""
        rows: list[Row] = []
        while True:
            path = f"/rooms/timeline?room={quote(room, safe='')}&after={after}"
            found = await self.ask("GET", path if rows else f"{path}&wait={wait_s}")
            rows += found
            if not found:
                return rows
            after = found[-1]["seq"]

    async def texts(self, room: str) -> list[str]:
        """Return what was said, in the room's order."""
        return [
            row["text"] for row in await self.timeline(room) if row["kind"] == "said"
        ]

    async def hears(self, room: str, text: str) -> None:
        """Wait until a text is in our timeline."""

        async def heard() -> bool:
            return text in await self.texts(room)

        await self.until(f"to hear {text!r}", heard)


@asynccontextmanager
async def running(*people: Person) -> AsyncIterator[None]:
    """Run devices, and end them."""
    try:
        for each in people:
            await each.start()
        yield
    finally:
        for each in people:
            each.stop()
