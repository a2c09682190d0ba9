"""The rules that no test of this folder breaks, each with its reason."""

from collections.abc import Mapping
from typing import Final

from sabir.mls.validation.rules import Rule

NOT_BROKEN: Final[Mapping[Rule, str]] = {
    Rule.F08: "the content type alone says whether a tag follows: without one, or with"
    " one too many, the octets are C03, C05 or F06; test_framing breaks the function",
    Rule.K02: "what is wrong with the leaf has its own rule L",
    Rule.K05: "who reads key packages from a server asks for it: test_key_package",
    Rule.P01: "what is wrong with the key package has its own rule K or L",
    Rule.P02: "what is wrong with the leaf has its own rule L, a sender who is no"
    " member is P09, a blank leaf F03",
    Rule.O02: "nobody's fault: MlsMissing, in test_psks",
    Rule.O04: "holds for every refusal (`unchanged`) and every stage, in test_commits",
    Rule.D03: "holds for every refusal (`unchanged`), and in test_replay and"
    " test_deletion",
    Rule.X01: "F05 asks for the path first: its leaf brings the key of the signature",
    Rule.X07: "the place is nowhere but in the leaf's signature: L02, in"
    " test_external_commits",
    Rule.W08: "what is wrong with the tree has its own rule T or L, in test_trees",
    Rule.W10: "is T14, in test_welcomes",
    Rule.W16: "another order gives another key: W03, in test_welcomes",
}
