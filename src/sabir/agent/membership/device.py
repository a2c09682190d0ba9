"""Our device at a provider: its keys, its tokens, and the MLS client made of them."""

from dataclasses import dataclass, field, replace
from typing import Final

from sabir.agent.membership.vault import Vault
from sabir.clock import Instant
from sabir.crypto.secrets import Secret
from sabir.crypto.signatures import signature_key_pair
from sabir.crypto.suites import SUITES
from sabir.errors import PeerMisbehaved, PolicyRefused
from sabir.mimi.agent_api.registration import DeviceAnswer, TokenAnswer
from sabir.mimi.client_settings import SUITE, room_client, room_services
from sabir.mimi.uris import Kind, parse_uri, user_of
from sabir.mls.client import Identity, MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.psk_ids import PreSharedKeyID
from sabir.networks.api import Rng
from sabir.storage.membership import HomeRecord
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, read_whole, uint64

_SIGNATURE: Final = b"signature key"
_TOKENS: Final = b"tokens"


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """The signature key of our device."""

    private: Secret
    public: bytes

    @classmethod
    def generate(cls, rng: Rng) -> "DeviceKey":
        """Make one."""
        suite = SUITES[SUITE]
        private, public = signature_key_pair(suite, rng(suite.signature.private_octets))
        return cls(Secret(private), public)

    def sealed(self, vault: Vault) -> bytes:
        """Seal it for the store."""
        octets = opaque(self.private.reveal()) + opaque(self.public)
        return vault.seal(_SIGNATURE, octets)

    @classmethod
    def open(cls, vault: Vault, sealed: bytes) -> "DeviceKey":
        """Take it from the store. Raises as `Vault.open`."""
        return read_whole(
            vault.open(_SIGNATURE, sealed),
            lambda reader: cls(Secret(reader.opaque()), reader.opaque()),
        )


@dataclass(frozen=True, slots=True)
class Tokens:
    """By what the provider knows our device."""

    access: Secret = field(repr=False)
    refresh: Secret = field(repr=False)
    expires_at: Instant

    def sealed(self, vault: Vault) -> bytes:
        """Seal them for the store."""
        octets = (
            opaque(self.access.reveal())
            + opaque(self.refresh.reveal())
            + uint64(self.expires_at)
        )
        return vault.seal(_TOKENS, octets)

    @classmethod
    def open(cls, vault: Vault, sealed: bytes) -> "Tokens":
        """Take them from the store. Raises as `Vault.open`."""
        return read_whole(vault.open(_TOKENS, sealed), _read_tokens)

    @classmethod
    def of(cls, answer: DeviceAnswer) -> "Tokens":
        """Take them from the provider's answer."""
        return cls(
            Secret.from_text(answer.token),
            Secret.from_text(answer.refresh_token),
            Instant(answer.token_expires_ms),
        )

    def renewed(self, answer: TokenAnswer) -> "Tokens":
        """Return them with a new access token."""
        expires_at = Instant(answer.token_expires_ms)
        return Tokens(Secret.from_text(answer.token), self.refresh, expires_at)


NO_TOKENS: Final = Tokens(Secret(b""), Secret(b""), Instant(0))
"""Before the provider has answered."""


def _read_tokens(reader: Reader) -> Tokens:
    return Tokens(
        Secret(reader.opaque()), Secret(reader.opaque()), Instant(reader.uint64())
    )


def registered_home(
    home: HomeRecord, key: DeviceKey, answer: DeviceAnswer, vault: Vault
) -> HomeRecord:
    """Return our device as the provider has registered it.

    Raises:
        PeerMisbehaved: MIMI-390, it is another provider's, or not with the credential
            that our leaves will have.
    """
    try:
        device = parse_uri(answer.device_uri, Kind.DEVICE)
        owner = user_of(answer.device_uri)
    except Malformed as wrong:
        raise PeerMisbehaved("MIMI-390", f"device URI, rule {wrong.rule}") from wrong
    credential = BasicCredential(answer.device_uri.encode("ascii"))
    if answer.credential != credential.encode():
        raise PeerMisbehaved("MIMI-390", "another credential than the device's URI")
    if owner != answer.user or device.domain != home.domain:
        raise PeerMisbehaved("MIMI-390", "a device of another user or provider")
    return replace(
        home,
        user=answer.user,
        device=answer.device_uri,
        signature=key.sealed(vault),
        tokens=Tokens.of(answer).sealed(vault),
    )


class _NoPsks:
    """Rooms of phase 1 have no pre-shared keys."""

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        del psk_id
        return None


def client_of_home(home: HomeRecord, vault: Vault) -> MlsClient:
    """Return our MLS client.

    Raises:
        PolicyRefused: the device is not registered yet.
        KeyDoesNotFit, SealBroken: as `Vault.open`.
    """
    if not home.device:
        raise PolicyRefused(
            f"the device is not registered at {home.domain}; run `sabir home join`"
        )
    key = DeviceKey.open(vault, home.signature)
    credential = BasicCredential(home.device.encode("ascii"))
    identity = Identity(SUITES[SUITE], credential, key.public, key.private)
    return room_client(room_services(), _NoPsks(), [identity])
