"""Rules L: a leaf node is one that this group can have at this place.

Each function checks one rule of `rules.py`; sections are of RFC 9420.
`validate_leaf_node` runs those that one leaf and its group decide; whether keys are
unique (L11, L12) is known to the tree, which calls the functions here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sabir.crypto import hpke, signatures
from sabir.crypto.labels import verify_with_label
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.codepoints import (
    DEFAULT_EXTENSIONS,
    DEFAULT_PROPOSALS,
    MLS10,
    LeafNodeSource,
)
from sabir.mls.credentials import (
    BINDING_LABEL,
    AuthenticationService,
    Credential,
    MultiCredential,
    Where,
)
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import (
    RequiredCapabilities,
    required_capabilities_of,
)
from sabir.mls.group_context import GroupContext
from sabir.mls.leaf_node import TBS_LABEL, LeafNode, LeafNodeIn
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule

NO_REQUIREMENTS: Final = RequiredCapabilities()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafRules:
    """What a group asks of its leaves. Make one for a tree, not one for a leaf.

    Attributes:
        suite: of the group.
        authentication: says to whom credentials belong.
        version: of the group.
        required: from the GroupContext.
        group_extensions: types of the GroupContext's extensions.
        credentials_in_use: types of the members' credentials.
        limits: `lifetime_s_max` and `clock_skew_s_max` count.
        suites: that this client has, for bindings of multi credentials.
        supported: capabilities that were found sufficient before.
    """

    suite: CipherSuite
    authentication: AuthenticationService
    version: int = MLS10
    required: RequiredCapabilities = NO_REQUIREMENTS
    group_extensions: tuple[int, ...] = ()
    credentials_in_use: frozenset[int] = frozenset()
    limits: Limits = DEFAULT_LIMITS
    suites: Mapping[int, CipherSuite] = field(default_factory=lambda: SUITES)
    supported: set[Capabilities] = field(default_factory=set, repr=False)

    @classmethod
    def of_group(
        cls,
        context: GroupContext,
        suite: CipherSuite,
        authentication: AuthenticationService,
        *,
        credentials_in_use: Iterable[int] = (),
        limits: Limits = DEFAULT_LIMITS,
        suites: Mapping[int, CipherSuite] = SUITES,
    ) -> "LeafRules":
        """Take the rules from a GroupContext, the new one where a commit changes it.

        Raises:
            Malformed: `required_capabilities` is none.
        """
        return cls(
            suite=suite,
            authentication=authentication,
            version=context.version,
            required=required_capabilities_of(context.extensions) or NO_REQUIREMENTS,
            group_extensions=tuple(extension.kind for extension in context.extensions),
            credentials_in_use=frozenset(credentials_in_use),
            limits=limits,
            suites=suites,
        )


def validate_leaf_node(
    leaf: LeafNodeIn,
    rules: LeafRules,
    where: Where,
    *,
    group_id: bytes = b"",
    leaf_index: int = 0,
    now: int | None = None,
) -> LeafNode:
    """Check a leaf node for its place (section 7.3).

    Args:
        leaf: what came in.
        rules: of the group.
        where: it was met; decides which source fits (L09).
        group_id: of the group; the signature of sources update and commit covers it.
        leaf_index: its place in the tree; likewise.
        now: seconds since 1970 to judge the lifetime by (L05); None where the policy
            is to let an expired leaf be, as in the tree of a group.

    Returns:
        The same leaf, checked for all rules L but L10 to L12 and L16.

    Raises:
        MlsInvalid: the rule that is broken.
    """
    _check_all_but_signature(leaf, rules, where, now)
    check_signature(leaf, rules.suite, group_id, leaf_index)
    return LeafNode(leaf, PROOF)


def validate_new_leaf_node(leaf: LeafNodeIn, rules: LeafRules, now: int) -> LeafNode:
    """Check a leaf of ours for a key package, signed a moment ago.

    As `validate_leaf_node`, but the signature is believed: `sign_leaf_node` made it,
    with the private half of the leaf's signature key.

    Raises:
        MlsInvalid: the rule that is broken, by which others would refuse the leaf.
    """
    _check_all_but_signature(leaf, rules, Where.KEY_PACKAGE, now)
    return LeafNode(leaf, PROOF)


def _check_all_but_signature(
    leaf: LeafNodeIn, rules: LeafRules, where: Where, now: int | None
) -> None:
    check_source(leaf, where)
    check_lifetime_length(leaf, rules.limits)
    if now is not None:
        check_lifetime(leaf, now, rules.limits.clock_skew_s_max)
    check_own_extensions(leaf)
    check_own_credential(leaf)
    check_capabilities(leaf, rules)
    check_keys(leaf, rules.suite)
    check_credential(leaf, rules, where)


# ---- the leaf itself

_SOURCES: Final[Mapping[Where, LeafNodeSource]] = {
    Where.KEY_PACKAGE: LeafNodeSource.KEY_PACKAGE,
    Where.UPDATE: LeafNodeSource.UPDATE,
    Where.COMMIT: LeafNodeSource.COMMIT,
}


def check_source(leaf: LeafNodeIn, where: Where) -> None:
    """L09: the source fits the place; in a tree any does (section 7.3)."""
    fitting = _SOURCES.get(where, leaf.source)
    if leaf.source is not fitting:
        raise MlsInvalid(Rule.L09, f"source {int(leaf.source)}, not {int(fitting)}")


def check_lifetime_length(leaf: LeafNodeIn, limits: Limits) -> None:
    """L06: the lifetime is no longer than the limit (section 7.2)."""
    lifetime = leaf.lifetime
    if lifetime is None:
        return
    seconds = lifetime.not_after - lifetime.not_before
    if seconds > limits.lifetime_s_max:
        raise MlsInvalid(Rule.L06, f"lives {seconds} s, limit {limits.lifetime_s_max}")


def check_lifetime(leaf: LeafNodeIn, now: int, skew_s: int = 0) -> None:
    """L05: now is within the lifetime (section 7.3).

    Args:
        leaf: of source key_package; others have no lifetime.
        now: seconds since 1970.
        skew_s: how wrong the clocks may be; 0 for what we send ourselves.
    """
    lifetime = leaf.lifetime
    if lifetime is None:
        return
    if now < lifetime.not_before - skew_s:
        raise MlsInvalid(Rule.L05, f"begins in {lifetime.not_before - now} s")
    if now > lifetime.not_after + skew_s:
        raise MlsInvalid(Rule.L05, f"ended {now - lifetime.not_after} s ago")


def check_own_extensions(leaf: LeafNodeIn) -> None:
    """L07: its non-default extensions are in its capabilities (7.2, 7.3)."""
    for extension in leaf.extensions:
        if not leaf.capabilities.supports_extension(extension.kind):
            raise MlsInvalid(Rule.L07, f"extension type {extension.kind}")


def check_own_credential(leaf: LeafNodeIn) -> None:
    """L08: the type of its credential is in its capabilities (section 7.2)."""
    kind = leaf.credential.kind
    if kind not in leaf.capabilities.credentials:
        raise MlsInvalid(Rule.L08, f"credential type {kind}")


def check_keys(leaf: LeafNodeIn, suite: CipherSuite) -> None:
    """L14: keys are well formed for the suite (section 5.1.1).

    For the signature key this is checked with the signature: under what is no key
    none is right. `check_signature` tells the two apart.
    """
    if not hpke.check_public(suite, leaf.encryption_key):
        size = len(leaf.encryption_key)
        raise MlsInvalid(Rule.L14, f"encryption key of {size} octets")


def check_signature(
    leaf: LeafNodeIn, suite: CipherSuite, group_id: bytes, leaf_index: int
) -> None:
    """L02: the signature is right for the place (section 7.2); L14 for its key."""
    signed = leaf.signed(group_id, leaf_index)
    key = leaf.signature_key
    if verify_with_label(suite, key, TBS_LABEL, signed, leaf.signature):
        return
    if not signatures.check_public_key(suite, key):
        raise MlsInvalid(Rule.L14, f"signature key of {len(key)} octets")
    raise MlsInvalid(Rule.L02, "signature is wrong")


def check_defaults_unlisted(leaf: LeafNodeIn) -> None:
    """L16: what we send ourselves does not list default types (section 7.2)."""
    capabilities = leaf.capabilities
    listed = DEFAULT_EXTENSIONS.intersection(capabilities.extensions)
    listed |= DEFAULT_PROPOSALS.intersection(capabilities.proposals)
    if listed:
        raise MlsInvalid(Rule.L16, f"default types {sorted(listed)} are listed")


# ---- the leaf and its group


def check_capabilities(leaf: LeafNodeIn, rules: LeafRules) -> None:
    """L03, L04, L13, L15: the leaf supports what the group uses.

    Leaves of one client version have one object for capabilities, so most leaves of
    a tree are answered by the first.
    """
    capabilities = leaf.capabilities
    if capabilities in rules.supported:
        return
    check_version_and_suite(capabilities, rules.version, rules.suite.number)
    check_required(capabilities, rules.required)
    check_group_extensions(capabilities, rules.group_extensions)
    check_credential_types(capabilities, rules.credentials_in_use)
    rules.supported.add(capabilities)


def check_version_and_suite(
    capabilities: Capabilities, version: int, suite: int
) -> None:
    """L13: capabilities contain the group's version and suite (7.2, 10)."""
    if version not in capabilities.versions:
        raise MlsInvalid(Rule.L13, f"protocol version {version}")
    if suite not in capabilities.cipher_suites:
        raise MlsInvalid(Rule.L13, f"cipher suite {suite}")


def check_required(capabilities: Capabilities, required: RequiredCapabilities) -> None:
    """L03: the leaf covers `required_capabilities` (7.3, 11.1)."""
    for kind in required.extensions:
        if not capabilities.supports_extension(kind):
            raise MlsInvalid(Rule.L03, f"extension type {kind}")
    for kind in required.proposals:
        if not capabilities.supports_proposal(kind):
            raise MlsInvalid(Rule.L03, f"proposal type {kind}")
    for kind in required.credentials:
        if kind not in capabilities.credentials:
            raise MlsInvalid(Rule.L03, f"credential type {kind}")


def check_group_extensions(capabilities: Capabilities, kinds: Iterable[int]) -> None:
    """L15: the leaf supports every GroupContext extension (section 13.4)."""
    for kind in kinds:
        if not capabilities.supports_extension(kind):
            raise MlsInvalid(Rule.L15, f"extension type {kind}")


def check_credential_types(capabilities: Capabilities, in_use: Iterable[int]) -> None:
    """L04: the leaf supports all types of credential in use (section 7.3).

    That all support the leaf's own type is this check of the others, with its type
    among those in use.
    """
    for kind in in_use:
        if kind not in capabilities.credentials:
            raise MlsInvalid(Rule.L04, f"credential type {kind}")


def check_credential(leaf: LeafNodeIn, rules: LeafRules, where: Where) -> None:
    """L01: the Authentication Service accepts the credential (5.3.1, 7.3)."""
    check_authentic(leaf.credential, leaf.signature_key, rules.authentication, where)
    if isinstance(leaf.credential, MultiCredential):
        check_bindings(leaf.credential, leaf.signature_key, rules, where)


def check_authentic(
    credential: Credential,
    signature_key: bytes,
    authentication: AuthenticationService,
    where: Where,
) -> None:
    """L01, for one credential and the key it vouches for."""
    verdict = authentication.check(credential, signature_key, where)
    if not verdict.accepted:
        raise MlsInvalid(Rule.L01, verdict.reason or "credential is refused")


def check_bindings(
    credential: MultiCredential, signature_key: bytes, rules: LeafRules, where: Where
) -> None:
    """L01, for the bindings of a multi credential (mls-extensions).

    All bindings of type `multi` must be valid; of type `weak-multi` those that this
    client supports, one at least.
    """
    known = 0
    for binding in credential.bindings:
        suite = rules.suites.get(binding.cipher_suite)
        if suite is None:
            if credential.weak:
                continue
            raise MlsInvalid(Rule.L01, f"binding of suite {binding.cipher_suite}")
        signed = binding.signed(signature_key)
        key = binding.credential_key
        if not verify_with_label(suite, key, BINDING_LABEL, signed, binding.signature):
            raise MlsInvalid(Rule.L01, "signature of a binding is wrong")
        check_authentic(binding.credential, key, rules.authentication, where)
        known += 1
    if not known:
        raise MlsInvalid(Rule.L01, f"none of {len(credential.bindings)} bindings")


# ---- the leaf and the tree


def check_encryption_key_changed(leaf: LeafNodeIn, replaced: LeafNodeIn) -> None:
    """L10: update and commit bring a new encryption key (7.3, 12.4.2)."""
    if leaf.encryption_key == replaced.encryption_key:
        raise MlsInvalid(Rule.L10, "encryption key of the replaced leaf")


def check_signature_key_unique(leaf: LeafNodeIn, taken: Container[bytes]) -> None:
    """L11: no other member has its signature key (section 7.3)."""
    if leaf.signature_key in taken:
        raise MlsInvalid(Rule.L11, "signature key of another member")


def check_encryption_key_unique(leaf: LeafNodeIn, taken: Container[bytes]) -> None:
    """L12: no other node has its encryption key (section 7.3)."""
    if leaf.encryption_key in taken:
        raise MlsInvalid(Rule.L12, "encryption key of another node")
