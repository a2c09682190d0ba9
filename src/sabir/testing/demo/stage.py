"""Where the conversation takes place: servers, people, rooms, and what was said."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import aiohttp

from sabir.errors import Error
from sabir.testing.clients.matrix import MatrixClient, Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.demo.step import Wrong
from sabir.testing.lab import COMPONENT, PREFIX, Lab
from sabir.testing.rooms_lab import RoomsLab
from sabir.testing.servers.process import ServerProcess
from sabir.testing.town.person import Person, Row

SIGHT_TIMEOUT_S: Final = 30.0
"""A step is seen within 0.1 s, a 20 MB file within 5 s; a busy machine is slower."""


_XMPP_NICKS: Final = frozenset({"Xenia", "Yuri", "Zoe", "Zoey"})


def is_ghost(user_id: str) -> bool:
    """Tell whether a Matrix user is one of Sabir's."""
    return user_id.startswith(f"@{PREFIX}")


@dataclass(frozen=True, slots=True)
class Line:
    """One message as each network has it."""

    event_id: str
    stanza: Arrived


def _tells_of_link(seen: Seen) -> bool:
    return seen.kind == "timeline" and "is linked with the xmpp chat" in seen.body


class Stage:
    """Two people on each network in two linked rooms; more come and go.

    Args:
        lab: the running servers and Sabir.
    """

    troubles: Final = (Error, aiohttp.ClientError, LookupError)
    """What a failing step may raise; anything else is a bug of the demonstration.

    A client answers `LookupError` to leaving a room that it could not enter before.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.alice: MatrixClient
        self.bob: MatrixClient
        self.carol: MatrixClient
        self.xenia: XmppClient
        self.yuri: XmppClient
        self.zoe: XmppClient
        self.lines: dict[str, Line] = {}
        self.reactions: dict[str, str] = {}
        self._matrix_mark = self._xmpp_mark = self._presence_mark = 0
        self._third_mark = 0

    async def set(self) -> None:
        """Log the people in, and link the rooms of those who are there first."""
        lab = self.lab
        self.alice = await lab.matrix_person("alice")
        self.bob = await lab.matrix_person("bob")
        self.xenia = await lab.xmpp_person("xenia")
        self.yuri = await lab.xmpp_person("yuri")
        self.carol = await lab.matrix_person("carol")
        self.zoe = await lab.xmpp_person("zoe")
        await lab.link(self.alice, [self.bob], self.xenia, "Xenia")
        if self.has_third:  # whoever was there before is told who can read from now on
            await self.alice.wait_for(_tells_of_link, SIGHT_TIMEOUT_S)
        await self.yuri.join(lab.xmpp_room, "Yuri")

    # ---- Ada

    @property
    def has_third(self) -> bool:
        """Whether there is somebody on neither network."""
        return isinstance(self.lab, RoomsLab)

    @property
    def rooms_lab(self) -> RoomsLab:
        """The lab with rooms at providers."""
        assert isinstance(self.lab, RoomsLab)
        return self.lab

    @property
    def third(self) -> Person:
        """Ada's agent."""
        return self.rooms_lab.third

    @property
    def third_room(self) -> str:
        """The room's URI."""
        return self.rooms_lab.room

    @property
    def providers(self) -> Sequence[ServerProcess]:
        """The providers."""
        return list(self.rooms_lab.town.providers.values())

    async def third_sees(self, fits: Callable[[Row], bool]) -> tuple[Row, float]:
        """Return the next row in Ada's chat that fits, and when it was there.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(SIGHT_TIMEOUT_S):
            while True:
                rows = await self.third.timeline(
                    self.third_room, self._third_mark, wait_s=5
                )
                at_s = time.monotonic()
                for row in rows:
                    self._third_mark = row["seq"]
                    if fits(row):
                        return row, at_s

    async def third_number(self, text: str, name: str = "") -> int:
        """Return the number under which Ada has a text.

        Raises:
            Wrong: she does not have it.
        """
        for row in await self.third.timeline(self.third_room):
            if row["text"] == text and row["kind"] == "said" and name in row["name"]:
                return int(row["seq"])
        raise Wrong(f"Ada does not have the message that this is about ({text})")

    @property
    def matrix_room(self) -> str:
        """The Matrix room's id."""
        return self.lab.matrix_room

    @property
    def xmpp_room(self) -> str:
        """The XMPP room's JID."""
        return self.lab.xmpp_room

    @property
    def component_resource(self) -> str:
        """What follows the `@` in the address of a ghost in the XMPP room."""
        return f"{COMPONENT}.{self.lab.prosody.domain}/{COMPONENT}"

    # ---- what was said before

    def line(self, key: str) -> Line:
        """Return an earlier message.

        Raises:
            Wrong: it has not come through, so nothing can point at it.
        """
        if key not in self.lines:
            raise Wrong(f"the message that this is about has not arrived ({key})")
        return self.lines[key]

    def reaction(self, key: str) -> str:
        """Return the event id of an earlier reaction.

        Raises:
            Wrong: it has not come through.
        """
        if key not in self.reactions:
            raise Wrong(f"the reaction that this is about has not arrived ({key})")
        return self.reactions[key]

    # ---- seeing

    def mark(self) -> None:
        """Look only at what arrives from now on."""
        self._matrix_mark = len(self.alice.events)
        self._xmpp_mark = len(self.xenia.messages)
        self._presence_mark = len(self.xenia.presences)

    async def matrix_sees(self, fits: Callable[[Seen], bool]) -> Seen:
        """Return the first event of this step that Alice's client sees and that fits.

        What Matrix people did themselves is not looked at: it may arrive late.

        Raises:
            TimeoutError: none came.
        """
        return await self.alice.wait_for(
            lambda seen: (
                seen.room_id == self.matrix_room
                and (seen.kind == "ephemeral" or is_ghost(seen.sender))
                and fits(seen)
            ),
            SIGHT_TIMEOUT_S,
            self._matrix_mark,
        )

    async def xmpp_sees(self, fits: Callable[[Arrived], bool]) -> Arrived:
        """Return the first message of this step that Xenia's client sees and that fits.

        What XMPP people did themselves is not looked at: it may arrive late.

        Raises:
            TimeoutError: none came.
        """
        return await self.xenia.wait_for(
            lambda message: (
                message.chat == self.xmpp_room
                and message.nick not in _XMPP_NICKS
                and fits(message)
            ),
            SIGHT_TIMEOUT_S,
            self._xmpp_mark,
        )

    async def xmpp_sees_presence(self, fits: Callable[[Element], bool]) -> Element:
        """Return the first presence of this step that Xenia's client sees.

        Raises:
            TimeoutError: none came.
        """
        return await self.xenia.presences.wait_for(
            fits, SIGHT_TIMEOUT_S, self._presence_mark
        )

    # ---- who is who on the other side

    async def ghost(self, name: str) -> str:
        """Return the user id under which somebody of XMPP is in the Matrix room.

        Raises:
            Wrong: nobody has this name there.
        """
        members = await self.alice.members(self.matrix_room)
        for user_id, shown in members.items():
            if shown == name and is_ghost(user_id):
                return user_id
        raise Wrong(f"no member of the Matrix room is called {name}: {members}")

    # ---- at the end

    async def rest(self) -> None:
        """Wait until Sabir has nothing left to deliver.

        Raises:
            Wrong: something still waits after a while.
        """
        deadline = time.monotonic() + SIGHT_TIMEOUT_S
        while True:
            waiting = {
                portal["chat"]: portal["counts"]
                for portal in await self.lab.portals()
                if portal["counts"]["waiting_in"] or portal["counts"]["waiting_out"]
            }
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise Wrong(f"still waiting in Sabir: {waiting}")
            await asyncio.sleep(0.1)
