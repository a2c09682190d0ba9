"""What has arrived at a client, in order, and how to wait for something among it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_SHOWN_ON_TIMEOUT: Final = 5
"""How many of the last arrivals an error shows."""


class Arrivals(Generic[T]):
    """An append-only list that can be waited on.

    Args:
        owner: who is waiting, for the text of errors.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._items: list[T] = []
        self._waiters: list[tuple[Callable[[T], bool], asyncio.Future[T]]] = []
        self._broken: BaseException | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __getitem__(self, index: int) -> T:
        return self._items[index]

    def since(self, mark: int) -> list[T]:
        """Return what arrived after the list had this length."""
        return self._items[mark:]

    def add(self, item: T) -> None:
        """Append an item and wake whoever waits for it."""
        self._items.append(item)
        for waiter in list(self._waiters):
            predicate, future = waiter
            if not future.done() and predicate(item):
                future.set_result(item)

    def fail(self, error: BaseException) -> None:
        """Make every wait, also later ones, raise this error: nothing more comes."""
        self._broken = error
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(error)

    async def wait_for(
        self, predicate: Callable[[T], bool], timeout_s: float = 20.0, mark: int = 0
    ) -> T:
        """Return the first item that fits, from position `mark` on; wait for it.

        Raises:
            TimeoutError: nothing fitted in time; the text shows the last arrivals.
        """
        for item in self._items[mark:]:
            if predicate(item):
                return item
        if self._broken is not None:
            raise self._broken
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = (predicate, future)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            last = "\n".join(repr(item) for item in self._items[-_SHOWN_ON_TIMEOUT:])
            raise TimeoutError(
                f"{self._owner}: nothing fitted within {timeout_s} s among "
                f"{len(self._items) - mark} arrivals; the last ones:\n{last}"
            ) from None
        finally:
            self._waiters.remove(waiter)

    async def wait_for_count(
        self, predicate: Callable[[T], bool], count: int, timeout_s: float
    ) -> list[T]:
        """Return the first `count` items that fit; wait until there are so many.

        Raises:
            TimeoutError: there were fewer in time.
        """
        found = [item for item in self._items if predicate(item)]
        if len(found) >= count:
            return found[:count]

        def completes(item: T) -> bool:
            if predicate(item):
                found.append(item)
            return len(found) >= count

        try:
            await self.wait_for(completes, timeout_s, len(self._items))
        except TimeoutError as late:
            raise TimeoutError(f"{len(found)} of {count} came. {late}") from None
        return found[:count]
