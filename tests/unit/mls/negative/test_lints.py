"""Faults that are seen in the source: N12 and N16; and N10, by another derivation."""

import ast
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import sabir
from sabir.crypto.secrets import Secret
from sabir.mls.tags import Tag
from sabir.testing.mls.world import World
from tests.unit.mls.negative.judges import misused

PARTS: Final = ("mls", "crypto", "wire")
SOURCES: Final = [
    path
    for part in PARTS
    for path in sorted((Path(sabir.__file__).parent / part).rglob("*.py"))
]


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def names_in(node: ast.expr) -> Iterator[str]:
    """Return the last name of an operand: `a.b_tag` is `b_tag`."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


# ---- N12


@pytest.mark.parametrize("make", [Secret, Tag])
def test_n12_secrets_and_tags_cannot_be_compared(
    make: type[Secret] | type[Tag],
) -> None:
    one = make(b"octets")
    for other in (make(b"octets"), b"octets", None):
        with pytest.raises(TypeError, match="ct_equal"):
            _ = one == other
        with pytest.raises(TypeError, match="ct_equal"):
            _ = one != other
    assert one.ct_equal(b"octets")
    assert not one.ct_equal(b"others")
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


SECRETIVE: Final = ("_tag", "_secret", "_private", "reveal", "_mac")


def test_n12_no_source_compares_tags_or_secrets_with_equals() -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        for operand in (node.left, *node.comparators)
        for name in names_in(operand)
        if name.endswith(SECRETIVE) or name in {"tag", "secret"}
    ]
    assert not found


# ---- N16


def test_n16_no_handler_is_broad_or_empty() -> None:
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = set(names_of(node.type))
            broad = node.type is None or caught & {"Exception", "BaseException"}
            empty = all(isinstance(each, ast.Pass) for each in node.body)
            if broad or empty:
                found.append(f"{path.name}:{node.lineno}")
    assert not found


def names_of(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Tuple):
        for each in node.elts:
            yield from names_in(each)
    elif node is not None:
        yield from names_in(node)


def test_n16_nothing_suppresses_broadly() -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and "suppress" in set(names_in(node.func))
        and {"Exception", "BaseException"}
        & {name for argument in node.args for name in names_in(argument)}
    ]
    assert not found


def test_the_lints_look_at_the_whole_core() -> None:
    """Guard of this file."""
    names = {path.name for path in SOURCES}
    assert {"process.py", "labels.py", "tls.py", "secret_tree.py"} <= names
    assert len(SOURCES) > 60


# ---- N10

HASHES: Final = {1: "sha256", 2: "sha256", 4: "sha512"}


def varint(size: int) -> bytes:
    return bytes([size]) if size < 64 else (0x4000 | size).to_bytes(2, "big")


def expand_with_label(
    name: str, secret: bytes, label: bytes, context: bytes, length: int
) -> bytes:
    """ExpandWithLabel by the letter of sections 8 and RFC 5869, with hmac alone."""
    label = b"MLS 1.0 " + label
    info = length.to_bytes(2, "big") + varint(len(label)) + label
    info += varint(len(context)) + context
    octets = block = b""
    for counter in range(1, 256):
        block = hmac.digest(secret, block + info + bytes([counter]), name)
        octets += block
        if len(octets) >= length:
            break
    return octets[:length]


@pytest.mark.parametrize("own", [1, 2, 4], indirect=True)
@pytest.mark.parametrize("size", [0, 32, 5_000])
@pytest.mark.parametrize("length", [1, 32, 65, 500])
def test_n10_exported_secrets_are_what_the_rfc_says(
    own: World, size: int, length: int
) -> None:
    name = HASHES[own.suite.number]
    context = own.env.random(size)
    epoch = own.groups["bob"].state.epoch
    assert epoch is not None
    nh = hashlib.new(name).digest_size
    derived = expand_with_label(
        name, epoch.secrets.exporter.reveal(), b"a label", b"", nh
    )
    hashed = hashlib.new(name, context).digest()
    expected = expand_with_label(name, derived, b"exported", hashed, length)
    for group in own.groups.values():
        assert group.export(b"a label", context, length).ct_equal(expected)


def test_n10_no_length_is_exported_that_cannot_be(own: World) -> None:
    bob = own.groups["bob"]
    bob.export(b"a label", b"", 255 * 32)
    for length in (0, -1, 255 * 32 + 1, 1 << 20):
        with misused("octets", bob):
            bob.export(b"a label", b"", length)
