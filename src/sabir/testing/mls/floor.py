"""What MLS cannot cost less than: the primitives that RFC 9420 asks for, in a row.

Suite 1, without parsing, validation or state. Each method runs one operation of a
group of `members`; `bench/mls.py` times them beside real implementations.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sabir.wire.tls import opaque

SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)

LEAF_OCTETS: Final = 220
"""A leaf of the benchmark's clients; trees in a Welcome are sealed whole."""

EPOCH_EXPANDS: Final = 16
"""ExpandWithLabel in the key schedule of an epoch (section 8)."""

PADDING_OCTETS: Final = 256
"""Sabir's plaintexts are a multiple of this."""


def expand(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """ExpandWithLabel of at most one block (section 8)."""
    info = length.to_bytes(2, "big") + opaque(b"MLS 1.0 " + label) + opaque(context)
    return hmac.digest(secret, info + b"\x01", "sha256")[:length]


def _signed(label: bytes, content: bytes) -> bytes:
    return opaque(b"MLS 1.0 " + label) + opaque(content)


@dataclass(frozen=True, slots=True)
class _Sealed:
    ciphertext: bytes
    sender_data: bytes
    guard: bytes
    content: bytes
    signature: bytes


class Floor:
    """Keys and octets of plausible sizes, and the primitives over them."""

    def __init__(self, members: int, text: bytes) -> None:
        self.members = members
        self.levels = max(members - 1, 1).bit_length()
        self._text = text
        self._sign = ed25519.Ed25519PrivateKey.generate()
        self._verify = self._sign.public_key()
        self._verify_raw = self._verify.public_bytes_raw()
        self._private = x25519.X25519PrivateKey.generate()
        self._public = self._private.public_key().public_bytes_raw()
        self._secret = os.urandom(32)
        self._context = os.urandom(180)
        """An encoded GroupContext."""
        self._info = opaque(b"MLS 1.0 UpdatePathNode") + opaque(self._context)
        self._leaf_signature = self._sign.sign(_signed(b"LeafNodeTBS", self._context))
        self._tree = os.urandom(members * LEAF_OCTETS)
        self._welcome_key = AESGCM(os.urandom(16))
        self._nonce = os.urandom(12)
        self._sealed_tree = self._welcome_key.encrypt(self._nonce, self._tree, b"")
        self._sealed_secret = self._seal()
        self._message = self._encrypt()

    # ---- operations

    def key_package(self) -> None:
        """Two key pairs, two signatures."""
        self._derive_pair()
        self._derive_pair()
        self._signature()
        self._signature()

    def create(self) -> None:
        """One key pair, one signature, one epoch."""
        self._derive_pair()
        self._signature()
        self._hashes(1)
        self._epoch()

    def add(self) -> None:
        """Check a key package; sign commit and GroupInfo; seal the Welcome."""
        self._check_leaf()
        self._check_leaf()
        self._signature()
        self._signature()
        self._seal()
        self._welcome_key.encrypt(self._nonce, self._tree, b"")
        self._hashes(self.levels + 1)
        self._epoch()

    def join(self) -> None:
        """Open the Welcome, check every leaf and the GroupInfo, hash the tree."""
        self._open()
        self._welcome_key.decrypt(self._nonce, self._sealed_tree, b"")
        self.leaf_signatures()
        self._check_leaf()
        self._hashes(2 * self.members - 1)
        self._epoch()

    def leaf_signatures(self) -> None:
        """Check the signature of every leaf: what gate G2 compares with."""
        for _ in range(self.members):
            self._check_leaf()

    def update(self) -> None:
        """Commit with a path over a tree without parents: a seal for each member."""
        self._path_commit(max(self.members - 1, 1))

    def update_populated(self) -> None:
        """Commit with a path over a tree full of parents: a seal for each level."""
        self._path_commit(self.levels)

    def process(self) -> None:
        """Check commit and new leaf, open one secret, derive the path from there."""
        self._check_leaf()
        self._check_leaf()
        self._open()
        for _ in range(self.levels):
            self._derive_pair()
            for _ in range(3):
                expand(self._secret, b"path", b"", 32)
        self._hashes(3 * self.levels)
        self._epoch()

    def encrypt(self) -> None:
        """Sign once, five expansions, two AEADs."""
        self._encrypt()

    def decrypt(self) -> None:
        """Verify once, five expansions, two AEADs."""
        sealed = self._message
        self._sender_data(sealed.ciphertext).decrypt(
            self._sender_nonce(sealed.ciphertext),
            sealed.sender_data,
            self._context[:12],
        )
        key, nonce = self._message_key()
        key.decrypt(_guarded(nonce, sealed.guard), sealed.ciphertext, b"")
        self._verify.verify(sealed.signature, self._framed(sealed.content))

    # ---- primitives

    def _path_commit(self, seals: int) -> None:
        self._signature()
        self._signature()
        for _ in range(seals):
            self._seal()
        for _ in range(self.levels):
            self._derive_pair()
        self._hashes(2 * self.levels)
        self._epoch()

    def _signature(self) -> bytes:
        return self._sign.sign(self._context)

    def _check_leaf(self) -> None:
        key = ed25519.Ed25519PublicKey.from_public_bytes(self._verify_raw)
        key.verify(self._leaf_signature, _signed(b"LeafNodeTBS", self._context))

    def _seal(self) -> bytes:
        key = x25519.X25519PublicKey.from_public_bytes(self._public)
        return SUITE.encrypt(self._secret, key, info=self._info)

    def _open(self) -> None:
        SUITE.decrypt(self._sealed_secret, self._private, info=self._info)

    def _derive_pair(self) -> None:
        seed = expand(self._secret, b"node", b"", 32)
        x25519.X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    def _hashes(self, count: int) -> None:
        for _ in range(count):
            hashlib.sha256(self._context).digest()

    def _epoch(self) -> None:
        for _ in range(EPOCH_EXPANDS):
            expand(self._secret, b"epoch", b"", 32)

    def _message_key(self) -> tuple[AESGCM, bytes]:
        generation = bytes(4)
        key = expand(self._secret, b"key", generation, 16)
        nonce = expand(self._secret, b"nonce", generation, 12)
        expand(self._secret, b"secret", generation, 32)
        return AESGCM(key), nonce

    def _sender_data(self, ciphertext: bytes) -> AESGCM:
        return AESGCM(expand(self._secret, b"key", ciphertext[:32], 16))

    def _sender_nonce(self, ciphertext: bytes) -> bytes:
        return expand(self._secret, b"nonce", ciphertext[:32], 12)

    def _framed(self, content: bytes) -> bytes:
        return _signed(b"FramedContentTBS", content + self._context)

    def _encrypt(self) -> _Sealed:
        content = self._context[:24] + opaque(self._text)
        signature = self._sign.sign(self._framed(content))
        key, nonce = self._message_key()
        guard = os.urandom(4)
        plain = opaque(self._text) + opaque(signature)
        plain += bytes(-len(plain) % PADDING_OCTETS)
        ciphertext = key.encrypt(_guarded(nonce, guard), plain, b"")
        sender_data = self._sender_data(ciphertext).encrypt(
            self._sender_nonce(ciphertext), bytes(8) + guard, self._context[:12]
        )
        return _Sealed(ciphertext, sender_data, guard, content, signature)


def _guarded(nonce: bytes, guard: bytes) -> bytes:
    mixed = int.from_bytes(nonce[:4], "big") ^ int.from_bytes(guard, "big")
    return mixed.to_bytes(4, "big") + nonce[4:]
