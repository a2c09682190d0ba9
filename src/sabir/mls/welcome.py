"""Welcome and what it seals (RFC 9420 section 12.4.3.1)."""

from dataclasses import dataclass, field

from sabir.crypto.secrets import Secret
from sabir.mls.commit import HPKECiphertext, read_hpke_ciphertext
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.psk_ids import PreSharedKeyID, read_psk_id
from sabir.mls.struct import Struct
from sabir.wire.tls import Reader, opaque, optional, uint16, vector


@dataclass(frozen=True, slots=True)
class EncryptedGroupSecrets:
    """`GroupSecrets` sealed to the init key of one joiner's key package."""

    new_member: bytes
    encrypted_group_secrets: HPKECiphertext

    def encode(self) -> bytes:
        """Write the `EncryptedGroupSecrets`."""
        return opaque(self.new_member) + self.encrypted_group_secrets.encode()


@dataclass(frozen=True, slots=True, eq=False)
class Welcome(Struct):
    """An invitation for one or more joiners.

    Attributes:
        cipher_suite: of the group.
        secrets: one for each joiner, found by the reference of its key package.
        encrypted_group_info: sealed under the welcome secret.
        raw: the octets it came from.
    """

    cipher_suite: int
    secrets: tuple[EncryptedGroupSecrets, ...]
    encrypted_group_info: bytes = field(repr=False)
    raw: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `Welcome`."""
        return (
            uint16(self.cipher_suite)
            + vector(entry.encode() for entry in self.secrets)
            + opaque(self.encrypted_group_info)
        )


def read_welcome(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> Welcome:
    """Take a `Welcome`.

    Raises:
        Malformed: C03 more joiners than `limits` let a commit add, and as `Reader`.
    """
    start = reader.position
    suite = reader.uint16()
    joiners_max = limits.proposals_per_commit_max
    secrets = reader.vector(_read_entry, count_max=joiners_max)
    group_info = reader.opaque()
    return Welcome(suite, secrets, group_info, reader.since(start))


def _read_entry(reader: Reader) -> EncryptedGroupSecrets:
    return EncryptedGroupSecrets(reader.opaque(), read_hpke_ciphertext(reader))


@dataclass(frozen=True, slots=True, eq=False)
class GroupSecrets:
    """What a joiner needs to compute the epoch. Keeps no octets: they are secret.

    Attributes:
        joiner_secret: of the epoch.
        path_secret: of the lowest node that the committer and the joiner share.
        psks: those that went into the epoch, in this order (W16).
    """

    joiner_secret: Secret
    path_secret: Secret | None
    psks: tuple[PreSharedKeyID, ...] = ()

    def encode(self) -> bytes:
        """Write the `GroupSecrets`, to be sealed at once."""
        path = self.path_secret
        return (
            opaque(self.joiner_secret.reveal())
            + optional(None if path is None else opaque(path.reveal()))
            + vector(psk.raw for psk in self.psks)
        )


def read_group_secrets(reader: Reader, limits: Limits = DEFAULT_LIMITS) -> GroupSecrets:
    """Take a `GroupSecrets`.

    Raises:
        Malformed: C03 more PSKs than `limits` say, and as `read_psk_id`.
    """
    joiner_secret = Secret(reader.opaque())
    path_secret = reader.optional(Reader.opaque)
    psks = reader.vector(read_psk_id, count_max=limits.psks_per_commit_max)
    return GroupSecrets(
        joiner_secret, None if path_secret is None else Secret(path_secret), psks
    )
