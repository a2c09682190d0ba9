import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.labels import derive_secret, expand_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.errors import MlsMisuse
from sabir.mls.exporter import ExporterTree, export, read_exporter_tree
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole

ALL = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
ROOT = b"\x09" * 32


@ALL
@pytest.mark.parametrize("size", [0, 32, 5_000])
def test_the_context_is_hashed(suite: CipherSuite, size: int) -> None:
    """N10: a context of any length, and more octets than a hash has."""
    secret = Secret(bytes(suite.nh))
    context = bytes(size)
    derived = derive_secret(suite, secret.reveal(), b"label")
    for length in (1, suite.nh, 5 * suite.nh + 1):
        made = export(suite, secret, b"label", context, length)
        hashed = suite.hash(context)
        expected = expand_with_label(suite, derived, b"exported", hashed, length)
        assert made.ct_equal(expected)
        assert len(made.reveal()) == length


def test_a_length_that_no_kdf_gives_is_misuse() -> None:
    for length in (-1, 0, 255 * 32 + 1, 1 << 20):
        with pytest.raises(MlsMisuse):
            export(SUITES[1], Secret(ROOT), b"label", b"", length)


def leaf_secret(component_id: int) -> bytes:
    """The secret of a component, straight from the root."""
    secret = ROOT
    for bit in reversed(range(16)):
        side = b"right" if component_id >> bit & 1 else b"left"
        secret = expand_with_label(SUITES[1], secret, b"tree", side, 32)
    return secret


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=8, unique=True))
def test_each_component_has_one_secret_an_epoch(ids: list[int]) -> None:
    tree = ExporterTree.new(SUITES[1], Secret(ROOT))
    for component_id in ids:
        assert tree.take(component_id).ct_equal(leaf_secret(component_id))
        tree = read_whole(tree.encode(), read)
    for component_id in ids:
        with pytest.raises(MlsMisuse, match="E14"):
            tree.take(component_id)


def read(reader: Reader) -> ExporterTree:
    return read_exporter_tree(reader, SUITES[1])


def test_an_export_leaves_neither_its_secret_nor_the_root() -> None:
    tree = ExporterTree.new(SUITES[1], Secret(ROOT))
    secret = tree.take(5)
    stored = tree.encode()
    assert secret.reveal() not in stored
    assert ROOT not in stored
    assert len(stored) <= 16 * (4 + 1 + 32) + 4


def test_a_component_is_a_uint16() -> None:
    tree = ExporterTree.new(SUITES[1], Secret(ROOT))
    for component_id in (-1, 0x1_0000):
        with pytest.raises(MlsMisuse, match="uint16"):
            tree.take(component_id)


def test_a_broken_store_is_noticed() -> None:
    stored = ExporterTree.new(SUITES[1], Secret(ROOT)).encode()
    with pytest.raises(Malformed):
        read_whole(stored[:-1], read)
