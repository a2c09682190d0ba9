"""Who waits for what became of something: in this process only."""

import asyncio

from sabir.errors import Error


class Waiters:
    """Calls to be answered when a wish is over, and pulses."""

    def __init__(self) -> None:
        self._wishes: dict[int, tuple[str, asyncio.Future[None]]] = {}
        self._pulses: dict[str, asyncio.Event] = {}

    def expect(self, room: str, wish: int) -> "asyncio.Future[None]":
        """Return a future that ends with a wish, by an error if it was refused."""
        future = asyncio.get_running_loop().create_future()
        self._wishes[wish] = (room, future)
        future.add_done_callback(lambda _: self._wishes.pop(wish, None))
        return future

    def settle(self, wish: int, error: Error | None = None) -> None:
        """Answer who waits for a wish, if anybody does."""
        _, future = self._wishes.get(wish, ("", None))
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def end(self, room: str, error: Error) -> None:
        """Tell everybody that nothing comes of a room any more."""
        for wish, (where, _) in list(self._wishes.items()):
            if where == room:
                self.settle(wish, error)
        for name in list(self._pulses):
            self.pulse(name)

    def pulse(self, name: str) -> None:
        """Wake everybody who waits for a change of something."""
        event = self._pulses.pop(name, None)
        if event is not None:
            event.set()

    def next_pulse(self, name: str) -> asyncio.Event:
        """Return what is set at the next change; take it before looking.

        Args:
            name: URI of a room, or hex of an entry's id.
        """
        return self._pulses.setdefault(name, asyncio.Event())
