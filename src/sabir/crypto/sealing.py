"""Sealed secrets: what the database keeps of a token or password.

AES-256-GCM (NIST SP 800-38D). The format, version 1:

    octets  0        version, 0x01
    octets  1..8     key id: which key sealed it (HMAC-SHA-256 of a fixed text, cut)
    octets  9..20    nonce
    octets 21..      ciphertext, then the tag of 16 octets

The header and the caller's context are authenticated with the ciphertext, so a
sealed secret opens only with its own key and only in the place it was made for.

Nonces come from the caller's `rng`. Random nonces of 96 bits allow 2**32
sealings under one key (SP 800-38D section 8.3); one owner makes some hundreds.
"""

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, LocalError, StorageFailed

KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12
"""The only length GCM uses without hashing it (SP 800-38D section 7.1)."""
PLAINTEXT_OCTETS_MAX: Final = 64 * 1024
"""Our choice: tokens, passwords and session keys are far smaller."""

_VERSION: Final = 1
_KEY_ID_OCTETS: Final = 8
_TAG_OCTETS: Final = 16
_HEADER_OCTETS: Final = 1 + _KEY_ID_OCTETS
_SEALED_OCTETS_MIN: Final = _HEADER_OCTETS + NONCE_OCTETS + _TAG_OCTETS
_KEY_ID_TEXT: Final = b"sabir sealing key id"


class KeyDoesNotFit(ConfigInvalid):
    """The key file does not fit the database."""


class SealBroken(StorageFailed):
    """A stored secret cannot be opened."""


def seal(
    key: Secret,
    plaintext: bytes,
    *,
    context: bytes,
    nonce: bytes,
    octets_max: int = PLAINTEXT_OCTETS_MAX,
) -> bytes:
    """Encrypt a secret for storage.

    Args:
        key: 32 octets.
        plaintext: at most `octets_max` octets.
        context: where the secret belongs (account and name, say); not stored,
            and needed again to open it. The caller makes it unambiguous.
        nonce: 12 fresh random octets; never twice with the same key.
        octets_max: more where larger things than secrets are kept, such as the
            tree of a group.

    Raises:
        LocalError: an argument has the wrong length.
    """
    cipher = _cipher(key)
    if len(nonce) != NONCE_OCTETS:
        raise LocalError(f"a nonce has {NONCE_OCTETS} octets, not {len(nonce)}")
    if len(plaintext) > octets_max:
        raise LocalError(
            f"a secret of {len(plaintext)} octets is larger than the"
            f" {octets_max} that can be sealed"
        )
    header = bytes([_VERSION]) + _key_id(key)
    return header + nonce + cipher.encrypt(nonce, plaintext, header + context)


def open_sealed(key: Secret, sealed: bytes, *, context: bytes) -> Secret:
    """Decrypt what `seal` made with the same key and context.

    Raises:
        KeyDoesNotFit: it was sealed with another key.
        SealBroken: it is damaged, or was moved from another place, or a newer
            version of Sabir wrote it.
        LocalError: the key has the wrong length.
    """
    cipher = _cipher(key)
    if len(sealed) < _SEALED_OCTETS_MIN:
        raise SealBroken(f"It is cut short ({len(sealed)} octets). {_RESTORE}")
    if sealed[0] != _VERSION:
        raise SealBroken(
            f"It has format {sealed[0]}, and this Sabir knows format {_VERSION}:"
            " run the version of Sabir that wrote the database, or a newer one."
        )
    header, rest = sealed[:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
    if not hmac.compare_digest(header[1:], _key_id(key)):
        raise KeyDoesNotFit(
            "The database was sealed with another key: put back the key that belongs"
            " to it (from a backup of the same data directory or keyring). If that"
            " key is lost, remove the accounts and add them again."
        )
    nonce, ciphertext = rest[:NONCE_OCTETS], rest[NONCE_OCTETS:]
    try:
        return Secret(cipher.decrypt(nonce, ciphertext, header + context))
    except InvalidTag:
        raise SealBroken(
            f"The key fits, but the octets are damaged or from another place."
            f" {_RESTORE}"
        ) from None


_RESTORE: Final = (
    "Restore the database from a backup, or remove this account and add it again."
)


def _cipher(key: Secret) -> AESGCM:
    octets = key.reveal()
    if len(octets) != KEY_OCTETS:
        raise LocalError(f"a sealing key has {KEY_OCTETS} octets, not {len(octets)}")
    return AESGCM(octets)


def _key_id(key: Secret) -> bytes:
    return hmac.digest(key.reveal(), _KEY_ID_TEXT, "sha256")[:_KEY_ID_OCTETS]
