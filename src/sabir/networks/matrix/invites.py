"""Invitations of the bot and of ghosts: kept until the room is entered."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from sabir.clock import Clock
from sabir.errors import PeerMisbehaved, Unavailable
from sabir.networks.api import ChatId, Host
from sabir.networks.matrix.client import Client, Rejected, Voice
from sabir.networks.matrix.config import AppServiceConfig
from sabir.networks.matrix.envelope import Json, content_of
from sabir.networks.matrix.ghosts import DEVICE_ID

INVITES_MAX: Final = 1_000
"""Invitations waiting to be accepted; beyond, the oldest must be repeated."""
INVITE_TRIES_MAX: Final = 5
"""A room whose servers are gone for so long is not worth another request."""
INVITE_PAUSE_MS: Final = 60_000
"""Between two tries to enter a room."""
INVITES_FACT: Final = "invites"
"""Where invitations wait over a restart: the bot of a service has no `/sync`."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Invite:
    """Somebody of ours is asked into a room."""

    room: ChatId
    user: str


@dataclass(slots=True)
class _Tries:
    """How often a room was not to be entered, and when the next try is due."""

    count: int = 0
    due_at: float = 0.0
    """Monotonic, in ms."""


class Invitations:
    """Those not accepted yet."""

    def __init__(self, config: AppServiceConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._waiting: dict[Invite, _Tries] = {}

    async def load(self, host: Host) -> None:
        """Take what waited over a restart."""
        for room, user, *tries in json.loads(await host.recall(INVITES_FACT) or "[]"):
            self._waiting[Invite(ChatId(room), user)] = _Tries(*tries)

    def of(self, event: Json) -> Iterator[Invite]:
        """Yield the invitation of one of ours that an event is."""
        membership = content_of(event).get("membership")
        if event["type"] != "m.room.member" or membership != "invite":
            return
        user = event.get("state_key")
        if isinstance(user, str) and self._config.is_ours(user):
            yield Invite(ChatId(event["room_id"]), user)

    async def add(self, invites: Iterable[Invite], host: Host) -> None:
        """Keep invitations; durable on return."""
        self._waiting |= {invite: _Tries() for invite in invites}
        await self._remember(host)

    async def accept_due(self, client: Client, host: Host) -> None:
        """Enter the rooms whose turn it is; none of them ends the connection."""
        for invite, tries in list(self._waiting.items()):
            if self._clock.monotonic_ms() < tries.due_at:
                continue
            try:
                await self._accept(client, invite)
            except (Unavailable, PeerMisbehaved) as failure:
                self._put_off(invite, tries, failure)
            else:
                self._end(invite, tries)
            await self._remember(host)

    async def _remember(self, host: Host) -> None:
        while len(self._waiting) > INVITES_MAX:
            dropped = next(iter(self._waiting))
            _log.warning("invite_dropped", room=dropped.room)
            del self._waiting[dropped]
        waiting = [
            [invite.room, invite.user, tries.count]
            for invite, tries in self._waiting.items()
        ]
        await host.remember(INVITES_FACT, json.dumps(waiting))

    def _put_off(
        self, invite: Invite, tries: _Tries, failure: Unavailable | PeerMisbehaved
    ) -> None:
        """Try again later what was not answered, but not for ever.

        A limit on our rate is no failed try: the room was not even asked for.
        """
        wait_ms = failure.retry_after_ms if isinstance(failure, Unavailable) else None
        if wait_ms is None:
            tries.count += 1
        tries.due_at = self._clock.monotonic_ms() + (wait_ms or INVITE_PAUSE_MS)
        if tries.count < INVITE_TRIES_MAX:
            _log.info("invite_put_off", room=invite.room, tries=tries.count)
        else:
            _log.warning("invite_dropped", room=invite.room, reason=str(failure))
            self._end(invite, tries)

    def _end(self, invite: Invite, tries: _Tries) -> None:
        """Forget an invitation, unless it was repeated meanwhile."""
        if self._waiting.get(invite) is tries:
            del self._waiting[invite]

    async def _accept(self, client: Client, invite: Invite) -> None:
        """Enter a room; a ghost that was asked brings the bot with it."""
        bot = self._config.bot_id
        try:
            voice = Voice.ghost(invite.user)
            await client.join(invite.room, voice=voice)
            if invite.user != bot:
                await client.invite(invite.room, bot, voice=voice)
                await client.join(invite.room, voice=Voice.ghost(bot, DEVICE_ID))
        except Rejected as no:
            _log.info("invite_not_accepted", room=invite.room, errcode=no.errcode)
