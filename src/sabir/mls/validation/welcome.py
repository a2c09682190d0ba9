"""Rules W: what a joiner checks (RFC 9420 sections 11.2, 11.3 and 12.4.3)."""

from collections.abc import Container, Iterable, Sequence

from sabir.crypto.labels import verify_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.capabilities import Capabilities
from sabir.mls.credentials import AuthenticationService
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import Extensions
from sabir.mls.group_context import GroupContext
from sabir.mls.group_info import TBS_LABEL, GroupInfo, GroupInfoIn
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.proposals import ReInit
from sabir.mls.psk_ids import PreSharedKeyID, ResumptionPsk, ResumptionUsage
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.tags import Tag
from sabir.mls.transcript import confirmation_tag
from sabir.mls.validation.proof import PROOF
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import EncryptedGroupSecrets, Welcome

# ---- the Welcome


def entry_for(welcome: Welcome, reference: bytes) -> EncryptedGroupSecrets:
    """W01: an entry names our key package."""
    for entry in welcome.secrets:
        if entry.new_member == reference:
            return entry
    raise MlsInvalid(Rule.W01, f"{len(welcome.secrets)} entries")


def check_welcome_suite(welcome: Welcome, suite_number: int) -> None:
    """W02: the suite is the key package's."""
    if welcome.cipher_suite != suite_number:
        raise MlsInvalid(Rule.W02, f"suite {welcome.cipher_suite}")


def linking_psk(psks: Iterable[PreSharedKeyID]) -> ResumptionPsk | None:
    """W04: at most one PSK links the group to an older one; return it."""
    found = [
        psk
        for psk in psks
        if isinstance(psk, ResumptionPsk)
        and psk.usage is not ResumptionUsage.APPLICATION
    ]
    if len(found) > 1:
        raise MlsInvalid(Rule.W04, f"{len(found)} PSKs of usage reinit or branch")
    return found[0] if found else None


# ---- the GroupInfo


def verify_group_info(
    suite: CipherSuite, group_info: GroupInfoIn, tree: RatchetTree
) -> GroupInfo:
    """W05: the member at leaf `signer` signed it."""
    leaf = tree.leaf(group_info.signer)
    if leaf is None:
        raise MlsInvalid(Rule.W05, f"leaf {group_info.signer} is blank")
    return verify_group_info_by(suite, group_info, leaf.signature_key)


def verify_group_info_by(
    suite: CipherSuite, group_info: GroupInfoIn, signature_key: bytes
) -> GroupInfo:
    """W05, for the key of a leaf that is known: its signature is right."""
    signed, signature = group_info.signed(), group_info.signature
    if not verify_with_label(suite, signature_key, TBS_LABEL, signed, signature):
        raise MlsInvalid(Rule.W05, "signature is wrong")
    return GroupInfo(group_info, PROOF)


def check_not_member(context: GroupContext, member_of: Container[bytes]) -> None:
    """W06: we are not in this group already."""
    if context.group_id in member_of:
        raise MlsInvalid(Rule.W06)


def check_group_suite(context: GroupContext, suite: CipherSuite, version: int) -> None:
    """W07: version and suite of the group are those of the key package."""
    if context.cipher_suite != suite.number:
        raise MlsInvalid(Rule.W07, f"suite {context.cipher_suite}")
    if context.version != version:
        raise MlsInvalid(Rule.W07, f"version {context.version}")


def find_own_leaf(tree: RatchetTree, leaf: LeafNodeIn) -> int:
    """W09: our leaf is in the tree, octet for octet."""
    index = tree.leaf_of_signature_key(leaf.signature_key)
    if index is None or tree.leaf(index) != leaf:
        raise MlsInvalid(Rule.W09)
    return index


def check_group_tag(
    suite: CipherSuite, confirmation: Secret, context: GroupContext, tag: Tag
) -> None:
    """W11: the confirmation tag of the GroupInfo is the epoch's."""
    expected = confirmation_tag(suite, confirmation, context.confirmed_transcript_hash)
    if not expected.ct_equal(tag):
        raise MlsInvalid(Rule.W11)


def check_extensions_known(extensions: Extensions, ours: Capabilities) -> None:
    """W12: we support every extension of the GroupContext."""
    for extension in extensions:
        if not ours.supports_extension(extension.kind):
            raise MlsInvalid(Rule.W12, f"extension type {extension.kind}")


def check_same_tree(inside: bytes | None, outside: bytes | None) -> None:
    """W17: a tree in the GroupInfo and one given beside it are equal."""
    if inside is not None and outside is not None and inside != outside:
        raise MlsInvalid(Rule.W17)


# ---- groups that continue another


def check_first_epoch(context: GroupContext) -> None:
    """W13: a group that continues another is joined in epoch 1."""
    if context.epoch != 1:
        raise MlsInvalid(Rule.W13, f"epoch {context.epoch}")


def check_re_init_fits(context: GroupContext, re_init: ReInit | None) -> None:
    """W14: the parameters are those of the ReInit that ended the old group."""
    if re_init is None:
        raise MlsInvalid(Rule.W14, "the old group did not end by a ReInit")
    wanted = (
        re_init.version,
        re_init.cipher_suite,
        re_init.group_id,
        re_init.extensions,
    )
    if wanted != (
        context.version,
        context.cipher_suite,
        context.group_id,
        context.extensions,
    ):
        raise MlsInvalid(Rule.W14, "other parameters than the ReInit says")


def check_all_continue(
    old: RatchetTree, new: RatchetTree, authentication: AuthenticationService
) -> None:
    """W14: all members of the old group are in the new one."""
    if not _all_in(_leaves(old), _leaves(new), authentication):
        raise MlsInvalid(Rule.W14, "a member of the old group is missing")


def check_branch_fits(context: GroupContext, old: GroupContext) -> None:
    """W15: a branch keeps version and suite."""
    if (context.version, context.cipher_suite) != (old.version, old.cipher_suite):
        raise MlsInvalid(Rule.W15, f"suite {context.cipher_suite}")


def check_branch_members(
    old: RatchetTree, new: RatchetTree, authentication: AuthenticationService
) -> None:
    """W15: all members of a branch are members of the old group."""
    if not _all_in(_leaves(new), _leaves(old), authentication):
        raise MlsInvalid(Rule.W15, "a member of the branch is new")


def _leaves(tree: RatchetTree) -> list[LeafNode]:
    return [leaf for _, leaf in tree.members()]


def _all_in(
    some: Sequence[LeafNode],
    others: Sequence[LeafNode],
    authentication: AuthenticationService,
) -> bool:
    same_client = authentication.same_client
    return all(any(same_client(leaf, other) for other in others) for leaf in some)
