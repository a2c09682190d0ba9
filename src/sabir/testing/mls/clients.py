"""Clients of our core as tests use them: basic credentials that everybody believes."""

import os
import time
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, MlsClient
from sabir.mls.credentials import BasicCredential, Credential, Verdict, Where
from sabir.mls.env import Env
from sabir.mls.leaf_node import LeafNodeIn
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.psk_ids import ExternalPsk, PreSharedKeyID
from sabir.mls.services import Services

_ACCEPTED: Final = Verdict(accepted=True)


class SystemEnv:
    """The machine's clock and dice."""

    def now(self) -> int:
        """Return the seconds since 1970."""
        return int(time.time())

    def random(self, size: int) -> bytes:
        """Return octets nobody can guess."""
        return os.urandom(size)


class Believing:
    """An Authentication Service that takes everybody at their word."""

    def check(
        self, credential: Credential, signature_key: bytes, where: Where
    ) -> Verdict:
        """Believe."""
        del credential, signature_key, where
        return _ACCEPTED

    def same_client(self, one: LeafNodeIn, other: LeafNodeIn) -> bool:
        """Tell clients apart by their credentials."""
        return one.credential == other.credential

    def may_replace(self, old: LeafNodeIn, new: LeafNodeIn) -> bool:
        """Let a client come back as itself."""
        return old.credential == new.credential


class PskTable:
    """External PSKs by their ids."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Secret] = {}

    def learn(self, psk_id: bytes, key: bytes) -> None:
        """Keep a key."""
        self._keys[psk_id] = Secret(key)

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        """Return a key that was learned."""
        return (
            self._keys.get(psk_id.psk_id) if isinstance(psk_id, ExternalPsk) else None
        )


def make_client(
    env: Env,
    name: str,
    suite: int = 1,
    psks: PskTable | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> MlsClient:
    """Make a client with fresh keys and the name as its identity."""
    credential = BasicCredential(identity=name.encode())
    return MlsClient(
        Services(authentication=Believing(), limits=limits),
        PskTable() if psks is None else psks,
        [Identity.generate(env, SUITES[suite], credential)],
    )
