"""Files between networks and rooms at a provider: from the spool, and into it."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from sabir.agent.membership.files import DiskFile, Files
from sabir.agent.membership.session import RoomSession
from sabir.agent.spool import Spool, SpooledFile
from sabir.content import codec, ids
from sabir.content.model import (
    PLAIN_TEXT,
    ExternalPart,
    MessageId,
    MultiPart,
    Part,
    SinglePart,
)
from sabir.errors import PeerIncompatible, PeerMisbehaved, PolicyRefused
from sabir.networks.api import NativeMedia
from sabir.storage.membership import Memberships
from sabir.storage.records import NewEntry, RoomId

_SOURCE: Final = "mimi"
"""Where the spool notes that these files are from, in place of an account."""
_HTTPS: Final = "https:"

_log = structlog.get_logger()


class PortalFiles:
    """Brings files over.

    Args:
        files: of rooms.
        storage: says who sent an entry.
        spool: where files of networks are.
        find: the session of a room; raises `NotInRoom`.
        user: our URI.
    """

    def __init__(
        self,
        files: Files,
        storage: Memberships,
        spool: Spool,
        find: Callable[[RoomId], RoomSession],
        user: str,
    ) -> None:
        self._files = files
        self._storage = storage
        self._spool = spool
        self._find = find
        self._user = user

    # ---- into the room

    async def uploaded(self, room: RoomId, new: NewEntry) -> NewEntry:
        """Return an entry whose files everybody in the room can fetch.

        A file that the room or the provider refuses is named in its place.

        Raises:
            Unavailable: the provider does not answer; ask again.
            StorageFailed: our disk.
        """
        content = codec.decode(new.content)
        body = await self._with_uploads(room, content.body)
        if body is content.body:
            return new
        octets = codec.encode(replace(content, body=body))
        entry = ids.message_id(self._user, room, octets, content.salt)
        return replace(new, entry=entry, content=octets)

    async def _with_uploads(self, room: RoomId, part: Part) -> Part:
        if isinstance(part, MultiPart):
            parts = tuple([await self._with_uploads(room, each) for each in part.parts])
            return part if parts == part.parts else replace(part, parts=parts)
        if not isinstance(part, ExternalPart):
            return part
        file = self._spool.find(part.url)
        return part if file is None else await self._upload(room, part, file)

    async def _upload(
        self, room: RoomId, part: ExternalPart, file: SpooledFile
    ) -> Part:
        try:
            there = await self._files.upload(
                self._find(room),
                file,
                content_type=part.content_type,
                filename=part.filename,
                description=part.description,
            )
        except PolicyRefused as error:
            _log.info("file_refused", room=room, detail=str(error))
            words = f"[{part.filename or 'a file'}: {error}]"
            return SinglePart(content_type=PLAIN_TEXT, content=words.encode())
        return replace(there, disposition=part.disposition, language=part.language)

    # ---- out of it

    async def bring(
        self, room: RoomId, entry: MessageId, part: ExternalPart
    ) -> SpooledFile | None:
        """Bring a file of an entry into the spool; None where that cannot be.

        Raises:
            Unavailable: somebody does not answer; ask again.
            StorageFailed: our disk.
        """
        origins = await self._storage.provenance([entry])
        origin = origins.get(entry)
        if origin is None or not part.url.startswith(_HTTPS):
            return None
        source = _Source(self._files, self._find(room), part, origin.sender)
        # Another message may name the same URL with another key.
        secret = hashlib.sha256(part.key + part.nonce + part.content_hash).hexdigest()
        media = NativeMedia(
            handle=f"{part.url} {secret}",
            content_type=part.content_type,
            size=part.size or None,
        )
        try:
            return await self._spool.fetch(_SOURCE, source, media)
        except (PolicyRefused, PeerMisbehaved, PeerIncompatible) as error:
            _log.info("file_refused", room=room, detail=str(error))
            return None


class _Source:
    """Implements `DownloadsMedia` for one file of a room."""

    def __init__(
        self, files: Files, session: RoomSession, part: ExternalPart, sender: str
    ) -> None:
        self._files = files
        self._session = session
        self._part = part
        self._sender = sender

    async def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """See `DownloadsMedia.download`."""
        del handle
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "file"
            size = await self._files.download(
                self._session, self._part, self._sender, target
            )
            if size > octets_max:
                raise PolicyRefused(f"the file has {size} octets, {octets_max=}")
            async for chunk in DiskFile(target).chunks():
                yield chunk
