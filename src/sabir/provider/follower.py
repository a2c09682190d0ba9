"""notify: what hubs send us, stored before it is acknowledged (7.4, follower)."""

from http import HTTPStatus

from sabir.clock import Instant
from sabir.mimi.follower import body_digest, read_notification, welcomed
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.fanout import FanoutMessage
from sabir.mls.framing import PrivateMessage
from sabir.mls.welcome import Welcome
from sabir.provider.core import Core
from sabir.provider.federation import Call
from sabir.provider.http import Answer
from sabir.provider.key_material import DEVICE_REFS
from sabir.storage.provider.records import EventKind, NewMessage, NewNotification


class Follower:
    """Takes what hubs send into the streams of our devices."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def notify(self, call: Call) -> Answer:
        """Store a body; answer when it is on the disk.

        Raises:
            Malformed: it does not decode; nothing was stored.
            Problem: ROOM_GONE, nobody here is in the room; as `read_notification`.
        """
        core = self._core
        digest = body_digest(call.source, call.body)
        if not await core.store.was_taken(digest):
            messages = read_notification(call.source, call.about, call.body)
            new = [await self._addressed(message) for message in messages]
            await self._check_wanted(call.about, new)
            spread = await core.store.take_notification(
                NewNotification(
                    room=call.about,
                    hub=call.source,
                    digest=digest,
                    messages=tuple(new),
                ),
                now=core.clock.now(),
            )
            core.spread(spread)
        return Answer(status=HTTPStatus.CREATED)

    async def _addressed(self, message: FanoutMessage) -> NewMessage:
        devices = None
        refs = welcomed(message)
        if refs is not None:
            routes = await self._core.store.routes(
                DEVICE_REFS, refs, now=self._core.clock.now()
            )
            devices = frozenset(routes.values())
        return NewMessage(
            accepted_at=Instant(message.accepted_at),
            digest=message.digest,
            kind=kind_of(message),
            octets=message.raw,
            only_devices=devices,
        )

    async def _check_wanted(self, room: str, messages: list[NewMessage]) -> None:
        """Refuse a room that nobody here is in.

        Raises:
            Problem: ROOM_GONE; the hub stops until it has a Welcome for us.
        """
        if any(message.only_devices for message in messages):
            return
        if not await self._core.store.attached(room):
            raise Problem(ProblemCode.ROOM_GONE)


def kind_of(message: FanoutMessage) -> EventKind:
    """Return what our devices are told it is."""
    match message.message.body:
        case PrivateMessage():
            return EventKind.MESSAGE
        case Welcome():
            return EventKind.WELCOME
        case _:
            return EventKind.HANDSHAKE
