"""Files that messages point to: sealed before upload, checked after download (7.8).

The octets at the URL are ciphertext and tag; the message says how many there are, their
SHA-256, key and nonce (D-52). Whoever keeps a file learns its length and nothing else.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import urlsplit

from sabir.content.model import Disposition, ExternalPart
from sabir.crypto.aead_streams import NONCE_OCTETS, GcmOpener, GcmSealer
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.errors import LocalError, PeerIncompatible, PolicyRefused
from sabir.mimi.components.asset_policy import (
    AssetPolicy,
    DownloadKind,
    UploadLocation,
)
from sabir.mimi.genesis import ASSET_OCTETS_MAX
from sabir.mls.components import MediaType
from sabir.wire.errors import Malformed

AES_128_GCM: Final = 1
AES_256_GCM: Final = 2
"""IANA AEAD numbers."""
SHA_256: Final = 1
"""IANA Named Information hash algorithm."""

_KEY_OCTETS: Final = {AES_128_GCM: 16, AES_256_GCM: 32}
_WAYS: Final = {DownloadKind.DIRECT: "direct", DownloadKind.HUB_PROXY: "hub"}
_LOCAL: Final = "local"


class AssetRefused(PolicyRefused):
    """The room's policy for files forbids this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPermit:
    """A file may be fetched.

    Attributes:
        ways: for the parameter `via` of our provider, the best first.
        octets_max: at the URL; more is not what was allowed.
    """

    ways: tuple[str, ...]
    octets_max: int


# ---- what a room allows


def check_kind(policy: AssetPolicy | None, content_type: str, size: int) -> int:
    """Check type and size of a file, before it is uploaded or fetched.

    Args:
        policy: of the room; None: it has none.
        content_type: as the message says, with parameters.
        size: octets at the URL, 0 = unknown.

    Returns:
        How many octets it may have.

    Raises:
        AssetRefused: too large, or of a type that is forbidden or not permitted.
    """
    name, parameters = _media_type(content_type)
    octets_max = ASSET_OCTETS_MAX
    if policy is not None:
        octets_max = min(octets_max, _limit(policy, name))
        forbidden = policy.forbidden_media_types
        permitted = policy.permitted_media_types
        if any(_covers(each, name, parameters) for each in forbidden) or (
            permitted is not None
            and not any(_covers(each, name, parameters) for each in permitted)
        ):
            raise AssetRefused(f"files of type {name} are not allowed in this room")
    if size > octets_max:
        raise AssetRefused(
            f"the file has {size} octets, this room allows {octets_max}; send it"
            " smaller, or have the room's policy changed"
        )
    return octets_max


def check_asset(
    part: ExternalPart,
    policy: AssetPolicy | None,
    *,
    provider: str,
    hub: str,
    direct_agreed: bool = False,
) -> AssetPermit:
    """Check a file before it is fetched.

    Args:
        part: what the message says.
        policy: of the room; None: it has none, and the hub's own rules must do.
        provider: domain of the sender.
        hub: domain of the room's hub.
        direct_agreed: the user agrees that the host of the file sees who fetches it.

    Raises:
        AssetRefused: see `check_kind`; no https, a host that the policy does not name
            for the sender's provider, or no way of download that we have.
        PeerIncompatible: sealed or hashed in a way that we do not know.
    """
    _check_algorithms(part)
    host = _host(part.url)
    octets_max = check_kind(policy, part.content_type, part.size)
    if policy is None:
        return AssetPermit(ways=(_LOCAL, "hub"), octets_max=octets_max)
    if host not in _hosts(policy, provider=provider, hub=hub):
        raise AssetRefused(f"files of {provider} may not be kept at {host}")
    ways = _ways(policy, direct_agreed=direct_agreed)
    if not ways:
        raise AssetRefused("the room allows no way of download that Sabir has")
    return AssetPermit(ways=(_LOCAL, *ways), octets_max=octets_max)


def _hosts(policy: AssetPolicy, *, provider: str, hub: str) -> frozenset[str]:
    match policy.location:
        case UploadLocation.LOCAL_PROVIDER:
            hosts: Iterable[str] = policy.destinations_of(provider)
        case UploadLocation.HUB:
            hosts = policy.destinations_of(hub)
        case _:
            hosts = (
                host for entry in policy.upload_domains for host in entry.destinations
            )
    return frozenset(hosts)


def _ways(policy: AssetPolicy, *, direct_agreed: bool) -> tuple[str, ...]:
    privacy = policy.download_privacy
    found = []
    for kind in dict.fromkeys((privacy.default, *privacy.allowed)):
        allowed = kind in privacy.allowed and kind not in privacy.forbidden
        agreed = kind != DownloadKind.DIRECT or direct_agreed
        if allowed and agreed and kind in _WAYS:
            found.append(_WAYS[DownloadKind(kind)])
    return tuple(found)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme != "https" or not host or "@" in parts.netloc:
        raise AssetRefused("a file is fetched only from an https URL")
    return host


def _limit(policy: AssetPolicy, name: str) -> int:
    match name.partition("/")[0]:
        case "image":
            return policy.max_image
        case "audio":
            return policy.max_audio
        case "video":
            return policy.max_video
        case _:
            return policy.max_attachment


def _media_type(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    name, *rest = text.split(";")
    parameters = set()
    for each in rest:
        key, _, value = each.partition("=")
        parameters.add((key.strip().lower(), value.strip().strip('"').lower()))
    return name.strip().lower() or "application/octet-stream", frozenset(parameters)


def _covers(
    listed: MediaType, name: str, parameters: frozenset[tuple[str, str]]
) -> bool:
    """Tell whether a type of a policy is that of a file, or more general."""
    if listed.name.decode("latin-1").lower() != name:
        return False
    return all(
        (key.decode("latin-1").lower(), value.decode("latin-1").lower()) in parameters
        for key, value in listed.parameters
    )


# ---- sealing


@final
class AssetSealer:
    """Encrypts one file while it is uploaded; key and nonce are its own.

    Args:
        rng: random octets.
    """

    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self._key = rng(_KEY_OCTETS[AES_128_GCM])
        self._nonce = rng(NONCE_OCTETS)
        self._cipher = GcmSealer(self._key, self._nonce)
        self._hash = hashlib.sha256()
        self._finished = False
        self.size = 0

    def update(self, plaintext: bytes) -> bytes:
        """Return the next octets for the URL."""
        return self._count(self._cipher.update(plaintext))

    def finish(self) -> bytes:
        """Return the last octets for the URL."""
        self._finished = True
        return self._count(self._cipher.finish())

    @property
    def sha256(self) -> bytes:
        """Return the SHA-256 of all octets until now."""
        return self._hash.digest()

    def describe(
        self,
        url: str,
        content_type: str,
        *,
        expires_s: int = 0,
        filename: str = "",
        description: str = "",
        disposition: int = Disposition.ATTACHMENT,
    ) -> ExternalPart:
        """Return what a message says about the uploaded file.

        Args:
            url: where our provider put it.
            content_type: of the plaintext.
            expires_s: when it is no longer there, seconds since 1970; 0 = never.
            filename: for people.
            description: for people.
            disposition: how it is shown.

        Raises:
            LocalError: `finish` was not called.
        """
        if not self._finished:
            raise LocalError("finish() comes before describe()")
        return ExternalPart(
            content_type=content_type,
            url=url,
            expires=expires_s,
            size=self.size,
            enc_alg=AES_128_GCM,
            key=self._key,
            nonce=self._nonce,
            hash_alg=SHA_256,
            content_hash=self.sha256,
            description=description,
            filename=filename,
            disposition=disposition,
        )

    def _count(self, octets: bytes) -> bytes:
        self._hash.update(octets)
        self.size += len(octets)
        return octets


# ---- opening


def open_asset(
    part: ExternalPart, read: Callable[[], Iterable[bytes]], *, octets_max: int
) -> Iterator[bytes]:
    """Decrypt a downloaded file; nothing comes out before all of it is verified.

    Args:
        part: what the message says.
        read: opens the downloaded octets from their beginning; called three times, to
            hash, to authenticate, and to decrypt what is known to be good.
        octets_max: of the permit.

    Yields:
        The plaintext, in pieces.

    Raises:
        AssetRefused: more octets than allowed.
        Malformed: MIMI-310 size or hash is not what the message says; MIMI-311 the
            tag does not fit.
        PeerIncompatible: sealed or hashed in a way that we do not know.
    """
    _check_algorithms(part)
    _check_octets(part, read(), octets_max)
    for _ in _decrypted(part, read()):
        pass
    yield from _decrypted(part, read())


def _check_algorithms(part: ExternalPart) -> None:
    if part.enc_alg and part.enc_alg not in _KEY_OCTETS:
        raise PeerIncompatible(f"files sealed with AEAD {part.enc_alg} are not known")
    if part.hash_alg not in {0, SHA_256}:
        raise PeerIncompatible(f"the hash algorithm {part.hash_alg} is not known")


def _check_octets(part: ExternalPart, chunks: Iterable[bytes], octets_max: int) -> None:
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
        if size > octets_max:
            raise AssetRefused(f"the file has more than {octets_max} octets")
    if part.size and size != part.size:
        raise Malformed("MIMI-310", f"{size} octets, not {part.size}")
    if part.hash_alg and digest.digest() != part.content_hash:
        raise Malformed("MIMI-310", "another hash")


def _decrypted(part: ExternalPart, chunks: Iterable[bytes]) -> Iterator[bytes]:
    if not part.enc_alg:
        yield from chunks
        return
    try:
        if len(part.key) != _KEY_OCTETS[part.enc_alg]:
            raise BadKey(f"{len(part.key)} octets are no key")
        opener = GcmOpener(part.key, part.nonce, part.aad)
        for chunk in chunks:
            yield opener.update(chunk)
        opener.finish()
    except (BadKey, OpenFailed) as wrong:
        raise Malformed("MIMI-311", str(wrong)) from wrong
