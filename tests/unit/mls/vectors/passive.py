"""A client that follows a group of the official vectors, and their group's clock."""

from dataclasses import dataclass
from typing import Final

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, KeyPackageSecrets, MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.framing import decode_message
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.limits import Limits
from sabir.mls.services import Services
from sabir.testing.mls.clients import Believing, PskTable, SystemEnv
from sabir.testing.mls.vectors import Strict

LIMITS: Final = Limits(lifetime_s_max=(1 << 64) - 1)
"""Some key packages of the vectors live for ever."""

SEPTEMBER_2023: Final = 1_693_526_400
"""The key packages of passive-client-welcome ended in March 2024."""


class September2023(SystemEnv):
    """The clock of the vectors."""

    def now(self) -> int:
        """Return the first of September 2023."""
        return SEPTEMBER_2023


@dataclass(frozen=True)
class Passive:
    """Who joins by the Welcome of a vector."""

    client: MlsClient
    key_package: KeyPackageSecrets
    welcome: bytes
    tree: bytes | None

    def join(self) -> MlsGroup:
        """Join."""
        staged = stage_welcome(
            self.client, self.welcome, [self.key_package], tree=self.tree, member_of=()
        )
        return accept(self.client, staged)


def passive(vector: Strict) -> Passive:
    """Read who joins, and check that the private keys are those of the key package."""
    suite = SUITES[vector["cipher_suite"]]
    package = decode_message(vector.octets("key_package")).body
    assert isinstance(package, KeyPackageIn)
    secrets = KeyPackageSecrets(
        package,
        _private(vector, "init_priv", suite.kem.private_octets),
        _private(vector, "encryption_priv", suite.kem.private_octets),
        _private(vector, "signature_priv", suite.signature.private_octets),
    )
    leaf = package.leaf_node
    init, encryption = secrets.init_key.reveal(), secrets.encryption_key.reveal()
    assert hpke.public_of(suite, init) == package.init_key
    assert hpke.public_of(suite, encryption) == leaf.encryption_key
    assert isinstance(leaf.credential, BasicCredential)
    psks = PskTable()
    for psk in vector["external_psks"]:
        psks.learn(psk.octets("psk_id"), psk.octets("psk"))
    client = MlsClient(
        Services(authentication=Believing(), limits=LIMITS),
        psks,
        [Identity(suite, leaf.credential, leaf.signature_key, secrets.signature_key)],
    )
    return Passive(
        client, secrets, vector.octets("welcome"), vector.octets_or_none("ratchet_tree")
    )


def _private(vector: Strict, key: str, size: int) -> Secret:
    """Read a private key; scalars of P-521 stand there without leading zeros."""
    return Secret(vector.octets(key).rjust(size, b"\x00"))
