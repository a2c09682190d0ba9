"""Rooms at a provider as portals and people use them."""

import asyncio
from collections.abc import Callable, Sequence

from sabir.agent.membership.composing import new_entry
from sabir.agent.membership.files import Files
from sabir.agent.membership.ledger import Around, NotInRoom
from sabir.agent.membership.limits import ANSWER_WAIT_S
from sabir.agent.membership.portal_files import PortalFiles
from sabir.agent.membership.session import RoomSession
from sabir.agent.rooms import NotTaken
from sabir.agent.spool import Spool
from sabir.content.meaning import Said
from sabir.content.model import ExternalPart, MessageId
from sabir.content.rich import Rich
from sabir.errors import Unavailable
from sabir.mimi.ghosts import ghosts_of_gateway
from sabir.mimi.member.intents import RemoveGhosts
from sabir.networks.api import MediaReader
from sabir.storage.membership import MembershipState
from sabir.storage.records import EntryRecord, NewEntry, RoomId


class ProviderRooms:
    """Implements `sabir.agent.rooms.ProviderRoomPort`.

    Args:
        around: what rooms share.
        user: our URI.
        find: the session of a room; raises `NotInRoom`.
    """

    def __init__(
        self, around: Around, user: str, find: Callable[[RoomId], RoomSession]
    ) -> None:
        self._around = around
        self.user = user
        self._find = find
        self._files: PortalFiles | None = None

    def use_spool(self, spool: Spool) -> None:
        """See `ProviderRoomPort.use_spool`."""
        around = self._around
        self._files = PortalFiles(
            Files(around), around.storage, spool, self._find, self.user
        )

    async def file(
        self, room: RoomId, entry: MessageId, part: ExternalPart
    ) -> MediaReader | None:
        """See `ProviderRoomPort.file`."""
        if self._files is None:
            return None
        try:
            return await self._files.bring(room, entry, part)
        except NotInRoom:
            return None

    async def check(self, room: RoomId) -> None:
        """See `ProviderRoomPort.check`."""
        record = await self._around.storage.membership(room)
        if record is None or record.state is not MembershipState.ACTIVE:
            raise NotInRoom(f"we are not in {room}; `sabir room list` shows where")

    async def tell(self, room: RoomId, text: str) -> None:
        """See `ProviderRoomPort.tell`."""
        said = Said(text=Rich.plain(text))
        new = new_entry(self._around, room, said, user=self.user, author=None)
        try:
            async with asyncio.timeout(ANSWER_WAIT_S):
                await self.submit(room, [new])
        except TimeoutError:
            raise Unavailable(
                f"the people in {room} cannot be told now: its hub does not answer; it"
                " is sent as soon as it does"
            ) from None

    async def submit(
        self, room: RoomId, entries: Sequence[NewEntry]
    ) -> Sequence[EntryRecord]:
        """See `RoomPort.submit`. Returns when all have their place in the room.

        They are sent even if this call is cancelled, or Sabir restarted; so while the
        hub does not answer, this waits.

        Raises:
            Unavailable: a file of an entry cannot be uploaded now; nothing was noted.
            NotTaken: as `RoomPort.submit`.
            NotInRoom: we are not in the room; nothing was noted.
            StorageFailed: nothing was noted.
        """
        if self._files is not None:
            entries = [await self._files.uploaded(room, new) for new in entries]
        ids = await self._around.storage.draft(room, entries)
        self._ring(room)
        found = [
            await self._placed(room, new.submission, entry)
            for new, entry in zip(entries, ids, strict=True)
        ]
        placed = [each for each in found if isinstance(each, EntryRecord)]
        if len(placed) == len(found):
            return placed
        why = next(each for each in found if isinstance(each, str))
        raise NotTaken(why, [None if isinstance(e, str) else e for e in found])

    async def unlist(self, room: RoomId, network: str = "") -> None:
        """See `ProviderRoomPort.unlist`; empty: of all networks."""
        session = self._find(room)
        session.forget_introductions(network)
        async with session.ledger.turn() as member:
            users = member.view.room.participants.users
        ghosts = ghosts_of_gateway(users, self.user, network)
        if ghosts:
            await session.want(RemoveGhosts(tuple(each.uri for each in ghosts)))

    async def _placed(
        self, room: RoomId, submission: str, entry: MessageId
    ) -> EntryRecord | str:
        """Wait until an entry has its place, or return why it was refused."""
        while True:
            pulse = self._around.waiters.next_pulse(entry.hex())
            found = await self._around.storage.submitted(room, [submission])
            if found:
                return found[submission]
            await pulse.wait()

    def _ring(self, room: RoomId) -> None:
        try:
            self._find(room).ring()
        except NotInRoom:
            return  # its session begins in a moment, and looks by itself
