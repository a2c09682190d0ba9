"""`Hosting`: the rooms that we are the hub of, for other providers and our own users.

One implementation with two faces. Other providers come through the federation
endpoints, with their domain as `source`; our own agents through the agent API, with
our domain, and the device that asks.
"""

from collections.abc import AsyncIterator
from typing import Final

import structlog

from sabir.errors import StorageFailed
from sabir.mimi.hub.refusals import ROOM_UNKNOWN
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.problems import Problem
from sabir.provider.core import Core
from sabir.provider.federation import Call
from sabir.provider.hosting_commits import decision_of
from sabir.provider.hosting_rooms import OwnRooms
from sabir.provider.rooms import Decision
from sabir.storage.provider.records import RoomPhase

ROOMS_AT_A_TIME: Final = 256
"""Names of rooms read in one go."""

_log = structlog.get_logger()


class Hosting(OwnRooms):
    """The rooms that we are the hub of."""

    def __init__(self, core: Core) -> None:
        """Host rooms; nothing is loaded yet.

        Args:
            core: of the provider.
        """
        super().__init__(core)
        self._removed: set[str] = set()

    # ---- the federation's face

    async def serve_update(self, call: Call) -> bytes:
        """Answer another provider. Errors as `update`."""
        return await self.update(call.source, call.about, call.body)

    async def serve_submit(self, call: Call) -> bytes:
        """Answer another provider. Errors as `submit`."""
        return await self.submit(call.source, call.about, call.body)

    async def serve_group_info(self, call: Call) -> bytes:
        """Answer another provider. Errors as `group_info`."""
        return await self.group_info(call.source, call.about, call.body)

    async def serve_report(self, call: Call) -> bytes:
        """Answer another provider. Errors as `report`."""
        await self.report(call.source, call.about, call.body)
        return b""

    # ---- housekeeping

    async def remove_deleted_users(self) -> None:
        """Propose in every room that users leave whose account is gone (D-53).

        Rooms that cannot be asked now are asked next time.

        Raises:
            StorageFailed: the list of users or rooms cannot be read.
        """
        gone = sorted(set(await self._core.store.deleted_users()) - self._removed)
        if not gone:
            return
        everywhere = True
        async for room in self._open_rooms():
            try:
                for user in gone:
                    await self.remove_user(user, room)
            except (Problem, StorageFailed) as failed:
                _log.warning("deleted users stay in a room", reason=str(failed))
                everywhere = False
        if everywhere:
            self._removed.update(gone)

    async def remove_user(self, user: str, room: str) -> None:
        """Propose that a user of ours leaves, if the user is in the room at all.

        Args:
            user: whose account is gone.
            room: its URI.

        Raises:
            Problem, StorageFailed: nothing happened.
        """
        keys, now_ms = await self._fresh_keys(), self._core.clock.now()

        def decide(machine: HubRoom | None) -> Decision:
            if machine is None:
                return Decision(response=ROOM_UNKNOWN.encode())
            machine.keys = keys
            return decision_of(machine, machine.remove_user(now_ms, user))

        await self._own_change(room, decide)

    async def _open_rooms(self) -> AsyncIterator[str]:
        after = ""
        while rooms := await self._core.store.rooms(
            after=after, count_max=ROOMS_AT_A_TIME
        ):
            for each in rooms:
                if each.hub == self._domain and each.phase is RoomPhase.OPEN:
                    yield each.room
            after = rooms[-1].room
