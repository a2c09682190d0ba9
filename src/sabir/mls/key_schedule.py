"""The key schedule: from one epoch to the secrets of the next (RFC 9420 section 8).

    init_secret, commit_secret, GroupContext -> joiner_secret
    joiner_secret, psk_secret -> member_secret -> welcome_secret
    member_secret, GroupContext -> epoch_secret -> the secrets of the epoch

Intermediate secrets are local to the functions. What a group keeps is `EpochSecrets`;
`encryption_secret` and `application_export_secret` are handed out beside it, because
the trees they are roots of consume them.
"""

from dataclasses import dataclass, fields
from typing import Final

from sabir.crypto import hpke
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.labels import derive_secret, expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.errors import MlsInvalid
from sabir.mls.validation.rules import Rule
from sabir.wire.tls import Reader, opaque

_EXTERNAL_INIT: Final = b"MLS 1.0 external init secret"
"""Label of the HPKE exporter (section 8.3), whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochSecrets:
    """What a group keeps of an epoch, each of `nh` octets (table 4)."""

    sender_data: Secret
    exporter: Secret
    external: Secret
    confirmation: Secret
    membership: Secret
    resumption: Secret
    epoch_authenticator: Secret
    init: Secret

    def encode(self) -> bytes:
        """Write all of them, for the store."""
        return b"".join(opaque(secret.reveal()) for secret in _values(self))


def read_epoch_secrets(reader: Reader) -> EpochSecrets:
    """Take what `EpochSecrets.encode` wrote. Raises `Malformed`."""
    return EpochSecrets(**{name: Secret(reader.opaque()) for name in _KEPT})


def _values(secrets: EpochSecrets) -> list[Secret]:
    return [getattr(secrets, name) for name in _KEPT]


_KEPT: Final = tuple(field.name for field in fields(EpochSecrets))
"""In the order of the store."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewEpoch:
    """A fresh epoch: what the group keeps, and what its trees consume.

    Attributes:
        kept: the secrets of the epoch.
        encryption: root of the secret tree.
        application_export: root of the exporter tree (mls-extensions 4.4).
    """

    kept: EpochSecrets
    encryption: Secret
    application_export: Secret


def zero_secret(suite: CipherSuite) -> Secret:
    """Return `0`: the commit secret of a commit without path, or no PSK at all."""
    return Secret(bytes(suite.nh))


def joiner_secret(
    suite: CipherSuite, init: Secret, commit: Secret, context: bytes
) -> Secret:
    """Return what a Welcome tells those who join.

    Args:
        suite: of the group.
        init: of the epoch before, or from an external commit.
        commit: from the path; `zero_secret` without one.
        context: the encoded GroupContext of the new epoch.
    """
    secret = suite.extract(init.reveal(), commit.reveal())
    return Secret(expand_with_label(suite, secret, b"joiner", context, suite.nh))


def welcome_secret(suite: CipherSuite, joiner: Secret, psk: Secret) -> Secret:
    """Return what the GroupInfo in a Welcome is encrypted under."""
    member = suite.extract(joiner.reveal(), psk.reveal())
    return Secret(derive_secret(suite, member, b"welcome"))


def welcome_key_and_nonce(suite: CipherSuite, welcome: Secret) -> tuple[bytes, bytes]:
    """Return key and nonce of the GroupInfo in a Welcome (section 12.4.3.1)."""
    secret = welcome.reveal()
    return (
        expand_with_label(suite, secret, b"key", b"", suite.nk),
        expand_with_label(suite, secret, b"nonce", b"", suite.nn),
    )


def new_epoch(
    suite: CipherSuite, joiner: Secret, psk: Secret, context: bytes
) -> NewEpoch:
    """Derive an epoch.

    Args:
        suite: of the group.
        joiner: from `joiner_secret`, or from a Welcome.
        psk: from `psk_secret`.
        context: the encoded GroupContext of the new epoch.
    """
    member = suite.extract(joiner.reveal(), psk.reveal())
    epoch = expand_with_label(suite, member, b"epoch", context, suite.nh)
    return epoch_of(suite, Secret(epoch))


def epoch_of(suite: CipherSuite, epoch: Secret) -> NewEpoch:
    """Derive an epoch from its `epoch_secret`.

    A group begins with `nh` random octets for it (section 11).
    """
    secret = epoch.reveal()

    def derived(label: bytes) -> Secret:
        return Secret(derive_secret(suite, secret, label))

    kept = EpochSecrets(
        sender_data=derived(b"sender data"),
        exporter=derived(b"exporter"),
        external=derived(b"external"),
        confirmation=derived(b"confirm"),
        membership=derived(b"membership"),
        resumption=derived(b"resumption"),
        epoch_authenticator=derived(b"authentication"),
        init=derived(b"init"),
    )
    return NewEpoch(
        kept=kept,
        encryption=derived(b"encryption"),
        application_export=derived(b"application_export"),
    )


# ---- external commits (section 8.3)


def external_public(suite: CipherSuite, external: Secret) -> bytes:
    """Return `external_pub`, to which the joiner of an external commit speaks."""
    return hpke.derive_key_pair(suite, external.reveal())[1]


def external_init_send(
    suite: CipherSuite, public: bytes, ephemeral: bytes
) -> tuple[bytes, Secret]:
    """Make an init secret, as the joiner.

    Args:
        suite: of the group.
        public: `external_pub` of the GroupInfo.
        ephemeral: `suite.kem.private_octets` random octets.

    Returns:
        `kem_output` for the ExternalInit, and the init secret.

    Raises:
        MlsInvalid: X09, `public` is no key.
    """
    try:
        kem_output, secret = hpke.export_send(
            suite, public, _EXTERNAL_INIT, suite.nh, ephemeral
        )
    except BadKey as wrong:
        raise MlsInvalid(Rule.X09, f"external_pub: {wrong}") from None
    return kem_output, Secret(secret)


def external_init_receive(
    suite: CipherSuite, external: Secret, kem_output: bytes
) -> Secret:
    """Return the joiner's init secret, as a member.

    Raises:
        MlsInvalid: X08, `kem_output` is malformed.
    """
    private, _ = hpke.derive_key_pair(suite, external.reveal())
    try:
        secret = hpke.export_receive(
            suite, private, kem_output, _EXTERNAL_INIT, suite.nh
        )
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.X08, str(wrong)) from None
    return Secret(secret)
