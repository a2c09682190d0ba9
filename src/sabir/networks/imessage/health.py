"""How the Mac is: a round trip every minute, and what its owner should know.

A Mac that is signed out of iMessage, or whose helper is gone, answers like any other.
"""

from collections.abc import Callable
from typing import Final

from sabir.networks.api import ConnectionState, Host
from sabir.networks.imessage.client import BlueBubbles
from sabir.networks.imessage.database import Database
from sabir.networks.imessage.intake import Intake
from sabir.networks.imessage.server import EDITS_MACOS_MIN, ServerInfo, server_info
from sabir.networks.imessage.timing import Timing

NO_HELPER: Final = (
    "only texts and files: the helper inside Messages is not connected, so no replies,"
    " reactions, edits or typing (BlueBubbles on the Mac, Private API)"
)
OLD_MACOS: Final = f"no edits and no unsending: they need macOS {EDITS_MACOS_MIN}"
SIGNED_OUT: Final = "the Mac is signed out of iMessage: sign in again in Messages there"
QUIET: Final = (
    "no message for a day: look whether the Mac still gets any (Messages open, signed"
    " in, awake)"
)


class Health:
    """Looks after one Mac.

    Args:
        api: the server.
        database: its messages.
        host: ours.
        intake: knows when the newest message was written.
        learn: takes what the Mac says of itself.
        timing: how often it is asked.
    """

    def __init__(
        self,
        api: BlueBubbles,
        database: Database,
        host: Host,
        intake: Intake,
        *,
        learn: Callable[[ServerInfo], None],
        timing: Timing,
    ) -> None:
        self._api = api
        self._database = database
        self._host = host
        self._intake = intake
        self._learn = learn
        self._timing = timing
        self._reported: str | None = None

    def connected(self, info: ServerInfo) -> None:
        """Report how it is, if that is news: each report opens all chats again."""
        detail = "; ".join(self._notes(info))
        if detail != self._reported:
            self._reported = detail
            self._host.report(ConnectionState.CONNECTED, detail)

    def _notes(self, info: ServerInfo) -> list[str]:
        notes = []
        if info.address is None:
            notes.append(SIGNED_OUT)
        if not info.helper:
            notes.append(NO_HELPER)
        elif not info.edits:
            notes.append(OLD_MACOS)
        quiet_ms = self._host.clock.now() - self._intake.last_at
        if self._intake.last_at and quiet_ms > self._timing.quiet_ms:
            notes.append(QUIET)
        return notes

    async def watch(self) -> None:
        """Ask until cancelled.

        Raises:
            Unavailable, CredentialsRefused, PeerIncompatible: as they say.
        """
        while True:
            await self._host.clock.sleep(self._timing.health_ms)
            info = server_info(await self._api.get("/server/info"))
            await self._database.count_from(self._intake.row + 1)
            self._learn(info)
            self.connected(info)
