"""Component 0x002C, where attachments are kept (room-policy-04 section 6.4)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sabir.mimi.components.fields import read_text, text
from sabir.mls.components import MediaType, encode_media_types, read_media_type
from sabir.wire import tls
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader

DOMAIN_OCTETS_MAX: Final = 253
"""Octets of a DNS name."""

PROVIDERS_MAX: Final = 4_096
"""Providers of one room."""

_LIST_MAX: Final = 1_024
"""Asset domains of a provider, media types, kinds of download."""


class UploadLocation(IntEnum):
    """Where members put what they attach; other numbers are kept."""

    UNSPECIFIED = 0
    LOCAL_PROVIDER = 1
    HUB = 2


class DownloadKind(IntEnum):
    """How members get it; other numbers are kept."""

    DIRECT = 0
    HUB_PROXY = 1
    OHTTP = 2


@dataclass(frozen=True, slots=True)
class UploadDomains:
    """A provider, and the hosts at which its users' attachments lie."""

    provider: str
    destinations: tuple[str, ...]

    def encode(self) -> bytes:
        """Write the `ProviderAssetUploadDomains`."""
        return text(self.provider) + tls.vector(map(text, self.destinations))


@dataclass(frozen=True, slots=True)
class DownloadPrivacy:
    """The `DownloadPrivacy`: which ways of download there are."""

    allowed: tuple[int, ...] = (DownloadKind.HUB_PROXY,)
    forbidden: tuple[int, ...] = ()
    default: int = DownloadKind.HUB_PROXY

    def encode(self) -> bytes:
        """Write the `DownloadPrivacy`."""
        return (
            tls.vector(map(tls.uint8, self.allowed))
            + tls.vector(map(tls.uint8, self.forbidden))
            + tls.uint8(self.default)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPolicy:
    """The `AssetPolicy`. An update replaces all of it.

    Attributes:
        location: where uploads go, an `UploadLocation` or a number of later times.
        upload_domains: by provider, each once.
        download_privacy: which ways of download there are.
        max_image: octets.
        max_audio: octets.
        max_video: octets.
        max_attachment: octets.
        forbidden_media_types: never.
        permitted_media_types: only these; None where all are.
    """

    location: int = UploadLocation.LOCAL_PROVIDER
    upload_domains: tuple[UploadDomains, ...] = ()
    download_privacy: DownloadPrivacy = DownloadPrivacy()
    max_image: int
    max_audio: int
    max_video: int
    max_attachment: int
    forbidden_media_types: tuple[MediaType, ...] = ()
    permitted_media_types: tuple[MediaType, ...] | None = None

    def destinations_of(self, provider: str) -> tuple[str, ...]:
        """Return the hosts of a provider's attachments, none where it has no entry."""
        for entry in self.upload_domains:
            if entry.provider == provider:
                return entry.destinations
        return ()

    def encode(self) -> bytes:
        """Write the `AssetPolicy`."""
        permitted = self.permitted_media_types
        return (
            tls.uint8(self.location)
            + tls.vector(entry.encode() for entry in self.upload_domains)
            + self.download_privacy.encode()
            + tls.uint64(self.max_image)
            + tls.uint64(self.max_audio)
            + tls.uint64(self.max_video)
            + tls.uint64(self.max_attachment)
            + encode_media_types(self.forbidden_media_types)
            + tls.optional(None if permitted is None else encode_media_types(permitted))
        )


def _read_domain(reader: Reader) -> str:
    return read_text(reader, DOMAIN_OCTETS_MAX)


def _read_upload_domains(reader: Reader) -> UploadDomains:
    return UploadDomains(
        _read_domain(reader), reader.vector(_read_domain, count_max=_LIST_MAX)
    )


def _read_download_privacy(reader: Reader) -> DownloadPrivacy:
    return DownloadPrivacy(
        reader.vector(Reader.uint8, count_max=_LIST_MAX),
        reader.vector(Reader.uint8, count_max=_LIST_MAX),
        reader.uint8(),
    )


def _read_permitted(reader: Reader) -> tuple[MediaType, ...]:
    found = reader.vector(read_media_type, count_max=_LIST_MAX)
    if not found:
        raise Malformed("MIMI-112", "no media type is permitted")
    return found


def read_asset_policy(reader: Reader) -> AssetPolicy:
    """Take an `AssetPolicy` (D-40: permitted types are an optional list).

    Raises:
        Malformed: MIMI-100, MIMI-112 a provider twice, or a list of permitted types
            that is empty.
    """
    location = reader.uint8()
    entries = reader.vector(_read_upload_domains, count_max=PROVIDERS_MAX)
    if len({entry.provider for entry in entries}) < len(entries):
        raise Malformed("MIMI-112", f"{len(entries)} entries, a provider twice")
    return AssetPolicy(
        location=location,
        upload_domains=entries,
        download_privacy=_read_download_privacy(reader),
        max_image=reader.uint64(),
        max_audio=reader.uint64(),
        max_video=reader.uint64(),
        max_attachment=reader.uint64(),
        forbidden_media_types=reader.vector(read_media_type, count_max=_LIST_MAX),
        permitted_media_types=reader.optional(_read_permitted),
    )


def decode_asset_policy(data: bytes) -> AssetPolicy:
    """Read a whole `AssetPolicy`."""
    return tls.read_whole(data, read_asset_policy)
