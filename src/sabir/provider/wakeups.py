"""Who waits for a device's stream to grow; the stream itself is in the store."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Wakeups:
    """Wakes the connections of devices.

    Attributes:
        over: nothing will grow any more; whoever waits should end.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.over = False

    @contextmanager
    def subscribe(self, device: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the device's stream has grown."""
        event = asyncio.Event()
        events = self._waiting.setdefault(device, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._waiting.pop(device, None)

    def wake(self, devices: Iterable[str]) -> None:
        """Say that streams have grown."""
        for device in devices:
            for event in self._waiting.get(device, ()):
                event.set()

    def finish(self) -> None:
        """Wake all, for the last time."""
        self.over = True
        self.wake(list(self._waiting))
