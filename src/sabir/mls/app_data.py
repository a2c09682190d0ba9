"""Applying AppDataUpdate and AppEphemeral proposals (mls-extensions 4.7 and 4.8)."""

from collections.abc import Sequence

from sabir.mls.components import (
    AppDataDictionary,
    CommitContext,
    ComponentRefused,
    Components,
    dictionary_of,
    with_dictionary,
)
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import Extensions
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.proposals import AppDataUpdate, AppEphemeral
from sabir.mls.validation.components import (
    check_update_removes_something,
    known_component,
    updates_by_component,
)
from sabir.mls.validation.rules import Rule


def judge_ephemeral(
    components: Components,
    context: GroupContext,
    committer: Sender,
    proposals: ProposalList,
) -> None:
    """Hand each AppEphemeral to its component, in the order of the list.

    Raises:
        MlsInvalid: E02, E06.
    """
    sent = proposals.sent(AppEphemeral)
    for proposal, item in zip(proposals.of(AppEphemeral), sent, strict=True):
        component = known_component(components, proposal.component_id)
        commit = CommitContext(context, committer, (item.sender,))
        try:
            component.ephemeral(proposal.data, commit)
        except ComponentRefused as wrong:
            raise MlsInvalid(Rule.E06, str(wrong)) from None


def apply_data_updates(
    components: Components,
    context: GroupContext,
    committer: Sender,
    proposals: ProposalList,
    extensions: Extensions,
) -> Extensions:
    """Return the GroupContext's extensions after all AppDataUpdates.

    Args:
        components: what the application knows.
        context: the group before the commit.
        committer: who sends it.
        proposals: the list.
        extensions: after a GroupContextExtensions of the same list.

    Raises:
        MlsInvalid: E02, E03, E04, E06.
    """
    sent = proposals.sent(AppDataUpdate)
    if not sent:
        return extensions
    for component_id, updates in updates_by_component(proposals).items():
        component = known_component(components, component_id)
        if None in updates:
            check_update_removes_something(extensions, component_id)
            kept = (dictionary_of(extensions) or AppDataDictionary()).without(
                component_id
            )
            extensions = with_dictionary(extensions, kept)
            continue
        old = dictionary_of(extensions) or AppDataDictionary()
        commit = CommitContext(context, committer, _proposers(sent, component_id))
        try:
            new = component.apply(
                old.find(component_id),
                [update for update in updates if update is not None],
                commit,
            )
        except ComponentRefused as wrong:
            raise MlsInvalid(Rule.E06, str(wrong)) from None
        extensions = with_dictionary(extensions, old.with_entry(component_id, new))
    return extensions


def _proposers(sent: Sequence[Proposed], component_id: int) -> tuple[Sender, ...]:
    return tuple(
        item.sender
        for item in sent
        if isinstance(item.proposal, AppDataUpdate)
        and item.proposal.component_id == component_id
    )
