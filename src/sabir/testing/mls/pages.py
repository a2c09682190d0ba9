"""Writes the manual's pages of MLS rules and limits from the source.

    python -m sabir.testing.mls.pages

in a checkout brings both up to date; a test fails while they are not.
"""

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from sabir.mls import commit, credentials, extensions, limits, struct, tree_options
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
rule in its text (D04, D05, O06 to O09, P11, E10, E14). A refusal changes nothing.

A commit that names a proposal which does not wait breaks Q11 for a hub, who decides
what waits. To a member it is `ProposalsMissing`, an `MlsMissing` with the references:
given their messages, the member processes the commit after all.

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
was dropped, D04 for our own sending, L06 for lifetimes, P11 for proposals of one sender
that wait, Q12 for members, Q13 for PSKs of a commit.

What we make ourselves is held to the same limits: beyond one it is `MlsMisuse`, before
a key was used up or anything has changed.

The defaults are a profile: members who have them refuse the same messages and let the
same proposals wait. So change them for a whole application, if at all. Where members do
differ, or heard proposals in another order, one may lack what a commit names: it hears
`ProposalsMissing` and follows with the messages of those. One SelfRemove of each member
always has room.

Memory follows: whatever 4 MiB are made of, reading them takes three times as much at
most, and following a commit that is nothing but one extension nine times.

This page is written by `python -m sabir.testing.mls.pages` from `sabir/mls/limits.py`
and its neighbours.

| limit | default | reason |
|--|--|--|
"""

_FIXED_HEAD: Final = """
## The same for everybody

All members must be able to read what a group holds, and what a leaf claims, or the
group falls apart over it. These limits are part of the code; a commit that would pass
one is refused, C03, or C04 inside another list.

| limit | value | reason |
|--|--|--|
"""

_FIXED: Final = (limits, extensions, credentials, struct, commit, tree_options)
"""Modules with limits that are nobody's own choice."""


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
    (owner,) = (
        node
        for node in ast.parse(inspect.getsource(limits)).body
        if isinstance(node, ast.ClassDef)
    )
    reasons = _reasons(owner.body)
    own = [
        (each.name, getattr(DEFAULT_LIMITS, each.name), reasons[each.name])
        for each in fields(Limits)
    ]
    fixed = [
        (name, getattr(module, name), reason)
        for module in _FIXED
        for name, reason in _reasons(ast.parse(inspect.getsource(module)).body).items()
        if re.fullmatch(r"[A-Z][A-Z_]*_MAX", name)
    ]
    return _LIMITS_HEAD + _limit_rows(own) + _FIXED_HEAD + _limit_rows(fixed)


def _limit_rows(rows: Iterable[tuple[str, int, str]]) -> str:
    return "".join(
        f"| `{name}` | {value:,} | {reason} |\n" for name, value, reason in rows
    )


def _reasons(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Return what is written below each annotated name."""
    return {
        field.target.id: " ".join(str(text.value.value).split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


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
