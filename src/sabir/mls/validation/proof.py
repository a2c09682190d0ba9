"""The token without which no verified type can be built.

Only modules that check, or that load what was checked before, import `PROOF`; a
function that takes `LeafNode`, `KeyPackage`, `GroupInfo` or `VerifiedContent` can
therefore rely on the checks.
"""

from typing import Final, final


@final
class Proof:
    """Shown to the constructor of a verified type."""

    __slots__ = ()


PROOF: Final = Proof()
"""Import this only in `sabir.mls.validation` and where stored state is loaded."""
