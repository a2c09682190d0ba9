"""Numbers of the registries."""

from sabir.mls.codepoints import (
    DEFAULT_EXTENSIONS,
    DEFAULT_PROPOSALS,
    GREASE,
    ProposalKind,
)


def test_grease_is_what_the_rfc_lists() -> None:
    digits = "0123456789ABCDE"
    assert {f"{number:04X}" for number in GREASE} == {f"{d}A{d}A" for d in digits}


def test_default_types_are_those_of_the_rfc_and_not_of_its_extensions() -> None:
    assert DEFAULT_PROPOSALS.isdisjoint(
        {
            ProposalKind.APP_DATA_UPDATE,
            ProposalKind.APP_EPHEMERAL,
            ProposalKind.SELF_REMOVE,
        }
    )
    assert ProposalKind.GROUP_CONTEXT_EXTENSIONS in DEFAULT_PROPOSALS
    assert frozenset({1, 2, 3, 4, 5}) == DEFAULT_EXTENSIONS
