"""Messaging Layer Security (RFC 9420) and the extensions that MIMI needs.

Sans-I/O: time and randomness come in through `Env`, a group's state goes out as rows.
The names below are what a program needs that uses MLS; docs/tutorials/mls-library.md
leads through them. Sabir's own packages name the modules instead, so that it is seen
who can reach a member's secrets and who has only the public half.
"""

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.client import (
    Identity,
    KeyPackageSecrets,
    MlsClient,
    read_key_package_secrets,
)
from sabir.mls.components import AppDataDictionary, Component
from sabir.mls.credentials import (
    AuthenticationService,
    BasicCredential,
    Credential,
    MultiCredential,
    Verdict,
    Where,
    X509Credential,
)
from sabir.mls.effects import Added, Effects, Removed, Updated
from sabir.mls.env import Env
from sabir.mls.errors import (
    MlsInvalid,
    MlsMissing,
    MlsMisuse,
    MlsRolledBack,
    MlsUnsupported,
    ProposalsMissing,
)
from sabir.mls.extensions import Extension, Extensions, ExternalSender
from sabir.mls.framing import MlsMessageIn, decode_message, encode_message
from sabir.mls.group.continuation import branch, continue_after_re_init
from sabir.mls.group.epoch import Status
from sabir.mls.group.external import (
    PendingExternalJoin,
    propose_as_external_sender,
    propose_to_join,
)
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.join import StagedWelcome
from sabir.mls.group.messages import Outgoing
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.process import ApplicationMessage, OwnEcho, StagedCommit
from sabir.mls.group_info import GroupInfo, GroupInfoIn
from sabir.mls.key_packages import KeyPackage, KeyPackageIn
from sabir.mls.leaf_node import LeafNode, LeafNodeIn
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.proposals import (
    Add,
    AppDataUpdate,
    AppEphemeral,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ProposalRegistry,
    ReInit,
    Remove,
    SelfRemove,
)
from sabir.mls.psk import PskStore
from sabir.mls.psk_ids import (
    ApplicationPsk,
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
)
from sabir.mls.public_group import ProposalReceived, PublicGroup
from sabir.mls.public_store import encode_public_group, read_public_group
from sabir.mls.services import ProposalPolicy, Services
from sabir.mls.staging import PublicStage
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.mls.validation.rules import Rule
from sabir.mls.welcome import Welcome
from sabir.wire.errors import Malformed

__all__ = [
    "DEFAULT_LIMITS",
    "SUITES",
    "Add",
    "Added",
    "AppDataDictionary",
    "AppDataUpdate",
    "AppEphemeral",
    "ApplicationMessage",
    "ApplicationPsk",
    "AuthenticationService",
    "BasicCredential",
    "CipherSuite",
    "Component",
    "Credential",
    "Effects",
    "Env",
    "Extension",
    "Extensions",
    "ExternalPsk",
    "ExternalSender",
    "GroupContextExtensions",
    "GroupInfo",
    "GroupInfoIn",
    "Identity",
    "KeyPackage",
    "KeyPackageIn",
    "KeyPackageSecrets",
    "LeafNode",
    "LeafNodeIn",
    "Limits",
    "Malformed",
    "MlsClient",
    "MlsGroup",
    "MlsInvalid",
    "MlsMessageIn",
    "MlsMissing",
    "MlsMisuse",
    "MlsRolledBack",
    "MlsUnsupported",
    "MultiCredential",
    "Outgoing",
    "OwnEcho",
    "PartialGroupInfo",
    "PendingCommit",
    "PendingExternalJoin",
    "PreSharedKey",
    "PreSharedKeyID",
    "Proposal",
    "ProposalPolicy",
    "ProposalReceived",
    "ProposalRegistry",
    "ProposalsMissing",
    "PskStore",
    "PublicGroup",
    "PublicStage",
    "ReInit",
    "Remove",
    "Removed",
    "ResumptionPsk",
    "ResumptionUsage",
    "Rule",
    "Secret",
    "SelfRemove",
    "Services",
    "StagedCommit",
    "StagedWelcome",
    "Status",
    "TreePresence",
    "Updated",
    "Verdict",
    "Welcome",
    "Where",
    "X509Credential",
    "accept",
    "branch",
    "continue_after_re_init",
    "decode_message",
    "encode_message",
    "encode_public_group",
    "propose_as_external_sender",
    "propose_to_join",
    "read_key_package_secrets",
    "read_public_group",
    "stage_external_join",
    "stage_welcome",
]
