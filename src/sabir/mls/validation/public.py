"""Rules H: what a hub checks of the things that go with a commit."""

from sabir.mls.errors import MlsInvalid
from sabir.mls.group_info import GroupInfo, GroupInfoIn
from sabir.mls.staging import PublicStage
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import verify_group_info
from sabir.mls.welcome import Welcome


def check_group_info_fits(staged: PublicStage, group_info: GroupInfoIn) -> GroupInfo:
    """H02: a GroupInfo has the computed GroupContext and is signed by the committer."""
    after = staged.after
    if group_info.group_context != after.context:
        raise MlsInvalid(Rule.H02, "another GroupContext")
    if not group_info.confirmation_tag.ct_equal(after.confirmation_tag):
        raise MlsInvalid(Rule.H02, "another confirmation tag")
    if group_info.signer != staged.effects.committer_leaf:
        raise MlsInvalid(Rule.H02, f"signer {group_info.signer}")
    try:
        return verify_group_info(after.suite, group_info, after.tree)
    except MlsInvalid as wrong:
        raise MlsInvalid(Rule.H02, wrong.detail) from None


def check_welcome_entries(staged: PublicStage, welcome: Welcome) -> None:
    """H04: the entries of a Welcome are exactly the key packages of the Adds."""
    suite = staged.after.suite
    wanted = sorted(
        added.key_package.reference(suite) for added in staged.effects.added
    )
    found = sorted(entry.new_member for entry in welcome.secrets)
    if welcome.cipher_suite != suite.number or found != wanted:
        raise MlsInvalid(Rule.H04, f"{len(found)} entries for {len(wanted)} Adds")
