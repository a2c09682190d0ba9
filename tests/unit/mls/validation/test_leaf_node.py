"""Rules L: each is broken here, for every suite where keys matter."""

from dataclasses import replace

import pytest

from sabir.crypto.labels import sign_with_label
from sabir.crypto.suites import SUITES
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import CredentialKind, LeafNodeSource
from sabir.mls.credentials import (
    BINDING_LABEL,
    BasicCredential,
    Credential,
    CredentialBinding,
    MultiCredential,
    Verdict,
    Where,
)
from sabir.mls.extensions import (
    APPLICATION_ID,
    EXTERNAL_SENDERS,
    REQUIRED_CAPABILITIES,
    Extension,
    RequiredCapabilities,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import LeafNode, LeafNodeIn, Lifetime
from sabir.mls.limits import Limits
from sabir.mls.validation.leaf_node import (
    LeafRules,
    check_credential_types,
    check_defaults_unlisted,
    check_encryption_key_changed,
    check_encryption_key_unique,
    check_lifetime,
    check_signature_key_unique,
    validate_leaf_node,
)
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.leaves import CAPABILITIES, DAY_S, NOW_S, Author, TrustAll
from sabir.testing.mls.rules import violates

SUITE = SUITES[1]
ALICE, BOB = Author(SUITE), Author(SUITE, b"bob")
KEY_PACKAGE = LeafNodeSource.KEY_PACKAGE
UPDATE, COMMIT = LeafNodeSource.UPDATE, LeafNodeSource.COMMIT

# numbers that are nobody's default
EXTENSION, PROPOSAL, CREDENTIAL = 0xF010, 0xF020, 0xF030


def rules(**changes: object) -> LeafRules:
    plain = LeafRules(suite=SUITE, authentication=TrustAll())
    return replace(plain, supported=set(), **changes)  # type: ignore[arg-type]  # any


def validated(
    leaf: LeafNodeIn, where: Where = Where.KEY_PACKAGE, **changes: object
) -> LeafNode:
    return validate_leaf_node(leaf, rules(**changes), where, now=NOW_S)


def able(
    *,
    versions: tuple[int, ...] = CAPABILITIES.versions,
    suites: tuple[int, ...] = CAPABILITIES.cipher_suites,
    extensions: tuple[int, ...] = (),
    proposals: tuple[int, ...] = (),
    credentials: tuple[int, ...] = CAPABILITIES.credentials,
) -> Capabilities:
    return Capabilities(versions, suites, extensions, proposals, credentials)


@pytest.mark.parametrize("number", SUITES)
def test_a_valid_leaf_is_accepted_at_its_place(number: int) -> None:
    author = Author(SUITES[number])
    group = LeafRules(suite=author.suite, authentication=TrustAll())
    places = {
        Where.KEY_PACKAGE: KEY_PACKAGE,
        Where.UPDATE: UPDATE,
        Where.COMMIT: COMMIT,
    }
    for where, source in places.items():
        leaf = author.leaf(source, group_id=b"group", leaf_index=3)
        for place in (where, Where.TREE):
            checked = validate_leaf_node(
                leaf, group, place, group_id=b"group", leaf_index=3, now=NOW_S
            )
            assert isinstance(checked, LeafNode)
            assert checked == leaf


def test_l01_a_credential_that_is_not_accepted_is_refused() -> None:
    with violates(Rule.L01):
        validated(ALICE.leaf(), authentication=TrustAll(b"alice"))


def test_l01_the_service_is_asked_about_credential_key_and_place() -> None:
    service = TrustAll()
    leaf = ALICE.leaf()
    validated(leaf, Where.TREE, authentication=service)
    assert service.asked == [(leaf.credential, ALICE.signature_public, Where.TREE)]


def test_l01_a_reason_is_passed_on() -> None:
    class Strict(TrustAll):
        def check(
            self, credential: Credential, signature_key: bytes, where: Where
        ) -> Verdict:
            return Verdict(accepted=False, reason="certificate has expired")

    with pytest.raises(Exception, match="certificate has expired"):
        validated(ALICE.leaf(), authentication=Strict())


@pytest.mark.parametrize("number", SUITES)
def test_l02_a_wrong_signature_is_refused(number: int) -> None:
    author = Author(SUITES[number])
    leaf = author.leaf()
    for signature in (b"", bytes(len(leaf.signature)), leaf.signature[:-1]):
        with violates(Rule.L02):
            validated(signed_with(leaf, signature), suite=author.suite)


@pytest.mark.parametrize("source", [UPDATE, COMMIT])
def test_l02_a_signature_is_only_right_at_its_place(source: LeafNodeSource) -> None:
    leaf = ALICE.leaf(source, group_id=b"group", leaf_index=3)
    for group_id, index in ((b"other", 3), (b"group", 4)):
        with violates(Rule.L02):
            validate_leaf_node(
                leaf, rules(), Where.TREE, group_id=group_id, leaf_index=index
            )


def test_l02_the_signature_of_another_client_is_refused() -> None:
    with violates(Rule.L02):
        validated(signed_with(ALICE.leaf(), BOB.leaf().signature))


def signed_with(leaf: LeafNodeIn, signature: bytes) -> LeafNodeIn:
    return changed(leaf, signature=signature)


def changed(
    leaf: LeafNodeIn,
    *,
    signature: bytes | None = None,
    signature_key: bytes | None = None,
) -> LeafNodeIn:
    return LeafNodeIn(
        leaf.encryption_key,
        leaf.signature_key if signature_key is None else signature_key,
        leaf.credential,
        leaf.capabilities,
        leaf.source,
        leaf.lifetime,
        leaf.parent_hash,
        leaf.extensions,
        leaf.signature if signature is None else signature,
    )


REQUIREMENTS = [
    (RequiredCapabilities(extensions=(EXTENSION,)), able(extensions=(EXTENSION,))),
    (RequiredCapabilities(proposals=(PROPOSAL,)), able(proposals=(PROPOSAL,))),
    (
        RequiredCapabilities(credentials=(CREDENTIAL,)),
        able(credentials=(CredentialKind.BASIC, CREDENTIAL)),
    ),
]


@pytest.mark.parametrize(("required", "capabilities"), REQUIREMENTS)
def test_l03_what_the_group_requires_is_supported(
    required: RequiredCapabilities, capabilities: Capabilities
) -> None:
    validated(ALICE.leaf(capabilities=capabilities), required=required)
    with violates(Rule.L03):
        validated(ALICE.leaf(), required=required)


def test_l03_default_types_are_supported_without_being_listed() -> None:
    default = RequiredCapabilities((3, 5), (1, 7), (CredentialKind.BASIC,))
    validated(ALICE.leaf(), required=default)


def test_l04_the_types_of_all_members_credentials_are_supported() -> None:
    basic = CredentialKind.BASIC
    validated(ALICE.leaf(), credentials_in_use=frozenset({basic}))
    with violates(Rule.L04):
        validated(ALICE.leaf(), credentials_in_use=frozenset({basic, CREDENTIAL}))
    with violates(Rule.L04):
        check_credential_types(CAPABILITIES, [CREDENTIAL])


def living(not_before: int, not_after: int) -> LeafNodeIn:
    return ALICE.leaf(lifetime=Lifetime(not_before, not_after))


SKEW_S = Limits().clock_skew_s_max


@pytest.mark.parametrize(
    ("leaf", "fits"),
    [
        (living(NOW_S + SKEW_S, NOW_S + DAY_S), True),
        (living(NOW_S + SKEW_S + 1, NOW_S + DAY_S), False),
        (living(NOW_S - DAY_S, NOW_S - SKEW_S), True),
        (living(NOW_S - DAY_S, NOW_S - SKEW_S - 1), False),
        (living(0, 0), False),
    ],
)
def test_l05_now_is_within_the_lifetime_give_or_take_the_skew(
    leaf: LeafNodeIn, fits: bool
) -> None:
    # the policy of whoever gives no time is to let expired leaves be
    validate_leaf_node(leaf, rules(), Where.TREE)
    if fits:
        validated(leaf)
        return
    with violates(Rule.L05):
        validated(leaf)


@pytest.mark.parametrize("now", [99, 201])
def test_l05_what_we_send_lives_without_any_skew(now: int) -> None:
    leaf = living(100, 200)
    for fitting in (100, 200):
        check_lifetime(leaf, fitting)
    with violates(Rule.L05):
        check_lifetime(leaf, now)


def test_l05_other_sources_have_no_lifetime() -> None:
    check_lifetime(ALICE.leaf(UPDATE), 0)


def test_l06_a_lifetime_longer_than_the_limit_is_refused() -> None:
    limits = Limits(lifetime_s_max=2 * DAY_S)
    validated(living(NOW_S - DAY_S, NOW_S + DAY_S), limits=limits)
    with violates(Rule.L06):
        validated(living(NOW_S - DAY_S, NOW_S + DAY_S + 1), limits=limits)
    with violates(Rule.L06):
        validated(living(0, (1 << 64) - 1))


def test_l07_its_own_extensions_are_in_its_capabilities() -> None:
    extensions = (Extension(EXTENSION, b""), Extension(APPLICATION_ID, b"\x00"))
    capable = able(extensions=(EXTENSION,))
    validated(ALICE.leaf(extensions=extensions, capabilities=capable))
    with violates(Rule.L07):
        validated(ALICE.leaf(extensions=extensions))


def test_l08_its_own_credential_type_is_in_its_capabilities() -> None:
    with violates(Rule.L08):
        validated(ALICE.leaf(capabilities=able(credentials=(CREDENTIAL,))))


@pytest.mark.parametrize(
    ("where", "source"),
    [
        (Where.KEY_PACKAGE, UPDATE),
        (Where.KEY_PACKAGE, COMMIT),
        (Where.UPDATE, KEY_PACKAGE),
        (Where.UPDATE, COMMIT),
        (Where.COMMIT, KEY_PACKAGE),
        (Where.COMMIT, UPDATE),
    ],
)
def test_l09_the_source_fits_the_place(where: Where, source: LeafNodeSource) -> None:
    with violates(Rule.L09):
        validated(ALICE.leaf(source), where)


def test_l10_the_encryption_key_changes() -> None:
    check_encryption_key_changed(BOB.leaf(), ALICE.leaf())
    with violates(Rule.L10):
        check_encryption_key_changed(ALICE.leaf(UPDATE), ALICE.leaf())


def test_l11_the_signature_key_is_unique() -> None:
    check_signature_key_unique(ALICE.leaf(), {BOB.signature_public})
    with violates(Rule.L11):
        check_signature_key_unique(ALICE.leaf(), {ALICE.signature_public})


def test_l12_the_encryption_key_is_unique() -> None:
    check_encryption_key_unique(ALICE.leaf(), {BOB.encryption_public})
    with violates(Rule.L12):
        check_encryption_key_unique(ALICE.leaf(), {ALICE.encryption_public})


@pytest.mark.parametrize(
    "capabilities", [able(versions=(2,)), able(versions=()), able(suites=(2, 3))]
)
def test_l13_version_and_suite_of_the_group_are_supported(
    capabilities: Capabilities,
) -> None:
    with violates(Rule.L13):
        validated(ALICE.leaf(capabilities=capabilities))


@pytest.mark.parametrize("number", SUITES)
def test_l14_keys_are_those_of_the_suite(number: int) -> None:
    author = Author(SUITES[number])
    size = len(author.encryption_public)
    for key in (b"", bytes(size), author.encryption_public[:-1]):
        with violates(Rule.L14):
            validated(author.leaf(encryption_key=key), suite=author.suite)
    for key in (b"", author.signature_public[:-1]):
        with violates(Rule.L14):
            validated(changed(author.leaf(), signature_key=key), suite=author.suite)


def test_l15_the_groups_extensions_are_supported() -> None:
    capable = able(extensions=(EXTENSION,))
    in_use = (EXTENSION, EXTERNAL_SENDERS)
    validated(ALICE.leaf(capabilities=capable), group_extensions=in_use)
    with violates(Rule.L15):
        validated(ALICE.leaf(), group_extensions=in_use)


@pytest.mark.parametrize(
    "capabilities", [able(extensions=(5,)), able(proposals=(7, PROPOSAL))]
)
def test_l16_we_list_no_default_types_but_let_others(
    capabilities: Capabilities,
) -> None:
    leaf = ALICE.leaf(capabilities=capabilities)
    validated(leaf)
    with violates(Rule.L16):
        check_defaults_unlisted(leaf)
    check_defaults_unlisted(ALICE.leaf(capabilities=able(extensions=(6,))))


def test_rules_are_those_of_the_group_context() -> None:
    required = RequiredCapabilities((EXTENSION,), (PROPOSAL,), (CREDENTIAL,))
    context = GroupContext(
        SUITE.number,
        b"group",
        3,
        b"",
        b"",
        (
            Extension(REQUIRED_CAPABILITIES, required.encode()),
            Extension(EXTENSION, b""),
        ),
    )
    service, limits = TrustAll(), Limits(clock_skew_s_max=1)
    group = LeafRules.of_group(
        context,
        SUITE,
        service,
        credentials_in_use=[1, 1, 2],
        limits=limits,
        suites={1: SUITE},
    )
    assert group.required == required
    assert group.group_extensions == (REQUIRED_CAPABILITIES, EXTENSION)
    assert group.credentials_in_use == {1, 2}
    assert (group.suite, group.authentication) == (SUITE, service)
    assert (group.limits, group.suites) == (limits, {1: SUITE})
    plain = GroupContext(SUITE.number, b"group", 3, b"", b"")
    assert LeafRules.of_group(plain, SUITE, service).required == RequiredCapabilities()


def test_capabilities_are_judged_once_for_all_their_leaves() -> None:
    group = rules()
    validate_leaf_node(ALICE.leaf(), group, Where.TREE)
    assert group.supported == {CAPABILITIES}
    validate_leaf_node(BOB.leaf(), group, Where.TREE)
    assert group.supported == {CAPABILITIES}
    with violates(Rule.L13):
        validate_leaf_node(ALICE.leaf(capabilities=able(suites=())), group, Where.TREE)
    assert group.supported == {CAPABILITIES}


# ---- multi credentials


def binding(
    holder: Author, *, suite: int = SUITE.number, leaf_key: bytes | None = None
) -> CredentialBinding:
    credential = BasicCredential(holder.name)
    unsigned = CredentialBinding(suite, credential, holder.signature_public, b"")
    content = unsigned.signed(ALICE.signature_public if leaf_key is None else leaf_key)
    signature = sign_with_label(
        holder.suite, holder.signature_private, BINDING_LABEL, content
    )
    return replace(unsigned, signature=signature, raw=b"")


def multi(*bindings: CredentialBinding, weak: bool = False) -> LeafNodeIn:
    kind = CredentialKind.WEAK_MULTI if weak else CredentialKind.MULTI
    return ALICE.leaf(
        credential=MultiCredential(bindings, weak),
        capabilities=able(credentials=(kind,)),
    )


CURVE = Author(SUITES[2], b"carol")


@pytest.mark.parametrize("weak", [False, True])
def test_l01_bindings_of_any_suite_we_know_are_accepted(weak: bool) -> None:
    service = TrustAll()
    leaf = multi(binding(BOB), binding(CURVE, suite=2), weak=weak)
    validated(leaf, authentication=service)
    assert [key for _, key, _ in service.asked] == [
        ALICE.signature_public,
        BOB.signature_public,
        CURVE.signature_public,
    ]


@pytest.mark.parametrize("weak", [False, True])
def test_l01_a_binding_that_is_wrong_is_refused(weak: bool) -> None:
    with violates(Rule.L01):
        validated(multi(binding(BOB, leaf_key=b"another leaf"), weak=weak))
    with violates(Rule.L01):
        validated(multi(binding(BOB), weak=weak), authentication=TrustAll(b"bob"))
    with violates(Rule.L01):
        validated(multi(weak=weak))


def test_l01_a_binding_of_an_unknown_suite_counts_only_when_weak() -> None:
    unknown = binding(BOB, suite=0xFB07)
    validated(multi(unknown, binding(BOB), weak=True))
    with violates(Rule.L01):
        validated(multi(unknown, weak=True))
    with violates(Rule.L01):
        validated(multi(unknown, binding(BOB)))
