"""Files in rooms: sealed before they leave, verified before anybody sees them (7.8).

What lies on a disk on the way is ciphertext, in files without a name.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from sabir.agent.membership.ledger import Around
from sabir.agent.membership.session import RoomSession
from sabir.content.model import ExternalPart
from sabir.errors import StorageFailed
from sabir.mimi.components.asset_policy import AssetPolicy
from sabir.mimi.member.assets import (
    AssetSealer,
    check_asset,
    check_kind,
    open_asset,
)
from sabir.mimi.uris import domain_of
from sabir.networks.api import MediaReader

CHUNK_OCTETS: Final = 64 * 1024
TAG_OCTETS: Final = 16
"""What sealing adds."""

_PART: Final = ".part"


class DiskFile:
    """A file of the owner's (a `MediaReader` without its hash)."""

    def __init__(self, path: Path) -> None:
        """Look at a file.

        Raises:
            StorageFailed: it cannot be read.
        """
        self._path = path
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file in pieces.

        Raises:
            StorageFailed: it cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_OCTETS):
                    yield chunk
        except OSError as error:
            raise StorageFailed(f"{self._path}: {error.strerror}") from error


class Files:
    """Brings files to the provider and back."""

    def __init__(self, around: Around) -> None:
        self._around = around

    async def upload(
        self,
        session: RoomSession,
        file: "DiskFile | MediaReader",
        *,
        content_type: str,
        filename: str = "",
        description: str = "",
    ) -> ExternalPart:
        """Seal a file and bring it to our provider.

        Args:
            session: of the room that it is for.
            file: to be read once.
            content_type: of the file.
            filename: for people.
            description: for people.

        Returns:
            What a message says of it.

        Raises:
            AssetRefused: the room does not allow it.
            ApiRefused: the provider does not take it.
            Unavailable: the provider does not answer.
            StorageFailed: our disk.
        """
        check_kind(await self._policy(session), content_type, file.size + TAG_OCTETS)
        sealer = AssetSealer(self._around.rng)
        with tempfile.TemporaryFile() as sealed:
            try:
                async for chunk in file.chunks():
                    sealed.write(sealer.update(chunk))
                sealed.write(sealer.finish())
                sealed.flush()
            except OSError as error:
                raise StorageFailed(f"temporary file: {error.strerror}") from error
            key = f"file-{sealer.sha256.hex()[:32]}"
            stored = await self._around.api.upload(sealed, sealer.size, key)
        return sealer.describe(
            stored.url,
            content_type,
            expires_s=stored.expires_ms // 1_000,
            filename=filename,
            description=description,
        )

    async def download(
        self, session: RoomSession, part: ExternalPart, sender: str, target: Path
    ) -> int:
        """Fetch a file of a message, and write it once all of it is verified.

        Args:
            session: of the room.
            part: of the message.
            sender: URI of the message's sender.
            target: where it goes; replaced if it is there.

        Returns:
            How many octets it has.

        Raises:
            AssetRefused: the room does not allow it.
            Malformed: MIMI-310, MIMI-311, it is another file than the message says.
            PeerIncompatible: sealed in a way that we do not know.
            ApiRefused: the provider cannot get it.
            Unavailable: somebody does not answer.
            StorageFailed: our disk.
        """
        permit = check_asset(
            part,
            await self._policy(session),
            provider=domain_of(sender),
            hub=domain_of(session.room),
        )
        with tempfile.TemporaryFile() as sealed:
            await self._around.api.download(
                part.url,
                permit.ways,
                domain_of(session.room),
                sealed,
                octets_max=permit.octets_max,
            )
            try:
                return await asyncio.to_thread(
                    _open_into, target, part, sealed, permit.octets_max
                )
            except OSError as error:
                raise StorageFailed(f"{target}: {error.strerror}") from error

    async def _policy(self, session: RoomSession) -> AssetPolicy | None:
        async with session.ledger.turn() as member:
            return member.room.asset_policy


def _open_into(
    target: Path, part: ExternalPart, sealed: BinaryIO, octets_max: int
) -> int:
    """Decrypt into a file; nothing is there before all is verified."""
    beside = target.with_name(target.name + _PART)
    size = 0
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in open_asset(part, reader_of(sealed), octets_max=octets_max):
                file.write(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return size


def reader_of(sealed: BinaryIO) -> Callable[[], Iterator[bytes]]:
    """Return what opens a file from its beginning, in pieces."""

    def read() -> Iterator[bytes]:
        sealed.seek(0)
        while chunk := sealed.read(CHUNK_OCTETS):
            yield chunk

    return read
