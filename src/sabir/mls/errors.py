"""Everything that leaves `sabir.mls`, split by who is to blame.

Besides these, the codec's `sabir.wire.errors.Malformed` (rules C01 to C07, C10), which
is a `PeerMisbehaved` with a rule like `MlsInvalid`. Texts carry numbers and
lengths, never values.
"""

from sabir.errors import LocalError, PeerIncompatible, PeerMisbehaved, Unavailable
from sabir.mls.validation.rules import Rule


class MlsMisuse(LocalError):
    """The calling code used the group in a way its state does not allow."""


class MlsInvalid(PeerMisbehaved):
    """The peer broke a rule of MLS.

    Args:
        rule: which, with its source in `sabir.mls.validation.rules`.
        detail: what was seen, in numbers.
    """

    def __init__(self, rule: Rule, detail: str = "") -> None:
        super().__init__(rule.name, detail or rule.value)


class MlsUnsupported(PeerIncompatible):
    """The peer uses a version, suite or type that this group does not know.

    Args:
        what: e.g. `cipher suite`, `proposal type`.
        number: the number on the wire.
    """

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what} 0x{number:04X} is not supported")
        self.what = what
        self.number = number


class MlsMissing(Unavailable):
    """Something is needed first: a PSK, a key package, a tree, an epoch.

    Args:
        what: what is missing, in words; with numbers, without values.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not at hand")
        self.what = what
