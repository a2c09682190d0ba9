"""Verified types are made where things are checked, and nowhere else."""

import ast
from pathlib import Path

import sabir
from sabir.mls.validation.proof import PROOF, Proof

SOURCE = Path(sabir.__file__).parent
MODULE = "sabir.mls.validation.proof"


def importers(name: str) -> set[str]:
    """Return the modules that import a name of the proof's module."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == MODULE
        for alias in node.names
        if alias.name == name
    }


HOLDERS = {
    "mls.group.load": "loads leaves of past epochs that were checked before",
    "mls.message_protection": "signs our own contents",
    "mls.public_store": "loads proposals that were checked before they were stored",
    "mls.ratchet_tree": "loads a tree that was checked before it was stored",
}
"""Who, besides `mls.validation`, makes verified types, and why it may."""


def test_only_who_checks_or_signs_or_loads_holds_the_proof() -> None:
    holders = {
        module
        for module in importers("PROOF")
        if not module.startswith(("mls.validation.", "testing."))
    }
    assert holders == HOLDERS.keys(), "a new holder needs its reason in HOLDERS"


def test_verified_types_name_the_proof_without_holding_it() -> None:
    takers = {"mls.framing", "mls.group_info", "mls.key_packages", "mls.leaf_node"}
    assert takers <= importers("Proof")
    assert takers.isdisjoint(importers("PROOF"))


def test_the_proof_is_one_object() -> None:
    assert isinstance(PROOF, Proof)
