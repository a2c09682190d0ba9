"""Who speaks for whom in an application service: a ghost for each person."""

import structlog

from sabir.content.pieces import JoinPiece, LeavePiece, ProfilePiece
from sabir.networks.api import ChatId, Outgoing, Speaker
from sabir.networks.matrix.client import Client, Rejected, Voice
from sabir.networks.matrix.config import AppServiceConfig
from sabir.networks.matrix.envelope import Member
from sabir.networks.matrix.ghosts import DEVICE_ID, Ghosts
from sabir.networks.matrix.media import upload
from sabir.networks.matrix.rooms import RoomBook

_log = structlog.get_logger(__name__)


class GhostCast:
    """Everybody speaks as their own ghost; the bot manages."""

    def __init__(
        self,
        config: AppServiceConfig,
        client: Client,
        ghosts: Ghosts,
        book: RoomBook,
        bot: Voice,
    ) -> None:
        self._config = config
        self._client = client
        self._ghosts = ghosts
        self._book = book
        self.manager = bot

    async def speaker(self, outgoing: Outgoing) -> Voice:
        """Return the author's ghost, which is in the room then."""
        voice = await self._ghosts.ready(outgoing.speaker)
        await self._enter(outgoing.chat, voice, outgoing.speaker.name)
        return voice

    async def _enter(self, room: ChatId, voice: Voice, name: str) -> None:
        if not self._book.is_loaded(room):
            await self._book.load(self._client, room, voice=self.manager)
        if self._book.member(room, voice.user_id) is not None:
            return
        try:
            await self._client.invite(room, voice.user_id, voice=self.manager)
        except Rejected as no:
            # Invited already, or the bot may not invite: a public room needs none.
            _log.debug("ghost_not_invited", room=room, errcode=no.errcode)
        await self._client.join(room, voice=voice)
        self._book.joined(room, voice.user_id, Member(name))

    def author(self, user: str) -> Voice | None:
        """Return the ghost that wrote an earlier event; None if it was nobody's."""
        return Voice.ghost(user, DEVICE_ID) if self._config.is_ours(user) else None

    async def appear(self, outgoing: Outgoing) -> Voice | None:
        """Let a ghost enter, leave, or change its profile; None for other pieces."""
        match outgoing.piece:
            case JoinPiece():
                return await self.speaker(outgoing)
            case LeavePiece(reason=reason):
                return await self._leave(outgoing, reason)
            case ProfilePiece():
                return await self._show_profile(outgoing, outgoing.piece)
            case _:
                return None

    async def _leave(self, outgoing: Outgoing, reason: str) -> Voice:
        room = outgoing.chat
        voice = Voice.ghost(self._ghosts.user_id(outgoing.speaker.uri), DEVICE_ID)
        if not self._book.is_loaded(room):
            await self._book.load(self._client, room, voice=self.manager)
        if self._book.member(room, voice.user_id) is not None:
            await self._client.leave(room, reason=reason, voice=voice)
            self._book.left(room, voice.user_id)
        return voice

    async def _show_profile(self, outgoing: Outgoing, piece: ProfilePiece) -> Voice:
        speaker = outgoing.speaker
        renamed = Speaker(uri=speaker.uri, name=piece.name, network=speaker.network)
        voice = await self._ghosts.ready(renamed)
        if piece.avatar is not None and outgoing.media is not None:
            mxc = await upload(
                self._client, outgoing.media, attachment=piece.avatar, octets_max=None
            )
            await self._client.set_profile("avatar_url", mxc, voice=voice)
        return voice

    async def recover(self, outgoing: Outgoing, no: Rejected) -> bool:
        """Start over with a ghost that was removed, or that the server forgot."""
        if no.errcode not in {"M_FORBIDDEN", "M_UNKNOWN_DEVICE"}:
            return False
        await self._ghosts.forget(outgoing.speaker.uri)
        self._book.left(outgoing.chat, self._ghosts.user_id(outgoing.speaker.uri))
        return True
