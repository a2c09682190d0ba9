"""Files of incoming events: into the spool, and described as content."""

from collections.abc import Sequence
from typing import Final

import structlog

from sabir.agent.backoff import Backoff
from sabir.agent.limits import MEDIA_ATTEMPTS_MAX
from sabir.agent.spool import Spool, SpooledFile
from sabir.clock import Clock
from sabir.content.meaning import Attachment
from sabir.content.model import Disposition, ExternalPart
from sabir.errors import PolicyRefused, Unavailable
from sabir.networks.api import (
    Action,
    ChatAvatarChanged,
    Connector,
    Corrected,
    DownloadsMedia,
    NativeMedia,
    Posted,
    Rng,
)

_SHA256: Final = 1
"""IANA Named Information hash algorithm sha-256."""

_log = structlog.get_logger()


def _media_of(action: Action) -> Sequence[NativeMedia]:
    match action:
        case Posted(media=media) | Corrected(media=media):
            return media
        case ChatAvatarChanged(media=NativeMedia() as media):
            return (media,)
        case _:
            return ()


class Attachments:
    """Fetches the files that actions bring."""

    def __init__(self, spool: Spool, clock: Clock, rng: Rng) -> None:
        self._spool = spool
        self._clock = clock
        self._rng = rng

    def wanted(self, action: Action) -> bool:
        """Tell whether an action brings files."""
        return bool(_media_of(action))

    async def fetch(
        self, account: str, connector: Connector, action: Action
    ) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
        """Fetch an action's files.

        Returns:
            The files that came, and a phrase for each that did not.

        Raises:
            StorageFailed: our disk failed; try again.
        """
        attachments, lost = [], []
        for media in _media_of(action):
            file = await self._fetch(account, connector, media)
            if isinstance(file, str):
                lost.append(file)
            else:
                attachments.append(_describe(media, file))
        return tuple(attachments), tuple(lost)

    async def _fetch(
        self, account: str, connector: Connector, media: NativeMedia
    ) -> SpooledFile | str:
        if not isinstance(connector, DownloadsMedia):
            return "a file, which this connector cannot fetch"
        backoff = Backoff(self._rng)
        for attempt in range(1, MEDIA_ATTEMPTS_MAX + 1):
            try:
                return await self._spool.fetch(account, connector, media)
            except PolicyRefused as error:
                return f"a file: {error}"
            except Unavailable as error:
                _log.warning("download_failed", attempt=attempt, detail=str(error))
                reason = f"a file that could not be fetched: {error}"
                if attempt == MEDIA_ATTEMPTS_MAX:
                    return reason
                await self._clock.sleep(
                    backoff.next_ms(at_least_ms=error.retry_after_ms)
                )
        raise AssertionError


def _describe(media: NativeMedia, file: SpooledFile) -> Attachment:
    part = ExternalPart(
        content_type=media.content_type,
        url=file.url,
        size=file.size,
        hash_alg=_SHA256,
        content_hash=file.sha256,
        description=media.description,
        filename=media.filename,
        disposition=Disposition.ATTACHMENT,
    )
    return Attachment(
        part=part,
        kind=media.kind,
        width=media.width,
        height=media.height,
        duration_ms=media.duration_ms,
    )
