"""Secrets for use outside of MLS.

`export` is the exporter of RFC 9420 section 8.5; its secret lives as long as the
epoch. `ExporterTree` is the safe exporter of mls-extensions 4.4: one secret a
component, forgotten with all it came from as soon as it is handed out.
"""

from typing import Final

from sabir.crypto.labels import derive_secret, expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.errors import LocalError
from sabir.mls.errors import MlsMisuse
from sabir.mls.frontier import Frontier
from sabir.wire.tls import Reader, opaque, uint32, vector

_COMPONENTS: Final = 1 << 16
"""Leaves of the exporter tree: a ComponentID is a uint16."""


def export(
    suite: CipherSuite, exporter: Secret, label: bytes, context: bytes, length: int
) -> Secret:
    """MLS-Exporter: a secret that all members of the epoch can derive.

    Args:
        suite: of the group.
        exporter: `exporter_secret` of the epoch.
        label: what for; one use, one label.
        context: what it belongs to, of any length.
        length: octets wanted, up to 255 hashes of the suite.

    Raises:
        MlsMisuse: `length` is beyond that, or not positive; the label is too long.
    """
    if length < 1:
        raise MlsMisuse(f"a secret of {length} octets")
    hashed = suite.hash(context)
    try:
        secret = derive_secret(suite, exporter.reveal(), label)
        exported = expand_with_label(suite, secret, b"exported", hashed, length)
    except LocalError as wrong:
        raise MlsMisuse(str(wrong)) from None
    return Secret(exported)


class ExporterTree:
    """The safe exporter of one epoch.

    Args:
        frontier: what was not handed out yet.
    """

    __slots__ = ("_frontier",)

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier

    @classmethod
    def new(cls, suite: CipherSuite, application_export: Secret) -> "ExporterTree":
        """Begin an epoch; the caller forgets the secret."""
        return cls(Frontier.whole(suite, _COMPONENTS, application_export))

    def take(self, component_id: int) -> Secret:
        """SafeExportSecret: hand out a component's secret, once (rule E14).

        Raises:
            MlsMisuse: it was handed out before, or the id is no uint16.
        """
        if not 0 <= component_id < _COMPONENTS:
            raise MlsMisuse(f"component {component_id} is no uint16")
        descent = self._frontier.descend(component_id)
        if descent is None:
            raise MlsMisuse(
                f"rule E14: the secret of component {component_id} was exported in"
                " this epoch already; keep it, or wait for the next epoch"
            )
        self._frontier.take(descent)
        return Secret(descent.secret)

    def encode(self) -> bytes:
        """Write the edge, for the store: at most 16 nodes an export."""
        return vector(
            uint32(node) + opaque(secret)
            for node, secret in sorted(self._frontier.nodes.items())
        )


def read_exporter_tree(reader: Reader, suite: CipherSuite) -> ExporterTree:
    """Take what `ExporterTree.encode` wrote. Raises `Malformed`."""
    nodes = dict(reader.vector(_read_node))
    return ExporterTree(Frontier(suite, _COMPONENTS, nodes))


def _read_node(reader: Reader) -> tuple[int, bytes]:
    node = reader.uint32()
    return node, reader.opaque()
