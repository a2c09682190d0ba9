"""What all that a hub does has in common: its rooms, its keys, its time."""

from typing import Final

from sabir.errors import StorageFailed
from sabir.mimi.hub.keys import HubKeys
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mls.errors import MlsMisuse
from sabir.provider.core import Core
from sabir.provider.keys import HubKeyRing
from sabir.provider.rooms import RoomDesks
from sabir.storage.provider.records import HostedRoom

NO_ROOM: Final = "there is no such room here"


class HostingBase:
    """Rooms of which we are the hub."""

    def __init__(self, core: Core) -> None:
        """Host rooms; nothing is loaded yet.

        Args:
            core: of the provider.
        """
        self._core = core
        self._domain = core.config.domain
        self._key_ring = HubKeyRing(core.keys, core.clock, core.rng, self._domain)
        self._keys: HubKeys | None = None
        self._desks: RoomDesks[HubRoom] = RoomDesks(core, self._load)

    async def open_keys(self) -> None:
        """Make the keys of the hub, or see that they can be opened.

        Raises:
            KeyDoesNotFit: the key file is of another installation.
            StorageFailed: they are damaged, or cannot be stored.
        """
        await self._fresh_keys()

    async def _fresh_keys(self) -> HubKeys:
        """Return the keys of this moment, which rooms are loaded with, too."""
        self._keys = await self._key_ring.current()
        return self._keys

    def _load(self, stored: HostedRoom) -> HubRoom | None:
        if not stored.state:
            return None
        assert self._keys is not None, "keys come before rooms"
        try:
            return HubRoom.load(self._keys, stored.state, stored.last_at)
        except MlsMisuse as damaged:
            raise StorageFailed(f"{stored.room}: {damaged}") from damaged


def no_room() -> Problem:
    """Say to one of our own users that a room is not there, or none of theirs."""
    return Problem(ProblemCode.NOT_FOUND, NO_ROOM)
