"""Every error of Sabir, split by who has to act.

- `Error`
  - `LocalError`: our caller broke this API's rules; fix the calling code.
  - `ConfigInvalid`: the operator's configuration or command is wrong; fix that line.
  - `PeerMisbehaved`: the peer broke a rule of the protocol; keep the proof.
  - `PeerIncompatible`: the peer is honest but speaks something we do not.
  - `PolicyRefused`: nobody is at fault; a policy or a limit said no, with reasons.
  - `Unavailable`: the outside world failed; try again later.
  - `CredentialsRefused`: the network refused our token, password or certificate.
  - `StorageFailed`: our own disk or database failed; nothing was acknowledged.

Every message names the cause and the way out. None carries a secret or the
text of a message.
"""

from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """Stable names of errors: they appear in logs, JSON and the manual."""

    LOCAL = "local"
    CONFIG_INVALID = "config_invalid"
    PEER_MISBEHAVED = "peer_misbehaved"
    PEER_INCOMPATIBLE = "peer_incompatible"
    POLICY_REFUSED = "policy_refused"
    UNAVAILABLE = "unavailable"
    CREDENTIALS_REFUSED = "credentials_refused"
    STORAGE_FAILED = "storage_failed"


class Error(Exception):
    """Root of the tree. Never raised itself."""

    code: ClassVar[Code]
    exit_code: ClassVar[int]

    def diagnostics(self) -> str:
        """Return the text for a person: what happened and what to do."""
        about = (type(self).__doc__ or "").splitlines()[0]
        return f"{about} {self}".strip()


class LocalError(Error):
    """Sabir used one of its own parts wrongly; please report this."""

    code = Code.LOCAL
    exit_code = 1


class ConfigInvalid(Error):
    """The configuration or the command is not valid."""

    code = Code.CONFIG_INVALID
    exit_code = 2


class PeerMisbehaved(Error):
    """The other side broke a rule of the protocol.

    Args:
        rule: number of the rule, as in docs/reference/rules.md.
        detail: what was seen, without content of messages.
    """

    code = Code.PEER_MISBEHAVED
    exit_code = 3

    def __init__(self, rule: str, detail: str = "") -> None:
        super().__init__(f"rule {rule} broken" + (f": {detail}" if detail else ""))
        self.rule = rule
        self.detail = detail


class PeerIncompatible(Error):
    """The other side lacks something that Sabir needs."""

    code = Code.PEER_INCOMPATIBLE
    exit_code = 3


class PolicyRefused(Error):
    """A policy or a limit forbids this."""

    code = Code.POLICY_REFUSED
    exit_code = 4

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Unavailable(Error):
    """A service outside does not answer; Sabir tries again.

    Args:
        detail: who does not answer and what to check.
        retry_after_ms: the earliest time for the next attempt, if the service said.
    """

    code = Code.UNAVAILABLE
    exit_code = 3

    def __init__(self, detail: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after_ms = retry_after_ms


class CredentialsRefused(Error):
    """The network refused our credentials; they must be renewed by their owner."""

    code = Code.CREDENTIALS_REFUSED
    exit_code = 4


class StorageFailed(Error):
    """The database did not take the write; nothing was acknowledged."""

    code = Code.STORAGE_FAILED
    exit_code = 1
