"""Writes the manual's pages of MLS rules and limits from the source.

    python -m sabir.testing.mls.pages

in a checkout brings both up to date; a test fails while they are not.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

from sabir.mls import limits
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.validation.rules import Rule

_FAMILIES: Final = {
    "C": "codec",
    "F": "framing",
    "D": "secret tree",
    "L": "leaf node",
    "K": "key package",
    "T": "ratchet tree",
    "P": "single proposal",
    "Q": "proposal list",
    "O": "commit",
    "X": "external commit",
    "W": "Welcome",
    "E": "mls-extensions",
    "H": "public group, the hub's view",
}

_RULES_HEAD: Final = """\
# Rules of MLS

Everything that `sabir.mls` checks, by number. A refused message names its rule: in
`MlsInvalid.rule`, or `Malformed.rule` where octets are no valid encoding (C01 to C07,
C10). What is unknown to us is `MlsUnsupported` (C08, C09), what is not at hand
`MlsMissing` (O02, among others), what our own caller must not do `MlsMisuse` with the
rule in its text (D04, D05, O06 to O09, E10, E14). A refusal changes nothing.

Sources are sections of RFC 9420; in E, of draft-ietf-mls-extensions. *ours* is a rule
of this library. [How it is built](../explanation/mls.md).

This page is written by `python -m sabir.testing.mls.pages` from
`sabir/mls/validation/rules.py`.
"""

_LIMITS_HEAD: Final = """\
# Limits of MLS

Everything in `sabir.mls` that could grow has a limit, in number or in octets. A client
that needs others is built with `Services(limits=Limits(...))`. What goes beyond one is
refused: C03 for sizes and counts, D01 and D02 for messages too far ahead or whose key
was dropped, D04 for our own sending, L06 for lifetimes.

Media types, lists of components, and the receivers and keys of a SemiPrivateMessage are
limited by the octets of their message alone. A message that is dense with them takes up
to 37 times its size in memory while it is read: where that is too much, lower
`message_octets_max`. What we compose is not held to sizes and counts: others refuse it.

This page is written by `python -m sabir.testing.mls.pages` from `sabir/mls/limits.py`.

| limit | default | reason |
|--|--|--|
"""


def rules_page() -> str:
    """Return docs/reference/mls-rules.md."""
    return _RULES_HEAD + "".join(
        f"\n## {family}: {title}\n\n| rule | what must hold | source |\n|--|--|--|\n"
        + "".join(_rule_rows(family))
        for family, title in _FAMILIES.items()
    )


def _rule_rows(family: str) -> Iterator[str]:
    for rule in Rule:
        if rule.name.startswith(family):
            found = re.fullmatch(r"(.*) \(([^()]*)\)", rule.value)
            assert found is not None, f"{rule.name} names no source"
            text = re.sub(r"\b([a-z]+_[a-z_]+)\b", r"`\1`", found[1])
            yield f"| {rule.name} | {text} | {found[2]} |\n"


def limits_page() -> str:
    """Return docs/reference/mls-limits.md."""
    reasons = _reasons()
    return _LIMITS_HEAD + "".join(
        f"| `{each.name}` | {getattr(DEFAULT_LIMITS, each.name):,} "
        f"| {reasons[each.name]} |\n"
        for each in fields(Limits)
    )


def _reasons() -> dict[str, str]:
    """Return what is written below each limit."""
    (owner,) = (
        node
        for node in ast.parse(inspect.getsource(limits)).body
        if isinstance(node, ast.ClassDef)
    )
    reasons = {}
    for field, text in zip(owner.body, owner.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            reasons[field.target.id] = " ".join(str(text.value.value).split())
    return reasons


PAGES: Final = {"mls-rules.md": rules_page, "mls-limits.md": limits_page}
"""In docs/reference."""


def main() -> None:
    """Write the pages of the checkout that this runs in."""
    reference = Path("docs/reference")
    if not reference.is_dir():
        sys.exit("run this in the root of a checkout: docs/reference is not here")
    for name, page in PAGES.items():
        (reference / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
