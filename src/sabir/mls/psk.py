"""Pre-shared keys: where they come from, and what they add up to (section 8.4).

Section numbers are of RFC 9420. A key that is not at hand is an error, always: there
is no default value.
"""

from collections.abc import Sequence
from typing import Protocol

from sabir.crypto.labels import expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.errors import MlsMissing
from sabir.mls.key_schedule import zero_secret
from sabir.mls.psk_ids import PreSharedKeyID
from sabir.wire.tls import uint16


class PskStore(Protocol):
    """The keys that a client holds."""

    def find(self, psk_id: PreSharedKeyID) -> Secret | None:
        """Return the key of this name; its nonce is no part of the name."""
        ...


def find_psks(
    store: PskStore, psk_ids: Sequence[PreSharedKeyID]
) -> list[tuple[PreSharedKeyID, Secret]]:
    """Look up all keys, in the order given (rule W16).

    Raises:
        MlsMissing: one is not at hand (rules O02 and W04).
    """
    found = []
    for index, psk_id in enumerate(psk_ids):
        secret = store.find(psk_id)
        if secret is None:
            raise MlsMissing(f"PSK {index} of {len(psk_ids)}")
        found.append((psk_id, secret))
    return found


def psk_secret(
    suite: CipherSuite, psks: Sequence[tuple[PreSharedKeyID, Secret]]
) -> Secret:
    """Return what the keys of a commit add up to; zeros for none.

    Args:
        suite: of the group.
        psks: names and keys, in the order of the commit or the Welcome. At most
            65,535, far above `psks_per_commit_max`.
    """
    total = zero_secret(suite).reveal()
    zeros = total
    count = uint16(len(psks))
    for index, (psk_id, psk) in enumerate(psks):
        label = psk_id.raw + uint16(index) + count
        extracted = suite.extract(zeros, psk.reveal())
        derived = expand_with_label(suite, extracted, b"derived psk", label, suite.nh)
        total = suite.extract(derived, total)
    return Secret(total)
