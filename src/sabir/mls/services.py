"""What a group asks the application for, built once and shared by all groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.components import Component, Components
from sabir.mls.credentials import AuthenticationService
from sabir.mls.errors import MlsUnsupported
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import STANDARD_PROPOSALS, Proposal, ProposalRegistry


class ProposalPolicy(Protocol):
    """The application's say about single proposals (rule P10)."""

    def allows(self, proposal: Proposal, sender: Sender, context: GroupContext) -> bool:
        """Say whether this sender may propose this in this group."""
        ...


class AllowAll:
    """A policy that leaves everything to the rules of MLS."""

    def allows(self, proposal: Proposal, sender: Sender, context: GroupContext) -> bool:
        """Say yes."""
        del proposal, sender, context
        return True


_NO_COMPONENTS: Final[Components] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The application's side of all its groups; never stored with them.

    Attributes:
        authentication: answers for credentials (section 5.3.1).
        components: by component id (mls-extensions 4).
        proposals: the types of proposal that are known.
        limits: what is accepted.
        suites: by number; post-quantum ones come in here.
        policy: may refuse single proposals.
        judge_lifetimes: refuse key packages outside their lifetime on receipt, too
            (L05). A hub should; a member that was away for long would lose the
            group. What we send ourselves is always judged.
        semi_private: understand SemiPrivateMessages, a draft under private numbers.
    """

    authentication: AuthenticationService
    components: Mapping[int, Component] = field(default_factory=lambda: _NO_COMPONENTS)
    proposals: ProposalRegistry = STANDARD_PROPOSALS
    limits: Limits = DEFAULT_LIMITS
    suites: Mapping[int, CipherSuite] = field(default_factory=lambda: SUITES)
    policy: ProposalPolicy = field(default_factory=AllowAll)
    judge_lifetimes: bool = False
    semi_private: bool = False

    def suite(self, number: int) -> CipherSuite:
        """Return the suite with this number.

        Raises:
            MlsUnsupported: it is not configured.
        """
        found = self.suites.get(number)
        if found is None:
            raise MlsUnsupported("cipher suite", number)
        return found
