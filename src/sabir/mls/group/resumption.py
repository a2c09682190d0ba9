"""Groups that continue another: ReInit and branch (RFC 9420 sections 11.2 and 11.3)."""

from collections.abc import Iterable

from sabir.mls.env import Env
from sabir.mls.errors import MlsInvalid, MlsMissing, MlsMisuse
from sabir.mls.group.epoch import GroupState, Status
from sabir.mls.proposals import PreSharedKey, ReInit
from sabir.mls.psk_ids import PreSharedKeyID, ResumptionPsk, ResumptionUsage
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.services import Services
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import (
    check_all_continue,
    check_branch_fits,
    check_branch_members,
    check_first_epoch,
    check_re_init_fits,
    linking_psk,
)

# ---- joining


def check_continuation(
    services: Services,
    public: PublicEpoch,
    psks: Iterable[PreSharedKeyID],
    resume: GroupState | None,
) -> None:
    """W13 to W15: a group that is said to continue another does.

    Args:
        services: the application.
        public: the new group, as its GroupInfo shows it.
        psks: of the Welcome.
        resume: our state of the old group.

    Raises:
        MlsInvalid: W13, W14, W15.
        MlsMissing: the Welcome names an old group, and we were given another or none.
    """
    link = linking_psk(psks)
    if link is None:
        if resume is not None:
            raise MlsInvalid(Rule.W14, "no PSK links it with the old group")
        return
    check_first_epoch(public.context)
    if resume is None or resume.public.context.group_id != link.psk_group_id:
        raise MlsMissing("the group that this one continues")
    old = resume.public.epoch
    if link.usage is ResumptionUsage.BRANCH:
        check_branch_fits(public.context, old.context)
        check_branch_members(old.tree, public.tree, services.authentication)
        return
    if link.psk_epoch != old.context.epoch:
        raise MlsInvalid(Rule.W14, f"epoch {link.psk_epoch} of the old group")
    check_re_init_fits(public.context, resume.re_init)
    check_all_continue(old.tree, public.tree, services.authentication)


# ---- founding


def re_init_of(old: GroupState) -> ReInit:
    """Return the parameters of the group that continues this one.

    Raises:
        MlsMisuse: it did not end by a ReInit.
    """
    if old.status is not Status.SUSPENDED or old.re_init is None:
        raise MlsMisuse("this group was not ended by a ReInit; commit one first")
    return old.re_init


def linking_proposal(
    env: Env, old: GroupState, usage: ResumptionUsage, nonce_octets: int
) -> PreSharedKey:
    """Make the proposal that links the first commit of a group to an older one.

    Args:
        env: randomness.
        old: the older group.
        usage: reinit or branch.
        nonce_octets: `nh` of the new group's suite.
    """
    context = old.public.context
    nonce = env.random(nonce_octets)
    return PreSharedKey(ResumptionPsk(usage, context.group_id, context.epoch, nonce))
