"""What we make is held to the limits by which we refuse what others made.

All members have the same limits, or nearly so: what is beyond ours would be refused by
those who get it, after it used up a key or an epoch. So nothing is used up for it.
"""

from collections.abc import Callable, Iterable

from sabir.mls.errors import MlsMisuse
from sabir.mls.limits import Limits
from sabir.mls.proposals import Add, PreSharedKey, Proposal, Remove
from sabir.mls.ratchet_tree import RatchetTree
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole


def check_octets(what: str, octets: int, octets_max: int) -> None:
    """Refuse to make what is too large.

    Raises:
        MlsMisuse: it is.
    """
    if octets > octets_max:
        raise MlsMisuse(
            f"{what} of {octets} octets, limit {octets_max}: receivers would refuse it"
        )


def check_readable(what: str, octets: bytes, read: Callable[[Reader], object]) -> None:
    """Read what we made as its receivers will.

    Args:
        what: for the error.
        octets: without what protects them.
        read: with our limits.

    Raises:
        MlsMisuse: they would refuse it, e.g. C03 for one element too many.
    """
    try:
        read_whole(octets, read)
    except Malformed as wrong:
        raise MlsMisuse(f"receivers would refuse {what}: {wrong}") from wrong


def check_own_list(
    proposals: Iterable[Proposal], tree: RatchetTree, limits: Limits
) -> None:
    """Refuse to commit more by value than one commit may do.

    Args:
        proposals: by value.
        tree: before them.
        limits: ours.

    Raises:
        MlsMisuse: too many proposals, PSKs, or members afterwards.
    """
    listed = tuple(proposals)
    psks = sum(isinstance(item, PreSharedKey) for item in listed)
    adds = sum(isinstance(item, Add) for item in listed)
    for what, count, count_max in (
        ("proposals", len(listed), limits.proposals_per_commit_max),
        ("PSKs", psks, limits.psks_per_commit_max),
    ):
        if count > count_max:
            raise MlsMisuse(
                f"{count} {what} in one commit, limit {count_max}; make several"
            )
    if not adds:
        return
    removes = len({item.removed for item in listed if isinstance(item, Remove)})
    members = sum(1 for _ in tree.members()) + adds - removes
    if members > limits.members_max:
        raise MlsMisuse(f"{members} members, limit {limits.members_max}: add fewer")
