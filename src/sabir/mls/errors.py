"""Everything that leaves `sabir.mls`, split by who is to blame.

Besides these, the codec's `sabir.wire.errors.Malformed` (rules C01 to C07, C10), which
is a `PeerMisbehaved` with a rule like `MlsInvalid`. Texts carry numbers and
lengths, never values.
"""

from sabir.errors import LocalError, PeerIncompatible, PeerMisbehaved, Unavailable
from sabir.mls.validation.rules import Rule


class MlsMisuse(LocalError):
    """The calling code used the group in a way its state does not allow."""


class MlsRolledBack(MlsMisuse):
    """Our own leaf sent something that this state knows nothing of.

    It is signed by us, so the state was set back to an older copy, or another copy of
    it is in use. Going on would use keys a second time.

    Args:
        leaf: ours.
        epoch: of the message.
        generation: of our ratchet, None for a PublicMessage.
    """

    def __init__(self, leaf: int, epoch: int, generation: int | None) -> None:
        where = f"epoch {epoch}"
        if generation is not None:
            where += f", generation {generation}"
        super().__init__(
            f"a message of ours ({where}) is unknown to this state: it was set back to"
            " an older copy, or another copy is in use. Send nothing more with it, stop"
            " the other, and join again:"
            f" stage_external_join(..., resync={leaf})"
        )
        self.leaf = leaf
        self.epoch = epoch
        self.generation = generation


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


class ProposalsMissing(MlsMissing):
    """A commit names proposals that do not wait here.

    They were not delivered, or there was no room for them. Get their messages, by
    their references, and process the commit again together with them. If nobody has
    them, it is no commit of this group.

    Args:
        references: of those that are missing, in the order of the commit.
    """

    def __init__(self, references: tuple[bytes, ...]) -> None:
        super().__init__(f"what a commit names, {len(references)} proposals,")
        self.references = references
