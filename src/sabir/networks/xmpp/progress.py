"""How far an archive has been read, kept by the host beside the cursor.

The cursor is an id; when the archive has forgotten it, reading goes on from the
time of the last message read, and never from before the first connection.
"""

import json
from dataclasses import dataclass
from typing import Final

from sabir.clock import Instant
from sabir.networks.api import Host
from sabir.networks.xmpp.archive import Archived, Page

OVERLAP_MS: Final = 600_000
"""How far before a known time an archive is read when its id is unknown."""
_SECOND_MS: Final = 1_000
"""Archives take times in whole seconds."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """From where to read when the cursor is unknown to the archive."""

    start: Instant
    origin: str
    """Id of the last message before the first connection, empty if none."""

    def without_older(self, page: Page) -> tuple[Archived, ...]:
        """Return a page without what is from before the first connection."""
        for number, one in enumerate(page.messages):
            if one.id == self.origin:
                return page.messages[number + 1 :]
        return page.messages


async def begin(host: Host, stream: str, newest: Archived | None) -> None:
    """Note where an archive ended at the first connection."""
    origin = [newest.id, newest.at] if newest is not None else ["", 0]
    await host.remember(f"origin:{stream}", json.dumps(origin))


async def note(host: Host, stream: str, at: Instant) -> None:
    """Note the time of the last message read."""
    await host.remember(f"seen:{stream}", str(int(at)))


async def resumption(host: Host, stream: str) -> Resumption:
    """Return from where to read on without a cursor."""
    origin, begun = json.loads(await host.recall(f"origin:{stream}") or '["", 0]')
    seen = int(await host.recall(f"seen:{stream}") or "0")
    begun -= begun % _SECOND_MS
    return Resumption(Instant(max(begun, seen - OVERLAP_MS)), origin)
