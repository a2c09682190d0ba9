"""How a device gets in: a challenge, its signature, and tokens (8.1, 8.2)."""

from typing import Annotated, Final

import msgspec

from sabir.crypto.labels import sign_with_label, verify_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mimi.agent_api.forms import TEXT_MAX, Form, Octets
from sabir.mimi.components.fields import text
from sabir.wire.tls import opaque

CHALLENGE_OCTETS: Final = 32
REGISTRATION_LABEL: Final = b"SabirDeviceRegistration"
REFRESH_LABEL: Final = b"SabirTokenRefresh"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]


class ChallengeRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /challenges`; a new device shows its account token to learn its user."""

    account_token: str = ""

    def __repr__(self) -> str:
        return "ChallengeRequest(...)"


class Challenge(Form, frozen=True, kw_only=True):
    """To be signed, once.

    Attributes:
        challenge: 32 octets.
        expires_ms: ms since 1970.
        user: URI of the account token's user; empty without a token.
    """

    challenge: Octets
    expires_ms: int
    user: str = ""


class DeviceRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /devices`. The same signature key again gets the same device again.

    Attributes:
        account_token: of the user.
        device_name: for people.
        suite: cipher suite of the key: 1.
        signature_key: the device's public key, which its leaves will have.
        challenge: fresh from `POST /challenges`.
        signature: from `sign_registration`.
    """

    account_token: Text
    device_name: Text
    suite: int
    signature_key: Octets
    challenge: Octets
    signature: Octets

    def __repr__(self) -> str:
        return f"DeviceRequest(device_name={self.device_name!r}, ...)"


class DeviceAnswer(Form, frozen=True, kw_only=True):
    """A registered device.

    Attributes:
        device_uri: its client URI.
        user: URI of its user.
        credential: the MLS Credential to use.
        token: for the field Authorization.
        token_expires_ms: ms since 1970.
        refresh_token: for `POST /token`.
    """

    device_uri: str
    user: str
    credential: Octets
    token: str
    token_expires_ms: int
    refresh_token: str

    def __repr__(self) -> str:
        return f"DeviceAnswer(device_uri={self.device_uri!r}, ...)"


class TokenRequest(Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /token`.

    Attributes:
        refresh_token: from the registration.
        challenge: fresh from `POST /challenges`.
        signature: from `sign_refresh`.
    """

    refresh_token: Text
    challenge: Octets
    signature: Octets

    def __repr__(self) -> str:
        return "TokenRequest(...)"


class TokenAnswer(Form, frozen=True, kw_only=True):
    """A new token; the one before is worth nothing any more.

    Attributes:
        token: for the field Authorization.
        token_expires_ms: ms since 1970.
    """

    token: str
    token_expires_ms: int

    def __repr__(self) -> str:
        return "TokenAnswer(...)"


class DeviceEntry(Form, frozen=True, kw_only=True):
    """One of the user's devices.

    Attributes:
        device_uri: its client URI.
        name: for people.
        created_ms: ms since 1970.
        current: it is the one that asks.
    """

    device_uri: str
    name: str
    created_ms: int
    current: bool = False


class DeviceList(Form, frozen=True, kw_only=True):
    """`GET /devices`: oldest first."""

    devices: tuple[DeviceEntry, ...]


def sign_registration(
    suite: CipherSuite, private_key: bytes, challenge: bytes, user: str
) -> bytes:
    """Sign a challenge as a new device of a user (URI)."""
    content = opaque(challenge) + text(user)
    return sign_with_label(suite, private_key, REGISTRATION_LABEL, content)


def is_registration(
    suite: CipherSuite, public_key: bytes, challenge: bytes, user: str, signature: bytes
) -> bool:
    """Tell whether a key signed a challenge as a new device of a user."""
    content = opaque(challenge) + text(user)
    return verify_with_label(suite, public_key, REGISTRATION_LABEL, content, signature)


def sign_refresh(
    suite: CipherSuite, private_key: bytes, challenge: bytes, device: str
) -> bytes:
    """Sign a challenge as a known device (URI) that wants a new token."""
    content = opaque(challenge) + text(device)
    return sign_with_label(suite, private_key, REFRESH_LABEL, content)


def is_refresh(
    suite: CipherSuite,
    public_key: bytes,
    challenge: bytes,
    device: str,
    signature: bytes,
) -> bool:
    """Tell whether a device's key signed a challenge for a new token."""
    content = opaque(challenge) + text(device)
    return verify_with_label(suite, public_key, REFRESH_LABEL, content, signature)
