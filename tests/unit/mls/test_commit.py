"""Commits and their paths."""

import pytest
from hypothesis import given

from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import LeafNodeSource
from sabir.mls.commit import (
    PATH_NODES_MAX,
    Commit,
    HPKECiphertext,
    ProposalReference,
    UpdatePath,
    UpdatePathNode,
    read_commit,
    read_update_path,
    read_update_path_node,
)
from sabir.mls.errors import MlsUnsupported
from sabir.mls.limits import Limits
from sabir.mls.proposals import Remove
from sabir.testing.mls.leaves import Author
from sabir.testing.mls.structs import commits, fields_of, update_paths
from sabir.wire.errors import Malformed
from sabir.wire.tls import opaque, read_whole, vector


@given(commits)
def test_a_commit_reads_as_written(commit: Commit) -> None:
    again = read_whole(commit.raw, read_commit)
    assert fields_of(again) == fields_of(commit)
    assert again == commit


@given(update_paths)
def test_a_path_reads_as_written(path: UpdatePath) -> None:
    again = read_whole(path.raw, read_update_path)
    assert fields_of(again) == fields_of(path)


def test_the_octets_are_those_of_the_rfc() -> None:
    leaf = Author(SUITES[1]).leaf(LeafNodeSource.COMMIT)
    node = UpdatePathNode.of(b"key", [HPKECiphertext(b"kem", b"sealed")])
    assert node.raw == b"\x03key\x0b\x03kem\x06sealed"
    commit = Commit(
        (Remove(2), ProposalReference(b"name")), UpdatePath(leaf, (node, node))
    )
    assert commit.raw == (
        b"\x0d\x01\x00\x03\x00\x00\x00\x02\x02\x04name\x01"
        + leaf.raw
        + vector([node.raw, node.raw])
    )
    assert Commit(()).raw == b"\x00\x00"


def test_a_ciphertext_is_read_when_it_is_asked_for() -> None:
    sealed = [HPKECiphertext(bytes([n]) * 70, bytes([n])) for n in range(40)]
    node = read_whole(UpdatePathNode.of(b"key", sealed).raw, read_update_path_node)
    assert len(node) == 40
    assert [node.ciphertext(index) for index in range(40)] == sealed
    assert node.encode() == node.raw


def test_a_ciphertext_that_runs_over_the_vector_is_refused() -> None:
    octets = opaque(b"key") + opaque(b"\x03kem\x06seal")
    with pytest.raises(Malformed) as wrong:
        read_whole(octets, read_update_path_node)
    assert wrong.value.rule == "C04"


def test_more_ciphertexts_than_members_are_refused() -> None:
    octets = UpdatePathNode.of(b"key", [HPKECiphertext(b"", b"")] * 3).raw

    def read(count: int) -> UpdatePathNode:
        limits = Limits(members_max=count)
        return read_whole(octets, lambda reader: read_update_path_node(reader, limits))

    assert len(read(3)) == 3
    with pytest.raises(Malformed) as wrong:
        read(2)
    assert wrong.value.rule == "C03"


def test_a_path_longer_than_any_tree_is_high_is_refused() -> None:
    leaf = Author(SUITES[1]).leaf(LeafNodeSource.COMMIT)
    node = UpdatePathNode.of(b"key", ())
    read_whole(UpdatePath(leaf, (node,) * PATH_NODES_MAX).raw, read_update_path)
    too_long = UpdatePath(leaf, (node,) * (PATH_NODES_MAX + 1))
    with pytest.raises(Malformed) as wrong:
        read_whole(too_long.raw, read_update_path)
    assert wrong.value.rule == "C03"


@pytest.mark.parametrize("kind", [0, 3, 255])
def test_neither_proposal_nor_reference_is_refused(kind: int) -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(vector([bytes((kind,)) + b"\x00\x0a"]) + b"\x00", read_commit)
    assert wrong.value.rule == "C07"


def test_an_unknown_type_inside_a_commit_is_unsupported() -> None:
    with pytest.raises(MlsUnsupported):
        read_whole(vector([b"\x01\xf0\x01\x00"]) + b"\x00", read_commit)


def test_more_proposals_than_the_limit_are_refused() -> None:
    octets = Commit((Remove(1), Remove(2), Remove(3))).raw

    def read(count: int) -> Commit:
        limits = Limits(proposals_per_commit_max=count)
        return read_whole(octets, lambda reader: read_commit(reader, limits=limits))

    assert len(read(3).proposals) == 3
    with pytest.raises(Malformed) as wrong:
        read(2)
    assert wrong.value.rule == "C03"


def test_a_presence_octet_of_two_is_refused() -> None:
    with pytest.raises(Malformed) as wrong:
        read_whole(b"\x00\x02", read_commit)
    assert wrong.value.rule == "C06"
