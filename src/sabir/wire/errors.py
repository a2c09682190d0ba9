"""What a codec raises, and nothing else."""

from sabir.errors import LocalError, PeerMisbehaved


class Malformed(PeerMisbehaved):
    """Octets from a peer are not what their specification says.

    Args:
        rule: number in docs/reference/rules.md, e.g. `WIRE-003`.
        detail: where, in numbers; never content.
    """


class NotEncodable(LocalError):
    """Sabir composed something that every receiver would have to refuse.

    Args:
        rule: number in docs/reference/rules.md, the one a receiver would name.
        detail: what was seen, without content of messages.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"rule {rule} would be broken: {detail}")
        self.rule = rule
        self.detail = detail
