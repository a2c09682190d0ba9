"""Pieces on their way into one room: window, reflections, barrier.

* Everything is written in order without waiting; a piece is accepted when the
  room reflects it under its `id`.
* After an error that can be repaired, or no reflection in time, the barrier (a
  self-ping, which passes through the room after all that was written before)
  makes every fate certain; what did not arrive is written again, in order.
* An error that can never be repaired refuses its piece alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element

from sabir.clock import Clock
from sabir.errors import Unavailable
from sabir.networks.api import (
    NativeId,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Sent,
)
from sabir.networks.xmpp import ghosts, ids, refusals
from sabir.networks.xmpp.muc import Bounced, Fate, Reflected, Room, Seat, SeatRefused
from sabir.networks.xmpp.render import SECOND, Rendered
from sabir.networks.xmpp.stream import TooLarge

REFLECTION_TIMEOUT_S: Final = 15
"""Then the barrier is asked; rooms reflect within 2 s under load (measured)."""
ATTEMPTS_MAX: Final = 3
"""Writings of one piece within one `send`."""
PAUSE_MS: Final = 1_000
"""After `policy-violation`."""
SPACING_MS_MIN: Final = 50
SPACING_MS_MAX: Final = 2_000
"""Between two messages, doubled each time the room says `too fast`."""
_REPAIRABLE: Final = frozenset({"not-acceptable", "policy-violation"})

SeatFor = Callable[[Outgoing], Awaitable[tuple[Seat, str]]]
"""Return the seat of a piece's speaker, and the prefix of its texts."""
Render = Callable[[Outgoing, Seat, str], Awaitable[Rendered]]
Perform = Callable[[Outgoing], Awaitable[Outcome | None]]
"""Do what needs no message (a join, say); None if the piece is said by messages."""


@dataclass(slots=True, eq=False)
class _Flight:
    """One piece on its way."""

    outgoing: Outgoing
    outcome: Outcome | None = None
    seat: Seat | None = None
    stanzas: tuple[Element, ...] = ()
    lost: tuple[str, ...] = ()
    fates: dict[str, "asyncio.Future[Fate]"] = field(default_factory=dict)
    attempts: int = 0


class RoomOutbox:
    """Writes one batch into one room."""

    def __init__(
        self,
        room: Room,
        clock: Clock,
        *,
        perform: Perform,
        seat: SeatFor,
        render: Render,
    ) -> None:
        self._room = room
        self._clock = clock
        self._perform = perform
        self._seat_for = seat
        self._render = render

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Yield one outcome for each piece, in order.

        Raises:
            Unavailable: the rest of the batch is in doubt.
        """
        flights = [_Flight(outgoing) for outgoing in batch]
        try:
            for flight in flights:
                await self._launch(flight)
            for number, flight in enumerate(flights):
                yield await self._land(flight, flights[number:])
            self._room.spacing_ms //= 2
        finally:
            for flight in flights:
                for ident in flight.fates:
                    self._room.fates.pop(ident, None)

    # ---- writing

    async def _launch(self, flight: _Flight) -> None:
        outgoing = flight.outgoing
        try:
            flight.outcome = await self._perform(outgoing)
            if flight.outcome is not None:
                return
            flight.seat, prefix = await self._seat_for(outgoing)
            rendered = await self._render(outgoing, flight.seat, prefix)
        except SeatRefused as refused:
            flight.outcome = self._refusal(outgoing, refused.condition, refused.text)
            return
        except RefusedHere as refused:
            flight.outcome = Refused(key=outgoing.key, reason=str(refused))
            return
        flight.stanzas, flight.lost = rendered.stanzas, rendered.lost
        await self._write(flight)

    async def _write(self, flight: _Flight) -> None:
        """Write what of a piece has not arrived yet."""
        flight.attempts += 1
        room = self._room
        for stanza in flight.stanzas:
            ident = stanza.get("id", "")
            if _arrived(flight.fates.get(ident)):
                continue
            if room.spacing_ms:
                await self._clock.sleep(room.spacing_ms)
            fate: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
            flight.fates[ident] = room.fates[ident] = fate
            room.expect_topic(stanza)
            try:
                room.stream.write(stanza)
            except TooLarge as large:
                reason = (
                    f"the message is too large for XMPP ({large}): send it as a file"
                )
                flight.outcome = Refused(key=flight.outgoing.key, reason=reason)
                return

    # ---- waiting

    async def _land(self, flight: _Flight, rest: Sequence[_Flight]) -> Outcome:
        while flight.outcome is None:
            if not await self._all_known(flight):
                await self._repair(rest)
                continue
            bounced = _bounce(flight)
            if bounced is None:
                return self._sent(flight)
            if bounced.condition in _REPAIRABLE and flight.attempts < ATTEMPTS_MAX:
                await self._repair(rest)
                continue
            if refusals.may_retry(bounced.condition):
                raise Unavailable(
                    f"the room {self._room.jid} answers {bounced.condition}",
                    retry_after_ms=refusals.RETRY_AFTER_MS,
                )
            return self._refusal(flight.outgoing, bounced.condition, bounced.text)
        return flight.outcome

    async def _all_known(self, flight: _Flight) -> bool:
        pending = [fate for fate in flight.fates.values() if not fate.done()]
        if pending:
            await asyncio.wait(pending, timeout=REFLECTION_TIMEOUT_S)
        return all(fate.done() for fate in flight.fates.values())

    async def _repair(self, rest: Sequence[_Flight]) -> None:
        """Make every fate certain, take lost seats again, write again in order.

        Raises:
            Unavailable: the room cannot tell now.
        """
        room = self._room
        open_flights = [flight for flight in rest if flight.outcome is None]
        seats = {f.seat.owner: f.seat for f in open_flights if f.seat is not None}
        for seat in seats.values():
            if not await room.is_inside(seat):
                seat.joined = False
        again = [flight for flight in open_flights if _must_write(flight)]
        for flight in [one for one in again if one.attempts >= ATTEMPTS_MAX]:
            again.remove(flight)
            if _bounce(flight) is None:
                reason = f"the room {room.jid} drops this in silence: ask its owner why"
                flight.outcome = Refused(key=flight.outgoing.key, reason=reason)
        bounces = [_bounce(flight) for flight in again]
        if any(
            bounced and bounced.condition == "policy-violation" for bounced in bounces
        ):
            doubled = max(SPACING_MS_MIN, room.spacing_ms * 2)
            room.spacing_ms = min(doubled, SPACING_MS_MAX)
            await self._clock.sleep(PAUSE_MS)
        for flight in again:
            try:
                await self._seat_for(flight.outgoing)
            except SeatRefused as refused:
                flight.outcome = self._refusal(
                    flight.outgoing, refused.condition, refused.text
                )
                continue
            await self._write(flight)

    # ---- answering

    def _sent(self, flight: _Flight) -> Sent:
        key = flight.outgoing.key
        first = flight.fates[key].result()
        assert isinstance(first, Reflected), "a bounced piece is not sent"
        aliases = [NativeId(key)]
        for ident, fate in flight.fates.items():
            result = fate.result()
            if ident.endswith(SECOND) and isinstance(result, Reflected):
                aliases += [NativeId(one) for one in (ident, result.stanza_id) if one]
        person = ids.occupant(self._room.jid, first.nick, first.occupant_id)
        return Sent(
            key=key,
            native_id=NativeId(first.stanza_id or key),
            aliases=tuple(aliases),
            author=PersonId(person),
            lost=flight.lost,
        )

    def _refusal(self, outgoing: Outgoing, condition: str, text: str) -> Refused:
        who = f"{ghosts.nick(outgoing.speaker.name)} in {self._room.jid}"
        return Refused(key=outgoing.key, reason=refusals.reason(who, condition, text))


class RefusedHere(Exception):
    """A piece that can never be sent; the text is for a person."""


def _arrived(fate: "asyncio.Future[Fate] | None") -> bool:
    return fate is not None and fate.done() and isinstance(fate.result(), Reflected)


def _bounce(flight: _Flight) -> Bounced | None:
    for fate in flight.fates.values():
        if fate.done():
            result = fate.result()
            if isinstance(result, Bounced):
                return result
    return None


def _must_write(flight: _Flight) -> bool:
    """Tell whether some of a piece has not arrived and may still do so."""
    bounced = _bounce(flight)
    if bounced is not None:
        return bounced.condition in _REPAIRABLE
    return any(not fate.done() for fate in flight.fates.values())
