"""Hands events on in takes of a bounded size."""

from collections.abc import Mapping, Sequence
from typing import Final

from sabir.networks.api import Host, NativeEvent

EVENTS_PER_TAKE_MAX: Final = 500
"""Half of what a host takes at once; after a long time away there are thousands."""


async def hand_on(
    host: Host, events: Sequence[NativeEvent], *, cursors: Mapping[str, str]
) -> None:
    """Store the events of portals in order, and the cursors with the last of them.

    A failure between two takes leaves the cursors: everything comes again, and
    what is stored already is known by its id.

    Raises:
        StorageFailed: the cursors were not stored.
    """
    portals = set(host.chats())
    wanted = [event for event in events if event.chat in portals]
    while len(wanted) > EVENTS_PER_TAKE_MAX:
        await host.take(wanted[:EVENTS_PER_TAKE_MAX])
        wanted = wanted[EVENTS_PER_TAKE_MAX:]
    await host.take(wanted, cursors=cursors)
