"""AES-GCM piece by piece, for files that do not fit into memory (SP 800-38D).

A sealed file is the ciphertext and then the tag of 16 octets, which RFC 5116 section
5.1 calls the ciphertext as a whole. What `GcmOpener.update` returns is not
authenticated before `finish` returned: nobody may act on it until then.
"""

from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from sabir.crypto.errors import BadKey, OpenFailed

NONCE_OCTETS: Final = 12
TAG_OCTETS: Final = 16
_KEY_OCTETS: Final = frozenset({16, 32})
"""AES-128 and AES-256."""


@final
class GcmSealer:
    """Encrypts one file.

    Args:
        key: 16 or 32 octets.
        nonce: 12 octets; never twice with the same key.
        aad: authenticated, too.

    Raises:
        BadKey: key or nonce has another length.
    """

    def __init__(self, key: bytes, nonce: bytes, aad: bytes = b"") -> None:
        self._encryptor = _cipher(key, nonce).encryptor()
        self._encryptor.authenticate_additional_data(aad)

    def update(self, plaintext: bytes) -> bytes:
        """Return the next piece of ciphertext."""
        return self._encryptor.update(plaintext)

    def finish(self) -> bytes:
        """Return the last piece: the tag."""
        return self._encryptor.finalize() + self._encryptor.tag


@final
class GcmOpener:
    """Decrypts one file.

    Args:
        key: 16 or 32 octets.
        nonce: 12 octets.
        aad: as it was sealed with.

    Raises:
        BadKey: key or nonce has another length.
    """

    def __init__(self, key: bytes, nonce: bytes, aad: bytes = b"") -> None:
        self._decryptor = _cipher(key, nonce).decryptor()
        self._decryptor.authenticate_additional_data(aad)
        self._held = b""

    def update(self, octets: bytes) -> bytes:
        """Return the next piece of plaintext, not authenticated yet."""
        octets = self._held + octets
        cut = max(0, len(octets) - TAG_OCTETS)
        self._held = octets[cut:]
        return self._decryptor.update(octets[:cut])

    def finish(self) -> None:
        """Authenticate all that was returned.

        Raises:
            OpenFailed: key, nonce, aad and octets do not belong together.
        """
        if len(self._held) < TAG_OCTETS:
            raise OpenFailed("shorter than a tag")
        try:
            self._decryptor.finalize_with_tag(self._held)
        except InvalidTag:
            raise OpenFailed("the tag does not fit") from None


def _cipher(key: bytes, nonce: bytes) -> Cipher[GCM]:
    if len(key) not in _KEY_OCTETS:
        raise BadKey(f"{len(key)} octets are no key of AES-128 or AES-256")
    if len(nonce) != NONCE_OCTETS:
        raise BadKey(f"{len(nonce)} octets are no nonce of GCM")
    return Cipher(AES(key), GCM(nonce))
