"""Is an address on iMessage? Asked before something goes there.

Messages may send a text as SMS where it is not; that must never come as a surprise.
"""

from typing import Final

from sabir.clock import Clock
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import ChatId, PersonId
from sabir.networks.imessage import names
from sabir.networks.imessage.book import Book
from sabir.networks.imessage.client import BlueBubbles

YES_MS: Final = 3_600_000
"""People do not leave iMessage often."""
NO_MS: Final = 60_000
"""Whoever is not there may be back soon: a phone without a network."""
KNOWN_MAX: Final = 10_000

NOT_THERE: Final = (
    "not sent: this address is not on iMessage now, and Messages might send it as SMS,"
    " which the carrier can read. Ask the person, or write to them elsewhere"
)


class Availability:
    """What is known of addresses.

    Args:
        api: the server.
        clock: ours.
        book: the chats and their people.
    """

    def __init__(self, api: BlueBubbles, clock: Clock, book: Book) -> None:
        self._api = api
        self._clock = clock
        self._book = book
        self._known: dict[PersonId, tuple[bool, float]] = {}

    async def stop(self, chat: ChatId, *, helper: bool) -> str:
        """Return why nothing may go to a chat; empty if it may, or nobody can tell."""
        person = self._book.peer(chat)
        if person is None or not helper or names.is_lesser(chat):
            return ""
        is_there = await self.ask(person.id)
        return NOT_THERE if is_there is False else ""

    async def ask(self, address: PersonId) -> bool | None:
        """Tell whether an address is on iMessage; None if nobody can tell."""
        now = self._clock.monotonic_ms()
        known = self._known.get(address)
        if known is not None and known[1] > now:
            return known[0]
        try:
            answer = await self._api.get(
                "/handle/availability/imessage", address=address
            )
        except (PolicyRefused, Unavailable):
            return None
        found = answer.get("available") if isinstance(answer, dict) else None
        if not isinstance(found, bool):
            return None
        self._known[address] = (found, now + (YES_MS if found else NO_MS))
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return found
