"""What a decoder raises, and nothing else."""

from sabir.errors import PeerMisbehaved


class Malformed(PeerMisbehaved):
    """Octets from a peer are not what their specification says.

    Args:
        rule: number in docs/reference/rules.md, e.g. `WIRE-003`.
        detail: where, in numbers; never content.
    """
